//! The load balancers of a native file beside the cluster, whose target groups TargetGroupBindings may fill.

use std::sync::Arc;

use elbow_model::{Model, Target, TargetGroup, TargetSpec, TargetType, ZoneName};

use crate::serve::{Surroundings, bound_targets};

/// What a native file has.
#[derive(Debug, Default)]
pub(super) struct Native(Model);

impl Native {
    pub(super) fn new(model: Model) -> Self {
        Self(model)
    }

    /// Whether it has the target group called `name`.
    pub(super) fn has_group(&self, name: &str) -> bool {
        self.0.target_group(name).is_some()
    }

    /// The model with the targets of the bindings.
    pub(super) fn bound(&self, surroundings: &Surroundings<'_>) -> Model {
        let mut model = self.0.clone();
        for group in &mut model.target_groups {
            let bindings = surroundings.scope.bindings(&group.name);
            let target_type = match group.target_type {
                TargetType::Ip => "ip",
                _ => "instance",
            };
            let targets = bindings.flat_map(|one| bound_targets(one, target_type, surroundings));
            let targets: Vec<Target> = targets.filter_map(target).collect();
            if !targets.is_empty() {
                add(Arc::make_mut(group), targets);
            }
        }
        model
    }
}

fn add(group: &mut TargetGroup, targets: Vec<Target>) {
    for target in targets {
        let there = |one: &Target| (&one.id, one.port) == (&target.id, target.port);
        if !group.targets.iter().any(there) {
            group.targets.push(target);
        }
    }
}

/// `None`: not an address or a host name.
fn target((id, port, zone): (String, u16, Option<String>)) -> Option<Target> {
    // An invalid zone name counts as no zone.
    let zone = zone.filter(|zone| ZoneName::new(zone).value.is_ok());
    let spec = TargetSpec {
        id: Some(id),
        port: None,
        availability_zone: zone,
        quic_server_id: None,
    };
    Target::new(&spec, port).value.ok()
}

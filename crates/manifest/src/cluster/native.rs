//! The load balancers of a native file beside the cluster, whose target groups TargetGroupBindings may fill.

use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Model, Target, TargetGroup, TargetSpec, TargetType, ZoneName};

use crate::serve::{Surroundings, bound_targets};

/// What a native file has.
#[derive(Debug, Default)]
pub(super) struct Native {
    model: Model,
    /// What was found about the targets of bindings.
    found: Vec<Diagnostic>,
}

impl Native {
    pub(super) fn new(model: Model) -> Self {
        Self {
            model,
            found: Vec::new(),
        }
    }

    /// Whether it has the target group called `name`.
    pub(super) fn has_group(&self, name: &str) -> bool {
        self.model.target_group(name).is_some()
    }

    /// What is worth knowing about the targets of bindings.
    pub(super) fn found(&self) -> &[Diagnostic] {
        &self.found
    }

    /// The model with the targets of the bindings.
    pub(super) fn bound(&mut self, surroundings: &Surroundings<'_>) -> Model {
        let mut model = self.model.clone();
        let found = &mut self.found;
        found.clear();
        for group in &mut model.target_groups {
            let bindings = surroundings.scope.bindings(&group.name);
            let target_type = match group.target_type {
                TargetType::Ip => "ip",
                _ => "instance",
            };
            let is_quic = group.protocol.is_quic();
            let targets = bindings
                .flat_map(|one| bound_targets(one, target_type, is_quic, surroundings, found));
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
        let there = |one: &Target| {
            (&one.id, one.port) == (&target.id, target.port)
                || one.quic_server_id.is_some() && one.quic_server_id == target.quic_server_id
        };
        if !group.targets.iter().any(there) {
            group.targets.push(target);
        }
    }
}

/// `None`: not an address or a host name.
fn target(mut spec: TargetSpec) -> Option<Target> {
    // An invalid zone name counts as no zone.
    let is_invalid = |zone: &mut String| ZoneName::new(zone).value.is_err();
    spec.availability_zone.take_if(is_invalid);
    let port = spec.port.take().and_then(|port| port.try_into().ok())?;
    Target::new(&spec, port).value.ok()
}

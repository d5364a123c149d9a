//! The models of all stacks as one.

use std::collections::HashSet;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::file::Origin;
use elbow_model::{Certificate, Model, TargetGroup};

/// The models so far.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) model: Model,
    balancers: HashSet<Arc<str>>,
    groups: std::collections::HashMap<Arc<str>, Arc<TargetGroup>>,
    certificates: HashSet<Arc<str>>,
}

impl Merged {
    /// Adds the model of a stack, unless another stack has the name of its load balancer already, or a
    /// different target group by one of its names.
    pub(super) fn add(&mut self, model: Model, origin: &Origin, found: &mut Vec<Diagnostic>) {
        let mut taken = None;
        for balancer in &model.load_balancers {
            if self.balancers.contains(&balancer.name) {
                taken = Some(format!("load balancer {}", balancer.name));
            }
        }
        for group in &model.target_groups {
            if self
                .groups
                .get(&group.name)
                .is_some_and(|first| first != group)
            {
                taken = Some(format!("target group {}", group.name));
            }
        }
        if let Some(what) = taken {
            let message = format!("there is another {what} already; this one is left out");
            let taken = Diagnostic::error("duplicate-name", message);
            found.push(origin.place(taken).hint("give it a name of its own"));
            return;
        }
        let names = model.load_balancers.iter().map(|one| one.name.clone());
        self.balancers.extend(names);
        self.model.load_balancers.extend(model.load_balancers);
        for group in model.target_groups {
            if self
                .groups
                .insert(group.name.clone(), group.clone())
                .is_none()
            {
                self.model.target_groups.push(group);
            }
        }
        let fresh =
            |certificate: &Arc<Certificate>| self.certificates.insert(certificate.name.clone());
        let certificates = model.certificates.into_iter().filter(fresh);
        self.model.certificates.extend(certificates);
    }
}

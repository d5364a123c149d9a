//! The models of all stacks as one.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::file::Origin;
use elbow_model::{Certificate, Model, TargetGroup};

/// The models so far.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) model: Model,
    balancers: HashSet<Arc<str>>,
    groups: HashMap<Arc<str>, Arc<TargetGroup>>,
    certificates: HashMap<Arc<str>, Arc<Certificate>>,
}

impl Merged {
    /// Adds the model of a stack, unless another stack has the name of its load balancer already, or a
    /// different target group by one of its names.
    pub(crate) fn add(&mut self, model: Model, origin: &Origin, found: &mut Vec<Diagnostic>) {
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
        for certificate in model.certificates {
            if let Entry::Vacant(name) = self.certificates.entry(certificate.name.clone()) {
                name.insert(certificate.clone());
                self.model.certificates.push(certificate);
            }
        }
        for mut balancer in model.load_balancers {
            self.balancers.insert(balancer.name.clone());
            // All stacks share certificates: two may name the same one.
            balancer.replace_certificates(|name| self.certificates.get(name));
            self.model.load_balancers.push(balancer);
        }
        for group in model.target_groups {
            if self
                .groups
                .insert(group.name.clone(), group.clone())
                .is_none()
            {
                self.model.target_groups.push(group);
            }
        }
    }
}

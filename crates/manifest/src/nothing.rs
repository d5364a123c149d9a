//! The warning that the objects ask for no load balancer.

use std::collections::BTreeMap;
use std::fmt;

use elbow_model::diagnostic::Diagnostic;

use crate::annotations::other::INGRESS_CLASS;
use crate::inventory::Inventory;
use crate::objects::ServiceType;

/// How many kinds the warning names.
const SHOWN: usize = 8;

/// Which objects there are, by kind; Services by type and Ingresses by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen(BTreeMap<String, usize>);

impl Seen {
    pub(crate) fn new<'a>(kinds: impl Iterator<Item = &'a str>, inventory: &Inventory) -> Self {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for kind in kinds {
            *seen.entry(kind.to_owned()).or_default() += 1;
        }
        let mut seen = Self(seen);
        for service in inventory.services.values() {
            let kind = match service.kind {
                ServiceType::LoadBalancer => "LoadBalancer",
                ServiceType::NodePort => "NodePort",
                ServiceType::ClusterIp => "ClusterIP",
                ServiceType::ExternalName => "ExternalName",
            };
            seen.tell("Service", &format!("Service of type {kind}"));
        }
        for ingress in inventory.ingresses.values() {
            let annotation = ingress.meta.annotations.get(INGRESS_CLASS.key);
            let class = annotation.map(|one| &one.value).or(ingress.class.as_ref());
            if let Some(class) = class {
                seen.tell("Ingress", &format!("Ingress of class {class}"));
            }
        }
        seen
    }

    /// Counts one of a kind as something that says more.
    fn tell(&mut self, kind: &str, more: &str) {
        let Some(count) = self.0.get_mut(kind) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.0.remove(kind);
        }
        *self.0.entry(more.to_owned()).or_default() += 1;
    }

    /// The warning that nothing of it asks for a load balancer.
    pub fn nothing_to_serve(&self) -> Diagnostic {
        if self.0.is_empty() {
            let message = "nothing to serve: the input has no objects";
            return Diagnostic::warning("nothing-to-serve", message)
                .hint("check the path, or what the command before the pipe printed");
        }
        let message = format!("nothing to serve: no object asks for a load balancer; seen: {self}");
        Diagnostic::warning("nothing-to-serve", message).hint(
            "a Service needs type: LoadBalancer, an Ingress ingressClassName: alb, a Tenant exposeServices; \
             --personality selects the controllers",
        )
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: Vec<(&String, &usize)> = self.0.iter().collect();
        kinds.sort_by(|(_, a), (_, b)| b.cmp(a));
        let shown = kinds.iter().take(SHOWN);
        let shown: Vec<String> = shown
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        f.write_str(&shown.join(", "))?;
        match kinds.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, ", and {more} more kinds"),
        }
    }
}

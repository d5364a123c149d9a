//! Readiness gates of pods: the condition `target-health.elbv2.k8s.aws/NAME`, with EKS Auto Mode
//! `target-health.eks.amazonaws.com/NAME`, says whether the pod is healthy in the target
//! group of that name. A rolling update waits for it (control-plane.md 3.8).

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use elbow_manifest::cluster::{AUTO_MODE, Marks};
use elbow_model::{Model, TargetGroup, TargetId};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Error;
use kube::api::Patch;
use serde_json::{Value, json};

use super::Inner;
use super::api::{Name, What, code};
use super::facts::Facts;
use super::pod_gates::{self, Condition, PodGates};
use crate::{LoadBalancers, TargetHealth};

/// The target groups that gates refer to.
#[derive(Default)]
pub(super) struct Groups {
    by_name: HashMap<Arc<str>, Arc<TargetGroup>>,
    /// The group of a user's TargetGroupBinding, by namespace and name; the binding's name may differ from the group's.
    by_binding: HashMap<(String, String), String>,
    /// Namespaces with a refused stack: their groups may exist without being known.
    incomplete: HashSet<String>,
    /// The controllers that have groups too, which elbow does not know.
    others: Vec<&'static Marks>,
}

impl Groups {
    pub(super) fn new(
        model: &Model,
        by_binding: HashMap<(String, String), String>,
        incomplete: HashSet<String>,
        others: Vec<&'static Marks>,
    ) -> Self {
        let groups = model.target_groups.iter();
        Self {
            by_name: groups.map(|one| (one.name.clone(), one.clone())).collect(),
            by_binding,
            incomplete,
            others,
        }
    }

    /// The group of the gate `name` of a pod in `namespace`.
    fn group(&self, namespace: &str, name: &str) -> Option<&TargetGroup> {
        let bound = self
            .by_binding
            .get(&(namespace.to_owned(), name.to_owned()));
        let group = self.by_name.get(bound.map_or(name, String::as_str))?;
        Some(group)
    }
}

/// The id under which a pod is registered as a target, for queries of its health.
fn target(group: &TargetGroup, addresses: &[IpAddr]) -> Option<String> {
    let mut targets = group.targets.iter();
    targets.find_map(|target| match target.id {
        TargetId::Ip(ip) if addresses.contains(&ip) => {
            Some(SocketAddr::new(ip, target.port).to_string())
        }
        _ => None,
    })
}

/// What AWS's controller reports for a pod that is not registered yet.
fn registering() -> TargetHealth {
    TargetHealth {
        state: "initial".to_owned(),
        reason: Some("Elb.RegistrationInProgress".to_owned()),
        description: Some("Target registration is in progress".to_owned()),
    }
}

/// What AWS's controller reports when the target group is gone: the pod becomes ready.
fn unbound() -> TargetHealth {
    TargetHealth {
        state: "healthy".to_owned(),
        reason: None,
        description: Some("Target Group Binding is deleted".to_owned()),
    }
}

/// The conditions of a pod to write.
pub(super) fn wanted(
    name: &Name,
    pod: &PodGates,
    groups: &Groups,
    balancers: &dyn LoadBalancers,
) -> Vec<(String, Condition)> {
    let mut changes = Vec::new();
    for (condition, present) in &pod.gates {
        let Some((marks, gate)) = pod_gates::parse(condition) else {
            continue;
        };
        let is_of_other = groups.others.contains(&marks);
        let health = match groups.group(&name.namespace, gate) {
            // The pod has no address yet.
            _ if pod.addresses.is_empty() => continue,
            _ if is_of_other && marks == &AUTO_MODE => continue,
            Some(group) => {
                let id = target(group, &pod.addresses);
                match id.and_then(|id| balancers.health(&group.name, &id)) {
                    // The target is being deregistered.
                    Some(health) if health.state == "draining" => continue,
                    Some(health) => health,
                    None => registering(),
                }
            }
            None => match present {
                _ if is_of_other || groups.incomplete.contains(&name.namespace) => continue,
                // A condition exists, so the group existed: it is gone.
                Some(condition) if condition.status != "True" => unbound(),
                _ => continue,
            },
        };
        let healthy = health.state == "healthy";
        let next = Condition {
            status: if healthy { "True" } else { "False" }.to_owned(),
            reason: health.reason.unwrap_or_default(),
            message: health.description.unwrap_or_default(),
            since: String::new(),
        };
        let since =
            |present: &Condition| (present.status == next.status).then(|| present.since.clone());
        let since = present.as_ref().and_then(since).unwrap_or_default();
        let next = Condition { since, ..next };
        if present.as_ref() != Some(&next) {
            changes.push((condition.clone(), next));
        }
    }
    changes
}

/// A strategic merge: conditions are merged by their type.
fn patch(uid: &str, changes: &[(String, Condition)]) -> Value {
    let word = |text: &str| match text {
        // An absent field would keep its value.
        "" => Value::Null,
        text => text.into(),
    };
    let condition = |(kind, condition): &(String, Condition)| {
        let since = match &*condition.since {
            "" => json!(Time(Timestamp::now())),
            since => since.into(),
        };
        json!({
            "type": kind,
            "status": condition.status,
            "reason": word(&condition.reason),
            "message": word(&condition.message),
            "lastTransitionTime": since,
        })
    };
    let conditions: Vec<Value> = changes.iter().map(condition).collect();
    json!({"metadata": {"uid": uid}, "status": {"conditions": conditions}})
}

impl Inner {
    /// The pods with an outdated gate.
    pub(super) fn outdated_pods(&self, balancers: &dyn LoadBalancers) -> Vec<Name> {
        let Some(groups) = self.groups() else {
            return Vec::new();
        };
        let pods = self.known.pods().into_iter();
        let differs = |(name, facts): &(Name, Arc<Facts>)| {
            let gates = facts.gates.as_ref().filter(|_| !facts.deleting);
            gates.is_some_and(|gates| !wanted(name, gates, &groups, balancers).is_empty())
        };
        pods.filter(differs).map(|(name, _)| name).collect()
    }

    /// Writes the gates of a pod.
    pub(super) async fn gate(
        &self,
        name: &Name,
        balancers: &dyn LoadBalancers,
    ) -> Result<(), Error> {
        let (Some(facts), Some(groups)) = (self.known.get(name), self.groups()) else {
            return Ok(());
        };
        let Some(gates) = facts.gates.as_ref().filter(|_| !facts.deleting) else {
            return Ok(());
        };
        let changes = wanted(name, gates, &groups, balancers);
        if changes.is_empty() {
            return Ok(());
        }
        let patch = Patch::Strategic(patch(&facts.uid, &changes));
        match self.api.patch(What::Gate, name, true, patch).await {
            Ok(pod) => {
                self.known.see(&pod);
                Ok(())
            }
            // The pod is gone, or another one has its name.
            Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

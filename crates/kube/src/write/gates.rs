//! Readiness gates of pods: `target-health.elbv2.k8s.aws/NAME` says whether the pod is healthy in the target group of that
//! name, so that a rolling update waits for the load balancer (control-plane.md 3.8).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use elbow_model::{Model, TargetGroup, TargetId};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Error;
use kube::api::Patch;
use serde_json::{Value, json};

use super::Inner;
use super::api::{Name, What, code};
use super::facts::Facts;
use crate::{LoadBalancers, TargetHealth};

const PREFIX: &str = "target-health.elbv2.k8s.aws/";

/// A condition of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    status: String,
    reason: String,
    message: String,
    since: String,
}

/// What gates of a pod are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gated {
    addresses: Vec<IpAddr>,
    /// By the name behind the prefix: the condition that the pod has.
    gates: BTreeMap<String, Option<Condition>>,
}

impl Gated {
    /// Reads a pod; none when it has no gate for a target group.
    pub(super) fn read(pod: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let status = &pod["status"];
        let present = |wanted: &str| {
            let mut conditions = status["conditions"].as_array()?.iter();
            let found = conditions.find(|one| one["type"].as_str() == Some(wanted))?;
            Some(Condition {
                status: text(&found["status"]),
                reason: text(&found["reason"]),
                message: text(&found["message"]),
                since: text(&found["lastTransitionTime"]),
            })
        };
        let gates = pod["spec"]["readinessGates"].as_array()?.iter();
        let gates = gates.filter_map(|gate| gate["conditionType"].as_str());
        let gate = |kind: &str| Some((kind.strip_prefix(PREFIX)?.to_owned(), present(kind)));
        let gates: BTreeMap<_, _> = gates.filter_map(gate).collect();
        let addresses = status["podIPs"].as_array().into_iter().flatten();
        let addresses = addresses.filter_map(|one| one["ip"].as_str()?.parse().ok());
        (!gates.is_empty()).then(|| Self {
            addresses: addresses.collect(),
            gates,
        })
    }
}

/// Which target group a gate means, and what its targets are.
#[derive(Default)]
pub(super) struct Groups {
    by_name: HashMap<Arc<str>, Arc<TargetGroup>>,
    /// Of a TargetGroupBinding of a user, by namespace and name: it may be called otherwise than its group.
    bound: HashMap<(String, String), String>,
    /// Namespaces with a stack that is refused: its groups may be there and not be known.
    unsure: HashSet<String>,
}

impl Groups {
    pub(super) fn new(
        model: &Model,
        bound: HashMap<(String, String), String>,
        unsure: HashSet<String>,
    ) -> Self {
        let groups = model.target_groups.iter();
        Self {
            by_name: groups.map(|one| (one.name.clone(), one.clone())).collect(),
            bound,
            unsure,
        }
    }

    /// The group that the gate `name` of a pod in `namespace` means.
    fn group(&self, namespace: &str, name: &str) -> Option<&TargetGroup> {
        let bound = self.bound.get(&(namespace.to_owned(), name.to_owned()));
        let group = self.by_name.get(bound.map_or(name, String::as_str))?;
        Some(group)
    }
}

/// As a target of which a pod is registered: the id that health is asked for by.
fn target(group: &TargetGroup, addresses: &[IpAddr]) -> Option<String> {
    let mut targets = group.targets.iter();
    targets.find_map(|target| match target.id {
        TargetId::Ip(ip) if addresses.contains(&ip) => {
            Some(SocketAddr::new(ip, target.port).to_string())
        }
        _ => None,
    })
}

/// What AWS's controller says of a pod that is to become a target.
fn registering() -> TargetHealth {
    TargetHealth {
        state: "initial".to_owned(),
        reason: Some("Elb.RegistrationInProgress".to_owned()),
        description: Some("Target registration is in progress".to_owned()),
    }
}

/// What AWS's controller says when the target group has gone: nothing holds the pod back any longer.
fn unbound() -> TargetHealth {
    TargetHealth {
        state: "healthy".to_owned(),
        reason: None,
        description: Some("Target Group Binding is deleted".to_owned()),
    }
}

/// The conditions of a pod that have to be written.
pub(super) fn wanted(
    name: &Name,
    gated: &Gated,
    groups: &Groups,
    balancers: &dyn LoadBalancers,
) -> Vec<(String, Condition)> {
    let mut changes = Vec::new();
    for (gate, present) in &gated.gates {
        let health = match groups.group(&name.namespace, gate) {
            // It is not known yet, if ever.
            _ if gated.addresses.is_empty() => continue,
            Some(group) => {
                let id = target(group, &gated.addresses);
                match id.and_then(|id| balancers.health(&group.name, &id)) {
                    // On its way out.
                    Some(health) if health.state == "draining" => continue,
                    Some(health) => health,
                    None => registering(),
                }
            }
            None => match present {
                _ if groups.unsure.contains(&name.namespace) => continue,
                // Somebody knew the group: it has gone.
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
            changes.push((gate.clone(), next));
        }
    }
    changes
}

/// A strategic merge: conditions are merged by their type.
fn patch(uid: &str, changes: &[(String, Condition)]) -> Value {
    let word = |text: &str| match text {
        // What is left out would stay.
        "" => Value::Null,
        text => text.into(),
    };
    let condition = |(gate, condition): &(String, Condition)| {
        let since = match &*condition.since {
            "" => json!(Time(Timestamp::now())),
            since => since.into(),
        };
        json!({
            "type": format!("{PREFIX}{gate}"),
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
    /// Pods with a gate that is not as it should be.
    pub(super) fn pods_to_tell(&self, balancers: &dyn LoadBalancers) -> Vec<Name> {
        let Some(groups) = self.groups() else {
            return Vec::new();
        };
        let pods = self.known.pods().into_iter();
        let differs = |(name, facts): &(Name, Arc<Facts>)| {
            let gated = facts.gated.as_ref().filter(|_| !facts.deleting);
            gated.is_some_and(|gated| !wanted(name, gated, &groups, balancers).is_empty())
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
        let Some(gated) = facts.gated.as_ref().filter(|_| !facts.deleting) else {
            return Ok(());
        };
        let changes = wanted(name, gated, &groups, balancers);
        if changes.is_empty() {
            return Ok(());
        }
        let patch = Patch::Strategic(patch(&facts.uid, &changes));
        match self.api.patch(What::Gate, name, true, patch).await {
            Ok(pod) => {
                self.known.see(&pod);
                Ok(())
            }
            // Gone, or another of the same name.
            Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

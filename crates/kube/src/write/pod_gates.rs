//! The readiness gates of a pod for target groups, as the API server reports them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

/// The start of the condition's name; the name of the target group follows.
pub(super) const PREFIX: &str = "target-health.elbv2.k8s.aws/";

/// A condition of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) since: String,
}

/// The gates of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PodGates {
    pub(super) addresses: Vec<IpAddr>,
    /// The current condition, by the name after the prefix.
    pub(super) gates: BTreeMap<String, Option<Condition>>,
}

impl PodGates {
    /// Reads a pod; `None` if it has no gate for a target group.
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

//! The readiness gates of a pod for target groups, as the API server reports them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use elbow_manifest::cluster::{AUTO_MODE, LBC, Marks};
use serde_json::Value;

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
    /// The current condition, by its type.
    pub(super) gates: BTreeMap<String, Option<Condition>>,
}

/// The controller whose gate a condition type is, and the name of the TargetGroupBinding in it.
pub(super) fn parse(condition: &str) -> Option<(&'static Marks, &str)> {
    let mut marks = [&LBC, &AUTO_MODE].into_iter();
    marks.find_map(|marks| Some((marks, condition.strip_prefix(marks.gate)?)))
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
        let gates = gates.filter(|kind| parse(kind).is_some());
        let gates: BTreeMap<_, _> = gates.map(|kind| (kind.to_owned(), present(kind))).collect();
        let addresses = status["podIPs"].as_array().into_iter().flatten();
        let addresses = addresses.filter_map(|one| one["ip"].as_str()?.parse().ok());
        (!gates.is_empty()).then(|| Self {
            addresses: addresses.collect(),
            gates,
        })
    }
}

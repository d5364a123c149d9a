//! The state of written objects as the API server last reported it, so that elbow writes only differences.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use elbow_manifest::annotations::ingress::DRY_RUN_PLAN;
use serde_json::Value;

use super::api::{Kind, Name};
use super::pod_gates::PodGates;

/// The known state of an object, reduced to what elbow writes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) finalizers: Vec<String>,
    pub(super) deleting: bool,
    /// `status.loadBalancer.ingress`; null if absent.
    pub(super) addresses: Value,
    /// Of a Service: number and protocol of each port.
    pub(super) ports: Vec<(i64, String)>,
    /// A digest of the annotation `dry-run-plan`.
    pub(super) plan: Option<u64>,
    pub(super) generation: i64,
    pub(super) observed: i64,
    /// Of a pod: its readiness gates for target groups.
    pub(super) gates: Option<PodGates>,
}

impl Facts {
    /// Reads an object of one of the written kinds.
    pub(super) fn read(object: &Value) -> Option<(Name, Self)> {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let kind = Kind::parse(group, object["kind"].as_str()?)?;
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = Name {
            kind,
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]),
        };
        let gates = match kind {
            // There may be thousands of pods; keep only those with a gate.
            Kind::Pod => Some(PodGates::read(object)?),
            _ => None,
        };
        let status = &object["status"];
        let finalizers = metadata["finalizers"].as_array().into_iter().flatten();
        let ports = object["spec"]["ports"].as_array().into_iter().flatten();
        let port = |port: &Value| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            Some((port["port"].as_i64()?, protocol.to_owned()))
        };
        let facts = Self {
            uid: text(&metadata["uid"]),
            version: text(&metadata["resourceVersion"]),
            finalizers: finalizers.map(text).collect(),
            deleting: !metadata["deletionTimestamp"].is_null(),
            addresses: status["loadBalancer"]["ingress"].clone(),
            ports: ports.filter_map(port).collect(),
            plan: metadata["annotations"][DRY_RUN_PLAN.key]
                .as_str()
                .map(digest),
            // The generation of other kinds is not written.
            generation: match kind {
                Kind::Binding | Kind::AutoBinding => {
                    metadata["generation"].as_i64().unwrap_or_default()
                }
                _ => 0,
            },
            observed: status["observedGeneration"].as_i64().unwrap_or_default(),
            gates,
        };
        Some((name, facts))
    }

    pub(super) fn has(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|one| one == finalizer)
    }

    /// Whether this state is older than `known`, since a watch may deliver it after a newer answer.
    fn is_before(&self, known: &Self) -> bool {
        let number = |facts: &Self| facts.version.parse::<u64>().ok();
        self.uid == known.uid
            && matches!((number(self), number(known)), (Some(own), Some(known)) if own < known)
    }
}

/// A digest that distinguishes texts too long to keep.
pub(super) fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The known state of all objects.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<Name, Arc<Facts>>>);

impl Known {
    fn all(&self) -> MutexGuard<'_, HashMap<Name, Arc<Facts>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an object; returns its name if anything but the version changed.
    pub(super) fn see(&self, object: &Value) -> Option<Name> {
        let (name, facts) = Facts::read(object)?;
        let mut all = self.all();
        let known = all.get(&name);
        if known.is_some_and(|known| facts.is_before(known)) {
            return None;
        }
        let same_version = |known: &Arc<Facts>| Facts {
            version: facts.version.clone(),
            ..Facts::clone(known)
        };
        let same = known.map(same_version).is_some_and(|same| same == facts);
        all.insert(name.clone(), Arc::new(facts));
        (!same).then_some(name)
    }

    pub(super) fn forget(&self, name: &Name) {
        self.all().remove(name);
    }

    pub(super) fn get(&self, name: &Name) -> Option<Arc<Facts>> {
        self.all().get(name).cloned()
    }

    /// All pods with a gate.
    pub(super) fn pods(&self) -> Vec<(Name, Arc<Facts>)> {
        let all = self.all();
        let pods = all.iter().filter(|(name, _)| name.kind == Kind::Pod);
        pods.map(|(name, facts)| (name.clone(), facts.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ingress(version: &str, finalizers: &[&str]) -> Value {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"namespace": "a", "name": "b", "uid": "u", "resourceVersion": version, "finalizers": finalizers},
        })
    }

    #[test]
    fn late_watch_event_does_not_replace_a_newer_answer() {
        let known = Known::default();
        let name = known.see(&ingress("10", &["x"])).unwrap();
        assert_eq!(known.see(&ingress("9", &[])), None);
        assert!(known.get(&name).unwrap().has("x"));
        assert_eq!(known.see(&ingress("11", &[])), Some(name.clone()));
        assert!(!known.get(&name).unwrap().has("x"));
    }

    #[test]
    fn object_with_another_uid_is_a_new_object() {
        let known = Known::default();
        known.see(&ingress("10", &["x"]));
        let mut next = ingress("9", &[]);
        next["metadata"]["uid"] = json!("v");
        assert!(known.see(&next).is_some());
    }

    #[test]
    fn new_version_alone_is_no_change() {
        let known = Known::default();
        assert!(known.see(&ingress("10", &["x"])).is_some());
        assert_eq!(known.see(&ingress("12", &["x"])), None);
    }

    #[test]
    fn only_pods_with_a_gate_are_kept() {
        let known = Known::default();
        let pod = |gates: Value| json!({"kind": "Pod", "metadata": {"namespace": "a", "name": "p"}, "spec": {"readinessGates": gates}});
        assert_eq!(known.see(&pod(json!([]))), None);
        let gate = json!([{"conditionType": "target-health.elbv2.k8s.aws/k8s-a-b-0"}]);
        assert!(known.see(&pod(gate)).is_some());
        assert_eq!(known.pods().len(), 1);
    }
}

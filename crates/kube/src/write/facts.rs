//! What the API server has said of the objects that are written, so that nothing is written that is there already.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::api::{Kind, Name};
use super::gates::Gated;
use super::plan;

/// What is known of an object; what is not written is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) finalizers: Vec<String>,
    pub(super) deleting: bool,
    /// `status.loadBalancer.ingress`; null when there is none.
    pub(super) addresses: Value,
    /// Of a Service: number and protocol of its ports.
    pub(super) ports: Vec<(i64, String)>,
    /// A digest of the annotation `dry-run-plan`.
    pub(super) plan: Option<u64>,
    pub(super) generation: i64,
    pub(super) observed: i64,
    /// Of a pod: its readiness gates for target groups.
    pub(super) gated: Option<Gated>,
}

impl Facts {
    /// Reads an object of one of the kinds that are written.
    pub(super) fn read(object: &Value) -> Option<(Name, Self)> {
        let kind = Kind::parse(object["kind"].as_str()?)?;
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = Name {
            kind,
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]),
        };
        let gated = match kind {
            // Of thousands of pods, those that carry a gate are kept alone.
            Kind::Pod => Some(Gated::read(object)?),
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
            plan: metadata["annotations"][plan::ANNOTATION]
                .as_str()
                .map(digest),
            // Of the others it says nothing that is written.
            generation: match kind {
                Kind::Binding => metadata["generation"].as_i64().unwrap_or_default(),
                _ => 0,
            },
            observed: status["observedGeneration"].as_i64().unwrap_or_default(),
            gated,
        };
        Some((name, facts))
    }

    pub(super) fn has(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|one| one == finalizer)
    }

    /// Whether it is from before `known`, as a watch may still bring what an answer has overtaken.
    fn is_before(&self, known: &Self) -> bool {
        let number = |facts: &Self| facts.version.parse::<u64>().ok();
        self.uid == known.uid
            && matches!((number(self), number(known)), (Some(own), Some(known)) if own < known)
    }
}

/// Tells texts apart that are too long to be kept.
pub(super) fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The facts of all objects.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<Name, Arc<Facts>>>);

impl Known {
    fn all(&self) -> MutexGuard<'_, HashMap<Name, Arc<Facts>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of an object; its name when something in it is different from what was known.
    pub(super) fn see(&self, object: &Value) -> Option<Name> {
        let (name, facts) = Facts::read(object)?;
        let mut all = self.all();
        let known = all.get(&name);
        if known.is_some_and(|known| facts.is_before(known)) {
            return None;
        }
        let version_apart = |known: &Arc<Facts>| Facts {
            version: facts.version.clone(),
            ..Facts::clone(known)
        };
        let same = known.map(version_apart).is_some_and(|same| same == facts);
        all.insert(name.clone(), Arc::new(facts));
        (!same).then_some(name)
    }

    pub(super) fn forget(&self, name: &Name) {
        self.all().remove(name);
    }

    pub(super) fn get(&self, name: &Name) -> Option<Arc<Facts>> {
        self.all().get(name).cloned()
    }

    /// All pods that carry a gate.
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
            "kind": "Ingress",
            "metadata": {"namespace": "a", "name": "b", "uid": "u", "resourceVersion": version, "finalizers": finalizers},
        })
    }

    #[test]
    fn what_a_watch_brings_late_does_not_hide_what_was_answered() {
        let known = Known::default();
        let name = known.see(&ingress("10", &["x"])).unwrap();
        assert_eq!(known.see(&ingress("9", &[])), None);
        assert!(known.get(&name).unwrap().has("x"));
        assert_eq!(known.see(&ingress("11", &[])), Some(name.clone()));
        assert!(!known.get(&name).unwrap().has("x"));
    }

    #[test]
    fn another_object_of_the_same_name_is_another() {
        let known = Known::default();
        known.see(&ingress("10", &["x"]));
        let mut next = ingress("9", &[]);
        next["metadata"]["uid"] = json!("v");
        assert!(known.see(&next).is_some());
    }

    #[test]
    fn a_version_alone_is_no_difference() {
        let known = Known::default();
        assert!(known.see(&ingress("10", &["x"])).is_some());
        assert_eq!(known.see(&ingress("12", &["x"])), None);
    }

    #[test]
    fn of_pods_those_with_a_gate_are_kept() {
        let known = Known::default();
        let pod = |gates: Value| json!({"kind": "Pod", "metadata": {"namespace": "a", "name": "p"}, "spec": {"readinessGates": gates}});
        assert_eq!(known.see(&pod(json!([]))), None);
        let gate = json!([{"conditionType": "target-health.elbv2.k8s.aws/k8s-a-b-0"}]);
        assert!(known.see(&pod(gate)).is_some());
        assert_eq!(known.pods().len(), 1);
    }
}

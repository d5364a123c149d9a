//! Removes fields that elbow does not read, so that waiting objects take little memory.

use elbow_manifest::objects::QUIC_ENABLED_CONTAINERS;
use serde_json::{Map, Value};

/// A copy of the whole object that `kubectl apply` keeps.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

type Object = Map<String, Value>;

/// Trims an object of any kind.
pub(super) fn any(object: &mut Object) {
    let Some(metadata) = part(object, "metadata") else {
        return;
    };
    for field in ["managedFields", "selfLink", "generateName"] {
        metadata.remove(field);
    }
    if let Some(annotations) = part(metadata, "annotations") {
        annotations.remove(LAST_APPLIED);
    }
}

/// Keeps the whole object.
pub(super) fn nothing(_: &mut Object) {}

pub(super) fn service(object: &mut Object) {
    keep(object, "status", &["loadBalancer"]);
}

pub(super) fn ingress(object: &mut Object) {
    keep(object, "status", &["loadBalancer"]);
}

pub(super) fn slice(object: &mut Object) {
    unowned(object, &[]);
}

pub(super) fn namespace(object: &mut Object) {
    unowned(object, &[]);
    object.remove("spec");
    object.remove("status");
}

pub(super) fn node(object: &mut Object) {
    unowned(object, &[]);
    keep(object, "spec", &["taints", "unschedulable", "providerID"]);
    keep(object, "status", &["addresses", "conditions"]);
    let conditions = part(object, "status").and_then(|status| status.get_mut("conditions"));
    for condition in items(conditions) {
        // The rest is what a node's heartbeat changes.
        condition.retain(|field, _| matches!(&**field, "type" | "status"));
    }
}

pub(super) fn pod(object: &mut Object) {
    let annotations = part(object, "metadata").and_then(|metadata| part(metadata, "annotations"));
    let is_quic = annotations.is_some_and(|all| all.contains_key(QUIC_ENABLED_CONTAINERS));
    unowned(object, &[QUIC_ENABLED_CONTAINERS]);
    let mut fields = vec!["nodeName", "readinessGates", "containers", "hostNetwork"];
    if is_quic {
        fields.push("initContainers");
    }
    keep(object, "spec", &fields);
    if let Some(spec) = part(object, "spec") {
        for list in ["containers", "initContainers"] {
            for container in items(spec.get_mut(list)) {
                trim_container(container, is_quic);
            }
        }
    }
    keep(
        object,
        "status",
        &["conditions", "phase", "podIP", "podIPs", "hostIP"],
    );
}

/// Of the variables, only the one with the QUIC server ID is read. Its name is a setting, so that the names of all stay.
fn trim_container(container: &mut Object, is_quic: bool) {
    container.retain(|field, _| {
        matches!(&**field, "name" | "ports")
            || is_quic && matches!(&**field, "env" | "restartPolicy")
    });
    let variables = container.get_mut("env").and_then(Value::as_array_mut);
    if let Some(variables) = variables {
        for variable in variables.iter_mut().filter_map(Value::as_object_mut) {
            variable.retain(|field, _| matches!(&**field, "name" | "value"));
        }
    }
}

pub(super) fn secret(object: &mut Object) {
    keep(object, "data", &["tls.crt", "tls.key"]);
}

/// Removes owners, and annotations other than those in `annotations`: elbow does not read them on objects made by controllers.
fn unowned(object: &mut Object, annotations: &[&str]) {
    let Some(metadata) = part(object, "metadata") else {
        return;
    };
    metadata.remove("ownerReferences");
    keep(metadata, "annotations", annotations);
    if part(metadata, "annotations").is_none_or(|kept| kept.is_empty()) {
        metadata.remove("annotations");
    }
}

fn keep(object: &mut Object, field: &str, fields: &[&str]) {
    if let Some(part) = part(object, field) {
        part.retain(|field, _| fields.contains(&&**field));
    }
}

fn part<'a>(object: &'a mut Object, field: &str) -> Option<&'a mut Object> {
    object.get_mut(field)?.as_object_mut()
}

fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Object> {
    let list = list.and_then(Value::as_array_mut).into_iter();
    list.flatten().filter_map(Value::as_object_mut)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trimmed(trim: fn(&mut Object), mut object: Value) -> Value {
        let map = object.as_object_mut().unwrap();
        any(map);
        trim(map);
        object
    }

    #[test]
    fn pod_keeps_what_gates_and_targets_need() {
        let pod = json!({
            "metadata": {"name": "a", "managedFields": [1], "annotations": {"a": "b"}, "labels": {"x": "y"},
                "ownerReferences": [1], "deletionTimestamp": "t"},
            "spec": {"nodeName": "n", "volumes": [1], "readinessGates": [{"conditionType": "g"}],
                "containers": [{"name": "c", "image": "i", "env": [1], "ports": [{"containerPort": 80}]}]},
            "status": {"podIP": "10.0.0.1", "containerStatuses": [1], "conditions": [{"type": "Ready", "status": "True"}]}
        });
        let expected = json!({
            "metadata": {"name": "a", "labels": {"x": "y"}, "deletionTimestamp": "t"},
            "spec": {"nodeName": "n", "readinessGates": [{"conditionType": "g"}],
                "containers": [{"name": "c", "ports": [{"containerPort": 80}]}]},
            "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
        });
        assert_eq!(trimmed(super::pod, pod), expected);
    }

    #[test]
    fn pod_keeps_its_quic_server_ids() {
        let id = json!({"name": "QUIC_ID", "value": "AAAAAAAAAKE="});
        let other = json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}});
        let container = json!({"name": "c", "image": "i", "env": [other, id]});
        let mut sidecar = container.clone();
        sidecar["restartPolicy"] = json!("Always");
        let pod = json!({
            "metadata": {"name": "a", "annotations": {"a": "b", QUIC_ENABLED_CONTAINERS: "c"}},
            "spec": {"containers": [container], "initContainers": [sidecar]}
        });
        let expected = json!({
            "metadata": {"name": "a", "annotations": {QUIC_ENABLED_CONTAINERS: "c"}},
            "spec": {"containers": [{"name": "c", "env": [{"name": "A"}, id]}],
                "initContainers": [{"name": "c", "env": [{"name": "A"}, id], "restartPolicy": "Always"}]}
        });
        assert_eq!(trimmed(super::pod, pod.clone()), expected);
        let mut other = pod;
        other["metadata"]["annotations"] = json!({"a": "b"});
        let expected = json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}});
        assert_eq!(trimmed(super::pod, other), expected);
    }

    #[test]
    fn node_heartbeats_are_removed() {
        let node = |time: &str| {
            json!({
                "metadata": {"name": "n", "annotations": {"ttl": time}},
                "status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": time}],
                    "images": [time], "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}
            })
        };
        let first = trimmed(super::node, node("1"));
        assert_eq!(first, trimmed(super::node, node("2")));
        assert_eq!(first["status"]["addresses"][0]["address"], "10.0.0.1");
    }

    #[test]
    fn last_applied_configuration_is_removed() {
        let ingress = json!({
            "metadata": {"name": "i", "annotations": {LAST_APPLIED: "{}", "alb.ingress.kubernetes.io/scheme": "internal"}},
            "spec": {"rules": []}
        });
        let expected = json!({
            "metadata": {"name": "i", "annotations": {"alb.ingress.kubernetes.io/scheme": "internal"}},
            "spec": {"rules": []}
        });
        assert_eq!(trimmed(super::ingress, ingress), expected);
    }

    #[test]
    fn objects_of_unexpected_shape_do_not_panic() {
        let odd = json!({"metadata": [], "spec": 3, "status": null});
        for trim in [pod, node, service, secret, namespace, slice] {
            trimmed(trim, odd.clone());
        }
    }
}

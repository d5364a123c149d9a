//! The QUIC server IDs of new pods.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elbow_manifest::objects::QUIC_ENABLED_CONTAINERS;
use serde_json::{Value, json};

/// The most containers of a list, and names in the annotation, that are read. The API server checks pods only after the webhook.
const MOST: usize = 128;

/// The JSON patch that gives each listed container of a pod an ID of its own in `variable`; empty if none lacks one. `id` returns
/// another ID at each call. Without one, a container stays as it is.
pub(super) fn patch(pod: &Value, variable: &str, id: impl Fn() -> Option<[u8; 8]>) -> Vec<Value> {
    let listed = &pod["metadata"]["annotations"][QUIC_ENABLED_CONTAINERS];
    let Some(listed) = listed.as_str() else {
        return Vec::new();
    };
    // Like AWS's controller, which keeps white space.
    let listed: Vec<&str> = listed.split(',').take(MOST).collect();
    let add = |(path, container): (String, &Value)| {
        let name = container["name"].as_str()?;
        let variables = container["env"].as_array();
        let mut known = variables.into_iter().flatten();
        if !listed.contains(&name) || known.any(|known| known["name"] == *variable) {
            return None;
        }
        let variable = json!({"name": variable, "value": STANDARD.encode(id()?)});
        // Existing variables stay; without any, the patch creates the list.
        Some(if variables.is_none_or(Vec::is_empty) {
            json!({"op": "add", "path": path, "value": [variable]})
        } else {
            json!({"op": "add", "path": format!("{path}/-"), "value": variable})
        })
    };
    let lists = ["containers", "initContainers"].into_iter();
    lists
        .flat_map(|list| {
            let containers = pod["spec"][list].as_array().into_iter().flatten();
            let path = move |index| format!("/spec/{list}/{index}/env");
            containers
                .take(MOST)
                .enumerate()
                .map(move |(index, container)| (path(index), container))
        })
        .filter_map(add)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const VARIABLE: &str = "QUIC_ID";

    fn patched(pod: &Value) -> Value {
        let next = Cell::new(0xa0_u64);
        let id = || {
            next.set(next.get() + 1);
            Some(next.get().to_be_bytes())
        };
        patch(pod, VARIABLE, id).into()
    }

    fn pod(listed: &str, spec: Value) -> Value {
        json!({"metadata": {"annotations": {QUIC_ENABLED_CONTAINERS: listed}}, "spec": spec})
    }

    fn variable(value: &str) -> Value {
        json!({"name": VARIABLE, "value": value})
    }

    #[test]
    fn each_listed_container_gets_an_id_of_its_own() {
        let pod = pod(
            "web,sidecar,other",
            json!({
                "containers": [{"name": "log"}, {"name": "web"}, {"name": "other", "env": [{"name": "A", "value": "b"}]}],
                "initContainers": [{"name": "sidecar", "env": []}]
            }),
        );
        let expected = json!([
            {"op": "add", "path": "/spec/containers/1/env", "value": [variable("AAAAAAAAAKE=")]},
            {"op": "add", "path": "/spec/containers/2/env/-", "value": variable("AAAAAAAAAKI=")},
            {"op": "add", "path": "/spec/initContainers/0/env", "value": [variable("AAAAAAAAAKM=")]},
        ]);
        assert_eq!(patched(&pod), expected);
    }

    #[test]
    fn existing_id_stays() {
        let env = json!([variable("written by hand")]);
        let pod = pod("web", json!({"containers": [{"name": "web", "env": env}]}));
        assert_eq!(patched(&pod), json!([]));
    }

    /// As AWS's controller.
    #[test]
    fn names_are_compared_with_their_white_space() {
        let spec = json!({"containers": [{"name": "web"}, {"name": "log"}]});
        let changed = patched(&pod(" web,log", spec));
        assert_eq!(changed.as_array().unwrap().len(), 1);
        assert_eq!(changed[0]["path"], "/spec/containers/1/env");
    }

    #[test]
    fn pods_without_the_annotation_and_of_unexpected_shape_stay() {
        let spec = json!({"containers": [{"name": "web"}]});
        for pod in [
            json!({"spec": spec}),
            json!({"metadata": {"annotations": {QUIC_ENABLED_CONTAINERS: ["web"]}}, "spec": spec}),
            pod("web", json!({"containers": {"name": "web"}})),
            pod("", json!({"containers": ["web", null, {}]})),
            json!([]),
        ] {
            assert_eq!(patched(&pod), json!([]), "{pod}");
        }
    }

    #[test]
    fn containers_and_names_have_a_limit() {
        let containers = vec![json!({"name": "web"}); 1000];
        let pod_of = |listed: &str| pod(listed, json!({"containers": containers}));
        assert_eq!(patched(&pod_of("web")).as_array().unwrap().len(), MOST);
        assert_eq!(patched(&pod_of(&(",".repeat(MOST) + "web"))), json!([]));
    }
}

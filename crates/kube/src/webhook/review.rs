//! Answers AdmissionReviews of pods (`admission.k8s.io/v1`), without I/O.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Gates, server_ids};

const VERSION: &str = "admission.k8s.io/v1";

/// Why a request is not a valid AdmissionReview of a pod.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    uid: String,
    #[serde(default)]
    namespace: String,
    kind: Kind,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    object: Value,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    group: String,
    kind: String,
}

/// The parts of a pod that matter.
#[derive(Deserialize)]
struct Pod {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
struct Metadata {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    readiness_gates: Option<Vec<ReadinessGate>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadinessGate {
    condition_type: String,
}

/// What a webhook gives new pods.
#[derive(Clone, Copy, Debug)]
pub enum Mutation<'a> {
    /// The readiness gates that they lack.
    Gates(&'a Gates),
    /// The QUIC server IDs that they lack.
    ServerIds {
        /// The environment variable with an ID.
        variable: &'a str,
        /// Returns another ID at each call, or `None` if it cannot.
        id: fn() -> Option<[u8; 8]>,
    },
}

/// Answers an AdmissionReview: allows the pod, with a patch that adds what it lacks.
///
/// # Errors
/// `body` is not an AdmissionReview of a supported version.
pub fn answer(body: &[u8], mutation: &Mutation<'_>) -> Result<Vec<u8>, Malformed> {
    let review: Review = serde_json::from_slice(body)
        .map_err(|error| Malformed(format!("not an AdmissionReview: {error}")))?;
    if review.api_version != VERSION {
        return Err(Malformed(format!(
            "unsupported AdmissionReview version {}: this webhook supports {VERSION} (admissionReviewVersions: [v1])",
            review.api_version
        )));
    }
    let request = review.request;
    let mut response = json!({"uid": request.uid, "allowed": true});
    let patch = patch(&request, mutation)?;
    if !patch.is_empty() {
        response["patchType"] = "JSONPatch".into();
        response["patch"] = STANDARD.encode(Value::from(patch).to_string()).into();
    }
    let answer = json!({"apiVersion": VERSION, "kind": "AdmissionReview", "response": response});
    Ok(answer.to_string().into_bytes())
}

/// The JSON patch for the pod; empty if it lacks nothing.
fn patch(request: &Request, mutation: &Mutation<'_>) -> Result<Vec<Value>, Malformed> {
    let pod = request.kind.group.is_empty() && request.kind.kind == "Pod";
    if !pod || request.operation != "CREATE" {
        return Ok(Vec::new());
    }
    match mutation {
        Mutation::Gates(gates) => gates_patch(request, gates),
        Mutation::ServerIds { variable, id } => {
            Ok(server_ids::patch(&request.object, variable, id))
        }
    }
}

fn gates_patch(request: &Request, gates: &Gates) -> Result<Vec<Value>, Malformed> {
    let pod = Pod::deserialize(&request.object)
        .map_err(|error| Malformed(format!("request.object is not a Pod: {error}")))?;
    let present = pod.spec.readiness_gates.unwrap_or_default();
    let labels = pod.metadata.labels.unwrap_or_default();
    let missing: Vec<ReadinessGate> = gates
        .of(&request.namespace, &labels)
        .into_iter()
        .filter(|kind| present.iter().all(|gate| gate.condition_type != *kind))
        .map(|condition_type| ReadinessGate { condition_type })
        .collect();
    // Existing gates stay; without any, the patch creates the list.
    Ok(if !missing.is_empty() && present.is_empty() {
        vec![json!({"op": "add", "path": "/spec/readinessGates", "value": missing})]
    } else {
        let add = |gate| json!({"op": "add", "path": "/spec/readinessGates/-", "value": gate});
        missing.iter().map(add).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::super::gates::tests::gates;
    use super::*;

    fn review(object: Value) -> Value {
        json!({"apiVersion": VERSION, "kind": "AdmissionReview", "request": {
            "uid": "705ab4f5", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "namespace": "shop",
            "operation": "CREATE", "object": object}})
    }

    fn answered(review: &Value) -> (Value, Value) {
        answered_with(review, &Mutation::Gates(&gates().1))
    }

    fn answered_with(review: &Value, mutation: &Mutation<'_>) -> (Value, Value) {
        let answer = answer(review.to_string().as_bytes(), mutation).unwrap();
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["apiVersion"], VERSION);
        assert_eq!(answer["kind"], "AdmissionReview");
        let patch = answer["response"].as_object_mut().unwrap().remove("patch");
        let patch = patch.map_or(Value::Null, |patch| {
            let bytes = STANDARD.decode(patch.as_str().unwrap()).unwrap();
            serde_json::from_slice(&bytes).unwrap()
        });
        (answer["response"].take(), patch)
    }

    fn pod(app: &str) -> Value {
        json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": []}})
    }

    const OF_PODS: &str = "target-health.elbv2.k8s.aws/of-pods";

    #[test]
    fn pod_gets_its_gate() {
        let (response, patch) = answered(&review(pod("api")));
        assert_eq!(
            response,
            json!({"uid": "705ab4f5", "allowed": true, "patchType": "JSONPatch"})
        );
        let gate = json!({"conditionType": OF_PODS});
        assert_eq!(
            patch,
            json!([{"op": "add", "path": "/spec/readinessGates", "value": [gate]}])
        );
    }

    #[test]
    fn existing_gates_stay_and_are_not_duplicated() {
        let mut waiting = pod("api");
        waiting["spec"]["readinessGates"] = json!([{"conditionType": "example.com/ready"}]);
        let (_, patch) = answered(&review(waiting.clone()));
        let gate = json!({"conditionType": OF_PODS});
        assert_eq!(
            patch,
            json!([{"op": "add", "path": "/spec/readinessGates/-", "value": gate}])
        );
        waiting["spec"]["readinessGates"] = json!([gate]);
        let (response, patch) = answered(&review(waiting));
        assert_eq!(
            (response, patch),
            (json!({"uid": "705ab4f5", "allowed": true}), Value::Null)
        );
    }

    #[test]
    fn pod_gets_quic_server_ids_and_no_gate() {
        let mut pod = pod("api");
        pod["metadata"]["annotations"] =
            json!({"service.beta.kubernetes.io/aws-load-balancer-quic-enabled-containers": "web"});
        pod["spec"]["containers"] = json!([{"name": "web"}]);
        let mutation = Mutation::ServerIds {
            variable: "QUIC_ID",
            id: || Some([0, 1, 2, 3, 4, 5, 6, 7]),
        };
        let (response, patch) = answered_with(&review(pod.clone()), &mutation);
        assert_eq!(
            response,
            json!({"uid": "705ab4f5", "allowed": true, "patchType": "JSONPatch"})
        );
        let variable = json!({"name": "QUIC_ID", "value": "AAECAwQFBgc="});
        let expected =
            json!([{"op": "add", "path": "/spec/containers/0/env", "value": [variable]}]);
        assert_eq!(patch, expected);
        let mut update = review(pod);
        update["request"]["operation"] = json!("UPDATE");
        let (response, patch) = answered_with(&update, &mutation);
        assert_eq!(
            (response, patch),
            (json!({"uid": "705ab4f5", "allowed": true}), Value::Null)
        );
    }

    #[test]
    fn other_requests_are_allowed_unchanged() {
        let mut update = review(pod("api"));
        update["request"]["operation"] = json!("UPDATE");
        let mut other = review(pod("api"));
        other["request"]["kind"]["kind"] = json!("Deployment");
        let mut namespaced = review(pod("api"));
        namespaced["request"]["namespace"] = json!("other");
        for review in [
            update,
            other,
            namespaced,
            review(pod("none")),
            review(json!({})),
        ] {
            let (response, patch) = answered(&review);
            assert_eq!(
                (response, patch),
                (json!({"uid": "705ab4f5", "allowed": true}), Value::Null),
                "{review}"
            );
        }
    }

    #[test]
    fn malformed_review_is_an_error() {
        let mut old = review(pod("api"));
        old["apiVersion"] = json!("admission.k8s.io/v1beta1");
        let mut labels = review(pod("api"));
        labels["request"]["object"]["metadata"]["labels"] = json!(["app"]);
        let mut deep = b"{\"request\": {\"object\": ".to_vec();
        deep.resize(1 << 20, b'[');
        let gates = Gates::default();
        for (body, expected) in [
            (Vec::new(), "not an AdmissionReview: EOF"),
            (b"{".to_vec(), "not an AdmissionReview: EOF"),
            (
                b"{\"apiVersion\": \"admission.k8s.io/v1\"}".to_vec(),
                "missing field `request`",
            ),
            (deep, "recursion limit"),
            (
                old.to_string().into_bytes(),
                "admissionReviewVersions: [v1]",
            ),
            (
                labels.to_string().into_bytes(),
                "request.object is not a Pod",
            ),
        ] {
            let mutation = Mutation::Gates(&gates);
            let error = answer(&body, &mutation).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}

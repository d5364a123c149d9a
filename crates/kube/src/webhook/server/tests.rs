use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Empty;
use serde_json::{Value, json};

use super::*;

const VARIABLE: &str = "QUIC_ID";

async fn response(request: Request<Full<Bytes>>) -> (StatusCode, String) {
    let response = respond(request, &Gates::default(), VARIABLE).await;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn post(path: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    let request = Request::post(path);
    request.body(Full::from(body)).unwrap()
}

#[tokio::test]
async fn review_is_answered() {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "object": {}}});
    let (status, body) = response(post(GATES_PATH, review.to_string().into_bytes())).await;
    assert_eq!(status, StatusCode::OK);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["response"], json!({"uid": "1", "allowed": true}));
}

#[tokio::test]
async fn invalid_requests_get_an_error_response() {
    let (status, body) = response(post(GATES_PATH, b"{}".to_vec())).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.starts_with("not an AdmissionReview: "), "{body}");
    let (status, _) = response(post(GATES_PATH, vec![b' '; BODY_LIMIT + 1])).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, body) = response(post("/", Vec::new())).await;
    assert_eq!(
        (status, &body[..]),
        (
            StatusCode::NOT_FOUND,
            "not found; send reviews to /mutate-v1-pod or /mutate-v1-pod-server-id\n"
        )
    );
    let get = Request::get(GATES_PATH)
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = respond(get, &Gates::default(), VARIABLE).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[ALLOW], "POST");
    assert_eq!(Gates::default().of("a", &BTreeMap::new()), [""; 0]);
}

#[tokio::test]
async fn containers_get_random_server_ids() {
    let key = "service.beta.kubernetes.io/aws-load-balancer-quic-enabled-containers";
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE",
        "object": {"metadata": {"annotations": {key: "a,b"}}, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}}}});
    let mut ids = BTreeSet::new();
    for _ in 0..2 {
        let (status, body) = response(post(SERVER_IDS_PATH, review.to_string().into_bytes())).await;
        assert_eq!(status, StatusCode::OK);
        let body: Value = serde_json::from_str(&body).unwrap();
        let patch = STANDARD
            .decode(body["response"]["patch"].as_str().unwrap())
            .unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        for (index, one) in patch.as_array().unwrap().iter().enumerate() {
            assert_eq!(one["path"], format!("/spec/containers/{index}/env"));
            assert_eq!(one["value"][0]["name"], VARIABLE);
            let value = one["value"][0]["value"].as_str().unwrap();
            assert_eq!(STANDARD.decode(value).unwrap().len(), 8);
            ids.insert(value.to_owned());
        }
    }
    assert_eq!(ids.len(), 4);
}

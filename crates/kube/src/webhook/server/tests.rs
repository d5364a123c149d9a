use std::collections::BTreeMap;

use http_body_util::Empty;
use serde_json::{Value, json};

use super::*;

async fn response(request: Request<Full<Bytes>>) -> (StatusCode, String) {
    let response = respond(request, &Gates::default()).await;
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
    let (status, body) = response(post(PATH, review.to_string().into_bytes())).await;
    assert_eq!(status, StatusCode::OK);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["response"], json!({"uid": "1", "allowed": true}));
}

#[tokio::test]
async fn invalid_requests_get_an_error_response() {
    let (status, body) = response(post(PATH, b"{}".to_vec())).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.starts_with("not an AdmissionReview: "), "{body}");
    let (status, _) = response(post(PATH, vec![b' '; BODY_LIMIT + 1])).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, body) = response(post("/", Vec::new())).await;
    assert_eq!(
        (status, &body[..]),
        (
            StatusCode::NOT_FOUND,
            "not found; send reviews to /mutate-v1-pod\n"
        )
    );
    let get = Request::get(PATH).body(Empty::<Bytes>::new()).unwrap();
    let response = respond(get, &Gates::default()).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[ALLOW], "POST");
    assert_eq!(Gates::default().of("a", &BTreeMap::new()), [""; 0]);
}

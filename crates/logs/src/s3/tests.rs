use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use super::*;

/// Answers one request with `response`; the thread ends with the head and the body of the request.
fn bucket(response: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"lines") {
            let mut some = [0; 1024];
            let n = stream.read(&mut some).unwrap();
            request.extend_from_slice(&some[..n]);
        }
        stream.write_all(response.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    (address, served)
}

fn s3(at: SocketAddr) -> S3 {
    S3::new(S3Settings {
        bucket: "logs".into(),
        endpoint: format!("http://{at}"),
        region: "eu-west-1".into(),
        access_key_id: "id".into(),
        secret_access_key: "secret".into(),
        ..S3Settings::default()
    })
    .unwrap()
}

fn put(at: SocketAddr) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(s3(at).put("a/b_c.log.gz", b"lines"[..].into()))
}

#[test]
fn object_is_put_with_a_signature() {
    let (at, served) = bucket("HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 0\r\n\r\n");
    put(at).unwrap();
    let request = served.join().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("PUT /logs/a/b_c.log.gz HTTP/1.1\r\n"),
        "{head}"
    );
    let head = head.to_lowercase();
    for field in [
        &format!("host: {at}"),
        "content-length: 5",
        "authorization: aws4-hmac-sha256 credential=id/",
        "/eu-west-1/s3/aws4_request, signedheaders=",
    ] {
        assert!(head.contains(field), "{field}: {head}");
    }
    assert_eq!(body, "lines");
}

#[test]
fn refusal_is_told_in_one_line_with_the_reason_of_the_bucket() {
    let (at, served) = bucket(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 45\r\n\r\n<Error>\n<Code>AccessDenied</Code>\n</Error>    ",
    );
    let error = put(at).unwrap_err();
    served.join().unwrap();
    assert!(error.starts_with(&format!("http://{at}: ")), "{error}");
    assert!(error.contains("AccessDenied"), "{error}");
    assert!(
        !error.contains('\n') && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn bucket_that_cannot_be_reached_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let error = put(at).unwrap_err();
    assert!(error.contains("onnection refused"), "{error}");
}

#[test]
fn endless_answer_ends_in_an_error() {
    let (at, served) = bucket("HTTP/1.1 500 Oh\r\nContent-Length: 9999999\r\n\r\n");
    let error = put(at).unwrap_err();
    served.join().unwrap();
    assert!(error.starts_with("http://"), "{error}");
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let without_authorities = S3Settings {
        endpoint: "https://127.0.0.1".into(),
        authority_file: Some("/nonexistent/ca.pem".into()),
        ..S3Settings::default()
    };
    let error = S3::new(without_authorities).unwrap_err();
    assert!(error.contains("/nonexistent/ca.pem"), "{error}");
}

#[test]
fn name_of_a_bucket_is_in_the_path_or_in_the_host() {
    let url = |virtual_hosted| {
        let settings = S3Settings {
            bucket: "logs".into(),
            endpoint: "https://s3.eu-west-1.amazonaws.com:8443".into(),
            virtual_hosted,
            ..S3Settings::default()
        };
        settings.url()
    };
    assert_eq!(url(false), "https://s3.eu-west-1.amazonaws.com:8443");
    assert_eq!(url(true), "https://logs.s3.eu-west-1.amazonaws.com:8443");
}

//! How an ALB changes request heads on the way to a target (ALB guide: x-forwarded headers,
//! request tracing, edit attributes).

use elbow_tests::config::{alb, file, fixed, forward, group, listener, rule};
use elbow_tests::{Client, Elbow, Scene, Target, address, client};
use serde_json::json;

/// The request at the target after an ALB with these attributes.
fn seen(attributes: &[(&str, &str)], request: &str) -> (elbow_tests::Request, u16) {
    let target = Target::ok("hi");
    let scene = Scene::http_with(&[&target], attributes, |_| {});
    let mut client = scene.connect();
    let response = client.ask(request);
    assert_eq!((response.status, response.text()), (200, "hi".into()));
    (target.request(), client.local_addr().port())
}

const WITH_XFF: &str = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 127.0.0.4\r\n\r\n";
const PLAIN: &str = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const XFF_MODE: &str = "routing.http.xff_header_processing.mode";

#[test]
fn x_forwarded_for_is_appended_by_default() {
    let (request, _) = seen(&[], WITH_XFF);
    assert_eq!(
        request.header("x-forwarded-for"),
        Some("127.0.0.4, 127.0.0.1")
    );
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    assert_eq!(request.header("x-forwarded-port"), Some("8080"));
}

#[test]
fn x_forwarded_for_is_added_if_absent() {
    let (request, _) = seen(&[], PLAIN);
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn x_forwarded_for_has_the_client_port_if_enabled() {
    let (request, port) = seen(&[("routing.http.xff_client_port.enabled", "true")], PLAIN);
    assert_eq!(
        request.header("x-forwarded-for"),
        Some(&*format!("127.0.0.1:{port}"))
    );
}

#[test]
fn x_forwarded_for_is_unchanged_in_mode_preserve() {
    let (request, _) = seen(
        &[
            (XFF_MODE, "preserve"),
            ("routing.http.xff_client_port.enabled", "true"),
        ],
        WITH_XFF,
    );
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.4"));
    let (request, _) = seen(&[(XFF_MODE, "preserve")], PLAIN);
    assert_eq!(request.header("x-forwarded-for"), None);
}

#[test]
fn x_forwarded_for_is_removed_in_mode_remove() {
    let (request, _) = seen(&[(XFF_MODE, "remove")], WITH_XFF);
    assert_eq!(request.header("x-forwarded-for"), None);
}

#[test]
fn x_forwarded_for_with_more_than_thirty_addresses_is_463() {
    let target = Target::ok("");
    let scene = Scene::http(&[&target]);
    let addresses = |n: u8| {
        (1..=n)
            .map(|i| format!("10.0.0.{i}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let ask = |n| {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: {}\r\n\r\n",
            addresses(n)
        );
        scene.ask(request).status
    };
    assert_eq!(ask(31), 463);
    assert_eq!(target.requests().len(), 0);
    assert_eq!(ask(30), 200);
}

#[test]
fn host_is_lowercased_and_gets_a_nonstandard_port() {
    let (request, _) = seen(&[], "GET / HTTP/1.1\r\nHost: Example.com\r\n\r\n");
    assert_eq!(request.header("host"), Some("example.com:8080"));
    let (request, _) = seen(&[], "GET / HTTP/1.1\r\nHost: example.com:8080\r\n\r\n");
    assert_eq!(request.header("host"), Some("example.com:8080"));
}

#[test]
fn preserved_host_is_unchanged() {
    let (request, _) = seen(
        &[("routing.http.preserve_host_header.enabled", "true")],
        "GET / HTTP/1.1\r\nHost: Example.com\r\n\r\n",
    );
    assert_eq!(request.header("host"), Some("Example.com"));
}

fn is_trace_id(text: &str) -> bool {
    let hex = |part: &str, n| part.len() == n && part.bytes().all(|b| b.is_ascii_hexdigit());
    matches!(text.split('-').collect::<Vec<_>>()[..], ["1", time, id] if hex(time, 8) && hex(id, 24))
}

#[test]
fn request_without_trace_id_gets_a_root() {
    let (request, _) = seen(&[], PLAIN);
    let trace = request.header("x-amzn-trace-id").unwrap();
    assert!(
        trace.strip_prefix("Root=").is_some_and(is_trace_id),
        "{trace}"
    );
}

#[test]
fn trace_id_with_root_gets_a_self() {
    let (request, _) = seen(
        &[],
        "GET / HTTP/1.1\r\nHost: a.example\r\nX-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678;CalledFrom=app\r\n\r\n",
    );
    let trace = request.header("x-amzn-trace-id").unwrap();
    let (own, rest) = trace.split_once(';').unwrap();
    assert!(
        own.strip_prefix("Self=").is_some_and(is_trace_id),
        "{trace}"
    );
    assert_eq!(
        rest,
        "Root=1-67891233-abcdef012345678912345678;CalledFrom=app"
    );
}

#[test]
fn invalid_header_fields_are_dropped_only_if_enabled() {
    let odd = "GET / HTTP/1.1\r\nHost: a.example\r\nmy_header: 1\r\n\r\n";
    let (request, _) = seen(&[], odd);
    assert_eq!(request.header("my_header"), Some("1"));
    let (request, _) = seen(
        &[("routing.http.drop_invalid_header_fields.enabled", "true")],
        odd,
    );
    assert_eq!(request.header("my_header"), None);
}

#[test]
fn path_query_and_signed_headers_reach_the_target_byte_for_byte() {
    let line = "GET /b/..%2Fa//b/./c%20d+e/%e4%B8%AD?x=1&&y=%2f;z=a+b?c HTTP/1.1";
    let (request, _) = seen(
        &[],
        &format!(
            "{line}\r\nHost: a.example:8080\r\nAuthorization: AWS4-HMAC-SHA256 Credential=x/y, Signature=Z\r\nx-amz-meta-A:  two  words \r\n\r\n"
        ),
    );
    assert_eq!(request.line(), line);
    assert_eq!(request.header("host"), Some("a.example:8080"));
    assert_eq!(
        request.header("authorization"),
        Some("AWS4-HMAC-SHA256 Credential=x/y, Signature=Z")
    );
    assert_eq!(request.header("x-amz-meta-a"), Some("two  words"));
}

#[test]
fn hop_by_hop_headers_are_removed() {
    let (request, _) = seen(
        &[],
        "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, X-Mine\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nX-Kept: 1\r\n\r\n",
    );
    for name in ["keep-alive", "proxy-connection", "te"] {
        assert_eq!(request.header(name), None, "{name}");
    }
    assert_eq!(request.header("x-kept"), Some("1"));
}

// Parity 1.7: fields on all responses, in place of the target's own; the load balancer's Server can be disabled.
#[test]
fn listener_sets_response_fields() {
    let target = Target::http(|_| {
        let head = "HTTP/1.1 200 OK\r\nServer: pod\r\nX-Frame-Options: SAMEORIGIN\r\n";
        format!("{head}x-frame-options: DENY\r\nContent-Length: 2\r\n\r\nhi").into()
    });
    let ip = address();
    let mut listener = listener(8080, "HTTP", &forward("web"));
    listener["attributes"] = json!({
        "routing.http.response.server.enabled": "false",
        "routing.http.response.x_frame_options.header_value": "DENY",
        "routing.http.response.strict_transport_security.header_value": "max-age=31536000; preload"});
    listener["rules"] = json!([rule(1, "path-pattern", "/no", &fixed(403, "no"))]);
    let groups = [group("web", "HTTP", &[target.addr()])];
    let elbow = Elbow::run(&file(&[alb("alb", ip, &[listener])], &groups));
    elbow.wait_for_state("web", target.addr(), "healthy");
    for (path, server) in [("/", Some("pod")), ("/no", None)] {
        let response = Client::plain((ip, 8080)).ask(client::get("a.example", path));
        let count = |name: &str| response.head.to_lowercase().matches(name).count();
        assert_eq!(response.header("server"), server, "{path}");
        assert_eq!(response.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(count("x-frame-options:"), 1, "{}", response.head);
        assert_eq!(
            response.header("strict-transport-security"),
            Some("max-age=31536000; preload")
        );
    }
}

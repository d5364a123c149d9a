use elbow_model::{Expression, Protocol, Rewrite};

use super::*;
use crate::test_kit::{endpoint, field, get};

fn rewrite(regex: &str, replace: &str) -> Rewrite {
    Rewrite {
        regex: Expression::new(regex, false).unwrap(),
        replace: replace.into(),
    }
}

fn url(regex: &str, replace: &str) -> Transforms {
    Transforms {
        url: Some(rewrite(regex, replace)),
        host_header: None,
    }
}

fn host(regex: &str, replace: &str) -> Transforms {
    Transforms {
        url: None,
        host_header: Some(rewrite(regex, replace)),
    }
}

fn transformed(
    transforms: &Transforms,
    host: &str,
    target: &str,
) -> Result<Transformed, TransformFailure> {
    let fields = [field("Host", host)];
    apply(
        transforms,
        &get(target, &fields),
        &endpoint(Protocol::Http, 80),
    )
}

// Parity 1.4, transforms: path and query, as the client sent them; no match changes nothing.
#[test]
fn urls_are_rewritten_with_their_queries() {
    let table = [
        (
            "^/dp/([A-Za-z0-9]+)/?$",
            "/product.php?id=$1",
            "/dp/B0X",
            Some("/product.php?id=B0X"),
        ),
        (
            "^/old/(.*)$",
            "/new/$1",
            "/old/a%20b?x=1",
            Some("/new/a%20b?x=1"),
        ),
        ("[?].*$", "", "/a?b=c", Some("/a")),
        ("^/old/(.*)$", "/new/$1", "http://h/old/a", Some("/new/a")),
        ("^/old/(.*)$", "/new/$1", "/other", None),
        ("^/OLD", "/new", "/old", None),
    ];
    for (regex, replace, target, expected) in table {
        let found = transformed(&url(regex, replace), "h", target).unwrap();
        assert_eq!(found.uri.as_deref(), expected, "{regex} on {target}");
        assert_eq!(found.host, None);
    }
}

#[test]
fn hosts_are_rewritten_without_their_ports() {
    let found = |host_header: &str, target: &str| {
        let transforms = host(r"^(.*)\.example\.com$", "$1.internal");
        let found = transformed(&transforms, host_header, target).unwrap();
        found.host.map(|host| String::from_utf8(host).unwrap())
    };
    assert_eq!(found("a.example.com", "/").unwrap(), "a.internal");
    assert_eq!(found("a.example.com:8080", "/").unwrap(), "a.internal");
    assert_eq!(
        found("b.example", "http://a.example.com/").unwrap(),
        "a.internal"
    );
    assert_eq!(found("a.example.org", "/"), None);
}

// Parity 1.4: a match with a failure is answered 500; 1.15: the log says why.
#[test]
fn unusable_result_is_a_failure() {
    let long = format!("/{}", "a".repeat(16 * 1024));
    let table = [
        (url("^/a", "b"), TransformFailure::Path),
        (url("^.*$", ""), TransformFailure::Path),
        (url("^/", &long), TransformFailure::TooLong),
        (host("^.*$", ""), TransformFailure::Host),
        (host("^.*$", "a b"), TransformFailure::Host),
        (host("^.*$", "a/b"), TransformFailure::Host),
    ];
    for (transforms, expected) in table {
        let found = transformed(&transforms, "h", "/a?b");
        assert_eq!(found.unwrap_err(), expected, "{transforms:?}");
    }
}

// Parity 1.15: the field `request_transform_status`.
#[test]
fn failures_are_named_as_in_the_access_log() {
    use TransformFailure as F;
    let names = [F::TooLong, F::Host, F::Path].map(F::as_str);
    assert_eq!(
        names,
        [
            "TransformBufferTooSmall",
            "TransformInvalidHost",
            "TransformInvalidPath"
        ]
    );
}

// Parity 1.1: the request line of a target is as long as that of a client may be.
#[test]
fn longest_uri_that_fits_a_request_line_is_used() {
    let longest = REQUEST_LIMITS.first_line - "OPTIONS  HTTP/1.1\r\n".len();
    for (length, expected) in [(longest, true), (longest + 1, false)] {
        let uri = format!("/{}", "a".repeat(length - 1));
        let found = transformed(&url("^.*$", &uri), "h", "/");
        assert_eq!(found.is_ok(), expected, "{length}");
    }
    let long_host = "a".repeat(longest + 1);
    let found = transformed(&host("^.*$", &long_host), "h", "/");
    assert_eq!(found, Err(TransformFailure::TooLong));
}

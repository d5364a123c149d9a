use std::time::Instant;

use elbow_model::{Expression, Protocol, Rewrite};

use super::*;
use crate::test_kit::{self, field, get};

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

fn transformed(transforms: &Transforms, host: &str, target: &str) -> Result<Transformed, Failure> {
    let listener = test_kit::listener(Protocol::Http, 80, Vec::new());
    let fields = [field("Host", host)];
    transform(transforms, &get(target, &fields), &listener)
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
fn a_result_of_no_use_is_a_failure() {
    let long = format!("/{}", "a".repeat(16 * 1024));
    let table = [
        (url("^/a", "b"), Failure::Path),
        (url("^.*$", ""), Failure::Path),
        (url("^/", &long), Failure::TooLong),
        (host("^.*$", ""), Failure::Host),
        (host("^.*$", "a b"), Failure::Host),
        (host("^.*$", "a/b"), Failure::Host),
    ];
    for (transforms, expected) in table {
        let found = transformed(&transforms, "h", "/a?b");
        assert_eq!(found.unwrap_err(), expected, "{transforms:?}");
        let listener = test_kit::listener(Protocol::Http, 80, Vec::new());
        let mut record = Record::new(Instant::now(), 0);
        let error = apply(&transforms, &get("/a?b", &[]), &listener, &mut record).unwrap_err();
        assert_eq!(error.status(), 500);
        assert_eq!(record.transform_status, Some(expected.as_str()));
    }
}

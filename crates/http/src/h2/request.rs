//! A request of HTTP/2 in the form that rules, header work and the log know.

use http::request::Parts;
use hyper::body::{Body, Incoming};

use crate::error::ErrorKind;
use crate::h1::{FIELDS_MAX, Framing, REQUEST_LIMITS};
use crate::head::{Header, RequestHead, Version};
use crate::uri::is_path_of;

/// The fields of `parts` in order, `:authority` first as `host`. It replaces a Host field, which
/// must not differ from it (RFC 9113, 8.3.1).
pub(super) fn fields(parts: &Parts) -> Vec<Header<'_>> {
    let authority = parts.uri.authority().map(|authority| {
        let text = authority.as_str();
        text.rsplit_once('@').map_or(text, |(_, host)| host)
    });
    let host = authority.map(|authority| Header {
        name: "host",
        value: authority.as_bytes(),
    });
    let others = parts
        .headers
        .iter()
        .filter(|(name, _)| host.is_none() || **name != http::header::HOST)
        .filter(|(name, _)| !looks_like_framing(name.as_str()))
        .map(|(name, value)| Header {
            name: name.as_str(),
            value: value.as_bytes().trim_ascii(),
        });
    host.into_iter().chain(others).collect()
}

/// The head of `parts`.
pub(super) fn head<'a>(parts: &'a Parts, fields: &'a [Header<'a>]) -> RequestHead<'a> {
    RequestHead {
        method: parts.method.as_str(),
        target: parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str()),
        version: Version::H2,
        fields,
    }
}

/// What cannot be served, whatever the rules say: the limits are those of HTTP/1.1 (ALB guide:
/// quotas), and so is what a target and a host have to be (RFC 9113, 8.3.1).
pub(super) fn refusal(head: &RequestHead<'_>) -> Option<ErrorKind> {
    let line = |name: &str, value: &[u8]| name.len() + value.len() + ": \r\n".len();
    let first_line = head.method.len() + head.target.len() + "  HTTP/1.1\r\n".len();
    let lines = head.fields.iter().map(|f| line(f.name, f.value));
    match head.method {
        "TRACE" => Some(ErrorKind::MethodNotAllowed),
        "CONNECT" => Some(ErrorKind::BadRequest),
        _ if first_line > REQUEST_LIMITS.first_line => Some(ErrorKind::UriTooLarge),
        _ if head.fields.len() > FIELDS_MAX
            || lines.clone().any(|length| length > REQUEST_LIMITS.line)
            || first_line + lines.sum::<usize>() > REQUEST_LIMITS.head =>
        {
            Some(ErrorKind::HeaderTooLarge)
        }
        _ if !is_path_of(head.method, head.target) || head.value("host").is_none() => {
            Some(ErrorKind::BadRequest)
        }
        _ => None,
    }
}

/// A name that some HTTP/1 reader takes for `Content-Length` or `Transfer-Encoding`: never passed
/// on, since it has no meaning in HTTP/2.
fn looks_like_framing(name: &str) -> bool {
    let letters = || name.bytes().filter(u8::is_ascii_alphanumeric);
    name != "content-length"
        && (letters().eq("contentlength".bytes()) || letters().eq("transferencoding".bytes()))
}

/// How the body goes on to a target in HTTP/1.1.
pub(super) fn framing(body: &Incoming) -> Framing {
    match body.size_hint().exact() {
        _ if body.is_end_stream() => Framing::Empty,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    }
}

/// `application/grpc`, `application/grpc+proto`, ...
pub(super) fn is_grpc(head: &RequestHead<'_>) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    head.value("content-type").is_some_and(|value| {
        value
            .get(..GRPC.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(GRPC))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(request: http::request::Builder) -> Parts {
        request.body(()).unwrap().into_parts().0
    }

    fn text(fields: &[Header<'_>]) -> Vec<String> {
        fields
            .iter()
            .map(|f| format!("{}={}", f.name, String::from_utf8_lossy(f.value)))
            .collect()
    }

    // Parity 1.11: the authority is the host.
    #[test]
    fn the_authority_comes_first_and_instead_of_host() {
        let request = http::Request::get("https://User@H.example:8443/a?b")
            .header("x-a", "1")
            .header("host", "other")
            .header("cookie", "c=1")
            .header("cookie", "d=2");
        let parts = parts(request);
        let fields = fields(&parts);
        assert_eq!(
            text(&fields),
            ["host=H.example:8443", "x-a=1", "cookie=c=1", "cookie=d=2"]
        );
        let head = head(&parts, &fields);
        assert_eq!((head.method, head.target), ("GET", "/a?b"));
    }

    #[test]
    fn without_an_authority_the_host_field_stays() {
        let parts = parts(http::Request::options("*").header("host", "h"));
        let fields = fields(&parts);
        assert_eq!(text(&fields), ["host=h"]);
        assert_eq!(head(&parts, &fields).target, "*");
    }

    // Parity 1.14: the downgraded request has one reading.
    #[test]
    fn look_alikes_of_framing_fields_are_left_out() {
        let request = http::Request::get("/")
            .header("content_length", "1")
            .header("transfer.encoding", "chunked")
            .header("content-length", "0")
            .header("content-lengths", "2");
        let parts = parts(request);
        assert_eq!(
            text(&fields(&parts)),
            ["content-length=0", "content-lengths=2"]
        );
    }

    // Parity 1.1: hard size limits; 1.10: TRACE and CONNECT.
    #[test]
    fn what_is_too_large_or_not_allowed_is_refused() {
        let long = "a".repeat(16 * 1024);
        let value = "a".repeat(15 * 1024);
        let refused = |request: http::request::Builder| {
            let parts = parts(request);
            refusal(&head(&parts, &fields(&parts)))
        };
        let many = |n: usize, value: &str| {
            (0..n).fold(http::Request::get("https://h/"), |request, i| {
                request.header(format!("x-{i}"), value)
            })
        };
        let at = |method, target: &str| {
            let host = http::Request::builder().header("host", "h");
            host.method(method).uri(target)
        };
        let trace = http::Request::builder().method("TRACE").uri("/");
        let connect = http::Request::builder().method("CONNECT").uri("h:443");
        let table = [
            (http::Request::get("https://h/"), None),
            (at("GET", "/"), None),
            (at("OPTIONS", "*"), None),
            (at("GET", "*"), Some(ErrorKind::BadRequest)),
            (http::Request::get("/"), Some(ErrorKind::BadRequest)),
            (trace, Some(ErrorKind::MethodNotAllowed)),
            (connect, Some(ErrorKind::BadRequest)),
            (
                http::Request::get(format!("/{long}")),
                Some(ErrorKind::UriTooLarge),
            ),
            (many(1, &long), Some(ErrorKind::HeaderTooLarge)),
            (many(4, &value), None),
            (many(5, &value), Some(ErrorKind::HeaderTooLarge)),
            (many(513, ""), Some(ErrorKind::HeaderTooLarge)),
        ];
        for (i, (request, expected)) in table.into_iter().enumerate() {
            assert_eq!(refused(request), expected, "row {i}");
        }
    }

    #[test]
    fn grpc_is_told_by_its_content_type() {
        for (value, expected) in [
            ("application/grpc", true),
            ("Application/GRPC+proto", true),
            ("application/json", false),
            ("", false),
        ] {
            let fields = [crate::test_kit::field("content-type", value)];
            assert_eq!(is_grpc(&crate::test_kit::get("/", &fields)), expected);
        }
    }
}

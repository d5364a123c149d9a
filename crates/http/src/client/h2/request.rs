//! Converts a request of HTTP/2 into our own head.

use elbow_h2::Head;
use httparse::EMPTY_HEADER;

use crate::error::ErrorKind;
use crate::h1::{Framing, REQUEST_LIMITS};
use crate::header::head::{Header, RequestHead, Version};
use crate::header::uri::{RequestTarget, is_path_of};

/// Fields that are converted without an allocation.
const FIELDS_USUAL: usize = 32;

/// Lets `then` see `head` in our own form. The fields are in order, after `:authority` as `host`. It
/// replaces a Host field, which must not differ (RFC 9113, 8.3.1).
pub(super) fn convert<R>(head: &Head, then: impl FnOnce(&RequestHead<'_>) -> R) -> R {
    // One more for the authority.
    if head.len() < FIELDS_USUAL {
        let mut store = [EMPTY_HEADER; FIELDS_USUAL];
        with_fields(head, &mut store, then)
    } else {
        let mut store = vec![EMPTY_HEADER; head.len() + 1];
        with_fields(head, &mut store, then)
    }
}

fn with_fields<'h, R>(
    head: &'h Head,
    store: &mut [Header<'h>],
    then: impl FnOnce(&RequestHead<'_>) -> R,
) -> R {
    let mut count = 0;
    for (place, field) in store.iter_mut().zip(fields(head)) {
        *place = field;
        count += 1;
    }
    then(&RequestHead {
        method: head.method(),
        target: RequestTarget::parse(path(head)),
        version: Version::H2,
        fields: store.get(..count).unwrap_or_default(),
    })
}

fn fields(head: &Head) -> impl Iterator<Item = Header<'_>> {
    let host = head.authority().map(|authority| Header {
        name: "host",
        value: authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host)
            .as_bytes(),
    });
    let replaces_host = host.is_some();
    let others = head
        .fields()
        .filter(move |(name, _)| !replaces_host || *name != "host")
        .filter(|(name, _)| !looks_like_framing(name))
        .map(|(name, value)| Header {
            name,
            value: value.trim_ascii(),
        });
    host.into_iter().chain(others)
}

/// The path without a fragment, which nobody else reads.
fn path(head: &Head) -> &str {
    let path = head.path().unwrap_or_default();
    match path.split_once('#').map_or(path, |(path, _)| path) {
        "" => "/",
        path => path,
    }
}

/// The size of the fields and the path, as the log counts a head.
pub(super) fn size(head: &Head) -> u64 {
    let lines = head
        .fields()
        .map(|(name, value)| name.len() + value.len() + ": \r\n".len());
    (lines.sum::<usize>() + path(head).len()) as u64
}

/// Why a head is refused before any rule: it breaks the limits of HTTP/1.1 (ALB guide: quotas), or
/// its path or host is invalid (RFC 9113, 8.3.1).
pub(super) fn refusal(head: &RequestHead<'_>) -> Option<ErrorKind> {
    let line = |name: &str, value: &[u8]| name.len() + value.len() + ": \r\n".len();
    let first_line = head.method.len() + head.target.text.len() + "  HTTP/1.1\r\n".len();
    let lines = head.fields.iter().map(|f| line(f.name, f.value));
    match head.method {
        "TRACE" => Some(ErrorKind::MethodNotAllowed),
        "CONNECT" => Some(ErrorKind::BadRequest),
        _ if first_line > REQUEST_LIMITS.first_line => Some(ErrorKind::UriTooLarge),
        _ if lines.clone().any(|length| length > REQUEST_LIMITS.line)
            || first_line + lines.sum::<usize>() > REQUEST_LIMITS.head =>
        {
            Some(ErrorKind::HeaderTooLarge)
        }
        _ if !is_path_of(head.method, head.target.text) || head.value("host").is_none() => {
            Some(ErrorKind::BadRequest)
        }
        _ => None,
    }
}

/// Whether some HTTP/1 reader takes `name` for `Content-Length` or `Transfer-Encoding`. Such fields
/// are never passed on; they have no meaning in HTTP/2.
fn looks_like_framing(name: &str) -> bool {
    let letters = || name.bytes().filter(u8::is_ascii_alphanumeric);
    name != "content-length"
        && (letters().eq("contentlength".bytes()) || letters().eq("transferencoding".bytes()))
}

/// The framing of the body for an HTTP/1.1 target. `end` is set if the request has no body.
pub(super) fn framing(head: &Head, end: bool) -> Framing {
    match head.content_length() {
        _ if end => Framing::Empty,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    }
}

#[cfg(test)]
mod tests {
    use elbow_h2::{Config, Connection, Event};

    use super::*;

    const GET: [(&str, &str); 3] = [(":method", "GET"), (":scheme", "https"), (":path", "/")];

    /// What `then` returns for a request with these fields, as a server of ours reads it.
    fn read<R>(fields: &[(&str, &str)], then: impl FnOnce(&Head) -> R) -> R {
        let config = Config {
            streams_max: 1,
            stream_window: 65_535,
            connection_window: 65_535,
            header_list_max: 128 * 1024,
            output_max: 65_535,
        };
        let (mut client, mut server) = (Connection::client(config), Connection::server(config));
        client.open(true, false, |head| {
            for (name, value) in fields {
                head.field(name, value.as_bytes());
            }
        });
        let received = server.receive(client.output());
        let Some(Event::Head { head, .. }) = received.event else {
            panic!("{received:?}");
        };
        then(head)
    }

    fn text(fields: &[Header<'_>]) -> Vec<String> {
        fields
            .iter()
            .map(|f| format!("{}={}", f.name, String::from_utf8_lossy(f.value)))
            .collect()
    }

    /// The fields of a request, and its path.
    fn converted(fields: &[(&str, &str)]) -> (Vec<String>, String) {
        read(fields, |head| {
            convert(head, |head| {
                (text(head.fields), head.target.text.to_owned())
            })
        })
    }

    fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&GET, more].concat()
    }

    // Parity 1.11: the authority is the host.
    #[test]
    fn the_authority_comes_first_and_instead_of_host() {
        let (fields, path) = converted(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/a?b#c"),
            (":authority", "User@H.example:8443"),
            ("x-a", " 1\t"),
            ("host", "other"),
            ("cookie", "c=1"),
            ("cookie", "d=2"),
        ]);
        let expected = ["host=H.example:8443", "x-a=1", "cookie=c=1", "cookie=d=2"];
        assert_eq!(fields, expected);
        assert_eq!(path, "/a?b");
    }

    #[test]
    fn without_an_authority_the_host_field_stays() {
        let (fields, path) = converted(&[
            (":method", "OPTIONS"),
            (":scheme", "https"),
            (":path", "*"),
            ("host", "h"),
        ]);
        assert_eq!((fields, path), (vec!["host=h".to_owned()], "*".to_owned()));
    }

    // Parity 1.14: the downgraded request has one reading.
    #[test]
    fn look_alikes_of_framing_fields_are_left_out() {
        let (fields, _) = converted(&with(&[
            ("content_length", "1"),
            ("transfer.encoding", "chunked"),
            ("content-length", "0"),
            ("content-lengths", "2"),
        ]));
        assert_eq!(fields, ["content-length=0", "content-lengths=2"]);
    }

    #[test]
    fn many_fields_are_converted() {
        let more: Vec<_> = (0..100).map(|_| ("x-a", "1")).collect();
        let (fields, _) = converted(&with(&[&[(":authority", "h")], &more[..]].concat()));
        assert_eq!(fields.len(), 101);
    }

    // Parity 1.1: hard size limits; 1.10: TRACE and CONNECT.
    #[test]
    fn what_is_too_large_or_not_allowed_is_refused() {
        let long = "a".repeat(16 * 1024);
        let long_path = format!("/{long}");
        let value = "a".repeat(15 * 1024);
        let refused = |fields: &[(&str, &str)]| read(fields, |head| convert(head, refusal));
        let at = |method, path| {
            [
                (":method", method),
                (":scheme", "https"),
                (":path", path),
                ("host", "h"),
            ]
        };
        let names: Vec<_> = (0..600).map(|i| format!("x-{i}")).collect();
        let many = |n: usize, value| {
            let start = at("GET", "/").to_vec();
            let more = names.iter().take(n).map(|name| (&**name, value));
            start.into_iter().chain(more).collect::<Vec<_>>()
        };
        assert_eq!(refused(&at("GET", "/")), None);
        assert_eq!(refused(&at("OPTIONS", "*")), None);
        assert_eq!(refused(&at("GET", "*")), Some(ErrorKind::BadRequest));
        assert_eq!(refused(&GET), Some(ErrorKind::BadRequest));
        let trace = refused(&at("TRACE", "/"));
        assert_eq!(trace, Some(ErrorKind::MethodNotAllowed));
        let connect = [(":method", "CONNECT"), (":authority", "h:443")];
        assert_eq!(refused(&connect), Some(ErrorKind::BadRequest));
        let uri = refused(&at("GET", &long_path));
        assert_eq!(uri, Some(ErrorKind::UriTooLarge));
        let too_large = Some(ErrorKind::HeaderTooLarge);
        assert_eq!(refused(&many(1, &long)), too_large);
        assert_eq!(refused(&many(4, &value)), None);
        assert_eq!(refused(&many(5, &value)), too_large);
        assert_eq!(refused(&many(600, "")), None);
    }
}

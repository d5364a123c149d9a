use elbow_model::{DesyncMitigationMode, Protocol};
use proptest::prelude::*;

use super::*;
use crate::h1::REQUEST_LIMITS;
use crate::h1::request;
use crate::h1::scan::Scan;
use crate::test_kit;

/// What leaves for a request that is served; `None` when it is refused.
fn leaving(input: &[u8], mode: DesyncMitigationMode) -> Option<(Framing, Vec<u8>)> {
    let found = Scan::default().advance(input, &REQUEST_LIMITS).ok()??;
    let listener = test_kit::listener(Protocol::Http, 80, Vec::new());
    let meta = test_kit::meta("127.0.0.1:1000");
    let head = &input[found.start..found.end];
    request::parse(head, found.lines, mode, |request| {
        request.refused.is_none().then_some(())?;
        let origin = Origin {
            listener: &listener,
            meta: &meta,
            upgrade: request.websocket,
            host: None,
            identity: None,
            now: 0,
        };
        let mut out = Vec::new();
        let body = Body {
            framing: request.framing,
            asks_for_trailers: listener.attributes.passes_trailers,
        };
        write_head(&mut out, &request.head, None, body, &origin, || 0).ok()?;
        Some((request.framing, out))
    })
    .ok()?
}

/// Reads `out` with an independent parser: one message, framed as `framing` says, whatever the
/// reader makes of names that look alike.
fn assert_one_reading(framing: Framing, out: &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut fields);
    let parsed = head.parse(out);
    // Control bytes in values and letters outside of ASCII in names are passed on, and strict readers
    // refuse them: one reading as well.
    let Ok(parsed) = parsed else {
        let unusual = |b: &u8| (*b < b' ' && !b"\r\n\t".contains(b)) || *b >= 0x7f;
        assert!(out.iter().any(unusual), "{}", out.escape_ascii());
        return;
    };
    assert!(parsed.is_complete() && parsed.unwrap() == out.len());
    assert_eq!(head.version, Some(1));
    assert!(head.path.is_some_and(|path| !path.is_empty()));
    let framed: Vec<_> = head
        .headers
        .iter()
        .filter(|field| {
            let letters = field.name.bytes().filter(u8::is_ascii_alphanumeric);
            let letters: Vec<_> = letters.map(|b| b.to_ascii_lowercase()).collect();
            letters == b"contentlength" || letters == b"transferencoding"
        })
        .map(|field| (field.name, field.value))
        .collect();
    match framing {
        Framing::Empty => {
            assert!(framed.is_empty() || framed == [("Content-Length", &b"0"[..])]);
        }
        Framing::Length(length) => {
            let length = length.to_string();
            assert_eq!(framed, [("Content-Length", length.as_bytes())]);
        }
        Framing::Chunked => assert_eq!(framed, [("Transfer-Encoding", &b"chunked"[..])]),
        Framing::UntilClose => panic!("no request ends with its connection"),
    }
    let hosts = head
        .headers
        .iter()
        .filter(|f| f.name.eq_ignore_ascii_case("host"));
    assert_eq!(hosts.count(), 1);
}

proptest! {
    // Parity 1.14, and RFC 9112, 11.2: whatever comes, what leaves has one reading.
    #[test]
    fn outgoing_head_has_one_reading(
        first in prop::sample::select(vec![
            "GET / HTTP/1.1", "POST /a?b HTTP/1.1", "PUT http://h/x HTTP/1.0", "GET /a b HTTP/1.1",
            "GET /\t HTTP/1.4", "HEAD  /x  HTTP/1.1", "POST /\u{e9} HTTP/1.1",
        ]),
        lines in prop::collection::vec(prop::sample::select(vec![
            "Content-Length: 5", "content-length: 5", "Content-Length: 6", "Content-Length : 5",
            "Content_Length: 5", "Content-Length: 5, 5", "Content-Length: 0",
            "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "TRANSFER-ENCODING: Chunked",
            "Transfer_Encoding: chunked", "Transfer-Encoding : chunked", "Transfer-Encoding: xchunked",
            "\x01Transfer-Encoding: chunked", "Connection: Content-Length", "Connection: close",
            "Host: h", "Host: evil", ": x", " ", "X: \x01", "X: y", "X_Y: z", "\u{e9}: x", "Expect: 100-continue",
            "Upgrade: websocket", "Connection: upgrade", "Trailer: Content-Length", "TE: trailers",
        ]), 0..6),
    ) {
        let input = format!("{first}\r\nHost: a\r\n{}\r\n\r\n", lines.join("\r\n"));
        for mode in [
            DesyncMitigationMode::Monitor,
            DesyncMitigationMode::Defensive,
            DesyncMitigationMode::Strictest,
        ] {
            if let Some((framing, out)) = leaving(input.as_bytes(), mode) {
                assert_one_reading(framing, &out);
            }
        }
    }
}

#[test]
fn plain_request_leaves_as_it_came() {
    let input = b"PUT /a%2f?x=%20 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX: y\r\n\r\n";
    let (framing, out) = leaving(input, DesyncMitigationMode::Strictest).unwrap();
    assert_eq!(framing, Framing::Length(5));
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("PUT /a%2f?x=%20 HTTP/1.1\r\nHost: h\r\nX: y\r\n"),
        "{text}"
    );
    assert!(text.ends_with("\r\nContent-Length: 5\r\n\r\n"), "{text}");
}

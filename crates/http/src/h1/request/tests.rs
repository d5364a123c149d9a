use proptest::prelude::*;

use super::*;
use crate::h1::REQUEST_LIMITS;
use crate::h1::scan::{Found, Scan};

/// What a parse leads to, owned.
type Outcome = Result<(String, String, Vec<(String, Vec<u8>)>, Framing, Flags), Refusal>;
type Flags = (Option<Reason>, Option<u16>, bool, bool, bool);

/// Finds and parses the head in `input`, which comes in pieces of `step` bytes.
fn read(input: &[u8], step: usize, mode: DesyncMitigationMode) -> Option<Outcome> {
    let mut scan = Scan::default();
    let mut end = 0;
    let found = loop {
        end = input.len().min(end + step.max(1));
        match scan.advance(&input[..end], &REQUEST_LIMITS) {
            Ok(Some(found)) => break found,
            Ok(None) if end == input.len() => return None,
            Ok(None) => {}
            Err(error) => return Some(Err(error.into())),
        }
    };
    let head = &input[found.start..found.end];
    Some(parse(head, found.lines, mode, |request| {
        let fields = request.head.fields.iter();
        (
            request.head.method.to_owned(),
            request.head.target.text.to_owned(),
            fields
                .map(|f| (f.name.to_owned(), f.value.to_vec()))
                .collect(),
            request.framing,
            (
                request.verdict.0,
                request.refused.map(ErrorKind::status),
                request.persistent,
                request.expects_continue,
                request.websocket,
            ),
        )
    }))
}

fn defensive(input: &str) -> Outcome {
    read(
        input.as_bytes(),
        usize::MAX / 2,
        DesyncMitigationMode::Defensive,
    )
    .expect("a whole head")
}

// Parity 1.14: the table of reasons.
#[test]
fn requests_are_classified() {
    use Reason as R;
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
    let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
    let table: Vec<(String, Option<Reason>)> = vec![
        (get("A: b"), None),
        (get("my_header: 1\r\nmy.header: 2"), None),
        (get("X: caf\u{e9}"), None),
        (get("X: a\x01"), Some(R::NonCompliantHeader)),
        (get("X\u{e9}: a"), Some(R::NonCompliantHeader)),
        (
            get("Tran\u{17f}fer-Encoding: chunked"),
            Some(R::SuspiciousHeader),
        ),
        (get("Content-Len\u{df}gth: 1"), Some(R::NonCompliantHeader)),
        (get("X : a"), Some(R::NonCompliantHeader)),
        (get("Content-Length: 0"), Some(R::GetHeadZeroContentLength)),
        (
            get("Content-Length: 1"),
            Some(R::UndefinedContentLengthSemantics),
        ),
        (
            get("Transfer-Encoding: chunked"),
            Some(R::UndefinedTransferEncodingSemantics),
        ),
        (get(": a"), Some(R::EmptyHeader)),
        (get("A: b\r\n \t"), Some(R::EmptyHeader)),
        (get("A: b\r\n c"), Some(R::BadHeader)),
        (get("A: \0"), Some(R::BadHeader)),
        (get("Transfer_Encoding: x"), Some(R::SuspiciousHeader)),
        (get("Transfer.Encoding: x"), Some(R::SuspiciousHeader)),
        (get("Transfer- Encoding: x"), Some(R::SuspiciousHeader)),
        (get("\x01content-length: 1"), Some(R::SuspiciousHeader)),
        (get("CONTENT_LENGTH: 1"), Some(R::SuspiciousHeader)),
        (
            get(&format!("Content{}Length: 1", "!".repeat(100))),
            Some(R::SuspiciousHeader),
        ),
        (get("Content-Length-X: 1"), None),
        (get("X-Content-Length: 1"), None),
        (post("Content-Length: 5"), None),
        (post("Content-Length: 0"), None),
        (
            post("Content-Length: 5\r\ncontent-length: 5"),
            Some(R::DuplicateContentLength),
        ),
        (
            post("Content-Length: 5\r\nContent-Length: 6"),
            Some(R::MultipleContentLength),
        ),
        (
            post("Content-Length: 5\r\nContent-Length : 5"),
            Some(R::MultipleContentLength),
        ),
        (post("Content-Length: 1000,1000"), Some(R::BadContentLength)),
        (post("Content-Length: 1000 1000"), Some(R::BadContentLength)),
        (post("Content-Length: 1000.1000"), Some(R::BadContentLength)),
        (post("Content-Length: -1"), Some(R::BadContentLength)),
        (
            post("Content-Length: 99999999999999999999"),
            Some(R::BadContentLength),
        ),
        (post("Content-Length: 1\x0b"), Some(R::BadContentLength)),
        (post("Transfer-Encoding: chunked"), None),
        (post("Transfer-Encoding: identity"), None),
        (post("Transfer-Encoding: chunked;a=b"), None),
        (post("Transfer-Encoding: gzip, chunked"), None),
        (
            post("Transfer-Encoding: xchunked"),
            Some(R::BadTransferEncoding),
        ),
        (
            post("Transfer-Encoding: chunked\x11"),
            Some(R::BadTransferEncoding),
        ),
        (post("Transfer-Encoding:"), Some(R::BadTransferEncoding)),
        (
            post("Transfer-Encoding: chunked, Chunked"),
            Some(R::MultipleTransferEncodingChunked),
        ),
        (
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            Some(R::MultipleTransferEncodingChunked),
        ),
        (
            post("Transfer-Encoding: chunked\r\nContent-Length: 5"),
            Some(R::BothTeClPresent),
        ),
        (
            post("Transfer_Encoding: chunked\r\nContent-Length: 5"),
            Some(R::SuspiciousTeClPresent),
        ),
        (
            post("Transfer-Encoding: chunked\r\nContent_Length: 5"),
            Some(R::SuspiciousTeClPresent),
        ),
        (
            "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n".into(),
            Some(R::SpaceInUri),
        ),
        (
            "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n".into(),
            Some(R::AmbiguousUri),
        ),
        (
            "GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n".into(),
            Some(R::AmbiguousUri),
        ),
        ("GET /%09%20%0d HTTP/1.1\r\nHost: h\r\n\r\n".into(), None),
        ("GET /\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n".into(), None),
        (
            "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n".into(),
            Some(R::BadUri),
        ),
        (
            "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n".into(),
            Some(R::BadUri),
        ),
        ("GET / HTTP/1.1\nHost: h\r\n\r\n".into(), Some(R::BadUri)),
        (
            "GET / HTTP/1.9\r\nHost: h\r\n\r\n".into(),
            Some(R::NonCompliantVersion),
        ),
        (
            "GET  / HTTP/1.1\r\nHost: h\r\n\r\n".into(),
            Some(R::NonCompliantVersion),
        ),
        (
            "GET / HTTP/1.1 \r\nHost: h\r\n\r\n".into(),
            Some(R::NonCompliantVersion),
        ),
        (
            "GET /\r\nHost: h\r\n\r\n".into(),
            Some(R::NonCompliantVersion),
        ),
        (
            "GET / HTTP/1.x\r\nHost: h\r\n\r\n".into(),
            Some(R::BadVersion),
        ),
        (
            "GET / HTTP/1.1x\r\nHost: h\r\n\r\n".into(),
            Some(R::BadVersion),
        ),
        (
            "G\u{e9}T / HTTP/1.1\r\nHost: h\r\n\r\n".into(),
            Some(R::BadMethod),
        ),
        (" / HTTP/1.1\r\nHost: h\r\n\r\n".into(), Some(R::BadMethod)),
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            Some(R::UndefinedTransferEncodingSemantics),
        ),
    ];
    for (input, reason) in table {
        let got = match defensive(&input) {
            Ok(outcome) => outcome.4.0,
            Err(refusal) => refusal.verdict.0,
        };
        assert_eq!(got, reason, "{input:?}");
    }
}

// Parity 1.14: what each mode does with each tier.
#[test]
fn modes_block_and_close_by_tier() {
    use DesyncMitigationMode as M;
    let table = [
        (None, [false; 3], [false; 3]),
        (Some(Reason::SpaceInUri), [false, false, true], [false; 3]),
        (
            Some(Reason::BothTeClPresent),
            [false, false, true],
            [false, true, true],
        ),
        (
            Some(Reason::BadHeader),
            [false, true, true],
            [false, true, true],
        ),
    ];
    for (reason, blocked, closes) in table {
        let verdict = Verdict(reason);
        let modes = [M::Monitor, M::Defensive, M::Strictest];
        assert_eq!(modes.map(|m| verdict.blocked(m)), blocked, "{reason:?}");
        assert_eq!(modes.map(|m| verdict.closes(m)), closes, "{reason:?}");
    }
}

// RFC 9112, 3.2; ALB's rules use the first one (ALB guide: listener rules).
#[test]
fn several_hosts_are_refused_in_strictest_mode_alone() {
    use DesyncMitigationMode as M;
    let refused = |hosts: &str, mode| {
        let input = format!("GET / HTTP/1.1\r\n{hosts}\r\n");
        let outcome = read(input.as_bytes(), usize::MAX / 2, mode).unwrap();
        outcome.unwrap().4.1
    };
    let modes = [M::Monitor, M::Defensive, M::Strictest];
    for (hosts, expected) in [
        ("", [Some(400); 3]),
        ("Host: h\r\n", [None; 3]),
        ("Host: h\r\nhost: h\r\n", [None, None, Some(400)]),
        ("Host: a\r\nX: y\r\nHOST: b\r\n", [None, None, Some(400)]),
    ] {
        assert_eq!(
            modes.map(|mode| refused(hosts, mode)),
            expected,
            "{hosts:?}"
        );
    }
}

#[test]
fn connection_fields_steer_the_connection() {
    // Persistent, expects 100, WebSocket.
    let table = [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", (true, false, false)),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n",
            (false, false, false),
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: y, close\r\n\r\n",
            (false, false, false),
        ),
        ("GET / HTTP/1.0\r\n\r\n", (false, false, false)),
        (
            "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            (true, false, false),
        ),
        (
            "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n\r\n",
            (true, true, false),
        ),
        (
            "PUT / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
            (false, false, false),
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n",
            (true, false, true),
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
            (true, false, false),
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
            (true, false, false),
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            (true, false, false),
        ),
    ];
    for (input, expected) in table {
        let flags = defensive(input).unwrap().4;
        assert_eq!((flags.2, flags.3, flags.4), expected, "{input:?}");
    }
}

#[test]
fn fields_beyond_the_usual_number_are_parsed() {
    let fields: String = (0..500).map(|i| format!("x{i}: {i}\r\n")).collect();
    let outcome = defensive(&format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).unwrap();
    assert_eq!(outcome.2.len(), 501);
    assert_eq!(outcome.2[500], ("x499".to_owned(), b"499".to_vec()));
}

/// Bytes that are likely to be near a request.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "GET ",
        "POST ",
        "/",
        " ",
        "HTTP/1.1",
        "HTTP/1.0",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "\t",
        ":",
        "Host: h\r\n",
        "Content-Length: 5\r\n",
        "Content-Length",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding",
        "Connection: close\r\n",
        "\0",
        "a",
        ",",
        "5",
        "\u{e9}",
        "_",
    ]);
    let bytes = prop::collection::vec(piece, 0..24);
    bytes.prop_map(|pieces| format!("GET / HTTP/1.1\r\n{}", pieces.concat()).into_bytes())
}

proptest! {
    #[test]
    fn any_input_gives_one_result_however_split(input in requests(), step in 1usize..20) {
        for mode in [DesyncMitigationMode::Monitor, DesyncMitigationMode::Defensive] {
            prop_assert_eq!(read(&input, step, mode), read(&input, input.len(), mode));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(input in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&input, 7, DesyncMitigationMode::Monitor);
    }
}

/// RFC 9112, 3.2: an invalid Host is 400, in every mode.
#[test]
fn a_host_that_names_no_host_is_refused() {
    for (host, is_good) in [
        ("a.example", true),
        ("a_b.example:8080", true),
        ("[::1]:80", true),
        ("", true),
        ("a/b:80", false),
        ("a b", false),
        ("a, b", false),
        ("u@a", false),
        ("a:x:80", false),
        ("\u{e9}", false),
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let outcome = read(head.as_bytes(), 9, DesyncMitigationMode::Monitor).unwrap();
        assert_eq!(outcome.unwrap().4.1, (!is_good).then_some(400), "{host:?}");
    }
}

/// `routing.http.drop_invalid_header_fields.enabled` decides about them later.
#[test]
fn names_with_letters_outside_of_ascii_are_kept() {
    let head =
        "GET / HTTP/1.1\r\nHost: h\r\nX\u{e9}: 1\r\nX Y: 2\r\nTran\u{17f}fer-Encoding: 3\r\n\r\n";
    let (_, _, fields, _, flags) = defensive(head).unwrap();
    let names: Vec<_> = fields.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["Host", "X\u{e9}"]);
    assert_eq!(flags.0, Some(Reason::SuspiciousHeader));
}

// RFC 1945, 5: Simple-Request.
#[test]
fn simple_request_ends_with_its_line() {
    let found = |input: &str, step: usize| {
        let mut scan = Scan::default();
        let ends = (1..=input.len()).filter(|end| end % step == 0 || *end == input.len());
        let mut found = ends.map(|end| {
            let bytes = &input.as_bytes()[..end];
            let scanned = scan.advance(bytes, &REQUEST_LIMITS);
            (scan.simple_request(bytes), scanned)
        });
        let found = found.find(|(simple, scanned)| simple.is_some() || *scanned != Ok(None));
        found.and_then(|(simple, _)| simple)
    };
    for (input, head) in [
        ("GET /\r\n", "GET /\r\n"),
        ("\r\nGET /a?b\r\n\r\n", "GET /a?b\r\n"),
        ("GET http://a/b\r\n", "GET http://a/b\r\n"),
        // Whatever follows does not count: fields, lines that are no fields, and another request.
        ("GET /\r\nHost: h\r\n\r\n", "GET /\r\n"),
        ("GET /\r\nbad\nGET /b HTTP/1.1\r\n\r\n", "GET /\r\n"),
    ] {
        for step in [1, 3, input.len()] {
            let Found { start, end, lines } = found(input, step).unwrap();
            assert_eq!((&input[start..end], lines), (head, 1), "{step}");
        }
        let parsed = parse(
            head.as_bytes(),
            1,
            DesyncMitigationMode::Defensive,
            |request| {
                assert_eq!(request.refused, None);
                assert!(!request.persistent && request.head.fields.is_empty());
                (request.head.version, request.framing, request.verdict.0)
            },
        );
        let expected = (
            Version::Http09,
            Framing::Empty,
            Some(Reason::NonCompliantVersion),
        );
        assert_eq!(parsed.unwrap(), expected);
    }
    for input in [
        "GET /",
        "GET /\r",
        "GET /\n",
        "GET / \r\n",
        "GET  /\r\n",
        "GET /a b\r\n",
        "GET /\t\r\n",
        "GET /\u{e9}\r\n",
        "GET *\r\n",
        "GET a\r\n",
        "GET \r\n",
        "GET HTTP/1.1\r\n",
        "GET / HTTP/0.9\r\n",
        "GET / HTTP/1.1\r\n",
        "get /\r\n",
        "HEAD /\r\n",
        "POST /\r\n",
        "CONNECT a:1\r\n",
    ] {
        for step in [1, input.len()] {
            assert_eq!(found(input, step), None, "{input:?}");
        }
    }
}

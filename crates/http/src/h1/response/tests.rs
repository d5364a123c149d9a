use proptest::prelude::*;

use super::*;
use crate::h1::RESPONSE_LIMITS;
use crate::h1::scan::Scan;

type StatusRow = (&'static str, Result<(u16, &'static str), ResponseError>);
type Outcome = Result<(u16, String, Framing, Option<u64>, bool), ResponseError>;

fn read(input: &[u8], step: usize, to_head: bool) -> Option<Outcome> {
    let mut scan = Scan::default();
    let mut end = 0;
    let found = loop {
        end = input.len().min(end + step.max(1));
        match scan.advance(&input[..end], &RESPONSE_LIMITS) {
            Ok(Some(found)) => break found,
            Ok(None) if end == input.len() => return None,
            Ok(None) => {}
            Err(error) => return Some(Err(error.into())),
        }
    };
    let head = &input[found.start..found.end];
    Some(parse(head, found.lines, to_head, |response| {
        (
            response.status,
            response.reason.to_owned(),
            response.framing,
            response.length,
            response.persistent,
        )
    }))
}

// RFC 9112, 6.3.
#[test]
fn bodies_are_framed_by_the_first_rule_that_fits() {
    use Framing::{Chunked, Empty, Length, UntilClose};
    let table: &[(&str, bool, Framing, Option<u64>, bool)] = &[
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            false,
            Length(5),
            Some(5),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            false,
            Empty,
            Some(0),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            false,
            Length(5),
            Some(5),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            true,
            Empty,
            Some(5),
            true,
        ),
        (
            "HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n",
            false,
            Empty,
            Some(5),
            true,
        ),
        ("HTTP/1.1 204 N\r\n\r\n", false, Empty, None, true),
        ("HTTP/1.1 100 C\r\n\r\n", false, Empty, None, true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
            Chunked,
            None,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, Chunked\r\n\r\n",
            false,
            Chunked,
            None,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            false,
            Chunked,
            None,
            false,
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", false, UntilClose, None, false),
        (
            "HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 5\r\n\r\n",
            false,
            Length(5),
            Some(5),
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
            false,
            Length(5),
            Some(5),
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
            false,
            Length(5),
            Some(5),
            true,
        ),
    ];
    for (input, to_head, framing, length, persistent) in table {
        let (_, _, f, l, p) = read(input.as_bytes(), input.len(), *to_head)
            .unwrap()
            .unwrap();
        assert_eq!((f, l, p), (*framing, *length, *persistent), "{input:?}");
    }
}

#[test]
fn status_lines_are_read_as_servers_write_them() {
    let table: &[StatusRow] = &[
        ("HTTP/1.1 200 OK", Ok((200, "OK"))),
        ("HTTP/1.1 200 ", Ok((200, ""))),
        ("HTTP/1.1 200", Ok((200, ""))),
        ("HTTP/1.1 404 Not  Found", Ok((404, "Not  Found"))),
        ("HTTP/1.1 599 \u{e9}", Ok((599, "\u{e9}"))),
        ("HTTP/1.1  200 OK", Err(ResponseError::StatusLine)),
        ("HTTP/1.1 2000 OK", Err(ResponseError::StatusLine)),
        ("HTTP/1.1 099 OK", Err(ResponseError::StatusLine)),
        ("HTTP/1.1 +20 OK", Err(ResponseError::StatusLine)),
        ("HTTP/1.1 200 O\0K", Err(ResponseError::StatusLine)),
        ("HTTP/2 200 OK", Err(ResponseError::StatusLine)),
        ("http/1.1 200 OK", Err(ResponseError::StatusLine)),
        ("ICY 200 OK", Err(ResponseError::StatusLine)),
    ];
    for (line, expected) in table {
        let input = format!("{line}\r\nContent-Length: 0\r\n\r\n");
        let got = read(input.as_bytes(), input.len(), false).unwrap();
        let expected = expected.map(|(status, reason)| (status, reason.to_owned()));
        assert_eq!(got.map(|(s, r, ..)| (s, r)), expected, "{line:?}");
    }
}

proptest! {
    #[test]
    fn any_input_gives_one_result_however_split(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "HTTP/1.1 ", "200", " OK", "\r\n", "\r\n\r\n", "\n", "Content-Length: 5\r\n", "a: b\r\n",
            "Transfer-Encoding: chunked\r\n", "\0", " ", ":", "\u{e9}",
        ]), 0..16),
        step in 1usize..20,
    ) {
        let input = format!("HTTP/1.1 200 OK\r\n{}", pieces.concat());
        let input = input.as_bytes();
        prop_assert_eq!(read(input, step, false), read(input, input.len(), false));
    }
}

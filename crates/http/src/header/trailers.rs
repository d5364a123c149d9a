//! Trailers: fields behind the body of a message (RFC 9110, 6.5).

use httparse::{EMPTY_HEADER, Header, Status};

/// Fields that mean nothing, or something dangerous, behind a body: they frame it, route it,
/// authenticate it, say how it is to be read, or control the connection (RFC 9110, 6.5.1).
const FORBIDDEN: &[&str] = &[
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "host",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "retry-after",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "www-authenticate",
];
/// Beginnings of names by which targets learn what the load balancer vouches for.
const RESERVED: &[&str] = &["x-amzn-", "x-forwarded-"];

/// The trailers of one message that may be passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trailers {
    /// As lines of HTTP/1.1, without the empty one.
    lines: Vec<u8>,
}

impl Trailers {
    /// Reads `lines`, without the empty one; `None` when one of them is malformed.
    pub(crate) fn parse(mut lines: Vec<u8>) -> Option<Self> {
        lines.extend_from_slice(b"\r\n");
        let count = memchr::memchr_iter(b'\n', &lines).count();
        let mut store = vec![EMPTY_HEADER; count];
        let Ok(Status::Complete((_, fields))) = httparse::parse_headers(&lines, &mut store) else {
            return None;
        };
        let mut trailers = Self::default();
        for Header { name, value } in fields {
            trailers.push(name, value);
        }
        Some(trailers)
    }

    /// Adds a field, unless it is forbidden.
    pub(crate) fn push(&mut self, name: &str, value: &[u8]) {
        if is_forbidden(name) {
            return;
        }
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b": ");
        self.lines.extend_from_slice(value);
        self.lines.extend_from_slice(b"\r\n");
    }

    /// Lines of HTTP/1.1, without the empty one.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Names and values.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let lines = self.lines.split(|b| *b == b'\n');
        lines.filter_map(|line| {
            let line = line.strip_suffix(b"\r")?;
            let colon = memchr::memchr(b':', line)?;
            let (name, value) = line.split_at(colon);
            Some((name, value.strip_prefix(b": ")?))
        })
    }
}

fn is_forbidden(name: &str) -> bool {
    let starts = |prefix: &&str| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    FORBIDDEN
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
        || RESERVED.iter().any(starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_pass_without_those_that_frame_route_or_vouch() {
        let lines = b"Grpc-Status: 0\r\nContent-Length: 5\r\nX-Amzn-Oidc-Data: forged\r\n\
                      x-forwarded-for: 1.2.3.4\r\nHost: other\r\nx-sum:  a b \r\n";
        let trailers = Trailers::parse(lines.to_vec()).unwrap();
        assert_eq!(trailers.lines(), b"Grpc-Status: 0\r\nx-sum: a b\r\n");
        let fields: Vec<_> = trailers.fields().collect();
        let expected: [(&[u8], &[u8]); 2] = [(b"Grpc-Status", b"0"), (b"x-sum", b"a b")];
        assert_eq!(fields, expected);
    }

    #[test]
    fn malformed_trailers_are_refused() {
        for lines in [
            "no colon\r\n",
            "bad name: 1\r\n",
            ": 1\r\n",
            "a: 1\r\n b: 2\r\n",
        ] {
            assert_eq!(Trailers::parse(lines.into()), None, "{lines:?}");
        }
    }

    #[test]
    fn a_message_without_trailers_has_no_lines() {
        assert_eq!(Trailers::parse(Vec::new()), Some(Trailers::default()));
    }
}

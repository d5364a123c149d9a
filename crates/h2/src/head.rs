//! Heads and trailers as they arrive: checked (RFC 9113, 8.1 to 8.3), in one piece of memory that the
//! next head uses again.

use std::str;

use crate::authority;

/// What a header block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
    Trailers,
    /// Of a stream that is gone: decoded for the table, and dropped.
    Ignored,
}

/// The fields of a request, a response or trailers.
#[derive(Debug, Default)]
pub struct Head {
    /// Names and values, one after the other.
    text: Vec<u8>,
    fields: Vec<Span>,
    method: Option<Span>,
    scheme: Option<Span>,
    authority: Option<Span>,
    path: Option<Span>,
    status: Option<u16>,
    content_length: Option<u64>,
    is_too_large: bool,
    /// Why it is malformed.
    fault: Option<&'static str>,
}

/// Where a name and its value are in the text.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    value: usize,
    end: usize,
    never_indexed: bool,
}

impl Head {
    /// `:method`; empty in responses and trailers.
    pub fn method(&self) -> &str {
        self.text_of(self.method).unwrap_or_default()
    }

    /// `:scheme`.
    pub fn scheme(&self) -> Option<&str> {
        self.text_of(self.scheme)
    }

    /// `:authority`.
    pub fn authority(&self) -> Option<&str> {
        self.text_of(self.authority)
    }

    /// `:path`, which a CONNECT request does not have.
    pub fn path(&self) -> Option<&str> {
        self.text_of(self.path)
    }

    /// `:status` of a response, 100 to 999.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// `Content-Length`.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Names, in lower case, and values, without the pseudo-header fields.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|span| {
            let name = self.text.get(span.start..span.value).unwrap_or_default();
            let value = self.text.get(span.value..span.end).unwrap_or_default();
            (str::from_utf8(name).unwrap_or_default(), value)
        })
    }

    /// The names of fields that must enter no table on their way (RFC 7541, 6.2.3).
    pub fn never_indexed(&self) -> impl Iterator<Item = &str> {
        let spans = self.fields.iter().filter(|span| span.never_indexed);
        spans.filter_map(|span| str::from_utf8(self.text.get(span.start..span.value)?).ok())
    }

    /// The number of [`Head::fields`].
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no fields beside the pseudo-header fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether the list is larger than this side allows. The fields beyond the limit are missing.
    pub fn is_too_large(&self) -> bool {
        self.is_too_large
    }

    fn text_of(&self, span: Option<Span>) -> Option<&str> {
        let Span { value, end, .. } = span?;
        str::from_utf8(self.text.get(value..end)?).ok()
    }

    /// Forgets the last head.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        (self.method, self.scheme) = (None, None);
        (self.authority, self.path) = (None, None);
        (self.status, self.content_length) = (None, None);
        (self.is_too_large, self.fault) = (false, None);
    }

    /// Gives back memory beyond what usual heads need.
    pub(crate) fn shrink(&mut self) {
        const USUAL: usize = 4 * 1024;
        if self.text.capacity() > USUAL {
            self.clear();
            (self.text, self.fields) = (Vec::new(), Vec::new());
        }
    }

    /// Adds a decoded field.
    pub(crate) fn push(&mut self, kind: Kind, name: &[u8], value: &[u8], never_indexed: bool) {
        if kind == Kind::Ignored || self.fault.is_some() {
            return;
        }
        if let Err(fault) = self.check(kind, name, value) {
            self.fault = Some(fault);
        } else if never_indexed && let Some(span) = self.fields.last_mut() {
            span.never_indexed = true;
        }
    }

    fn check(&mut self, kind: Kind, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if !value.iter().copied().all(is_value_byte) {
            return Err("forbidden byte in a field value");
        }
        if let [b':', pseudo @ ..] = name {
            return self.push_pseudo(kind, pseudo, value);
        }
        if name.is_empty() || !name.iter().copied().all(is_name_byte) {
            return Err("forbidden byte in a field name");
        }
        match name {
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding"
            | b"upgrade" => {
                return Err("connection-specific field");
            }
            b"te" if value != b"trailers" => return Err("TE other than trailers"),
            b"content-length" if kind != Kind::Trailers => {
                let length = decimal(value).ok_or("malformed Content-Length")?;
                if self.content_length.is_some_and(|other| other != length) {
                    return Err("different values of Content-Length");
                }
                self.content_length = Some(length);
            }
            _ => {}
        }
        let span = self.append(name, value);
        self.fields.push(span);
        Ok(())
    }

    fn push_pseudo(&mut self, kind: Kind, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if !self.fields.is_empty() {
            return Err("pseudo-header field after a regular field");
        }
        let is_repeated = match (kind, name) {
            (Kind::Request, b"method") => {
                let is_token = value.iter().copied().all(is_token_byte);
                if value.is_empty() || !is_token {
                    return Err("malformed :method");
                }
                let span = self.append(b"", value);
                self.method.replace(span).is_some()
            }
            (Kind::Request, b"scheme") => {
                if !is_scheme(value) {
                    return Err("malformed :scheme");
                }
                let span = self.append(b"", value);
                self.scheme.replace(span).is_some()
            }
            (Kind::Request, b"authority") => {
                if !authority::is_valid(value) {
                    return Err("malformed :authority");
                }
                let span = self.append(b"", value);
                self.authority.replace(span).is_some()
            }
            (Kind::Request, b"path") => {
                if !is_path(value) {
                    return Err("malformed :path");
                }
                let span = self.append(b"", value);
                self.path.replace(span).is_some()
            }
            (Kind::Response, b"status") => {
                let status = status(value).ok_or("malformed :status")?;
                self.status.replace(status).is_some()
            }
            _ => return Err("unknown pseudo-header field"),
        };
        if is_repeated {
            return Err("repeated pseudo-header field");
        }
        Ok(())
    }

    fn append(&mut self, name: &[u8], value: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        Span {
            start,
            value: start + name.len(),
            end: self.text.len(),
            never_indexed: false,
        }
    }

    /// Checks what only the whole block shows. The error says why it is malformed.
    pub(crate) fn finish(&mut self, kind: Kind, is_too_large: bool) -> Result<(), &'static str> {
        self.is_too_large = is_too_large;
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let is_complete = match kind {
            // What is missing may be beyond the limit.
            _ if is_too_large => true,
            Kind::Request if self.method() == "CONNECT" => {
                self.authority.is_some() && self.scheme.is_none() && self.path.is_none()
            }
            Kind::Request => self.method.is_some() && self.scheme.is_some() && self.path.is_some(),
            Kind::Response => self.status.is_some(),
            Kind::Trailers | Kind::Ignored => true,
        };
        if is_complete {
            Ok(())
        } else {
            Err("missing or superfluous pseudo-header field")
        }
    }
}

/// Whether `byte` may be in a token (RFC 9110, 5.6.2).
pub const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// A table of the bytes for which a rule holds; one look-up replaces many comparisons.
macro_rules! table {
    (|$byte:ident| $rule:expr) => {{
        let mut table = [false; 256];
        let mut at = 0;
        while at < table.len() {
            let $byte = at as u8;
            table[at] = $rule;
            at += 1;
        }
        table
    }};
}

const NAME: [bool; 256] = table!(|byte| is_token_byte(byte) && !byte.is_ascii_uppercase());
const VALUE: [bool; 256] = table!(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));

/// What URIs are made of, as far as readers agree, before the query and in it.
const PATH: [bool; 256] =
    table!(|byte| matches!(byte, 0x21..=0x7e | 0x80..) && !matches!(byte, b'<' | b'>' | b'`'));
const QUERY: [bool; 256] =
    table!(|byte| matches!(byte, 0x21 | 0x23..=0x3b | 0x3d | 0x3f..=0x7e | 0x80..));

fn is_name_byte(byte: u8) -> bool {
    NAME.get(usize::from(byte)).copied().unwrap_or(false)
}

fn is_value_byte(byte: u8) -> bool {
    VALUE.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Whether `path` is an asterisk, or starts like a path and has no byte that would end it.
fn is_path(path: &[u8]) -> bool {
    if path == b"*" {
        return true;
    }
    if !matches!(path.first(), Some(b'/' | b'?' | b'#')) || str::from_utf8(path).is_err() {
        return false;
    }
    let is_delimiter = |byte: &u8| matches!(byte, b'?' | b'#');
    let start = path.iter().position(is_delimiter).unwrap_or(path.len());
    let (path, query) = path.split_at(start);
    let is = |table: &[bool; 256], byte: u8| table.get(usize::from(byte)).copied().unwrap_or(false);
    // What follows `#` reaches nobody.
    let query = query.split(|byte| *byte == b'#').next().unwrap_or_default();
    path.iter().all(|byte| is(&PATH, *byte)) && query.iter().all(|byte| is(&QUERY, *byte))
}

/// Whether `scheme` is one (RFC 3986, 3.1).
fn is_scheme(scheme: &[u8]) -> bool {
    let is_scheme_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().all(is_scheme_byte)
}

/// The number that consists of `digits`, at most nineteen.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        Some(number * 10 + u64::from(digit))
    })
}

fn status(value: &[u8]) -> Option<u16> {
    let status = decimal(value).filter(|_| value.len() == 3)?;
    u16::try_from(status).ok().filter(|status| *status >= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: (&str, &str) = (":method", "GET");
    const HTTPS: (&str, &str) = (":scheme", "https");
    const ROOT: (&str, &str) = (":path", "/");

    fn read(kind: Kind, fields: &[(&str, &str)]) -> Result<Head, &'static str> {
        let mut head = Head::default();
        for (name, value) in fields {
            head.push(kind, name.as_bytes(), value.as_bytes(), false);
        }
        head.finish(kind, false).map(|()| head)
    }

    #[test]
    fn request_has_its_parts() {
        let fields = [
            (":path", "/a?b"),
            GET,
            (":authority", "u@h:1"),
            HTTPS,
            ("content-length", "5"),
            ("x-a", "1 \t\u{e9}"),
            ("te", "trailers"),
        ];
        let head = read(Kind::Request, &fields).unwrap();
        assert_eq!((head.method(), head.path()), ("GET", Some("/a?b")));
        assert_eq!(
            (head.scheme(), head.authority()),
            (Some("https"), Some("u@h:1"))
        );
        assert_eq!(head.content_length(), Some(5));
        let found: Vec<_> = head.fields().collect();
        let expected = [
            ("content-length", "5"),
            ("x-a", "1 \t\u{e9}"),
            ("te", "trailers"),
        ];
        assert_eq!(
            found,
            expected.map(|(name, value)| (name, value.as_bytes()))
        );
        let connect = [(":method", "CONNECT"), (":authority", "h:1")];
        assert!(read(Kind::Request, &connect).is_ok());
    }

    #[test]
    fn malformed_requests_are_refused() {
        let with = |field| vec![GET, HTTPS, ROOT, field];
        let mut table = vec![
            vec![HTTPS, ROOT],
            vec![GET, ROOT],
            vec![GET, HTTPS],
            vec![GET, HTTPS, ("x-a", "1"), ROOT],
            vec![GET, HTTPS, (":path", "")],
            vec![GET, HTTPS, (":path", "http://h/")],
            vec![GET, HTTPS, (":path", "/a b")],
            vec![GET, HTTPS, (":path", "/a?<")],
            vec![GET, (":scheme", "1"), ROOT],
            vec![(":method", ""), HTTPS, ROOT],
            vec![(":method", "G T"), HTTPS, ROOT],
            vec![(":method", "CONNECT"), HTTPS, ROOT, (":authority", "h")],
            vec![(":method", "CONNECT")],
        ];
        for field in [
            ROOT,
            GET,
            HTTPS,
            (":status", "200"),
            (":protocol", "websocket"),
            (":authority", ""),
            (":", "1"),
            ("", "1"),
            ("X-A", "1"),
            ("x a", "1"),
            ("x-a", "1\r\nx-b: 2"),
            ("x-a", "\0"),
            ("connection", "close"),
            ("keep-alive", "1"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "gzip"),
            ("content-length", ""),
            ("content-length", "+1"),
            ("content-length", "1, 1"),
            ("content-length", "99999999999999999999"),
        ] {
            table.push(with(field));
        }
        for fields in table {
            assert!(read(Kind::Request, &fields).is_err(), "{fields:?}");
        }
        let twice = [
            GET,
            HTTPS,
            ROOT,
            ("content-length", "1"),
            ("content-length", "2"),
        ];
        assert!(read(Kind::Request, &twice).is_err());
    }

    #[test]
    fn responses_and_trailers_have_their_own_rules() {
        let response = read(Kind::Response, &[(":status", "204"), ("a", "b")]).unwrap();
        assert_eq!((response.status(), response.len()), (Some(204), 1));
        for fields in [
            vec![("a", "b")],
            vec![(":status", "99")],
            vec![(":status", "1000")],
            vec![(":status", "200"), (":status", "200")],
            vec![(":status", "200"), GET],
        ] {
            assert!(read(Kind::Response, &fields).is_err(), "{fields:?}");
        }
        assert!(read(Kind::Trailers, &[("grpc-status", "0")]).is_ok());
        assert!(read(Kind::Trailers, &[("a", "b"), (":status", "200")]).is_err());
        assert!(read(Kind::Ignored, &[("A", "\0")]).unwrap().is_empty());
    }

    #[test]
    fn paths_are_those_that_readers_agree_on() {
        for path in [
            "*",
            "/",
            "/a%2Fb//../c?x=%20&y",
            "/{\"a\"}|~",
            "?x",
            "/?a/b?c",
            "/\u{e9}#<",
        ] {
            assert!(is_path(path.as_bytes()), "{path}");
        }
        for path in [
            "", "**", "a", "/ ", "/\x7f", "/a<b", "/`", "/?\"", "/?>", "/?a b",
        ] {
            assert!(!is_path(path.as_bytes()), "{path}");
        }
        assert!(!is_path(b"/\xff"));
    }
}

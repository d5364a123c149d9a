//! Heads between the form of HTTP/1.1, which the rest of the crate writes and reads, and that of
//! HTTP/2.

use std::io::Write;
use std::rc::Rc;
use std::str;

use elbow_h2::{Head, HeadWriter};

use crate::header::trailers::Trailers;

/// Names of fields that must enter no table on their way, beside those that never do (RFC 7541, 6.2.3).
/// `None` when there are none, which is usual.
pub(crate) type NeverIndexed = Option<Rc<[Box<str>]>>;

/// The names of such fields of a request.
pub(crate) fn never_indexed(head: &Head) -> NeverIndexed {
    let names: Rc<[Box<str>]> = head
        .never_indexed()
        .filter(|name| !matches!(*name, "authorization" | "proxy-authorization"))
        .map(Into::into)
        .collect();
    Some(names).filter(|names| !names.is_empty())
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestHead<'h> {
    /// As elbow wrote it for HTTP/1.1.
    pub(crate) text: &'h [u8],
    pub(crate) is_tls: bool,
    pub(crate) never_indexed: &'h NeverIndexed,
    /// The request is HEAD.
    pub(crate) to_head: bool,
    /// It has no body.
    pub(crate) is_all: bool,
}

/// Writes a request. Fields about the connection or the framing are left out (RFC 9113, 8.2.2).
pub(crate) fn write_request(head: &RequestHead<'_>, out: &mut HeadWriter<'_>) {
    let (first, fields) = first_line(head.text);
    let mut words = first.split(|b| *b == b' ');
    let (method, path) = (words.next(), words.next());
    out.field(":method", method.unwrap_or_default());
    out.field(":scheme", if head.is_tls { b"https" } else { b"http" });
    let host = lines(fields).find(|(name, _)| name.eq_ignore_ascii_case("host"));
    if let Some((_, host)) = host {
        out.field(":authority", host);
    }
    out.field(":path", path.unwrap_or_default());
    for (name, value) in lines(fields) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is("host") => {}
            7 if is("upgrade") => {}
            10 if is("connection") || is("keep-alive") => {}
            16 if is("proxy-connection") => {}
            17 if is("transfer-encoding") => {}
            _ => match head.never_indexed {
                Some(names) if names.iter().any(|n| n.eq_ignore_ascii_case(name)) => {
                    out.never_indexed(name, value);
                }
                _ => out.field(name, value),
            },
        }
    }
}

/// Splits off the first line, with its end.
fn first_line(head: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', head).map_or(head.len(), |lf| lf + 1);
    head.split_at(end)
}

/// The names and values of field lines that elbow wrote.
fn lines(mut fields: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    std::iter::from_fn(move || {
        let (line, rest) = first_line(fields);
        fields = rest;
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b": ")?.strip_suffix(b"\r\n")?;
        Some((str::from_utf8(name).ok()?, value))
    })
}

/// Appends a response as one of HTTP/1.1, and returns its size.
pub(crate) fn append_response(text: &mut Vec<u8>, head: &Head) -> usize {
    let start = text.len();
    let status = head.status().unwrap_or_default();
    // Writing to a vector never fails.
    let _ = write!(text, "HTTP/1.1 {status} \r\n");
    for (name, value) in head.fields() {
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text.len() - start
}

/// Reads trailers.
pub(crate) fn trailers(head: &Head) -> Trailers {
    let mut trailers = Trailers::default();
    for (name, value) in head.fields() {
        trailers.push(name, value);
    }
    trailers
}

/// Writes trailers.
pub(crate) fn write_trailers(trailers: &Trailers, out: &mut HeadWriter<'_>) {
    for (name, value) in trailers.fields() {
        out.field(str::from_utf8(name).unwrap_or_default(), value);
    }
}

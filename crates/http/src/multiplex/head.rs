//! Heads between the form of HTTP/1.1, which the rest of the crate writes and reads, and that of
//! HTTP/2.

use std::io::Write;
use std::str;

use elbow_h2::{Head, HeadWriter};

use crate::header::trailers::Trailers;

/// Writes the request `head`, which elbow wrote for HTTP/1.1. Fields about the connection or the framing
/// are left out (RFC 9113, 8.2.2).
pub(crate) fn write_request(head: &[u8], is_tls: bool, out: &mut HeadWriter<'_>) {
    let (first, fields) = first_line(head);
    let mut words = first.split(|b| *b == b' ');
    let (method, path) = (words.next(), words.next());
    out.field(":method", method.unwrap_or_default());
    out.field(":scheme", if is_tls { b"https" } else { b"http" });
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
            _ => out.field(name, value),
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

//! The head of a request as its target gets it.

use crate::error::ErrorKind;
use crate::h1::{Framing, lists};
use crate::header::head::RequestHead;
use crate::header::uri::RequestTarget;
use crate::outgoing::fields::{Origin, Written, write_fields};
use crate::page::digits;

/// What the head says about bodies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    /// How the request's body is framed as it is sent.
    pub(crate) framing: Framing,
    /// The target learns whether the client takes the trailers of a response.
    pub(crate) asks_for_trailers: bool,
}

/// Appends the head that a target gets: made from the parsed form, with one framing field at most.
/// `uri` replaces the client's own.
pub(crate) fn write_head(
    out: &mut Vec<u8>,
    head: &RequestHead<'_>,
    uri: Option<&str>,
    body: Body,
    origin: &Origin<'_>,
    random: impl FnMut() -> u64,
) -> Result<Written, ErrorKind> {
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    match uri {
        Some(uri) => write_target(out, &RequestTarget::parse(uri)),
        None => write_target(out, &head.target),
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let written = write_fields(out, head, origin, random)?;
    write_framing(out, body.framing, expects_length(head.method));
    if body.asks_for_trailers && !origin.upgrade && takes_trailers(head) {
        // TE is hop-by-hop, so Connection names it (RFC 9110, 10.1.4).
        out.extend_from_slice(b"TE: trailers\r\nConnection: TE\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(written)
}

/// Whether the client accepts trailers (RFC 9110, 6.5.1).
pub(crate) fn takes_trailers(head: &RequestHead<'_>) -> bool {
    head.values("te").any(|te| lists(te, "trailers"))
}

/// Whether an empty body needs `Content-Length: 0`: the method is one that has a body (RFC 9110, 8.6).
fn expects_length(method: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH")
}

/// Appends the one field that frames a body.
pub(crate) fn write_framing(out: &mut Vec<u8>, framing: Framing, say_empty: bool) {
    let length = match framing {
        Framing::Length(length) => length,
        Framing::Empty if say_empty => 0,
        Framing::Empty | Framing::UntilClose => return,
        Framing::Chunked => return out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    };
    write_length(out, length);
}

/// Appends `Content-Length`.
pub(crate) fn write_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    out.extend_from_slice(digits(&mut [0; 20], length));
    out.extend_from_slice(b"\r\n");
}

/// Appends the origin form as the client wrote it. Bytes that would end it early, or that readers
/// disagree on, are percent-encoded.
fn write_target(out: &mut Vec<u8>, target: &RequestTarget<'_>) {
    let start = out.len();
    target.write_origin_form(out);
    let is_plain = |b: &u8| *b > b' ' && *b != 0x7f;
    let written = out.get(start..).unwrap_or_default();
    if written.iter().all(is_plain) {
        return;
    }
    let raw = out.split_off(start);
    for byte in &raw {
        if is_plain(byte) {
            out.push(*byte);
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            let digit = |n: u8| DIGITS.get(usize::from(n & 15)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(*byte)]);
        }
    }
}

#[cfg(test)]
mod tests;

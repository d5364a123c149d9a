//! The head of a target's response as a client of HTTP/1.x gets it.

use crate::h1::Framing;
use crate::h1::response::Response;
use crate::outgoing::additions::Additions;
use crate::outgoing::passed::passed;
use crate::outgoing::request::write_length;
use crate::page::digits;

/// How the body of a response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// In chunks.
    pub(crate) chunked: bool,
    /// The connection stays open.
    pub(crate) keep: bool,
}

/// Appends the head of a response, made from the parsed form. A client of HTTP/1.0 knows no chunks.
/// The connection stays open if `keep`, and if the end of the body does not need its close.
pub(crate) fn write_head(
    out: &mut Vec<u8>,
    response: &Response<'_>,
    http10: bool,
    keep: bool,
    additions: &Additions,
) -> Outgoing {
    let unframed = matches!(response.framing, Framing::Chunked | Framing::UntilClose);
    let chunked = unframed && !http10;
    let keep = keep && !(unframed && http10);
    write_status(out, response);
    write_fields(out, response, additions);
    if chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if let Some(length) = response.length
        && !unframed
        && response.status != 204
    {
        write_length(out, length);
    }
    out.extend_from_slice(if keep {
        b"Connection: keep-alive\r\n\r\n"
    } else {
        b"Connection: close\r\n\r\n"
    });
    Outgoing { chunked, keep }
}

/// Appends the head of a response that turns the connection into a WebSocket.
pub(crate) fn write_switch(out: &mut Vec<u8>, response: &Response<'_>, additions: &Additions) {
    write_status(out, response);
    write_fields(out, response, additions);
    out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
}

/// Appends the head of an interim response: what the load balancer adds comes with the final one.
pub(crate) fn write_interim(out: &mut Vec<u8>, response: &Response<'_>, additions: &Additions) {
    write_status(out, response);
    write_passed(out, response, additions);
    out.extend_from_slice(b"\r\n");
}

fn write_status(out: &mut Vec<u8>, response: &Response<'_>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(digits(&mut [0; 20], usize::from(response.status)));
    out.push(b' ');
    out.extend_from_slice(response.reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_fields(out: &mut Vec<u8>, response: &Response<'_>, additions: &Additions) {
    write_passed(out, response, additions);
    additions.write(out, response);
}

fn write_passed(out: &mut Vec<u8>, response: &Response<'_>, additions: &Additions) {
    for field in passed(response, additions) {
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
}

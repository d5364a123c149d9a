//! The head of a target's response as the client gets it.

use crate::additions::Additions;
use crate::forwarded::is_hop_by_hop;
use crate::h1::response::Response;
use crate::h1::{Framing, lists};
use crate::page::digits;
use crate::plan::write_length;

/// What the response is written for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facing {
    /// The client speaks HTTP/1.0: it knows no chunks.
    pub(crate) http10: bool,
    /// The connection may stay open.
    pub(crate) keep: bool,
}

/// How the body leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaving {
    /// In chunks.
    pub(crate) chunk: bool,
    /// The connection stays open.
    pub(crate) keep: bool,
}

/// Appends the head of a response for a client of HTTP/1.x, made from the parsed form.
pub(crate) fn write_head(
    out: &mut Vec<u8>,
    response: &Response<'_>,
    facing: Facing,
    additions: &Additions,
) -> Leaving {
    let unframed = matches!(response.framing, Framing::Chunked | Framing::UntilClose);
    let chunk = unframed && !facing.http10;
    let keep = facing.keep && !(unframed && facing.http10);
    write_status(out, response);
    write_fields(out, response, additions);
    if chunk {
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
    Leaving { chunk, keep }
}

/// Appends the head of a response that turns the connection into a WebSocket.
pub(crate) fn write_switch(out: &mut Vec<u8>, response: &Response<'_>, additions: &Additions) {
    write_status(out, response);
    write_fields(out, response, additions);
    out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
}

fn write_status(out: &mut Vec<u8>, response: &Response<'_>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(digits(&mut [0; 20], usize::from(response.status)));
    out.push(b' ');
    out.extend_from_slice(response.reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_fields(out: &mut Vec<u8>, response: &Response<'_>, additions: &Additions) {
    let nominating = nominates(response);
    for field in response.fields {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is_hop_by_hop(field.name)
            || is("content-length")
            || is("transfer-encoding")
            || (nominating && is_nominated(response, field.name))
            || additions.replace(field.name)
        {
            continue;
        }
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
    additions.write(out, response);
}

/// Whether Connection names more than what every neighbour knows.
pub(crate) fn nominates(response: &Response<'_>) -> bool {
    connection(response).any(|value| {
        !(value.eq_ignore_ascii_case(b"keep-alive")
            || value.eq_ignore_ascii_case(b"close")
            || value.eq_ignore_ascii_case(b"upgrade"))
    })
}

/// Whether Connection names `name` (RFC 9110, 7.6.1).
pub(crate) fn is_nominated(response: &Response<'_>, name: &str) -> bool {
    connection(response).any(|value| lists(value, name))
}

fn connection<'b>(response: &Response<'b>) -> impl Iterator<Item = &'b [u8]> {
    let named = |f: &&httparse::Header<'_>| f.name.eq_ignore_ascii_case("connection");
    response.fields.iter().filter(named).map(|f| f.value)
}

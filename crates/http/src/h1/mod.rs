//! HTTP/1.x without I/O: bytes in, parsed heads and body framing out.
//!
//! The codec knows neither sockets nor clocks, and its results borrow from the caller's buffer. elbow
//! writes every head from the parsed form, so that it is unambiguous even if the input was not.

pub mod chunked;
pub mod desync;
pub mod request;
pub mod response;
pub mod scan;

mod fields;
mod simple;

/// How the end of a message body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    Empty,
    /// `Content-Length`, more than 0.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection; responses only.
    UntilClose,
}

/// Limits of a message head (ALB guide: quotas).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The first line, with its line end.
    pub first_line: usize,
    /// Any other line, with its line end.
    pub line: usize,
    /// The whole head, including the empty line. It bounds the number of lines too.
    pub head: usize,
}

/// Limits of a request head.
pub const REQUEST_LIMITS: Limits = Limits {
    first_line: 16 * 1024,
    line: 16 * 1024,
    head: 64 * 1024,
};

/// Limits of a response head.
pub const RESPONSE_LIMITS: Limits = Limits {
    first_line: 32 * 1024,
    line: 32 * 1024,
    head: 32 * 1024,
};

/// Whether `bytes` is a token: one or more token bytes.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(elbow_h2::is_token_byte)
}

/// `bytes` without spaces and tabs at both ends; the grammar has no other white space.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether `name` is among the comma-separated elements of `value`, in any case.
pub(crate) fn lists(value: &[u8], name: &str) -> bool {
    value
        .split(|b| *b == b',')
        .any(|element| trim(element).eq_ignore_ascii_case(name.as_bytes()))
}

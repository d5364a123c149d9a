//! HTTP/1.x without I/O: bytes in, parsed heads and body framing out.
//!
//! Nothing in here knows a socket or a clock, and nothing keeps a borrowed byte longer than the
//! caller's buffer lives. What elbow sends is always made anew from the parsed form, so that it has
//! one reading even where the input had two.

pub mod chunked;
pub mod desync;
pub mod request;
pub mod response;
pub mod scan;

mod fields;

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
    /// Everything up to and with the empty line.
    pub head: usize,
    /// Lines; AWS names no number, this one bounds the work for one head.
    pub lines: usize,
}

/// Most fields that a head may have; AWS names no number.
pub const FIELDS_MAX: usize = 512;

/// Limits of a request head.
pub const REQUEST_LIMITS: Limits = Limits {
    first_line: 16 * 1024,
    line: 16 * 1024,
    head: 64 * 1024,
    lines: FIELDS_MAX + 1,
};

/// Limits of a response head.
pub const RESPONSE_LIMITS: Limits = Limits {
    first_line: 32 * 1024,
    line: 32 * 1024,
    head: 32 * 1024,
    lines: FIELDS_MAX + 1,
};

/// Whether `byte` may be part of a method or field name (RFC 9110, 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
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

/// Whether `bytes` is a token: not empty, token bytes alone.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// `bytes` without spaces and tabs at both ends; other white space is not trimmed, since the
/// grammar knows none.
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

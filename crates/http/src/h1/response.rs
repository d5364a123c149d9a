//! Response heads of targets.

use std::str;

use httparse::{EMPTY_HEADER, Header, Status};

use super::fields::decimal;
use super::scan::ScanError;
use super::{Framing, lists, trim};

/// Fields that are parsed without an allocation.
const FIELDS_USUAL: usize = 32;

/// A response head and what it implies.
#[derive(Clone, Copy, Debug)]
pub struct Response<'b> {
    /// 100-999.
    pub status: u16,
    /// As sent; may be empty.
    pub reason: &'b str,
    /// In the order received.
    pub fields: &'b [Header<'b>],
    /// How the body is framed.
    pub framing: Framing,
    /// `Content-Length`, which HEAD and 304 may carry without a body.
    pub length: Option<u64>,
    /// The target keeps the connection after it.
    pub persistent: bool,
    /// `Connection: upgrade` with `Upgrade: websocket`.
    pub websocket: bool,
}

/// Why a response cannot be passed on; the client gets 502, as from ALB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// Larger than ALB's limit.
    #[error("response head too large")]
    TooLarge,
    /// The first line is not an HTTP/1.x status line.
    #[error("malformed status line")]
    StatusLine,
    /// A malformed field.
    #[error("malformed field in response")]
    Field,
    /// The end of the body is ambiguous.
    #[error("ambiguous framing of response")]
    Framing,
}

impl From<ScanError> for ResponseError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::FirstLineTooLong | ScanError::LineTooLong | ScanError::HeadTooLong => {
                Self::TooLarge
            }
            ScanError::BareLfInFirstLine => Self::StatusLine,
            ScanError::BareLf => Self::Field,
        }
    }
}

/// Parses a head that [`super::scan::Scan`] found complete. `to_head`: the request was HEAD.
pub fn parse<R>(
    head: &[u8],
    lines: usize,
    to_head: bool,
    then: impl FnOnce(&Response<'_>) -> R,
) -> Result<R, ResponseError> {
    let end = memchr::memchr(b'\n', head).map_or(head.len(), |lf| lf + 1);
    let (first, rest) = head.split_at(end);
    let line = Line::parse(first.strip_suffix(b"\r\n").unwrap_or(first))?;
    if lines <= FIELDS_USUAL {
        let mut store = [EMPTY_HEADER; FIELDS_USUAL];
        with_fields(&line, rest, &mut store, to_head, then)
    } else {
        let mut store = vec![EMPTY_HEADER; lines];
        with_fields(&line, rest, &mut store, to_head, then)
    }
}

fn with_fields<'b, R>(
    line: &Line<'b>,
    rest: &'b [u8],
    store: &mut [Header<'b>],
    to_head: bool,
    then: impl FnOnce(&Response<'_>) -> R,
) -> Result<R, ResponseError> {
    let Ok(Status::Complete((_, fields))) = httparse::parse_headers(rest, store) else {
        return Err(ResponseError::Field);
    };
    let mut length = None;
    let (mut coded, mut chunked) = (false, false);
    let (mut close, mut keep_alive, mut upgrade, mut websocket) = (false, false, false, false);
    for Header { name, value } in fields {
        match name.len() {
            7 if name.eq_ignore_ascii_case("upgrade") => {
                websocket |= lists(value, "websocket");
            }
            10 if name.eq_ignore_ascii_case("connection") => {
                close |= lists(value, "close");
                keep_alive |= lists(value, "keep-alive");
                upgrade |= lists(value, "upgrade");
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                let value = decimal(value).ok_or(ResponseError::Framing)?;
                if length.is_some_and(|first| first != value) {
                    return Err(ResponseError::Framing);
                }
                length = Some(value);
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                coded = true;
                for coding in value.split(|b| *b == b',') {
                    let coding = trim(coding);
                    if coding.eq_ignore_ascii_case(b"chunked") && !chunked {
                        chunked = true;
                    } else if !coding.eq_ignore_ascii_case(b"identity") {
                        return Err(ResponseError::Framing);
                    }
                }
            }
            _ => {}
        }
    }
    if coded && line.minor == 0 {
        return Err(ResponseError::Framing);
    }
    let framing = match (chunked, length) {
        _ if to_head || line.status < 200 || matches!(line.status, 204 | 304) => Framing::Empty,
        (true, _) => Framing::Chunked,
        (false, Some(0)) => Framing::Empty,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::UntilClose,
    };
    Ok(then(&Response {
        status: line.status,
        reason: line.reason,
        fields,
        framing,
        length: if chunked { None } else { length },
        // With both framings, another reader on the way may choose the other one.
        persistent: !close
            && framing != Framing::UntilClose
            && (line.minor > 0 || keep_alive)
            && !(coded && length.is_some()),
        websocket: upgrade && websocket,
    }))
}

/// A status line.
struct Line<'b> {
    minor: u8,
    status: u16,
    reason: &'b str,
}

impl<'b> Line<'b> {
    fn parse(line: &'b [u8]) -> Result<Self, ResponseError> {
        let Some([b'1', b'.', minor @ b'0'..=b'9', b' ', rest @ ..]) = line.strip_prefix(b"HTTP/")
        else {
            return Err(ResponseError::StatusLine);
        };
        let (status, reason) = match rest {
            [a, b, c] => ([*a, *b, *c], &[][..]),
            [a, b, c, b' ', reason @ ..] => ([*a, *b, *c], reason),
            _ => return Err(ResponseError::StatusLine),
        };
        let is_control = |b: &u8| (*b < b' ' && *b != b'\t') || *b == 0x7f;
        if reason.iter().any(is_control) {
            return Err(ResponseError::StatusLine);
        }
        let status = decimal(&status).and_then(|status| u16::try_from(status).ok());
        Ok(Self {
            minor: u8::from(*minor > b'0'),
            status: status
                .filter(|status| *status >= 100)
                .ok_or(ResponseError::StatusLine)?,
            // The phrase has no meaning; one that is not UTF-8 is left out.
            reason: str::from_utf8(reason).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;

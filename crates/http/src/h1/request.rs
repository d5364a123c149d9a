//! Parses and classifies request heads, and refuses those that must not be passed on.

use std::str;

use elbow_model::DesyncMitigationMode;
use httparse::{EMPTY_HEADER, Header, Status};

use super::desync::{Reason, Verdict};
use super::fields::{self, Framer, RequestFraming};
use super::scan::ScanError;
use super::simple::simple_target;
use super::{Framing, is_token, lists};
use crate::error::ErrorKind;
use crate::header::head::{RequestHead, Version};
use crate::header::uri::{self, RequestTarget};

/// Fields that are parsed without an allocation.
const FIELDS_USUAL: usize = 32;

/// A request head and what it implies.
#[derive(Clone, Copy, Debug)]
pub struct Request<'b> {
    /// The parsed head, without fields that have no clean form.
    pub head: RequestHead<'b>,
    /// How the body is framed.
    pub framing: Framing,
    /// The client wants to keep the connection.
    pub persistent: bool,
    /// `Expect: 100-continue` on HTTP/1.1.
    pub expects_continue: bool,
    /// A WebSocket handshake.
    pub websocket: bool,
    /// The desync class.
    pub verdict: Verdict,
    /// Why it is refused, although it can be read.
    pub refused: Option<ErrorKind>,
}

/// A head that cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Determines the response; the connection is closed after it.
    pub kind: ErrorKind,
    /// For the log.
    pub verdict: Verdict,
}

impl Refusal {
    /// A head that is malformed for one of the desync reasons.
    fn new(reason: Reason) -> Self {
        Self {
            kind: ErrorKind::BadRequest,
            verdict: Verdict(Some(reason)),
        }
    }

    /// A refusal without a desync class.
    fn unclassified(kind: ErrorKind) -> Self {
        Self {
            kind,
            verdict: Verdict::default(),
        }
    }
}

impl From<ScanError> for Refusal {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::FirstLineTooLong => Self::unclassified(ErrorKind::UriTooLarge),
            ScanError::LineTooLong | ScanError::HeadTooLong => {
                Self::unclassified(ErrorKind::HeaderTooLarge)
            }
            ScanError::BareLfInFirstLine => Self::new(Reason::BadUri),
            ScanError::BareLf => Self::new(Reason::BadHeader),
        }
    }
}

/// Parses a head that [`super::scan::Scan`] found complete: `head` from the first line through the
/// empty line, with `lines` lines; or the first line alone of a Simple-Request. `then` gets the request even if it is
/// refused.
pub fn parse<R>(
    head: &[u8],
    lines: usize,
    mode: DesyncMitigationMode,
    then: impl FnOnce(&Request<'_>) -> R,
) -> Result<R, Refusal> {
    let end = memchr::memchr(b'\n', head).map_or(head.len(), |lf| lf + 1);
    let (first, rest) = head.split_at(end);
    if rest.is_empty() {
        let line = Line::simple(head)?;
        let verdict = Verdict(Some(Reason::NonCompliantVersion));
        let framing = RequestFraming::default();
        return Ok(then(&assemble(&line, &[], &framing, verdict, mode)));
    }
    let first = first.strip_suffix(b"\r\n").unwrap_or(first);
    let mut verdict = Verdict::default();
    let line = Line::parse(first, &mut verdict)?;
    if lines <= FIELDS_USUAL {
        let mut store = [EMPTY_HEADER; FIELDS_USUAL];
        with_fields(&line, rest, &mut store, verdict, mode, then)
    } else {
        let mut store = vec![EMPTY_HEADER; lines];
        with_fields(&line, rest, &mut store, verdict, mode, then)
    }
}

fn with_fields<'b, R>(
    line: &Line<'b>,
    rest: &'b [u8],
    store: &mut [Header<'b>],
    mut verdict: Verdict,
    mode: DesyncMitigationMode,
    then: impl FnOnce(&Request<'_>) -> R,
) -> Result<R, Refusal> {
    let mut framing = RequestFraming::default();
    let refuse = Refusal::new;
    let cleaned;
    let fields = match httparse::parse_headers(rest, store) {
        Ok(Status::Complete((_, fields))) => {
            for field in fields {
                if let Some(framer) = fields::framer(field.name.as_bytes()) {
                    framing
                        .add(framer, field.value, &mut verdict)
                        .map_err(refuse)?;
                }
            }
            fields
        }
        _ => {
            cleaned = fields::lenient(rest, &mut framing, &mut verdict).map_err(refuse)?;
            &cleaned[..]
        }
    };
    if framing.look_alike {
        let clean = |field: &&Header<'_>| {
            let framer = fields::framer(field.name.as_bytes());
            !matches!(
                framer,
                Some(Framer::LooksLikeLength | Framer::LooksLikeCoding)
            )
        };
        let clean: Vec<_> = fields.iter().filter(clean).copied().collect();
        return Ok(then(&assemble(line, &clean, &framing, verdict, mode)));
    }
    Ok(then(&assemble(line, fields, &framing, verdict, mode)))
}

fn assemble<'b>(
    line: &Line<'b>,
    fields: &'b [Header<'b>],
    framing: &RequestFraming,
    mut verdict: Verdict,
    mode: DesyncMitigationMode,
) -> Request<'b> {
    framing.judge(&mut verdict);
    let is_get = matches!(line.method, "GET" | "HEAD");
    let is_old = line.version < Version::Http11;
    match framing.length {
        Some(0) if is_get => verdict.add(Reason::GetHeadZeroContentLength),
        Some(_) if is_get => verdict.add(Reason::UndefinedContentLengthSemantics),
        _ => {}
    }
    if framing.coding && (is_get || is_old) {
        verdict.add(Reason::UndefinedTransferEncodingSemantics);
    }
    let body = match (framing.chunked, framing.length) {
        (true, _) => Framing::Chunked,
        (false, Some(length)) if length > 0 => Framing::Length(length),
        _ => Framing::Empty,
    };
    let control = Control::read(fields);
    let mut request = Request {
        head: RequestHead {
            method: line.method,
            target: RequestTarget::parse(line.target),
            version: line.version,
            fields,
        },
        framing: body,
        persistent: !control.close && (!is_old || (control.keep_alive && body != Framing::Chunked)),
        expects_continue: control.expects_continue && !is_old,
        websocket: control.upgrade
            && control.websocket
            && line.method == "GET"
            && !is_old
            && body == Framing::Empty,
        verdict,
        refused: None,
    };
    request.refused = refusal(line, framing, &control, verdict, mode);
    request
}

/// Why a head is refused, although it can be read.
fn refusal(
    line: &Line<'_>,
    framing: &RequestFraming,
    control: &Control,
    verdict: Verdict,
    mode: DesyncMitigationMode,
) -> Option<ErrorKind> {
    if line.method == "CONNECT" || control.has_invalid_host {
        return Some(ErrorKind::BadRequest);
    }
    if framing.compressed {
        return Some(ErrorKind::UnsupportedTransferCoding);
    }
    if verdict.blocked(mode) {
        return Some(ErrorKind::Desync);
    }
    if framing.unknown {
        // Reached in monitor mode only. Such a body cannot be passed on.
        return Some(ErrorKind::UnsupportedTransferCoding);
    }
    match control.hosts {
        // HTTP/1.0 and 0.9 without Host get one; the absolute form does not replace it (RFC 9112, 3.2).
        0 if line.version >= Version::Http11 => Some(ErrorKind::BadRequest),
        // The same section forbids more than one. ALB accepts them, and its rules see the first.
        2.. if mode == DesyncMitigationMode::Strictest => Some(ErrorKind::BadRequest),
        _ => None,
    }
}

/// Whether `value` may be a Host: nothing, or a host with an optional port (RFC 9110, 7.2).
fn is_host(value: &[u8]) -> bool {
    value.is_empty() || elbow_h2::is_host_and_port(value)
}

/// The fields that control the connection.
#[derive(Default)]
struct Control {
    hosts: usize,
    has_invalid_host: bool,
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    websocket: bool,
    expects_continue: bool,
}

impl Control {
    fn read(fields: &[Header<'_>]) -> Self {
        let mut control = Self::default();
        for Header { name, value } in fields {
            match name.len() {
                4 if name.eq_ignore_ascii_case("host") => {
                    control.hosts += 1;
                    control.has_invalid_host |= !is_host(value);
                }
                6 if name.eq_ignore_ascii_case("expect") => {
                    control.expects_continue |= lists(value, "100-continue");
                }
                7 if name.eq_ignore_ascii_case("upgrade") => {
                    control.websocket |= value.eq_ignore_ascii_case(b"websocket");
                }
                10 if name.eq_ignore_ascii_case("connection") => {
                    control.close |= lists(value, "close");
                    control.keep_alive |= lists(value, "keep-alive");
                    control.upgrade |= lists(value, "upgrade");
                }
                _ => {}
            }
        }
        control
    }
}

/// A request line.
struct Line<'b> {
    method: &'b str,
    target: &'b str,
    /// HTTP/1.1 for all newer versions.
    version: Version,
}

impl<'b> Line<'b> {
    fn parse(line: &'b [u8], verdict: &mut Verdict) -> Result<Self, Refusal> {
        let Some(space) = memchr::memchr(b' ', line) else {
            return Err(Refusal::new(Reason::BadMethod));
        };
        let (method, rest) = line.split_at(space);
        if !is_token(method) {
            return Err(Refusal::new(Reason::BadMethod));
        }
        let rest = rest.get(1..).unwrap_or_default();
        if memchr::memchr2(0, b'\r', rest).is_some() {
            return Err(Refusal::new(Reason::BadUri));
        }
        let (target, version) = match rest.strip_suffix(b" HTTP/1.1") {
            Some(target) => (target, Version::Http11),
            None => Self::version(rest, verdict)?,
        };
        let target = Self::target(target, verdict)?;
        let method = str::from_utf8(method).map_err(|_| Refusal::new(Reason::BadMethod))?;
        let line = Self {
            method,
            target,
            version,
        };
        if uri::is_path_of(method, target) || uri::is_absolute(target) || method == "CONNECT" {
            Ok(line)
        } else {
            Err(Refusal::unclassified(ErrorKind::BadRequest))
        }
    }

    /// The line of a Simple-Request, with its line end.
    fn simple(line: &'b [u8]) -> Result<Self, Refusal> {
        let target = simple_target(line);
        let target = target.ok_or_else(|| Refusal::new(Reason::NonCompliantVersion))?;
        Ok(Self {
            method: "GET",
            target,
            version: Version::Http09,
        })
    }

    /// Splits target and version, for a version other than a clean ` HTTP/1.1`.
    fn version(rest: &'b [u8], verdict: &mut Verdict) -> Result<(&'b [u8], Version), Refusal> {
        let trimmed = rest.trim_ascii_end();
        let space = memchr::memrchr(b' ', trimmed).unwrap_or(0);
        let (target, version) = trimmed.split_at(space);
        let version = version.strip_prefix(b" ").unwrap_or(version);
        if trimmed.len() != rest.len() {
            verdict.add(Reason::NonCompliantVersion);
        }
        let Some(version) = version.strip_prefix(b"HTTP/") else {
            // HTTP/0.9, see `Self::simple`, or a damaged line.
            return Err(Refusal::new(Reason::NonCompliantVersion));
        };
        match version {
            b"1.0" => Ok((target, Version::Http10)),
            b"1.1" => Ok((target, Version::Http11)),
            [b'1', b'.', b'2'..=b'9'] => {
                verdict.add(Reason::NonCompliantVersion);
                Ok((target, Version::Http11))
            }
            // Such as the preface of HTTP/2.
            [b'0' | b'2'..=b'9'] | [b'0' | b'2'..=b'9', b'.', b'0'..=b'9'] => {
                Err(Refusal::unclassified(ErrorKind::UnsupportedVersion))
            }
            _ => Err(Refusal::new(Reason::BadVersion)),
        }
    }

    fn target(target: &'b [u8], verdict: &mut Verdict) -> Result<&'b str, Refusal> {
        let trimmed = target.trim_ascii();
        if trimmed.len() != target.len() {
            verdict.add(Reason::NonCompliantVersion);
        }
        for byte in trimmed {
            match byte {
                b' ' => verdict.add(Reason::SpaceInUri),
                0..b' ' | 0x7f => verdict.add(Reason::AmbiguousUri),
                _ => {}
            }
        }
        str::from_utf8(trimmed).map_err(|_| Refusal::new(Reason::BadUri))
    }
}

#[cfg(test)]
mod tests;

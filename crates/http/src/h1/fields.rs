//! Field lines that the strict parser refuses, and the fields that frame a body.

use std::str;

use httparse::Header;

use super::desync::{Reason, Verdict};
use super::{is_token, trim};

/// Which framing field a name is, or could be taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framer {
    /// `Content-Length`.
    Length,
    /// `Transfer-Encoding`.
    Coding,
    /// Not `Content-Length`, but close enough to be taken for it.
    LooksLikeLength,
    /// Not `Transfer-Encoding`, but close enough to be taken for it.
    LooksLikeCoding,
}

const LENGTH: &[u8] = b"content-length";
const CODING: &[u8] = b"transfer-encoding";

/// What `name` means for framing.
pub(super) fn framer(name: &[u8]) -> Option<Framer> {
    // A look-alike has at least the letters of the name.
    if name.len() < 13 {
        return None;
    }
    if name.eq_ignore_ascii_case(LENGTH) {
        return Some(Framer::Length);
    }
    if name.eq_ignore_ascii_case(CODING) {
        return Some(Framer::Coding);
    }
    if !name.is_ascii() {
        return look_alike(&String::from_utf8_lossy(name));
    }
    let letters_are = |wanted: &[u8]| {
        let letters = name.iter().filter(|b| b.is_ascii_alphanumeric());
        let wanted = wanted.iter().filter(|b| b.is_ascii_alphanumeric());
        letters.map(u8::to_ascii_lowercase).eq(wanted.copied())
    };
    // The first letter rules out most names cheaply.
    match name.iter().find(|b| b.is_ascii_alphanumeric()) {
        Some(b'c' | b'C') if letters_are(LENGTH) => Some(Framer::LooksLikeLength),
        Some(b't' | b'T') if letters_are(CODING) => Some(Framer::LooksLikeCoding),
        _ => None,
    }
}

/// The framing field that a name with other letters than those of ASCII could be taken for: in upper case, `ſ` is `S`.
fn look_alike(name: &str) -> Option<Framer> {
    let letters: String = name
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    let is = |wanted: &[u8]| {
        let wanted = wanted.iter().filter(|b| b.is_ascii_alphanumeric());
        wanted.copied().eq(letters.bytes())
    };
    if is(LENGTH) {
        Some(Framer::LooksLikeLength)
    } else if is(CODING) {
        Some(Framer::LooksLikeCoding)
    } else {
        None
    }
}

/// Whether `name` is a token but for letters outside of ASCII, which ALB passes on
/// (`routing.http.drop_invalid_header_fields.enabled`).
fn is_wide_token(name: &str) -> bool {
    let mut bytes = name.bytes();
    !name.is_empty() && bytes.all(|byte| !byte.is_ascii() || elbow_h2::is_token_byte(byte))
}

/// Reads the field lines of a request that the strict parser refused, as tolerantly as ALB. Fields
/// without a clean form are left out, so they are never passed on. `lines` ends with the empty line,
/// and every LF in it follows a CR.
pub(super) fn lenient<'b>(
    lines: &'b [u8],
    framing: &mut RequestFraming,
    verdict: &mut Verdict,
) -> Result<Vec<Header<'b>>, Reason> {
    let mut fields = Vec::new();
    for line in lines.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        if line.contains(&0) || line.contains(&b'\r') {
            return Err(Reason::BadHeader);
        }
        if trim(line).is_empty() {
            verdict.add(Reason::EmptyHeader);
            continue;
        }
        if let [b' ' | b'\t', ..] = line {
            // A folded line.
            return Err(Reason::BadHeader);
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            return Err(Reason::BadHeader);
        };
        let (name, value) = line.split_at(colon);
        let value = trim(value.get(1..).unwrap_or_default());
        if trim(name).is_empty() {
            verdict.add(Reason::EmptyHeader);
            continue;
        }
        match framer(name) {
            Some(framer) => framing.add(framer, value, verdict)?,
            None if !is_token(name) || value.iter().any(|b| is_control(*b)) => {
                verdict.add(Reason::NonCompliantHeader);
            }
            None => {}
        }
        if let Ok(name) = str::from_utf8(name)
            && is_wide_token(name)
        {
            fields.push(Header { name, value });
        }
    }
    Ok(fields)
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// What the framing fields seen so far say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RequestFraming {
    /// `Content-Length`.
    pub(super) length: Option<u64>,
    /// Whether `Transfer-Encoding` is present.
    pub(super) coding: bool,
    /// Whether `chunked` is among the codings.
    pub(super) chunked: bool,
    /// Whether a known coding that elbow does not pass on is among them: gzip, deflate, compress.
    pub(super) compressed: bool,
    /// Whether an unknown coding is among them.
    pub(super) unknown: bool,
    /// Whether there is a look-alike, so that fields must be filtered.
    pub(super) look_alike: bool,
    looks_like_length: bool,
    looks_like_coding: bool,
}

impl RequestFraming {
    /// Adds one framing field; an error if the request has no valid reading.
    pub(super) fn add(
        &mut self,
        framer: Framer,
        value: &[u8],
        verdict: &mut Verdict,
    ) -> Result<(), Reason> {
        match framer {
            Framer::Length => {
                let length = decimal(value).ok_or(Reason::BadContentLength)?;
                match self.length {
                    Some(first) if first != length => return Err(Reason::MultipleContentLength),
                    Some(_) => verdict.add(Reason::DuplicateContentLength),
                    None => self.length = Some(length),
                }
            }
            Framer::Coding => {
                self.coding = true;
                self.codings(value, verdict);
            }
            Framer::LooksLikeLength | Framer::LooksLikeCoding => {
                self.look_alike = true;
                self.looks_like_length |= framer == Framer::LooksLikeLength;
                self.looks_like_coding |= framer == Framer::LooksLikeCoding;
                verdict.add(Reason::SuspiciousHeader);
            }
        }
        Ok(())
    }

    /// Adds the reasons that follow from all fields together.
    pub(super) fn judge(&self, verdict: &mut Verdict) {
        let (length, coding) = (self.length.is_some(), self.coding);
        if length && coding {
            verdict.add(Reason::BothTeClPresent);
        }
        if (length && self.looks_like_coding) || (coding && self.looks_like_length) {
            verdict.add(Reason::SuspiciousTeClPresent);
        }
        if length && self.looks_like_length {
            verdict.add(Reason::MultipleContentLength);
        }
        if coding && self.looks_like_coding {
            verdict.add(Reason::MultipleTransferEncodingChunked);
        }
    }

    fn codings(&mut self, value: &[u8], verdict: &mut Verdict) {
        for element in value.split(|b| *b == b',') {
            let coding = trim(element.split(|b| *b == b';').next().unwrap_or_default());
            if coding.eq_ignore_ascii_case(b"chunked") {
                if self.chunked {
                    verdict.add(Reason::MultipleTransferEncodingChunked);
                }
                self.chunked = true;
            } else if [&b"gzip"[..], b"deflate", b"compress"]
                .iter()
                .any(|known| coding.eq_ignore_ascii_case(known))
            {
                self.compressed = true;
            } else if !coding.eq_ignore_ascii_case(b"identity") {
                self.unknown = true;
                verdict.add(Reason::BadTransferEncoding);
            }
        }
    }
}

/// Parses a number of decimal digits only, up to 64 bits.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |number, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

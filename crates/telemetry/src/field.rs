//! The fields of an access-log line: numbers, addresses, tokens and quoted text, appended without
//! allocation.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// The last `N` decimal digits of `value`.
pub(crate) fn digits<const N: usize>(mut value: u32) -> [u8; N] {
    let mut text = [b'0'; N];
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    text
}

pub(crate) fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut text = [b'0'; 20]; // u64::MAX has 20 digits
    let mut length = 0;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        length += 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[text.len() - length..]);
}

/// Seconds with three decimals; `-1` for `None`.
pub(crate) fn seconds(out: &mut Vec<u8>, duration: Option<Duration>) {
    let Some(duration) = duration else {
        return out.extend_from_slice(b"-1");
    };
    let millis = u64::from(duration.subsec_micros() + 500) / 1_000;
    number(out, duration.as_secs().saturating_add(millis / 1_000));
    out.push(b'.');
    out.extend_from_slice(&digits::<3>((millis % 1_000) as u32));
}

/// Seconds with six decimals; `-1` for `None`.
pub(crate) fn micros(out: &mut Vec<u8>, duration: Option<Duration>) {
    let Some(duration) = duration else {
        return out.extend_from_slice(b"-1");
    };
    number(out, duration.as_secs());
    out.push(b'.');
    out.extend_from_slice(&digits::<6>(duration.subsec_micros()));
}

/// The load balancer, the client and the target, each preceded by a space; `-` for no target.
pub(crate) fn endpoints(
    out: &mut Vec<u8>,
    elb: &str,
    client: SocketAddr,
    target: Option<SocketAddr>,
) {
    out.push(b' ');
    token(out, elb.as_bytes());
    out.push(b' ');
    address(out, client);
    out.push(b' ');
    match target {
        Some(target) => address(out, target),
        None => out.push(b'-'),
    }
}

pub(crate) fn address(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            let [a, b, c, d] = v4.ip().octets();
            for (octet, end) in [(a, b'.'), (b, b'.'), (c, b'.'), (d, b':')] {
                number(out, octet.into());
                out.push(end);
            }
            number(out, v4.port().into());
        }
        // Writing to a Vec cannot fail.
        SocketAddr::V6(v6) => drop(write!(out, "[{}]:{}", v6.ip(), v6.port())),
    }
}

/// Unquoted text. Bytes that could end the field or the line are escaped; empty text is `-`.
pub(crate) fn token(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() {
        return out.push(b'-');
    }
    escaped(out, text, |b| b != b' ');
}

/// Unquoted text of elbow's own, which needs no escapes; `-` if it is absent or empty.
pub(crate) fn own(out: &mut Vec<u8>, text: Option<&'static str>) {
    let text = text.filter(|text| !text.is_empty()).unwrap_or("-");
    out.extend_from_slice(text.as_bytes());
}

/// The same in quotes.
pub(crate) fn quoted_own(out: &mut Vec<u8>, text: Option<&'static str>) {
    out.push(b'"');
    own(out, text);
    out.push(b'"');
}

/// Quoted text; `"-"` if it is absent or empty.
pub(crate) fn quoted(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) if !text.is_empty() => {
            out.push(b'"');
            quotable(out, text);
            out.push(b'"');
        }
        _ => out.extend_from_slice(b"\"-\""),
    }
}

/// The content of a quoted text.
pub(crate) fn quotable(out: &mut Vec<u8>, text: &[u8]) {
    escaped(out, text, |_| true);
}

/// Copies `text`. `"`, `\`, control bytes, non-ASCII bytes and those that `plain` rejects become `\xNN`,
/// so that no client can end a field or a line.
#[inline]
fn escaped(out: &mut Vec<u8>, text: &[u8], plain: impl Fn(u8) -> bool) {
    let safe = |b: u8| (b' '..=b'~').contains(&b) & (b != b'"') & (b != b'\\') & plain(b);
    // Almost all text is safe. Without an early exit the compiler vectorizes this check.
    if text.iter().fold(true, |all, &b| all & safe(b)) {
        return out.extend_from_slice(text);
    }
    for &byte in text {
        if safe(byte) {
            out.push(byte);
        } else {
            escape(out, byte);
        }
    }
}

#[cold]
fn escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
    out.extend_from_slice(&[b'\\', b'x', HEX[high], HEX[low]]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers() {
        for value in [0, 9, 10, 12_345, u64::MAX] {
            assert_eq!(text(|out| number(out, value)), value.to_string());
        }
    }

    #[test]
    fn seconds_are_rounded_to_milliseconds() {
        for (micros, shown) in [
            (0, "0.000"),
            (499, "0.000"),
            (500, "0.001"),
            (1_234_567, "1.235"),
            (59_999_500, "60.000"),
        ] {
            let duration = Duration::from_micros(micros);
            assert_eq!(text(|out| seconds(out, Some(duration))), shown);
        }
        assert_eq!(text(|out| seconds(out, None)), "-1");
        let longest = text(|out| seconds(out, Some(Duration::MAX)));
        assert_eq!(longest, "18446744073709551615.000");
    }

    #[test]
    fn addresses() {
        for shown in ["10.0.0.1:80", "255.255.255.255:65535", "[2001:db8::1]:443"] {
            assert_eq!(text(|out| address(out, shown.parse().unwrap())), shown);
        }
    }

    #[test]
    fn no_text_can_end_a_field_or_a_line() {
        let evil = b"a \"b\\\r\n\t\x00\x7f\xc3\xa9";
        assert_eq!(
            text(|out| quoted(out, Some(evil))),
            r#""a \x22b\x5C\x0D\x0A\x09\x00\x7F\xC3\xA9""#
        );
        assert_eq!(text(|out| token(out, b"a b\"c\n")), r"a\x20b\x22c\x0A");
        assert_eq!(text(|out| token(out, b"")), "-");
        assert_eq!(text(|out| quoted(out, Some(b""))), "\"-\"");
        assert_eq!(text(|out| quoted(out, None)), "\"-\"");
    }
}

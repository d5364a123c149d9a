//! Base64, as Kubernetes writes bytes (RFC 4648).

/// Decodes base64 with padding, ignoring white space.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let letters: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let stem = letters
        .iter()
        .position(|&b| b == b'=')
        .unwrap_or(letters.len());
    let (digits, padding) = letters.split_at(stem);
    let whole = letters.len().is_multiple_of(4) && padding.len() <= 2;
    if !whole || padding.iter().any(|&b| b != b'=') {
        return None;
    }
    let mut bytes = Vec::with_capacity(letters.len() / 4 * 3);
    let mut pending: u32 = 0;
    let mut bits = 0;
    for &digit in digits {
        pending = pending << 6 | u32::from(value(digit)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(pending >> bits & 0xff).unwrap_or_default());
        }
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn base64_is_decoded() {
        for (text, expected) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9v\nYmFy", Some("foobar")),
            ("Zg", None),
            ("Zg=a", None),
            ("Z===", None),
            ("Z-==", None),
        ] {
            let decoded = decode(text);
            assert_eq!(decoded.as_deref(), expected.map(str::as_bytes), "{text}");
        }
    }
}

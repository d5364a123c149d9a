//! What `:authority` may be (RFC 3986, 3.2).

/// Whether `text` is a host with an optional port and user information.
pub(crate) fn is_valid(text: &[u8]) -> bool {
    // User information may have a percent sign and colons; hosts may not.
    let host = match text.iter().rposition(|byte| *byte == b'@') {
        Some(at) => {
            let (user, rest) = text.split_at(at);
            if !user
                .iter()
                .copied()
                .all(|byte| is_plain(byte) || matches!(byte, b':' | b'%' | b'@'))
            {
                return false;
            }
            rest.get(1..).unwrap_or_default()
        }
        None => text,
    };
    is_host_and_port(host)
}

/// Whether `text` is a host with an optional port: a name, an IPv4 address, or an IPv6 address in brackets (RFC 3986,
/// 3.2.2 and 3.2.3).
///
/// ```
/// use elbow_h2::is_host_and_port;
///
/// assert!(is_host_and_port(b"a.example:8080") && is_host_and_port(b"[::1]:80"));
/// for text in ["", "a/b", "a b", "u@a", "a:x:80"] {
///     assert!(!is_host_and_port(text.as_bytes()), "{text}");
/// }
/// ```
pub fn is_host_and_port(text: &[u8]) -> bool {
    match text {
        [] => false,
        [b'[', literal @ ..] => {
            let Some(end) = literal.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let (address, rest) = literal.split_at(end);
            let port = rest.get(1..).unwrap_or_default();
            // A zone may be in percent-encoding (RFC 6874).
            let is_address = |byte: u8| is_plain(byte) || matches!(byte, b':' | b'%');
            address.iter().copied().all(is_address) && (port.is_empty() || is_port(port))
        }
        _ => {
            let colon = text.iter().position(|byte| *byte == b':');
            let (name, port) = text.split_at(colon.unwrap_or(text.len()));
            name.iter().copied().all(is_plain) && (port.is_empty() || is_port(port))
        }
    }
}

/// Whether `text` is a colon and what may follow it.
fn is_port(text: &[u8]) -> bool {
    matches!(text, [b':', port @ ..] if port.iter().copied().all(is_plain))
}

/// Unreserved bytes and sub-delimiters.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_told_from_other_text() {
        for text in [
            "h",
            "h.example:443",
            "H.example",
            "u:p%20@h:1",
            "[::1]:8443",
            "[fe80::1%25eth0]",
            "h:",
            "127.0.0.1",
        ] {
            assert!(is_valid(text.as_bytes()), "{text}");
        }
        for text in [
            "", "u@", "h/p", "h?q", "h#f", "a b", "h:1:2", "h%41", "[::1", "::1]", "[::1]x", "h\\",
            "\u{e9}",
        ] {
            assert!(!is_valid(text.as_bytes()), "{text}");
        }
    }
}

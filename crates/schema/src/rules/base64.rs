//! Base64 as Go decodes it.

/// The decoded length, if `text` is base64 in the standard alphabet with padding; line ends are ignored.
pub(crate) fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut sextets, mut padding) = (0_u32, 0_u32, 0_u32);
    for byte in text.bytes().filter(|byte| !b"\r\n".contains(byte)) {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(sextet);
        sextets += 1;
        if sextets % 4 == 0 {
            bytes.extend(&bits.to_be_bytes()[1..]);
            bits = 0;
        }
    }
    match (sextets % 4, padding) {
        (0, 0) => {}
        (2, 2) => bytes.extend(&(bits << 12).to_be_bytes()[1..2]),
        (3, 1) => bytes.extend(&(bits << 6).to_be_bytes()[1..3]),
        _ => return None,
    }
    Some(bytes)
}

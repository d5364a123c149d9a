//! Just enough HTTP/1.1 for both ends: where a head ends and how long its body is.

/// Bytes of the large bodies.
pub const LARGE: u64 = 64 << 20;
/// Bytes of the small bodies.
pub const SMALL: usize = 1024;

/// The length of the head at the start of `bytes`, with its empty line, once it is complete.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The value of the head's `Content-Length`.
pub fn content_length(head: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"content-length:";
    head.split(|b| *b == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        if !name.eq_ignore_ascii_case(NAME) {
            return None;
        }
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    })
}

/// The answer with a body of [`SMALL`] bytes.
pub fn small_answer() -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {SMALL}\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + SMALL, b'x');
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_found_with_its_body_length() {
        let answer = small_answer();
        let end = head_end(&answer).unwrap_or_default();
        assert_eq!(answer.len() - end, SMALL);
        assert_eq!(content_length(&answer[..end]), Some(1024));
        assert_eq!(
            content_length(b"A: 1\r\nCONTENT-LENGTH:  7 \r\n\r\n"),
            Some(7)
        );
        assert_eq!(content_length(b"X-Content-Length: 7\r\n\r\n"), None);
        assert_eq!(head_end(b"GET / HTTP/1.1\r\nHost: a\r\n"), None);
    }
}

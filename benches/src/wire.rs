//! The part of HTTP/1.1 that both ends need: the end of a head and the length of its body.

/// The length of the large bodies.
pub const LARGE: u64 = 64 << 20;
/// The length of the small bodies.
pub const SMALL: usize = 1024;

/// Returns the length of the head at the start of `bytes`, with its empty line, once it is complete.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Returns the value of `Content-Length` in a head.
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

/// Returns the response with a body of [`SMALL`] bytes.
pub fn small_response() -> Vec<u8> {
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {SMALL}\r\n\r\n"
    )
    .into_bytes();
    response.resize(response.len() + SMALL, b'x');
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_end_and_content_length_are_found() {
        let answer = small_response();
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

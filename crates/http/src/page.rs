//! Responses that the load balancer makes itself, byte for byte as ALB writes them (parity 1.10).

use std::borrow::Cow;

use bytes::Bytes;

use crate::header::date::HttpDate;
use crate::header::response_fields::ResponseFields;

/// `Server` of every response that the load balancer makes.
pub const SERVER: &str = "awselb/2.0";

/// A response that the load balancer makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalResponse {
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: &'static str,
    /// Of the body; empty without one.
    pub content_type: Cow<'static, str>,
    /// The body; may be empty.
    pub body: Bytes,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Values of Set-Cookie.
    pub cookies: Vec<String>,
    /// Whether Server, Date and Content-Type are left out, as by a Classic load balancer.
    pub bare: bool,
}

impl LocalResponse {
    /// Appends the response as HTTP/1.1. `head_only` leaves out the body, but not its length. `fields`
    /// are those that the listener gives all its responses.
    pub fn write_h1(
        &self,
        out: &mut Vec<u8>,
        date: &HttpDate,
        head_only: bool,
        close: bool,
        fields: Option<&ResponseFields>,
    ) {
        let mut number = [0; 20];
        out.reserve(256 + self.body.len());
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(digits(&mut number, usize::from(self.status)));
        out.push(b' ');
        out.extend_from_slice(self.reason.as_bytes());
        if !self.bare {
            if !fields.is_some_and(|fields| fields.hides_server) {
                out.extend_from_slice(b"\r\nServer: ");
                out.extend_from_slice(SERVER.as_bytes());
            }
            out.extend_from_slice(b"\r\nDate: ");
            out.extend_from_slice(date.as_bytes());
            out.extend_from_slice(b"\r\nContent-Type: ");
            out.extend_from_slice(self.content_type.as_bytes());
        }
        out.extend_from_slice(b"\r\nContent-Length: ");
        out.extend_from_slice(digits(&mut number, self.body.len()));
        out.extend_from_slice(if close {
            b"\r\nConnection: close\r\n".as_slice()
        } else {
            b"\r\nConnection: keep-alive\r\n".as_slice()
        });
        if let Some(location) = &self.location {
            out.extend_from_slice(b"Location: ");
            out.extend_from_slice(location.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        for cookie in &self.cookies {
            out.extend_from_slice(b"Set-Cookie: ");
            out.extend_from_slice(cookie.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if let Some(fields) = fields {
            fields.write(out);
        }
        out.extend_from_slice(b"\r\n");
        if !head_only {
            out.extend_from_slice(&self.body);
        }
    }
}

/// The decimal digits of `value`, written at the end of `buffer`.
pub(crate) fn digits(buffer: &mut [u8; 20], mut value: usize) -> &[u8] {
    let mut start = buffer.len();
    for (at, slot) in buffer.iter_mut().enumerate().rev() {
        // A remainder of ten fits any integer.
        *slot = b'0' + u8::try_from(value % 10).unwrap_or_default();
        start = at;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    buffer.get(start..).unwrap_or_default()
}

/// The pages, each made from one literal so that its body is static.
macro_rules! pages {
    ($($code:literal $text:literal,)*) => {
        fn known(status: u16) -> Option<(&'static str, &'static str)> {
            match status {
                $($code => Some((
                    $text,
                    concat!(
                        "<html>\r\n<head><title>", $code, " ", $text, "</title></head>\r\n",
                        "<body>\r\n<center><h1>", $code, " ", $text, "</h1></center>\r\n",
                        "</body>\r\n</html>\r\n"
                    ),
                )),)*
                _ => None,
            }
        }
    };
}

pages! {
    301 "Moved Permanently",
    302 "Found",
    400 "Bad Request",
    401 "Authorization Required",
    403 "Forbidden",
    405 "Not Allowed",
    408 "Request Time-out",
    413 "Request Entity Too Large",
    414 "Request-URI Too Large",
    460 "Client Closed Request",
    463 "Too Many Forwarded Addresses",
    464 "Incompatible Protocol Versions",
    500 "Internal Server Error",
    501 "Not Implemented",
    502 "Bad Gateway",
    503 "Service Temporarily Unavailable",
    504 "Gateway Time-out",
    505 "HTTP Version Not Supported",
    507 "Insufficient Storage",
    561 "Authentication Failed",
    562 "JWKS Request Failed",
}

/// The error or redirect page of `status`; a status without a page has an empty body.
pub fn page(status: u16) -> LocalResponse {
    let (reason, body) = known(status).unwrap_or_default();
    LocalResponse {
        status,
        reason,
        content_type: Cow::Borrowed("text/html"),
        body: Bytes::from_static(body.as_bytes()),
        location: None,
        cookies: Vec::new(),
        bare: false,
    }
}

/// The page for a request without TLS at an HTTPS listener (parity 1.10).
pub(crate) fn plain_http() -> LocalResponse {
    const BODY: &str = concat!(
        "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n",
        "<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n",
        "<center>The plain HTTP request was sent to HTTPS port</center>\r\n",
        "</body>\r\n</html>\r\n"
    );
    LocalResponse {
        body: Bytes::from_static(BODY.as_bytes()),
        ..page(400)
    }
}

/// The reason phrase of any status that a fixed response may have.
pub fn reason(status: u16) -> &'static str {
    match known(status) {
        Some((reason, _)) => reason,
        None => http::StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Parity 1.10: the lengths that real load balancers and the template give.
    #[test]
    fn pages_have_the_lengths_of_the_real_ones() {
        let table = [
            (503, "Service Temporarily Unavailable", 162),
            (502, "Bad Gateway", 122),
            (301, "Moved Permanently", 134),
            (302, "Found", 110),
            (403, "Forbidden", 118),
            (400, "Bad Request", 122),
            (405, "Not Allowed", 122),
            (413, "Request Entity Too Large", 148),
            (414, "Request-URI Too Large", 142),
            (500, "Internal Server Error", 142),
            (501, "Not Implemented", 130),
            (504, "Gateway Time-out", 132),
        ];
        for (status, reason, length) in table {
            let page = page(status);
            assert_eq!((page.reason, page.body.len()), (reason, length), "{status}");
        }
    }

    // Parity check 1.
    #[test]
    fn page_of_503_is_written_byte_for_byte() {
        let mut out = Vec::new();
        let date = HttpDate::from_unix(784_111_777);
        page(503).write_h1(&mut out, &date, false, false, None);
        let expected = concat!(
            "HTTP/1.1 503 Service Temporarily Unavailable\r\n",
            "Server: awselb/2.0\r\n",
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            "Content-Type: text/html\r\n",
            "Content-Length: 162\r\n",
            "Connection: keep-alive\r\n",
            "\r\n",
            "<html>\r\n",
            "<head><title>503 Service Temporarily Unavailable</title></head>\r\n",
            "<body>\r\n",
            "<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n",
            "</body>\r\n",
            "</html>\r\n",
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn head_gets_the_length_without_the_body_and_close_is_said() {
        let mut out = Vec::new();
        page(400).write_h1(&mut out, &HttpDate::from_unix(0), true, true, None);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.ends_with("Content-Length: 122\r\nConnection: close\r\n\r\n"),
            "{text}"
        );
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        let mut buffer = [0; 20];
        assert_eq!(digits(&mut buffer, 0), b"0");
        assert_eq!(digits(&mut buffer, 1024), b"1024");
        assert_eq!(
            digits(&mut buffer, usize::MAX),
            usize::MAX.to_string().as_bytes()
        );
    }

    #[test]
    fn fixed_responses_have_a_reason_for_every_usual_status() {
        assert_eq!(reason(200), "OK");
        assert_eq!(reason(404), "Not Found");
        assert_eq!(reason(503), "Service Temporarily Unavailable");
        assert_eq!(reason(599), "");
    }
}

//! What a Classic load balancer does otherwise than an ALB (parity section 4).

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use elbow_model::LoadBalancerAttributes;

use crate::error::ErrorKind;
use crate::head::RequestHead;
use crate::page::LocalResponse;

/// Longest method, in characters (CLB guide: HTTP errors, 405).
const MAX_METHOD: usize = 127;

/// `attributes` with what is fixed: Host goes on as it came, and a connection lives as long as it is
/// used.
pub(crate) fn attributes(attributes: &LoadBalancerAttributes) -> LoadBalancerAttributes {
    LoadBalancerAttributes {
        preserve_host_header: true,
        client_keep_alive: Duration::MAX,
        http2_enabled: false,
        ..attributes.clone()
    }
}

/// The status of a request that can be read and is not taken (CLB guide: HTTP errors).
pub(crate) fn refusal(head: &RequestHead<'_>) -> Option<u16> {
    if head.method.len() > MAX_METHOD {
        return Some(405);
    }
    head.target.contains(' ').then_some(400)
}

/// What an ALB says with `status`, in the few that a Classic load balancer knows.
pub(crate) fn status(status: u16) -> u16 {
    match status {
        405 | 408 | 502 | 503 | 504 => status,
        500.. if status != 501 && status != 505 => 503,
        _ => 400,
    }
}

/// The status of `kind` (CLB guide: HTTP errors); `as_alb` is what an ALB answers.
pub(crate) fn error_status(kind: ErrorKind, as_alb: u16) -> u16 {
    match kind {
        // The client gave up, or sent half a request.
        ErrorKind::RequestTimeout
        | ErrorKind::BodyAborted
        | ErrorKind::BodyTimeout
        | ErrorKind::ClientGone => 408,
        // There is no instance to be had. The guide lists draining that is off among the causes.
        ErrorKind::NoTargets
        | ErrorKind::ConnectFailed
        | ErrorKind::TargetTls
        | ErrorKind::TargetCut => 503,
        // It was silent for the idle timeout, or closed the connection.
        ErrorKind::TargetClosed
        | ErrorKind::TargetTimeout
        | ErrorKind::ConnectTimeout
        | ErrorKind::TargetTlsTimeout => 504,
        _ => status(as_alb),
    }
}

/// A response of our own: a status line and no body.
pub(crate) fn page(status: u16) -> LocalResponse {
    let reason = match status {
        405 => "METHOD_NOT_ALLOWED",
        408 => "REQUEST_TIMEOUT",
        502 => "BAD_GATEWAY",
        503 => "Service Unavailable: Back-end server is at capacity",
        504 => "GATEWAY_TIMEOUT",
        _ => "BAD_REQUEST",
    };
    LocalResponse {
        status,
        reason,
        content_type: Cow::Borrowed(""),
        body: Bytes::new(),
        location: None,
        bare: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::HttpDate;
    use crate::error::Error;

    // CLB guide, HTTP errors: 400, 405, 408, 502, 503, 504 and no other.
    #[test]
    fn every_error_has_a_status_of_the_guide() {
        use ErrorKind as K;
        for kind in K::ALL {
            let expected = match kind {
                K::BadResponse | K::ResponseHeaderTooLarge => 502,
                K::NoBuffer | K::NoTargets | K::ConnectFailed | K::TargetTls | K::TargetCut => 503,
                K::TargetClosed | K::TargetTimeout | K::ConnectTimeout | K::TargetTlsTimeout => 504,
                K::RequestTimeout | K::BodyAborted | K::BodyTimeout | K::ClientGone => 408,
                K::MethodNotAllowed => 405,
                K::NoDescriptor | K::NoLocalPort | K::NoKernelMemory | K::Stopping => 503,
                K::RedirectTooLong | K::Transform | K::Internal => 503,
                _ => 400,
            };
            let as_alb = Error::from(kind).status();
            assert_eq!(error_status(kind, as_alb), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_response_of_our_own_is_a_line_without_a_body() {
        for (status, close, text) in [
            (
                503,
                false,
                "HTTP/1.1 503 Service Unavailable: Back-end server is at capacity\r\n\
                 Content-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            ),
            (
                400,
                true,
                "HTTP/1.1 400 BAD_REQUEST\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            ),
            (
                504,
                false,
                "HTTP/1.1 504 GATEWAY_TIMEOUT\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            ),
        ] {
            let mut out = Vec::new();
            page(status).write_h1(&mut out, &HttpDate::from_unix(0), false, close, None);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}

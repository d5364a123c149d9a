//! Refusals, status codes and error pages, as the personality of a load balancer has them (parity
//! 1.10 and section 4).

use std::borrow::Cow;

use bytes::Bytes;
use elbow_model::personality::{ErrorPages, ErrorStatuses, HttpPersonality};

use crate::error::ErrorKind;
use crate::header::head::RequestHead;
use crate::page::{self, LocalResponse};

/// Why a load balancer refuses `head`, although it can be read.
pub(crate) fn refusal(personality: &HttpPersonality, head: &RequestHead<'_>) -> Option<ErrorKind> {
    let max_method = personality.max_method_length;
    if max_method.is_some_and(|max| head.method.len() > max)
        || (personality.refuses_trace && head.method == "TRACE")
    {
        return Some(ErrorKind::MethodNotAllowed);
    }
    (personality.refuses_space_in_target && head.target.text.contains(' '))
        .then_some(ErrorKind::BadRequest)
}

/// The status that a client gets for an error of `kind`.
pub(crate) fn status(personality: &HttpPersonality, kind: ErrorKind) -> u16 {
    match personality.error_statuses {
        ErrorStatuses::Application => kind.status(),
        ErrorStatuses::Classic => classic_status(kind),
    }
}

/// The response for an error with this status.
pub(crate) fn page(personality: &HttpPersonality, status: u16) -> LocalResponse {
    match personality.error_pages {
        ErrorPages::Html => page::page(status),
        ErrorPages::StatusLine => status_line(status),
    }
}

/// CLB guide, HTTP errors: 400, 405, 408, 502, 503 and 504 are all that there is.
fn classic_status(kind: ErrorKind) -> u16 {
    match kind {
        // The client gave up, or sent half a request.
        ErrorKind::RequestTimeout
        | ErrorKind::BodyAborted
        | ErrorKind::BodyTimeout
        | ErrorKind::ClientGone => 408,
        // No instance can be had. The guide lists connection draining that is off among the causes.
        ErrorKind::NoTargets
        | ErrorKind::ConnectFailed
        | ErrorKind::TargetTls
        | ErrorKind::TargetPublicKey
        | ErrorKind::TargetCut => 503,
        // The instance was silent for the idle timeout, or closed the connection.
        ErrorKind::TargetClosed
        | ErrorKind::TargetTimeout
        | ErrorKind::ConnectTimeout
        | ErrorKind::TargetTlsTimeout => 504,
        _ => match kind.status() {
            known @ (405 | 408 | 502 | 503 | 504) => known,
            501 | 505 => 400,
            500.. => 503,
            _ => 400,
        },
    }
}

/// A response of a status line and no body.
fn status_line(status: u16) -> LocalResponse {
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
        cookies: Vec::new(),
        bare: true,
    }
}

#[cfg(test)]
mod tests {
    use elbow_model::Personality;

    use super::*;
    use crate::header::date::HttpDate;
    use crate::test_kit::get;

    const ALB: HttpPersonality = Personality::APPLICATION.http;
    const CLB: HttpPersonality = Personality::CLASSIC.http;

    /// The refusal of `method target`.
    fn refused(personality: &HttpPersonality, method: &str, target: &str) -> Option<ErrorKind> {
        let head = RequestHead {
            method,
            ..get(target, &[])
        };
        refusal(personality, &head)
    }

    // Parity check 17.
    #[test]
    fn alb_refuses_trace_and_nothing_else() {
        let refused = |method: &str, target: &str| refused(&ALB, method, target);
        assert_eq!(refused("TRACE", "/"), Some(ErrorKind::MethodNotAllowed));
        assert_eq!(refused("trace", "/"), None);
        assert_eq!(refused(&"X".repeat(128), "/a b"), None);
    }

    // CLB guide, HTTP errors: 405 and 400.
    #[test]
    fn clb_refuses_long_methods_and_spaces() {
        let refused = |method: &str, target: &str| refused(&CLB, method, target);
        assert_eq!(refused("TRACE", "/"), None);
        assert_eq!(refused(&"X".repeat(127), "/"), None);
        let long = "X".repeat(128);
        assert_eq!(refused(&long, "/"), Some(ErrorKind::MethodNotAllowed));
        assert_eq!(refused("GET", "/a b"), Some(ErrorKind::BadRequest));
    }

    // Parity 1.10.
    #[test]
    fn alb_has_a_page_for_every_error() {
        for &kind in ErrorKind::ALL {
            let status = status(&ALB, kind);
            let page = page(&ALB, status);
            assert_eq!((status, page.status), (kind.status(), status));
            assert!(!page.body.is_empty(), "{kind:?}");
        }
    }

    // CLB guide, HTTP errors: 400, 405, 408, 502, 503, 504 and no other.
    #[test]
    fn clb_has_a_status_of_the_guide_for_every_error() {
        use ErrorKind as K;
        for &kind in K::ALL {
            let expected = match kind {
                K::BadResponse | K::ResponseHeaderTooLarge | K::TargetProtocol => 502,
                K::SurgeQueueFull => 503,
                K::NoBuffer | K::NoTargets | K::ConnectFailed | K::TargetTls | K::TargetCut => 503,
                K::TargetPublicKey => 503,
                K::TargetClosed | K::TargetTimeout | K::ConnectTimeout | K::TargetTlsTimeout => 504,
                K::RequestTimeout | K::BodyAborted | K::BodyTimeout | K::ClientGone => 408,
                K::MethodNotAllowed => 405,
                K::NoDescriptor | K::NoLocalPort | K::NoKernelMemory | K::Stopping => 503,
                K::RedirectTooLong | K::Transform | K::Internal => 503,
                K::ProviderUnavailable | K::ProviderFailed | K::KeysFailed => 503,
                _ => 400,
            };
            assert_eq!(status(&CLB, kind), expected, "{kind:?}");
        }
    }

    #[test]
    fn clb_answers_with_a_status_line_without_a_body() {
        for (status, close, text) in [
            (
                503,
                false,
                "HTTP/1.1 503 Service Unavailable: Back-end server is at capacity\r\n\
                 Content-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            ),
            (
                405,
                false,
                "HTTP/1.1 405 METHOD_NOT_ALLOWED\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            ),
            (
                408,
                true,
                "HTTP/1.1 408 REQUEST_TIMEOUT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            ),
            (
                502,
                false,
                "HTTP/1.1 502 BAD_GATEWAY\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
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
            page(&CLB, status).write_h1(&mut out, &HttpDate::from_unix(0), false, close, None);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}

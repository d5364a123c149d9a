use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::field::{address, endpoints, number, own, quotable, quoted, quoted_own, seconds, token};
use crate::stamp::Timestamps;

/// User agents are truncated to this many bytes (ALB guide: access logs).
pub(crate) const MAX_USER_AGENT: usize = 8 * 1024;

/// One request of an ALB, written as a line of its access log with the fields in AWS's order
/// (ALB guide: access logs). `None` and empty text are written as `-`.
///
/// Text that a client can influence is arbitrary bytes; those that could end a field or the line are
/// escaped as `\xNN`. Static text is elbow's own, and written as it is.
#[derive(Clone, Debug)]
pub struct AccessRecord<'a> {
    /// 1: protocol of the request.
    pub kind: RequestType,
    /// 2: when the response was generated, or a WebSocket was closed.
    pub time: SystemTime,
    /// 3: `app/name/id`.
    pub elb: &'a str,
    /// 4: the peer.
    pub client: SocketAddr,
    /// 5: the target of the request.
    pub target: Option<SocketAddr>,
    /// 6: from request received to request sent; `None` (-1) if it was not sent.
    pub request_processing_time: Option<Duration>,
    /// 7: from request sent to first byte of the response; `None` (-1) without a response.
    pub target_processing_time: Option<Duration>,
    /// 8: from first byte of the response to sending it to the client; `None` (-1) if it was not sent.
    pub response_processing_time: Option<Duration>,
    /// 9: status sent to the client, or a code like 460.
    pub elb_status_code: Option<u16>,
    /// 10: status sent by the target.
    pub target_status_code: Option<u16>,
    /// 11: bytes from the client including headers, excluding TLS.
    pub received_bytes: u64,
    /// 12: bytes to the client including headers, excluding TLS.
    pub sent_bytes: u64,
    /// 13: the request line.
    pub request: RequestLine<'a>,
    /// 14: `User-Agent`, truncated to 8 KiB.
    pub user_agent: Option<&'a [u8]>,
    /// 15: OpenSSL's name of the cipher suite.
    pub ssl_cipher: Option<&'static str>,
    /// 16: `TLSv1.2`, `TLSv1.3`.
    pub ssl_protocol: Option<&'static str>,
    /// 17: the target group.
    pub target_group_arn: Option<&'a str>,
    /// 18: `X-Amzn-Trace-Id` as sent to the target.
    pub trace_id: Option<&'a [u8]>,
    /// 19: SNI; `None` if the default certificate was served.
    pub domain_name: Option<&'a [u8]>,
    /// 20: certificate served; `session-reused` if the session was resumed.
    pub chosen_cert_arn: Option<&'a str>,
    /// 21: 1-50000; 0 for the default action; -1 if a rule failed; `None` for other errors.
    pub matched_rule_priority: Option<i32>,
    /// 22: when the request was received.
    pub request_creation_time: SystemTime,
    /// 23: `forward`, `redirect`, `fixed-response`; separated by commas.
    pub actions_executed: Option<&'static str>,
    /// 24: location of a redirect action.
    pub redirect_url: Option<&'a [u8]>,
    /// 25: one of AWS's error reasons.
    pub error_reason: Option<&'static str>,
    /// 26: all targets tried.
    pub target_list: &'a [SocketAddr],
    /// 27: their status codes.
    pub target_status_code_list: &'a [u16],
    /// 28: `Acceptable`, `Ambiguous`, `Severe`.
    pub classification: Option<&'static str>,
    /// 29: the reason for the classification.
    pub classification_reason: Option<&'static str>,
    /// 30: `TID_` and hex digits, unique per connection.
    pub conn_trace_id: Option<&'a str>,
    /// 31: host after a rewrite.
    pub transformed_host: Option<&'a [u8]>,
    /// 32: URI after a rewrite.
    pub transformed_uri: Option<&'a [u8]>,
    /// 33: for example `TransformSuccess`.
    pub request_transform_status: Option<&'static str>,
}

/// Field 13: `METHOD scheme://host:port/uri HTTP/x.y`. Empty parts are written as `-`, as AWS does for
/// malformed requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestLine<'a> {
    /// Method as received.
    pub method: &'a [u8],
    /// `http`, `https`, `ws`, `wss`.
    pub scheme: &'static str,
    /// `Host` or authority, with or without its port.
    pub host: &'a [u8],
    /// Port of the listener.
    pub port: u16,
    /// Path and query as received.
    pub uri: &'a [u8],
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub version: &'static str,
}

/// Field 1 of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestType {
    /// HTTP without TLS.
    Http,
    /// HTTP/1 over TLS.
    Https,
    /// HTTP/2 over TLS.
    H2,
    /// gRPC over TLS.
    Grpcs,
    /// WebSocket without TLS.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl RequestType {
    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2 => "h2",
            Self::Grpcs => "grpcs",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

impl AccessRecord<'_> {
    /// Appends the line, including the line feed.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        self.write_with(&mut Timestamps::default(), out);
    }

    /// Like [`Self::write_to`], but writes times with the cache of `timestamps`.
    pub(crate) fn write_with(&self, timestamps: &mut Timestamps, out: &mut Vec<u8>) {
        self.write_numbers(timestamps, out);
        self.write_texts(timestamps, out);
        out.push(b'\n');
    }

    /// Fields 1 to 12, each followed by a space.
    fn write_numbers(&self, timestamps: &mut Timestamps, out: &mut Vec<u8>) {
        out.extend_from_slice(self.kind.as_str().as_bytes());
        out.push(b' ');
        timestamps.write(self.time, out);
        endpoints(out, self.elb, self.client, self.target);
        for duration in [
            self.request_processing_time,
            self.target_processing_time,
            self.response_processing_time,
        ] {
            out.push(b' ');
            seconds(out, duration);
        }
        for status in [self.elb_status_code, self.target_status_code] {
            out.push(b' ');
            match status {
                Some(status) => number(out, status.into()),
                None => out.push(b'-'),
            }
        }
        for bytes in [self.received_bytes, self.sent_bytes] {
            out.push(b' ');
            number(out, bytes);
        }
        out.push(b' ');
    }

    /// Fields 13 to 33.
    fn write_texts(&self, timestamps: &mut Timestamps, out: &mut Vec<u8>) {
        self.request.write_to(out);
        let user_agent = self.user_agent.map(|u| &u[..u.len().min(MAX_USER_AGENT)]);
        quoted_next(out, user_agent);
        for text in [self.ssl_cipher, self.ssl_protocol] {
            out.push(b' ');
            own(out, text);
        }
        out.push(b' ');
        token(out, self.target_group_arn.unwrap_or_default().as_bytes());
        quoted_next(out, self.trace_id);
        quoted_next(out, self.domain_name);
        quoted_next(out, self.chosen_cert_arn.map(str::as_bytes));
        out.push(b' ');
        self.write_priority(out);
        out.push(b' ');
        timestamps.write(self.request_creation_time, out);
        out.push(b' ');
        quoted_own(out, self.actions_executed);
        quoted_next(out, self.redirect_url);
        out.push(b' ');
        quoted_own(out, self.error_reason);
        quoted_list(out, self.target_list, |out, &target| address(out, target));
        quoted_list(out, self.target_status_code_list, |out, &status| {
            number(out, status.into());
        });
        out.push(b' ');
        quoted_own(out, self.classification);
        out.push(b' ');
        quoted_own(out, self.classification_reason);
        out.push(b' ');
        token(out, self.conn_trace_id.unwrap_or_default().as_bytes());
        quoted_next(out, self.transformed_host);
        quoted_next(out, self.transformed_uri);
        out.push(b' ');
        quoted_own(out, self.request_transform_status);
    }

    fn write_priority(&self, out: &mut Vec<u8>) {
        match self.matched_rule_priority {
            Some(priority) => {
                if priority < 0 {
                    out.push(b'-');
                }
                number(out, priority.unsigned_abs().into());
            }
            None => out.push(b'-'),
        }
    }
}

impl RequestLine<'_> {
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        let part = |out: &mut Vec<u8>, text: &[u8]| match text {
            [] => out.push(b'-'),
            text => quotable(out, text),
        };
        out.push(b'"');
        part(out, self.method);
        out.push(b' ');
        own(out, Some(self.scheme));
        out.extend_from_slice(b"://");
        part(out, without_port(self.host));
        out.push(b':');
        number(out, self.port.into());
        part(out, self.uri);
        out.push(b' ');
        own(out, Some(self.version));
        out.push(b'"');
    }
}

/// The `host` of `host:port`; an IPv6 address keeps its brackets.
fn without_port(authority: &[u8]) -> &[u8] {
    let Some(colon) = authority.iter().rposition(|&b| b == b':') else {
        return authority;
    };
    let (host, port) = authority.split_at(colon);
    // After the last colon of a bracketed address there is at least the bracket.
    let is_port = port[1..].iter().all(u8::is_ascii_digit);
    if is_port { host } else { authority }
}

fn quoted_next(out: &mut Vec<u8>, text: Option<&[u8]>) {
    out.push(b' ');
    quoted(out, text);
}

/// Appends a list; AWS separates its members by spaces.
fn quoted_list<T>(out: &mut Vec<u8>, list: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.extend_from_slice(b" \"");
    if list.is_empty() {
        out.push(b'-');
    }
    for (i, member) in list.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        write(out, member);
    }
    out.push(b'"');
}

#[cfg(test)]
pub(crate) mod tests;

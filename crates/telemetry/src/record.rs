use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::Stamps;
use crate::field::{address, number, parties, quotable, quoted, seconds, token};

/// A user agent is cut here (ALB guide: access logs).
pub(crate) const MAX_USER_AGENT: usize = 8 * 1024;

/// One request of an ALB: a line of its access log, field by field in AWS's order
/// (ALB guide: access logs). `None` and empty text are shown as `-`.
///
/// Text that a client can influence comes as bytes, whatever they are; what could end a field or
/// the line is escaped as `\xNN`.
#[derive(Clone, Debug)]
pub struct AccessRecord<'a> {
    /// 1: what the client spoke.
    pub kind: RequestType,
    /// 2: the response was generated; a WebSocket was closed.
    pub time: SystemTime,
    /// 3: `app/name/id`.
    pub elb: &'a str,
    /// 4: the peer.
    pub client: SocketAddr,
    /// 5: where the request was sent.
    pub target: Option<SocketAddr>,
    /// 6: request received to request sent; `None` (-1) when it was not sent.
    pub request_processing_time: Option<Duration>,
    /// 7: request sent to first byte of the response; `None` (-1) when there was none.
    pub target_processing_time: Option<Duration>,
    /// 8: first byte of the response to its sending to the client; `None` (-1) when not.
    pub response_processing_time: Option<Duration>,
    /// 9: the status that the client got, or 460 and the like.
    pub elb_status_code: Option<u16>,
    /// 10: the status that the target gave.
    pub target_status_code: Option<u16>,
    /// 11: from the client, with headers, without TLS.
    pub received_bytes: u64,
    /// 12: to the client, with headers, without TLS.
    pub sent_bytes: u64,
    /// 13: the request line.
    pub request: RequestLine<'a>,
    /// 14: `User-Agent`; cut at 8 KiB.
    pub user_agent: Option<&'a [u8]>,
    /// 15: OpenSSL's name of the cipher suite.
    pub ssl_cipher: Option<&'a str>,
    /// 16: `TLSv1.2`, `TLSv1.3`.
    pub ssl_protocol: Option<&'a str>,
    /// 17: the group of the target.
    pub target_group_arn: Option<&'a str>,
    /// 18: `X-Amzn-Trace-Id` as it was sent to the target.
    pub trace_id: Option<&'a [u8]>,
    /// 19: SNI; `None` when the default certificate was served.
    pub domain_name: Option<&'a [u8]>,
    /// 20: certificate served; `session-reused` when the session was resumed.
    pub chosen_cert_arn: Option<&'a str>,
    /// 21: 1-50000; 0 the default action; -1 a rule failed; `None` for other errors.
    pub matched_rule_priority: Option<i32>,
    /// 22: the request was received.
    pub request_creation_time: SystemTime,
    /// 23: `forward`, `redirect`, `fixed-response`; a comma between several.
    pub actions_executed: Option<&'a str>,
    /// 24: where a redirect action sent the client.
    pub redirect_url: Option<&'a [u8]>,
    /// 25: one of AWS's reasons.
    pub error_reason: Option<&'a str>,
    /// 26: every target tried.
    pub target_list: &'a [SocketAddr],
    /// 27: what they answered.
    pub target_status_code_list: &'a [u16],
    /// 28: `Acceptable`, `Ambiguous`, `Severe`.
    pub classification: Option<&'a str>,
    /// 29: why.
    pub classification_reason: Option<&'a str>,
    /// 30: `TID_` and hex digits: one per connection.
    pub conn_trace_id: Option<&'a str>,
    /// 31: host after a rewrite.
    pub transformed_host: Option<&'a [u8]>,
    /// 32: URI after a rewrite.
    pub transformed_uri: Option<&'a [u8]>,
    /// 33: `TransformSuccess` and the like.
    pub request_transform_status: Option<&'a str>,
}

/// Field 13: `METHOD scheme://host:port/uri HTTP/x.y`. Empty parts are shown as `-`, as AWS does
/// for requests that it could not read.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestLine<'a> {
    /// As received.
    pub method: &'a [u8],
    /// `http`, `https`, `ws`, `wss`.
    pub scheme: &'a str,
    /// `Host` or authority, with or without its port.
    pub host: &'a [u8],
    /// Of the listener.
    pub port: u16,
    /// Path and query as received.
    pub uri: &'a [u8],
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub version: &'a str,
}

/// Field 1 of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestType {
    /// HTTP in clear.
    Http,
    /// HTTP/1 over TLS.
    Https,
    /// HTTP/2 over TLS.
    H2,
    /// gRPC over TLS.
    Grpcs,
    /// WebSocket in clear.
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
    /// Appends the line, with its line feed.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        self.write_with(&mut Stamps::default(), out);
    }

    /// As [`Self::write_to`], with times written by `stamps`, which remembers the last second.
    pub fn write_with(&self, stamps: &mut Stamps, out: &mut Vec<u8>) {
        self.write_facts(stamps, out);
        self.write_texts(stamps, out);
        out.push(b'\n');
    }

    /// Fields 1 to 12, each with the space after it.
    fn write_facts(&self, stamps: &mut Stamps, out: &mut Vec<u8>) {
        out.extend_from_slice(self.kind.as_str().as_bytes());
        out.push(b' ');
        stamps.write(self.time, out);
        parties(out, self.elb, self.client, self.target);
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
    fn write_texts(&self, stamps: &mut Stamps, out: &mut Vec<u8>) {
        self.request.write_to(out);
        let user_agent = self.user_agent.map(|u| &u[..u.len().min(MAX_USER_AGENT)]);
        quoted_next(out, user_agent);
        for text in [self.ssl_cipher, self.ssl_protocol, self.target_group_arn] {
            out.push(b' ');
            token(out, text.unwrap_or_default().as_bytes());
        }
        quoted_next(out, self.trace_id);
        quoted_next(out, self.domain_name);
        quoted_next(out, self.chosen_cert_arn.map(str::as_bytes));
        out.push(b' ');
        self.write_priority(out);
        out.push(b' ');
        stamps.write(self.request_creation_time, out);
        quoted_next(out, self.actions_executed.map(str::as_bytes));
        quoted_next(out, self.redirect_url);
        quoted_next(out, self.error_reason.map(str::as_bytes));
        quoted_list(out, self.target_list, |out, &target| address(out, target));
        quoted_list(out, self.target_status_code_list, |out, &status| {
            number(out, status.into());
        });
        quoted_next(out, self.classification.map(str::as_bytes));
        quoted_next(out, self.classification_reason.map(str::as_bytes));
        out.push(b' ');
        token(out, self.conn_trace_id.unwrap_or_default().as_bytes());
        quoted_next(out, self.transformed_host);
        quoted_next(out, self.transformed_uri);
        quoted_next(out, self.request_transform_status.map(str::as_bytes));
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
        part(out, self.scheme.as_bytes());
        out.extend_from_slice(b"://");
        part(out, without_port(self.host));
        out.push(b':');
        number(out, self.port.into());
        part(out, self.uri);
        out.push(b' ');
        part(out, self.version.as_bytes());
        out.push(b'"');
    }
}

/// `host` of `host:port`; an IPv6 address keeps its brackets.
fn without_port(authority: &[u8]) -> &[u8] {
    let Some(colon) = authority.iter().rposition(|&b| b == b':') else {
        return authority;
    };
    let (host, port) = authority.split_at(colon);
    // The colons of an address in brackets are not followed by digits alone.
    let is_port = port[1..].iter().all(u8::is_ascii_digit);
    if is_port { host } else { authority }
}

fn quoted_next(out: &mut Vec<u8>, text: Option<&[u8]>) {
    out.push(b' ');
    quoted(out, text);
}

/// AWS puts spaces between the members of a list.
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
mod tests;

//! The lines of the access logs.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use elbow_model::personality::AccessLogFormat;
use elbow_net::ConnMeta;
use elbow_telemetry::{
    AccessRecord, ClassicRecord, LogBuffers, LogStream, RequestLine, RequestType,
};

use super::Record;
use crate::header::head::Version;
use crate::listener::Listener;

/// All that a line says of a request that is over.
pub(super) struct Facts<'r> {
    pub(super) record: &'r Record,
    pub(super) listener: &'r Listener,
    pub(super) meta: &'r ConnMeta,
    /// Names the connection.
    pub(super) connection: u64,
    pub(super) now: Instant,
}

impl Facts<'_> {
    /// Writes the line in the format of this kind of load balancer.
    pub(super) fn write(&self, logs: &LogBuffers, log: &Arc<LogStream>) {
        match self.listener.personality.access_log {
            AccessLogFormat::Classic => logs.classic(log, &self.classic()),
            AccessLogFormat::Application | AccessLogFormat::NetworkTls => {
                self.application(|line| logs.record(log, line));
            }
        }
    }

    /// A line of a Classic load balancer (CLB guide: access logs).
    pub(super) fn classic(&self) -> ClassicRecord<'_> {
        let (record, time) = (self.record, SystemTime::now());
        let tls = self.meta.tls.as_deref();
        ClassicRecord {
            time: self.started(time),
            elb: &self.listener.load_balancer_id,
            client: self.meta.client,
            backend: record.target,
            request_processing_time: self.request_time(),
            backend_processing_time: record.target_time(),
            response_processing_time: self.response_time(),
            status_codes: Some((
                record.status.unwrap_or_default(),
                record.target_status.unwrap_or_default(),
            )),
            received_bytes: record.received.saturating_sub(record.head),
            sent_bytes: record.sent.saturating_sub(record.sent_heads),
            request: Some(self.request_line()),
            user_agent: self.user_agent(),
            ssl_cipher: tls.map(|tls| tls.cipher),
            ssl_protocol: tls.map(|tls| tls.version),
        }
    }

    /// A line of an ALB (ALB guide: access logs).
    pub(super) fn application(&self, write: impl FnOnce(&AccessRecord<'_>)) {
        let (record, time) = (self.record, SystemTime::now());
        let tls = self.meta.tls.as_deref();
        let transformed = record.transformed.as_deref();
        let connection = connection_id(self.connection);
        write(&AccessRecord {
            kind: self.request_type(),
            time,
            elb: &self.listener.load_balancer_id,
            client: self.meta.client,
            target: record.target,
            request_processing_time: self.request_time(),
            target_processing_time: record.target_time(),
            response_processing_time: self.response_time(),
            elb_status_code: record.status,
            target_status_code: record.target_status,
            received_bytes: record.received,
            sent_bytes: record.sent,
            request: self.request_line(),
            user_agent: self.user_agent(),
            ssl_cipher: tls.map(|tls| tls.cipher),
            ssl_protocol: tls.map(|tls| tls.version),
            target_group_arn: record.group_arn.as_deref(),
            trace_id: record.notes.as_ref().and_then(|notes| notes.trace_id()),
            domain_name: tls
                .filter(|tls| tls.sni_matched)
                .and_then(|tls| tls.sni.as_ref().map(|sni| sni.as_bytes())),
            chosen_cert_arn: tls.and_then(|tls| {
                if tls.resumed {
                    Some("session-reused")
                } else {
                    tls.certificate_arn.as_deref()
                }
            }),
            matched_rule_priority: record.reasons.priority.and_then(|p| i32::try_from(p).ok()),
            request_creation_time: self.started(time),
            actions_executed: record.reasons.actions_executed(),
            redirect_url: record.redirect.as_deref().map(str::as_bytes),
            error_reason: record.log_reason(),
            target_list: record.target.as_slice(),
            target_status_code_list: record.target_status.as_slice(),
            classification: record.verdict.tier().map(|tier| tier.as_str()),
            classification_reason: record.verdict.0.map(|reason| reason.as_str()),
            conn_trace_id: str::from_utf8(&connection).ok(),
            transformed_host: transformed.and_then(|t| t.host.as_deref()),
            transformed_uri: transformed.and_then(|t| t.uri.as_ref().map(String::as_bytes)),
            request_transform_status: record.reasons.transform_status(),
        });
    }

    /// When the request began, by the clock that says `time` now.
    fn started(&self, time: SystemTime) -> SystemTime {
        let elapsed = self.now.duration_since(self.record.started);
        time.checked_sub(elapsed).unwrap_or(time)
    }

    /// From the head of the request until it began to leave; `None` without a response of a target.
    fn request_time(&self) -> Option<Duration> {
        let (dispatched, _) = self.record.dispatched.zip(self.record.answered)?;
        Some(dispatched.duration_since(self.record.started))
    }

    /// From the head of the target's response to its end.
    fn response_time(&self) -> Option<Duration> {
        let (_, answered) = self.record.dispatched.zip(self.record.answered)?;
        Some(self.now.duration_since(answered))
    }

    fn request_type(&self) -> RequestType {
        if self.record.grpc {
            return RequestType::Grpcs;
        }
        let is_h2 = |version| version == Version::H2;
        if self.version().is_some_and(is_h2) {
            return RequestType::H2;
        }
        match (self.record.websocket, self.listener.endpoint.https) {
            (false, false) => RequestType::Http,
            (false, true) => RequestType::Https,
            (true, false) => RequestType::Ws,
            (true, true) => RequestType::Wss,
        }
    }

    fn request_line(&self) -> RequestLine<'_> {
        let (notes, endpoint) = (self.record.notes.as_ref(), &self.listener.endpoint);
        RequestLine {
            method: notes.map_or(b"", |notes| notes.method()),
            scheme: match (self.record.websocket, endpoint.https) {
                (false, false) => "http",
                (false, true) => "https",
                (true, false) => "ws",
                (true, true) => "wss",
            },
            host: notes.map_or(endpoint.dns_name.as_bytes(), |notes| notes.host()),
            port: endpoint.port,
            uri: notes.map_or(b"", |notes| notes.uri()),
            version: match self.version() {
                Some(Version::Http09) => "HTTP/0.9",
                Some(Version::Http10) => "HTTP/1.0",
                Some(Version::Http11) => "HTTP/1.1",
                Some(Version::H2) => "HTTP/2.0",
                None => "",
            },
        }
    }

    fn version(&self) -> Option<Version> {
        self.record.notes.as_ref().map(|notes| notes.version())
    }

    fn user_agent(&self) -> Option<&[u8]> {
        self.record.notes.as_ref()?.agent()
    }
}

/// `TID_` and 16 hexadecimal digits.
pub(super) fn connection_id(id: u64) -> [u8; 20] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = *b"TID_0000000000000000";
    let mut rest = id;
    for place in text.iter_mut().skip(4).rev() {
        let digit = usize::try_from(rest % 16).unwrap_or_default();
        *place = DIGITS.get(digit).copied().unwrap_or_default();
        rest /= 16;
    }
    text
}

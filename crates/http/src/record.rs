//! What is known of one request, from its first byte to its line in the access log.

use std::fmt::Write;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use elbow_balance::Group;
use elbow_net::{ConnMeta, Connect};
use elbow_telemetry::{AccessRecord, ClassicRecord, RequestLine, RequestType};

use crate::context::Context;
use crate::error::Error;
use crate::h1::desync::Verdict;
use crate::head::{RequestHead, Version};
use crate::listener::Listener;
use crate::pool::Spare;
use crate::rules::request_authority;
use crate::transform::Transformed;
use crate::uri::RequestTarget;

/// One request, from accept to its line in the access log.
pub(crate) struct Record {
    /// The head was complete.
    pub(crate) started: Instant,
    /// The request began to leave for the target.
    pub(crate) dispatched: Option<Instant>,
    /// The head of the response was complete.
    pub(crate) answered: Option<Instant>,
    /// The target chosen.
    pub(crate) target: Option<SocketAddr>,
    /// Its group.
    pub(crate) group: Option<Arc<Group>>,
    /// What the target answered.
    pub(crate) target_status: Option<u16>,
    /// What the client gets.
    pub(crate) status: Option<u16>,
    /// Of the rule; 0 for the default action.
    pub(crate) priority: Option<i32>,
    /// The action.
    pub(crate) action: Option<&'static str>,
    /// What the target got in place of what the client sent, when the rule has transforms.
    pub(crate) transformed: Option<Box<Transformed>>,
    /// What came of the transforms.
    pub(crate) transform_status: Option<&'static str>,
    /// Where a redirect leads.
    pub(crate) redirect: Option<String>,
    /// One of AWS's reasons.
    pub(crate) reason: Option<&'static str>,
    /// Its desync class.
    pub(crate) verdict: Verdict,
    /// It became a WebSocket.
    pub(crate) websocket: bool,
    /// From the client.
    pub(crate) received: u64,
    /// Of them, those of the head.
    head: u64,
    /// To the client.
    pub(crate) sent: u64,
    /// Of them, those of heads.
    pub(crate) sent_heads: u64,
    /// What the line quotes from the request; only when there is a log.
    pub(crate) notes: Option<Notes>,
}

/// Pieces of a request head, behind one another in one vector.
pub(crate) struct Notes {
    text: Spare,
    method: usize,
    host: usize,
    uri: usize,
    agent: Option<usize>,
    trace: Option<usize>,
    version: Version,
}

impl Notes {
    /// Notes what the log quotes.
    pub(crate) fn take(mut text: Spare, head: &RequestHead<'_>, listener: &Listener) -> Self {
        text.extend_from_slice(head.method.as_bytes());
        let method = text.len();
        let target = RequestTarget::parse(head.target);
        let host = request_authority(head, &target).unwrap_or(listener.dns_name.as_bytes());
        text.extend_from_slice(host);
        let host = text.len();
        target.write_origin_form(&mut text);
        let uri = text.len();
        let agent = head.value("user-agent").map(|agent| {
            text.extend_from_slice(agent);
            text.len()
        });
        Self {
            method,
            host,
            uri,
            agent,
            trace: None,
            version: head.version,
            text,
        }
    }

    /// Notes X-Amzn-Trace-Id as the target gets it.
    pub(crate) fn trace(&mut self, value: &[u8]) {
        self.text.extend_from_slice(value);
        self.trace = Some(self.text.len());
    }

    fn piece(&self, range: Range<usize>) -> &[u8] {
        self.text.get(range).unwrap_or_default()
    }
}

impl Record {
    /// A request whose head was complete at `started` and had `received` bytes.
    pub(crate) fn new(started: Instant, received: u64) -> Self {
        Self {
            started,
            dispatched: None,
            answered: None,
            target: None,
            group: None,
            target_status: None,
            status: None,
            priority: None,
            action: None,
            transformed: None,
            transform_status: None,
            redirect: None,
            reason: None,
            verdict: Verdict::default(),
            websocket: false,
            received,
            head: received,
            sent: 0,
            sent_heads: 0,
            notes: None,
        }
    }

    /// Notes that `error` ended it with `status`: no times and no target status are shown beside one.
    pub(crate) fn fail(&mut self, error: &Error, status: u16) {
        self.status = Some(status);
        self.reason = error.log_reason().or(self.reason);
        self.target_status = None;
        self.dispatched = None;
        self.answered = None;
    }

    /// Counts it, and writes its line.
    pub(crate) fn finish<C: Connect>(
        self,
        context: &Context<C>,
        listener: &Listener,
        meta: &ConnMeta,
        connection: u64,
    ) {
        let now = Instant::now();
        let cells = context.cells();
        cells.received_bytes.add(self.received);
        cells.sent_bytes.add(self.sent);
        match (self.target_status, self.status) {
            (Some(status), _) => cells.target_responses.increment(status),
            (None, Some(status)) => cells.elb_responses.increment(status),
            (None, None) => {}
        }
        if self.verdict.0.is_some() {
            cells.desync_non_compliant.increment();
        }
        cells.latency.observe(now.duration_since(self.started));
        if let Some(time) = self.target_time() {
            cells.target_response_time.observe(time);
        }
        if let Some(log) = context.log.as_ref().filter(|_| listener.classic) {
            log.classic(&self.classic(listener, meta, now));
        } else if let Some(log) = &context.log {
            let mut id = String::with_capacity(20);
            // Writing to a String cannot fail.
            let _ = write!(id, "TID_{connection:016x}");
            self.log(listener, meta, now, &id, |record| log.record(record));
        }
    }

    fn target_time(&self) -> Option<Duration> {
        Some(self.answered?.duration_since(self.dispatched?))
    }

    /// Its line in the access log of a Classic load balancer.
    fn classic<'r>(
        &'r self,
        listener: &'r Listener,
        meta: &'r ConnMeta,
        now: Instant,
    ) -> ClassicRecord<'r> {
        let time = SystemTime::now();
        let elapsed = now.duration_since(self.started);
        let tls = meta.tls.as_deref();
        let after = self.dispatched.zip(self.answered);
        ClassicRecord {
            time: time.checked_sub(elapsed).unwrap_or(time),
            elb: &listener.load_balancer_id,
            client: meta.client,
            backend: self.target,
            request_processing_time: after.map(|(d, _)| d.duration_since(self.started)),
            backend_processing_time: self.target_time(),
            response_processing_time: after.map(|(_, a)| now.duration_since(a)),
            status_codes: Some((
                self.status.unwrap_or_default(),
                self.target_status.unwrap_or_default(),
            )),
            received_bytes: self.received.saturating_sub(self.head),
            sent_bytes: self.sent.saturating_sub(self.sent_heads),
            request: Some(self.request_line(listener)),
            user_agent: self.user_agent(),
            ssl_cipher: tls.map(|tls| tls.cipher),
            ssl_protocol: tls.map(|tls| tls.version),
        }
    }

    fn request_line<'r>(&'r self, listener: &'r Listener) -> RequestLine<'r> {
        let notes = self.notes.as_ref();
        RequestLine {
            method: notes.map_or(b"", |n| n.piece(0..n.method)),
            scheme: match (self.websocket, listener.https) {
                (false, false) => "http",
                (false, true) => "https",
                (true, false) => "ws",
                (true, true) => "wss",
            },
            host: notes.map_or(listener.dns_name.as_bytes(), |n| n.piece(n.method..n.host)),
            port: listener.port,
            uri: notes.map_or(b"", |n| n.piece(n.host..n.uri)),
            version: match notes.map(|n| n.version) {
                Some(Version::Http10) => "HTTP/1.0",
                Some(Version::Http11) => "HTTP/1.1",
                Some(Version::H2) => "HTTP/2.0",
                None => "",
            },
        }
    }

    fn user_agent(&self) -> Option<&[u8]> {
        let notes = self.notes.as_ref()?;
        Some(notes.piece(notes.uri..notes.agent?))
    }

    fn log(
        &self,
        listener: &Listener,
        meta: &ConnMeta,
        now: Instant,
        connection: &str,
        write: impl FnOnce(&AccessRecord<'_>),
    ) {
        let time = SystemTime::now();
        let elapsed = now.duration_since(self.started);
        let notes = self.notes.as_ref();
        let tls = meta.tls.as_deref();
        let arn = self.group.as_ref().map(|group| group.config.arn());
        let h2 = notes.is_some_and(|notes| notes.version == Version::H2);
        let uri_end = notes.map_or(0, |notes| notes.uri);
        let agent_end = notes.and_then(|n| n.agent).unwrap_or(uri_end);
        let transformed = self.transformed.as_deref();
        let after = self.dispatched.zip(self.answered);
        write(&AccessRecord {
            kind: match (self.websocket, listener.https) {
                _ if h2 => RequestType::H2,
                (false, false) => RequestType::Http,
                (false, true) => RequestType::Https,
                (true, false) => RequestType::Ws,
                (true, true) => RequestType::Wss,
            },
            time,
            elb: &listener.load_balancer_id,
            client: meta.client,
            target: self.target,
            request_processing_time: after.map(|(d, _)| d.duration_since(self.started)),
            target_processing_time: self.target_time(),
            response_processing_time: after.map(|(_, a)| now.duration_since(a)),
            elb_status_code: self.status,
            target_status_code: self.target_status,
            received_bytes: self.received,
            sent_bytes: self.sent,
            request: self.request_line(listener),
            user_agent: self.user_agent(),
            ssl_cipher: tls.map(|tls| tls.cipher),
            ssl_protocol: tls.map(|tls| tls.version),
            target_group_arn: arn.as_deref(),
            trace_id: notes.and_then(|n| n.trace.map(|end| n.piece(agent_end..end))),
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
            matched_rule_priority: self.priority,
            request_creation_time: time.checked_sub(elapsed).unwrap_or(time),
            actions_executed: self.action,
            redirect_url: self.redirect.as_deref().map(str::as_bytes),
            error_reason: self.reason,
            target_list: self.target.as_slice(),
            target_status_code_list: self.target_status.as_slice(),
            classification: self.verdict.tier().map(|tier| tier.as_str()),
            classification_reason: self.verdict.0.map(|reason| reason.as_str()),
            conn_trace_id: Some(connection),
            transformed_host: transformed.and_then(|t| t.host.as_deref()),
            transformed_uri: transformed.and_then(|t| t.uri.as_ref().map(String::as_bytes)),
            request_transform_status: self.transform_status,
        });
    }
}

//! The record of one flow, from accept to its line in the access log.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use elbow_balance::{Group, Target};
use elbow_model::personality::AccessLogFormat;
use elbow_net::{ConnMeta, ConnectErrorKind, Direction, RelayEnd, TlsMeta};
use elbow_telemetry::{ClassicRecord, ListenerCells, LogBuffers, LogStream, TlsRecord};
use tracing::debug;

use crate::context::Context;
use crate::listener::Listener;

/// One flow: a client connection and its target connection.
#[derive(Clone, Debug)]
pub struct FlowRecord {
    /// The chosen group.
    pub group: Option<Arc<Group>>,
    /// The target chosen last, whether it was reached or not.
    pub target: Option<Arc<Target>>,
    /// Whether an unhealthy target was chosen because none was healthy.
    pub fail_open: bool,
    /// Start of the first and end of the last connect to a target.
    pub connect: Option<(Instant, Instant)>,
    /// Bytes relayed from the client to the target, excluding PROXY protocol headers.
    pub received: u64,
    /// Bytes relayed from the target to the client.
    pub sent: u64,
    /// How it ended.
    pub end: FlowEnd,
}

/// How a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowEnd {
    /// No target was available; the client got RST.
    NoTarget,
    /// The surge queue was full; the client got RST (CLB guide: CloudWatch metrics, SpilloverCount).
    SurgeQueueFull,
    /// No connection to a target could be opened; the client got RST.
    ConnectFailed(ConnectErrorKind),
    /// The flow was relayed.
    Relayed(RelayEnd),
}

/// A side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The target.
    Target,
    /// The load balancer.
    Local,
}

impl FlowEnd {
    /// The side that reset the flow; `None` if it was closed.
    pub fn reset_by(self) -> Option<Side> {
        match self {
            Self::NoTarget | Self::SurgeQueueFull | Self::ConnectFailed(_) => Some(Side::Local),
            Self::Relayed(RelayEnd::ClientReset) => Some(Side::Client),
            Self::Relayed(RelayEnd::TargetReset) => Some(Side::Target),
            Self::Relayed(RelayEnd::IdleReset | RelayEnd::Terminated) => Some(Side::Local),
            Self::Relayed(RelayEnd::Closed | RelayEnd::Idle | RelayEnd::Stopped) => None,
        }
    }
}

/// Counts bytes as they pass, so that the metrics include long-lived flows.
pub(crate) fn count(cells: &ListenerCells, direction: Direction, bytes: u64) {
    match direction {
        Direction::ClientToTarget => cells.received_bytes.add(bytes),
        Direction::TargetToClient => cells.sent_bytes.add(bytes),
    }
}

impl FlowRecord {
    /// The record of a flow without a target, for this reason.
    pub(crate) fn without_target(group: Option<Arc<Group>>, end: FlowEnd) -> Self {
        Self {
            group,
            target: None,
            fail_open: false,
            connect: None,
            received: 0,
            sent: 0,
            end,
        }
    }

    /// Logs a failed TLS handshake, after which there is no flow.
    pub fn handshake_failed<C>(context: &Context<C>, listener: &Listener, meta: &ConnMeta) {
        let format = listener.personality.access_log;
        if let (Some(log), AccessLogFormat::NetworkTls) = (&listener.access_log, format) {
            let line = Self::without_target(None, FlowEnd::NoTarget);
            context.logs.tls(log, &line.tls_line(listener, meta, None));
        }
    }

    /// Counts the flow and writes its line in the access log. Bytes have been counted already.
    pub(crate) fn finish<C>(&self, context: &Context<C>, listener: &Listener, meta: &ConnMeta) {
        debug!(
            load_balancer = %listener.load_balancer_id,
            port = listener.port,
            client = %meta.client,
            target = ?self.target.as_ref().map(|target| target.address),
            fail_open = self.fail_open,
            end = ?self.end,
            "flow ended"
        );
        self.count(context.metrics.worker(context.worker.id));
        if let Some(log) = &listener.access_log {
            self.log(&context.logs, log, listener, meta);
        }
    }

    fn count(&self, cells: &ListenerCells) {
        if self.fail_open {
            cells.fail_open.increment();
        }
        match self.end {
            FlowEnd::NoTarget => cells.rejected_without_target.increment(),
            FlowEnd::ConnectFailed(kind) => {
                if !kind.is_own() {
                    cells.connect_errors.increment();
                }
                if kind.is_tls() {
                    cells.target_tls_errors.increment();
                }
            }
            FlowEnd::SurgeQueueFull | FlowEnd::Relayed(_) => {}
        }
        match self.end.reset_by() {
            Some(Side::Client) => cells.resets_by_client.increment(),
            Some(Side::Target) => cells.resets_by_target.increment(),
            Some(Side::Local) => cells.resets_by_elb.increment(),
            None => {}
        }
    }

    fn log(&self, logs: &LogBuffers, log: &Arc<LogStream>, listener: &Listener, meta: &ConnMeta) {
        match listener.personality.access_log {
            AccessLogFormat::Classic => logs.classic(log, &self.classic(listener, meta)),
            AccessLogFormat::NetworkTls => {
                // Connections without TLS are not logged.
                if let Some(tls) = meta.tls.as_deref() {
                    logs.tls(log, &self.tls_line(listener, meta, Some(tls)));
                }
            }
            // An ALB has no TCP or TLS listeners.
            AccessLogFormat::Application => {}
        }
    }

    /// The line of a connection in the access log of a Classic load balancer. The response processing time is not
    /// measured.
    fn classic<'r>(&'r self, listener: &'r Listener, meta: &'r ConnMeta) -> ClassicRecord<'r> {
        let reached = matches!(self.end, FlowEnd::Relayed(_));
        let connect = self.connect.filter(|_| reached);
        let tls = meta.tls.as_deref();
        ClassicRecord {
            time: accepted_at(meta, SystemTime::now()),
            elb: &listener.load_balancer_id,
            client: meta.client,
            backend: self.target.as_ref().map(|target| target.address),
            request_processing_time: connect.map(|(_, end)| end.duration_since(meta.accepted)),
            backend_processing_time: connect.map(|(begin, end)| end.duration_since(begin)),
            response_processing_time: connect.map(|_| Duration::ZERO),
            status_codes: None,
            received_bytes: self.received,
            sent_bytes: self.sent,
            request: None,
            user_agent: None,
            ssl_cipher: tls.map(|tls| tls.cipher),
            ssl_protocol: tls.map(|tls| tls.version),
        }
    }

    /// The line of a TLS connection in the access log of an NLB; `tls` is the result of the handshake.
    fn tls_line<'r>(
        &self,
        listener: &'r Listener,
        meta: &ConnMeta,
        tls: Option<&'r TlsMeta>,
    ) -> TlsRecord<'r> {
        let now = SystemTime::now();
        TlsRecord {
            time: now,
            elb: &listener.load_balancer_id,
            listener: &listener.id,
            client: meta.client,
            destination: meta.server,
            connection_time: meta.accepted.elapsed(),
            handshake_time: tls.map(|tls| tls.handshake),
            received_bytes: self.received,
            sent_bytes: self.sent,
            chosen_cert_arn: tls.and_then(|tls| tls.certificate_arn.as_deref()),
            cipher: tls.map(|tls| tls.cipher),
            protocol_version: tls.map(|tls| tls.version),
            domain_name: tls.and_then(|tls| tls.sni.as_deref()),
            alpn: tls.and_then(|tls| tls.alpn.as_deref()),
            connection_creation_time: accepted_at(meta, now),
        }
    }
}

/// When the connection was accepted.
fn accepted_at(meta: &ConnMeta, now: SystemTime) -> SystemTime {
    now.checked_sub(meta.accepted.elapsed()).unwrap_or(now)
}

//! What is known of one request, from its first byte to its line in the access log. Status codes, log
//! lines and numbers of a request come from here alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elbow_net::{ConnMeta, Connect};
use elbow_telemetry::{FREE_RULES, GroupCells, ListenerCells};

use crate::action::transform::Transformed;
use crate::context::Context;
use crate::decide::reasons::{ActionKind, AuthReason, Authentication, Reasons, TargetReason};
use crate::error::{Error, ErrorKind};
use crate::h1::desync::Verdict;
use crate::listener::Listener;
use lines::Facts;
use notes::Notes;

pub(crate) mod connection;
mod lines;
pub(crate) mod notes;

/// One request, from accept to its line in the access log.
pub(crate) struct Record {
    /// When the head was complete.
    pub(crate) started: Instant,
    /// When the request began to leave for the target.
    pub(crate) dispatched: Option<Instant>,
    /// When the head of the response was complete.
    pub(crate) answered: Option<Instant>,
    /// Its desync class.
    pub(crate) verdict: Verdict,
    /// Why it was treated as it was.
    reasons: Reasons,
    /// The target chosen last.
    pub(crate) target: Option<SocketAddr>,
    /// The metrics of its group; only once a target was chosen.
    pub(crate) group: Option<Arc<GroupCells>>,
    /// The ARN of its group; only when there is a log.
    pub(crate) group_arn: Option<Arc<str>>,
    /// What the target got instead of what the client sent, when a transform matched.
    pub(crate) transformed: Option<Box<Transformed>>,
    /// Where a redirect leads; only when there is a log.
    pub(crate) redirect: Option<String>,
    /// The status of the target's response.
    pub(crate) target_status: Option<u16>,
    /// The status that the client gets.
    pub(crate) status: Option<u16>,
    /// What ended it early: before a response of a target, or in the middle of one.
    error: Option<Error>,
    /// Whether it became a WebSocket.
    pub(crate) websocket: bool,
    /// Whether it is a gRPC call.
    pub(crate) grpc: bool,
    /// Bytes from the client.
    pub(crate) received: u64,
    /// Of them, those of the head.
    head: u64,
    /// Bytes to the client.
    pub(crate) sent: u64,
    /// Of them, those of heads.
    pub(crate) sent_heads: u64,
    /// What the line quotes from the request; only when there is a log.
    pub(crate) notes: Option<Notes>,
}

impl Record {
    /// A request whose head was complete at `started` and had `received` bytes.
    pub(crate) fn new(started: Instant, received: u64) -> Self {
        Self {
            started,
            dispatched: None,
            answered: None,
            verdict: Verdict::default(),
            reasons: Reasons::default(),
            target: None,
            group: None,
            group_arn: None,
            transformed: None,
            redirect: None,
            target_status: None,
            status: None,
            error: None,
            websocket: false,
            grpc: false,
            received,
            head: received,
            sent: 0,
            sent_heads: 0,
            notes: None,
        }
    }

    /// Notes what was decided, and counts it.
    pub(crate) fn decided(&mut self, reasons: Reasons, cells: &ListenerCells) {
        self.reasons = reasons;
        match reasons.action {
            Some(ActionKind::Redirect) => cells.redirects.increment(),
            Some(ActionKind::FixedResponse) => cells.fixed_responses.increment(),
            Some(ActionKind::Forward) | None => {}
        }
        match reasons.authentication {
            Some(Authentication::Token) => cells.jwt_successes.increment(),
            Some(Authentication::Refused(reason)) => count_refusal(reason, cells),
            Some(Authentication::LoggedIn) => cells.logins.increment(),
            Some(Authentication::Refreshed) => cells.session_refreshes.increment(),
            Some(Authentication::Admitted | Authentication::Challenged(_)) | None => {}
        }
        if reasons.target == Some(TargetReason::NewSession) {
            cells.non_sticky.increment();
        }
        if reasons.fail_open {
            cells.fail_open.increment();
        }
    }

    /// Notes that `error` ended it before a response of a target, and returns the status that the
    /// client gets. The log shows no times and no target status beside it (parity 1.15).
    pub(crate) fn fail(&mut self, error: Error, listener: &Listener) -> u16 {
        let status = listener.status(error.kind);
        self.error = Some(error);
        self.status = Some(status);
        self.target_status = None;
        self.dispatched = None;
        self.answered = None;
        status
    }

    /// Notes that `error` ended it in the middle of a target's response, or without one for the client.
    pub(crate) fn cut(&mut self, error: Error) {
        self.error = Some(error);
    }

    /// Whether it is known what the client gets.
    pub(crate) fn is_settled(&self) -> bool {
        self.status.is_some() || self.error.is_some()
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
        self.count(
            context.cells(),
            meta.client.ip().to_canonical().is_ipv6(),
            now,
        );
        if let Some(error) = &self.error {
            let (client, label) = (meta.client, error.kind.label());
            let cause = error.source.as_deref().map(tracing::field::display);
            tracing::debug!(%client, %error, cause, label, "request failed");
        }
        if let Some(log) = &listener.access_log {
            let facts = Facts {
                record: &self,
                listener,
                meta,
                connection,
                now,
            };
            facts.write(&context.logs, log);
        }
    }

    fn count(&self, cells: &ListenerCells, is_ipv6: bool, now: Instant) {
        cells.received_bytes.add(self.received);
        cells.sent_bytes.add(self.sent);
        if is_ipv6 {
            cells.ipv6_requests.increment();
            cells.ipv6_bytes.add(self.received + self.sent);
        }
        match (self.target_status, self.status) {
            (Some(status), _) => cells.target_responses.increment(status),
            (None, Some(status)) => cells.elb_responses.increment(status),
            (None, None) => {}
        }
        if self.grpc {
            cells.grpc_requests.increment();
        }
        if self.verdict.0.is_some() {
            cells.desync_non_compliant.increment();
        }
        if let Some(error) = &self.error {
            let at = error.kind as usize;
            cells.request_errors.increment(ErrorKind::COUNTED, at);
        }
        let evaluations = self.reasons.evaluations;
        if evaluations > 0 {
            cells.rule_evaluations.add(evaluations.into());
            let charged = evaluations.saturating_sub(FREE_RULES);
            cells.charged_rule_evaluations.add(charged.into());
        }
        cells.latency.observe(now.duration_since(self.started));
        let target_time = self.target_time();
        if let Some(time) = target_time {
            cells.target_response_time.observe(time);
        }
        if let Some(group) = &self.group {
            self.count_in_group(group, target_time);
        }
    }

    fn count_in_group(&self, group: &GroupCells, target_time: Option<Duration>) {
        group.requests.increment();
        if let Some(status) = self.target_status {
            group.responses.increment(status);
        }
        if let Some(time) = target_time {
            group.response_time.observe(time);
        }
    }

    /// From when the request began to leave to the head of its response.
    fn target_time(&self) -> Option<Duration> {
        Some(self.answered?.duration_since(self.dispatched?))
    }

    /// `error_reason` of the access log.
    fn log_reason(&self) -> Option<&'static str> {
        let error = self.error.as_ref().filter(|_| self.target_status.is_none());
        error
            .and_then(Error::log_reason)
            .or_else(|| self.reasons.log_reason())
    }
}

/// Counts a request that was not let through (ALB guide: CloudWatch metrics, user authentication).
fn count_refusal(reason: AuthReason, cells: &ListenerCells) {
    use AuthReason as R;
    match reason {
        _ if reason.is_jwt() => cells.jwt_failures.increment(),
        R::AuthDenied | R::AuthInvalidGrantError => cells.login_failures.increment(),
        _ => cells.login_errors.increment(),
    }
    if reason == R::AuthUserinfoResponseSizeExceeded {
        cells.claims_too_large.increment();
    }
}

#[cfg(test)]
mod tests;

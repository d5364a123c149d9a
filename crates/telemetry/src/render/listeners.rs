//! The families of listeners.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::family::{BYTES, Counters, Families, Label};
use crate::counter::HistogramSum;
use crate::{Counter, Histogram, Kind, KindCounts, ListenerCells, ListenerMetrics, StatusCounts};

/// Reads one counter of the cells of a worker.
type ReadCounter = fn(&ListenerCells) -> &Counter;

/// The listeners of a scrape.
pub(super) struct Listeners(Vec<Listener>);

struct Listener {
    metrics: Arc<ListenerMetrics>,
    port: String,
}

impl Listener {
    fn labels(&self) -> [Label<'_>; 4] {
        let key = self.metrics.labels();
        [
            Label::new("load_balancer", &*key.load_balancer),
            Label::new("type", key.kind),
            Label::new("listener", &*self.port),
            Label::new("protocol", key.protocol),
        ]
    }

    fn labels_and<'l, const N: usize>(&'l self, more: [Label<'l>; N]) -> Vec<Label<'l>> {
        self.labels().into_iter().chain(more).collect()
    }
}

impl Listeners {
    pub(super) fn new(listeners: Vec<Arc<ListenerMetrics>>) -> Self {
        let with_port = |metrics: Arc<ListenerMetrics>| Listener {
            port: metrics.labels().port.to_string(),
            metrics,
        };
        Self(listeners.into_iter().map(with_port).collect())
    }

    pub(super) fn connections(&self, families: &mut Families<'_>) -> fmt::Result {
        let mut family =
            families.gauge("elbow_active_connections", "Open client connections", None)?;
        for listener in &self.0 {
            family.series(&listener.labels(), listener.metrics.active_connections())?;
        }
        let help = "Client connections accepted";
        self.counter(families, "elbow_connections", help, |c| &c.connections)?;
        let mut family = families.counter(
            "elbow_rejected_connections",
            "Client connections refused, by reason",
            None,
        )?;
        self.split(
            &mut family,
            "reason",
            &[
                ("limit", |c| &c.rejected_by_limit),
                ("no_target", |c| &c.rejected_without_target),
                ("security_group", |c| &c.rejected_by_security_group),
            ],
        )?;
        for (name, help, counter) in [
            (
                "elbow_received",
                "Bytes received from clients",
                (|c| &c.received_bytes) as ReadCounter,
            ),
            ("elbow_sent", "Bytes sent to clients", |c| &c.sent_bytes),
            (
                "elbow_ipv6_processed",
                "Bytes of requests of clients with an IPv6 address, in both directions",
                |c| &c.ipv6_bytes,
            ),
        ] {
            let mut family = families.counter(name, help, Some(&BYTES))?;
            for listener in &self.0 {
                family.series(&listener.labels(), listener.metrics.sum(counter))?;
            }
        }
        let mut family = families.counter(
            "elbow_target_connections",
            "Connections to targets used by requests, newly opened or reused from the pool",
            None,
        )?;
        self.split(
            &mut family,
            "pool",
            &[
                ("opened", |c| &c.pool_opened),
                ("reused", |c| &c.pool_reused),
            ],
        )
    }

    /// Only listeners that carry datagrams have these.
    pub(super) fn datagrams(&self, families: &mut Families<'_>) -> fmt::Result {
        let carries = |one: &&Listener| {
            let protocol = one.metrics.labels().protocol;
            matches!(protocol, "UDP" | "TCP_UDP" | "QUIC" | "TCP_QUIC")
        };
        for (name, help, counter) in [
            (
                "elbow_received_datagrams",
                "Datagrams forwarded from clients to targets",
                (|c| &c.received_datagrams) as ReadCounter,
            ),
            (
                "elbow_sent_datagrams",
                "Datagrams forwarded from targets to clients",
                |c| &c.sent_datagrams,
            ),
            (
                "elbow_dropped_datagrams",
                "Datagrams that reached neither a target nor a client",
                |c| &c.dropped_datagrams,
            ),
        ] {
            let mut family = families.counter(name, help, None)?;
            for listener in self.0.iter().filter(carries) {
                family.series(&listener.labels(), listener.metrics.sum(counter))?;
            }
        }
        Ok(())
    }

    pub(super) fn requests(&self, families: &mut Families<'_>) -> fmt::Result {
        let mut family = families.counter(
            "elbow_requests",
            "Requests by status code and source of the response, load balancer or target",
            None,
        )?;
        for listener in &self.0 {
            for (source, counts) in [
                (
                    "elb",
                    (|c| &c.elb_responses) as fn(&ListenerCells) -> &StatusCounts,
                ),
                ("target", |c| &c.target_responses),
            ] {
                for (code, count) in sum_codes(&listener.metrics, counts) {
                    let source = Label::new("source", source);
                    let labels = listener.labels_and([source, Label::new("code", code)]);
                    family.series(&labels, count)?;
                }
            }
        }
        let mut family = families.counter(
            "elbow_request_errors",
            "Requests that could not be served as asked, by what went wrong and whose fault it was",
            None,
        )?;
        for listener in &self.0 {
            for (Kind { kind, side }, count) in sum_kinds(&listener.metrics, |c| &c.request_errors)
            {
                let labels = [Label::new("kind", kind), Label::new("side", side)];
                family.series(&listener.labels_and(labels), count)?;
            }
        }
        for (name, help, histogram) in [
            (
                "elbow_request_duration",
                "Time from request read to response written",
                (|c| &c.latency) as fn(&ListenerCells) -> &Histogram,
            ),
            (
                "elbow_target_response_time",
                "Time from request sent to first byte of the response of the target",
                |c| &c.target_response_time,
            ),
        ] {
            self.histogram(families, name, help, histogram)?;
        }
        for (name, help, counter) in [
            (
                "elbow_fixed_responses",
                "Requests answered by a fixed-response action",
                (|c| &c.fixed_responses) as ReadCounter,
            ),
            (
                "elbow_redirects",
                "Requests answered by a redirect action",
                |c| &c.redirects,
            ),
            (
                "elbow_rule_evaluations",
                "Rules looked at in order of priority, without the default rule",
                |c| &c.rule_evaluations,
            ),
            (
                "elbow_ipv6_requests",
                "Requests of clients with an IPv6 address",
                |c| &c.ipv6_requests,
            ),
        ] {
            self.counter(families, name, help, counter)?;
        }
        let mut family = families.counter(
            "elbow_invalid_header_requests",
            "Requests to targets whose field names are invalid, by what was done with such fields",
            None,
        )?;
        self.split(
            &mut family,
            "fields",
            &[
                ("dropped", |c| &c.invalid_headers_dropped),
                ("forwarded", |c| &c.invalid_headers_forwarded),
            ],
        )
    }

    pub(super) fn authentication(&self, families: &mut Families<'_>) -> fmt::Result {
        let mut family = families.counter(
            "elbow_authentications",
            "Logins of users at an identity provider",
            None,
        )?;
        self.split(
            &mut family,
            "result",
            &[
                ("success", |c| &c.logins),
                ("failure", |c| &c.login_failures),
                ("error", |c| &c.login_errors),
            ],
        )?;
        for (name, help, counter) in [
            (
                "elbow_authentication_refreshes",
                "Sessions of users that got another access token",
                (|c| &c.session_refreshes) as ReadCounter,
            ),
            (
                "elbow_authentication_claims_too_large",
                "Users whose claims are too large for cookies",
                |c| &c.claims_too_large,
            ),
        ] {
            self.counter(families, name, help, counter)?;
        }
        self.histogram(
            families,
            "elbow_authentication_duration",
            "Time that identity providers took for logins and refreshes",
            |c| &c.authentication_time,
        )?;
        let mut family = families.counter(
            "elbow_jwt_validations",
            "Requests that a jwt-validation action let through or not",
            None,
        )?;
        self.split(
            &mut family,
            "result",
            &[
                ("success", |c| &c.jwt_successes),
                ("failure", |c| &c.jwt_failures),
            ],
        )
    }

    pub(super) fn failures(&self, families: &mut Families<'_>) -> fmt::Result {
        self.by_reason(
            families,
            "elbow_tls_handshake_errors",
            "Failed TLS handshakes with clients, by reason",
            |c| &c.tls_handshake_errors,
        )?;
        self.by_reason(
            families,
            "elbow_proxy_protocol_errors",
            "Connections without an acceptable PROXY protocol header, by reason",
            |c| &c.proxy_protocol_errors,
        )?;
        for (name, help, counter) in [
            (
                "elbow_target_connect_errors",
                "Connections to targets that could not be opened",
                (|c| &c.connect_errors) as ReadCounter,
            ),
            (
                "elbow_target_tls_errors",
                "Failed TLS handshakes with targets",
                |c| &c.target_tls_errors,
            ),
            (
                "elbow_target_public_key_errors",
                "Connections refused because the public key of the target is not in the policy",
                |c| &c.target_public_key_errors,
            ),
            (
                "elbow_desync_non_compliant_requests",
                "Requests that violate RFC 7230",
                |c| &c.desync_non_compliant,
            ),
            (
                "elbow_non_sticky_requests",
                "Requests to sticky target groups without a valid stickiness cookie",
                |c| &c.non_sticky,
            ),
            ("elbow_grpc_requests", "gRPC calls answered", |c| {
                &c.grpc_requests
            }),
            (
                "elbow_unhealthy_routing_requests",
                "Requests or connections sent to a group without a healthy target (fail-open)",
                |c| &c.fail_open,
            ),
        ] {
            self.counter(families, name, help, counter)?;
        }
        let mut family = families.counter("elbow_resets", "Connections reset, by side", None)?;
        self.split(
            &mut family,
            "by",
            &[
                ("elb", |c| &c.resets_by_elb),
                ("client", |c| &c.resets_by_client),
                ("target", |c| &c.resets_by_target),
            ],
        )
    }

    fn by_reason(
        &self,
        families: &mut Families<'_>,
        name: &str,
        help: &str,
        counts: fn(&ListenerCells) -> &KindCounts,
    ) -> fmt::Result {
        let mut family = families.counter(name, help, None)?;
        for listener in &self.0 {
            let failures = sum_kinds(&listener.metrics, counts);
            for (Kind { kind, .. }, count) in failures {
                let reason = Label::new("reason", kind);
                family.series(&listener.labels_and([reason]), count)?;
            }
        }
        Ok(())
    }

    fn histogram(
        &self,
        families: &mut Families<'_>,
        name: &str,
        help: &str,
        histogram: fn(&ListenerCells) -> &Histogram,
    ) -> fmt::Result {
        let mut family = families.histogram(name, help)?;
        for listener in &self.0 {
            let mut sum = HistogramSum::default();
            for cells in listener.metrics.cells() {
                sum.add(histogram(cells));
            }
            family.series(&listener.labels(), &sum)?;
        }
        Ok(())
    }

    fn counter(
        &self,
        families: &mut Families<'_>,
        name: &str,
        help: &str,
        counter: ReadCounter,
    ) -> fmt::Result {
        let mut family = families.counter(name, help, None)?;
        for listener in &self.0 {
            family.series(&listener.labels(), listener.metrics.sum(counter))?;
        }
        Ok(())
    }

    /// Writes one family whose series also differ in the label `by`.
    fn split(
        &self,
        family: &mut Counters<'_>,
        by: &'static str,
        counters: &[(&str, ReadCounter)],
    ) -> fmt::Result {
        for listener in &self.0 {
            for &(value, counter) in counters {
                let labels = listener.labels_and([Label::new(by, value)]);
                family.series(&labels, listener.metrics.sum(counter))?;
            }
        }
        Ok(())
    }
}

/// All kinds of errors counted so far, each with its sum over the workers.
fn sum_kinds(
    listener: &ListenerMetrics,
    counts: fn(&ListenerCells) -> &KindCounts,
) -> Vec<(Kind, u64)> {
    let mut sums: Vec<(Kind, u64)> = Vec::new();
    for cells in listener.cells() {
        for (at, (kind, count)) in counts(cells).get().enumerate() {
            match sums.get_mut(at) {
                Some((_, sum)) => *sum += count,
                None => sums.push((kind, count)),
            }
        }
    }
    sums.retain(|&(_, count)| count > 0);
    sums
}

/// All status codes counted so far, each with its sum over the workers.
fn sum_codes(
    listener: &ListenerMetrics,
    counts: fn(&ListenerCells) -> &StatusCounts,
) -> Vec<(Cow<'static, str>, u64)> {
    let sum = |of: &dyn Fn(&StatusCounts) -> u64| -> u64 {
        listener.cells().iter().map(|cells| of(counts(cells))).sum()
    };
    let mut seen = [false; StatusCounts::CLASSES];
    for cells in listener.cells() {
        for (seen, counted) in seen.iter_mut().zip(counts(cells).classes()) {
            *seen |= counted;
        }
    }
    let classes = (1..)
        .zip(seen)
        .filter_map(|(class, seen)| seen.then_some(class));
    let codes = classes.flat_map(|class: u16| class * 100..(class + 1) * 100);
    let codes = codes.map(|code| (code, sum(&|c| c.get(code))));
    let codes = codes.filter(|&(_, count)| count > 0);
    let other = Some(("other".into(), sum(&|c| c.other()))).filter(|&(_, count)| count > 0);
    codes
        .map(|(code, count)| (code.to_string().into(), count))
        .chain(other)
        .collect()
}

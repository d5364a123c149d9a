use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use elbow_model::TargetState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use crate::counter::HistogramSum;
use crate::process::Process;
use crate::{
    Counter, Histogram, ListenerCells, ListenerMetrics, ShedReason, StatusCounts, Telemetry,
};
use family::{BYTES, Counters, Families, Label, SECONDS};

mod family;

/// `Content-Type` of what [`Telemetry::render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A registered target as it is at the moment of a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRow {
    /// Name of its group.
    pub target_group: Arc<str>,
    /// `id:port` as registered.
    pub target: String,
    /// Its state.
    pub state: TargetState,
    /// What the API of its load balancer calls the state.
    pub state_name: &'static str,
    /// Requests or connections in progress.
    pub in_flight: u64,
    /// Requests or connections so far.
    pub requests: u64,
}

/// A certificate in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRow {
    /// Its ARN-shaped name.
    pub arn: Arc<str>,
    /// End of its validity, in seconds of Unix time.
    pub not_after: i64,
}

pub(crate) fn render(
    telemetry: Arc<Telemetry>,
    targets: Vec<TargetRow>,
    certificates: Vec<CertificateRow>,
) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape {
        telemetry,
        targets,
        certificates,
    }));
    let mut out = String::with_capacity(16 * 1024);
    match text::encode(&mut out, &registry) {
        Ok(()) => out,
        // A String takes everything; without the end mark no scraper takes half an answer.
        Err(fmt::Error) => String::new(),
    }
}

#[derive(Debug)]
struct Scrape {
    telemetry: Arc<Telemetry>,
    targets: Vec<TargetRow>,
    certificates: Vec<CertificateRow>,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        let listeners = Listeners(self.telemetry.listeners());
        listeners.connections(&mut families)?;
        listeners.requests(&mut families)?;
        listeners.failures(&mut families)?;
        self.targets(&mut families)?;
        self.groups(&mut families)?;
        self.certificates(&mut families)?;
        self.configuration(&mut families)?;
        self.process(&mut families)
    }
}

impl Scrape {
    fn targets(&self, families: &mut Families<'_>) -> fmt::Result {
        let labels = |row: &TargetRow| {
            [
                Label("target_group", row.target_group.to_string()),
                Label("target", row.target.clone()),
            ]
        };
        let mut family = families.gauge(
            "elbow_target_health",
            "Whether a target takes traffic as healthy (1) or not (0), with its state",
            None,
        )?;
        for row in &self.targets {
            let [group, target] = labels(row);
            let state = Label("state", row.state_name.to_owned());
            let healthy = row.state == TargetState::Healthy;
            family.series(&[group, target, state], healthy.into())?;
        }
        let mut family = families.gauge(
            "elbow_target_in_flight",
            "Requests or connections in progress on a target",
            None,
        )?;
        for row in &self.targets {
            family.series(&labels(row), row.in_flight)?;
        }
        let mut family = families.counter(
            "elbow_target_requests",
            "Requests or connections sent to a target",
            None,
        )?;
        for row in &self.targets {
            family.series(&labels(row), row.requests)?;
        }
        Ok(())
    }

    fn groups(&self, families: &mut Families<'_>) -> fmt::Result {
        let groups = self.telemetry.groups();
        for (name, help, state) in [
            (
                "elbow_healthy_hosts",
                "Healthy targets of a group",
                TargetState::Healthy,
            ),
            (
                "elbow_unhealthy_hosts",
                "Unhealthy targets of a group",
                TargetState::Unhealthy,
            ),
        ] {
            let mut family = families.gauge(name, help, None)?;
            for group in &groups {
                let members = self
                    .targets
                    .iter()
                    .filter(|t| &t.target_group == group.name());
                let hosts = members.filter(|t| t.state == state).count();
                let label = Label("target_group", group.name().to_string());
                family.series(&[label], hosts as u64)?;
            }
        }
        let mut family =
            families.counter("elbow_health_checks", "Health checks by result", None)?;
        for group in &groups {
            for (result, counter) in [
                ("passed", &group.health_checks_passed),
                ("failed", &group.health_checks_failed),
                ("skipped", &group.health_checks_skipped),
            ] {
                let name = Label("target_group", group.name().to_string());
                let result = Label("result", result.to_owned());
                family.series(&[name, result], counter.get())?;
            }
        }
        Ok(())
    }

    fn certificates(&self, families: &mut Families<'_>) -> fmt::Result {
        let mut family = families.gauge(
            "elbow_certificate_expiry_timestamp",
            "When a certificate expires, since the epoch",
            Some(&SECONDS),
        )?;
        for row in &self.certificates {
            let label = Label("certificate", row.arn.to_string());
            // A time before 1970 has expired all the same.
            family.series(&[label], u64::try_from(row.not_after).unwrap_or_default())?;
        }
        Ok(())
    }

    fn configuration(&self, families: &mut Families<'_>) -> fmt::Result {
        let (ok, failed) = self.telemetry.reloads();
        let mut family =
            families.counter("elbow_config_reloads", "Configurations by result", None)?;
        family.series(&[Label("result", "ok".to_owned())], ok)?;
        family.series(&[Label("result", "failed".to_owned())], failed)?;
        families
            .gauge(
                "elbow_config_last_reload_success",
                "Whether the last configuration was taken",
                None,
            )?
            .series(&[], self.telemetry.last_reload_ok().into())?;
        families
            .gauge(
                "elbow_config_generation",
                "Generation of the configuration in force",
                None,
            )?
            .series(&[], self.telemetry.generation())
    }

    fn process(&self, families: &mut Families<'_>) -> fmt::Result {
        if let Some(log) = self.telemetry.access_log() {
            let mut family =
                families.counter("elbow_access_log_lines", "Access-log lines by result", None)?;
            family.series(&[Label("result", "written".to_owned())], log.written())?;
            family.series(&[Label("result", "dropped".to_owned())], log.dropped())?;
        }
        families
            .counter("elbow_accept_errors", "Calls of accept that failed", None)?
            .series(&[], self.telemetry.accept_errors.get())?;
        let mut family = families.counter(
            "elbow_shed",
            "Connections and requests turned away at a limit, by reason",
            None,
        )?;
        for reason in ShedReason::ALL {
            let label = Label("reason", reason.label().to_owned());
            family.series(&[label], self.telemetry.shed.get(reason))?;
        }
        families
            .gauge("elbow_workers", "Worker threads", None)?
            .series(&[], self.telemetry.workers() as u64)?;
        let version = Label("version", env!("CARGO_PKG_VERSION").to_owned());
        families.info("elbow_build", "The program", &[version])?;
        let started = self.telemetry.started().duration_since(UNIX_EPOCH);
        families
            .gauge(
                "process_start_time",
                "When the process started, since the epoch",
                Some(&SECONDS),
            )?
            .float(started.unwrap_or_default().as_secs_f64())?;
        let process = Process::read();
        if let Some(bytes) = process.resident_bytes {
            families
                .gauge("process_resident_memory", "Resident memory", Some(&BYTES))?
                .series(&[], bytes)?;
        }
        if let Some(fds) = process.open_fds {
            families
                .gauge("process_open_fds", "Open file descriptors", None)?
                .series(&[], fds)?;
        }
        self.open_files(families)
    }
}

impl Scrape {
    fn open_files(&self, families: &mut Families<'_>) -> fmt::Result {
        let files = &self.telemetry.open_files;
        for (name, help, value) in [
            (
                "process_max_fds",
                "File descriptors that the process may have",
                &files.limit,
            ),
            (
                "elbow_traffic_fds",
                "File descriptors that traffic uses, with those promised to clients for their targets",
                &files.traffic,
            ),
            (
                "elbow_traffic_max_fds",
                "File descriptors that traffic may use; the others are for everything else",
                &files.max_traffic,
            ),
            (
                "elbow_max_connections",
                "Client connections that may be open, by --max-connections and file descriptors",
                &files.max_connections,
            ),
        ] {
            let value = value.load(Ordering::Relaxed);
            families.gauge(name, help, None)?.series(&[], value)?;
        }
        Ok(())
    }
}

/// One counter of a worker's cells.
type ReadCounter = fn(&ListenerCells) -> &Counter;

/// The sums over workers of every listener.
struct Listeners(Vec<Arc<ListenerMetrics>>);

impl Listeners {
    fn connections(&self, families: &mut Families<'_>) -> fmt::Result {
        let mut family =
            families.gauge("elbow_active_connections", "Client connections open", None)?;
        for listener in &self.0 {
            family.series(&labels(listener), listener.active_connections())?;
        }
        for (name, help, counter) in [
            (
                "elbow_connections",
                "Client connections accepted",
                (|c| &c.connections) as ReadCounter,
            ),
            (
                "elbow_rejected_connections",
                "Client connections refused",
                |c| &c.rejected,
            ),
        ] {
            self.counter(families, name, help, counter)?;
        }
        for (name, help, counter) in [
            (
                "elbow_received",
                "Bytes received from clients",
                (|c| &c.received_bytes) as ReadCounter,
            ),
            ("elbow_sent", "Bytes sent to clients", |c| &c.sent_bytes),
        ] {
            let mut family = families.counter(name, help, Some(&BYTES))?;
            for listener in &self.0 {
                family.series(&labels(listener), listener.sum(counter))?;
            }
        }
        let mut family = families.counter(
            "elbow_target_connections",
            "Connections that requests used, opened for them or reused from the pool",
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

    fn requests(&self, families: &mut Families<'_>) -> fmt::Result {
        let mut family = families.counter(
            "elbow_requests",
            "Requests by status code and by who answered, the load balancer or a target",
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
                for (code, count) in sum_codes(listener, counts) {
                    let source = Label("source", source.to_owned());
                    let labels = labels(listener).into_iter();
                    let labels: Vec<_> = labels.chain([source, Label("code", code)]).collect();
                    family.series(&labels, count)?;
                }
            }
        }
        for (name, help, histogram) in [
            (
                "elbow_request_duration",
                "From the request read to the response written",
                (|c| &c.latency) as fn(&ListenerCells) -> &Histogram,
            ),
            (
                "elbow_target_response_time",
                "From the request sent to the first byte of the target's response",
                |c| &c.target_response_time,
            ),
        ] {
            let mut family = families.histogram(name, help)?;
            for listener in &self.0 {
                let mut sum = HistogramSum::default();
                for cells in listener.cells() {
                    sum.add(histogram(cells));
                }
                family.series(&labels(listener), &sum)?;
            }
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
        ] {
            self.counter(families, name, help, counter)?;
        }
        Ok(())
    }

    fn failures(&self, families: &mut Families<'_>) -> fmt::Result {
        for (name, help, counter) in [
            (
                "elbow_tls_handshake_errors",
                "TLS handshakes with clients that failed",
                (|c| &c.tls_handshake_errors) as ReadCounter,
            ),
            (
                "elbow_target_connect_errors",
                "Connections to targets that could not be opened",
                |c| &c.connect_errors,
            ),
            (
                "elbow_target_tls_errors",
                "TLS handshakes with targets that failed",
                |c| &c.target_tls_errors,
            ),
            (
                "elbow_desync_non_compliant_requests",
                "Requests that RFC 7230 does not allow",
                |c| &c.desync_non_compliant,
            ),
            (
                "elbow_non_sticky_requests",
                "Requests to sticky groups that no cookie told the target of",
                |c| &c.non_sticky,
            ),
            (
                "elbow_unhealthy_routing_requests",
                "Requests or connections sent to a group without a healthy target (fail-open)",
                |c| &c.fail_open,
            ),
        ] {
            self.counter(families, name, help, counter)?;
        }
        let mut family = families.counter("elbow_resets", "Connections reset, by whom", None)?;
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

    fn counter(
        &self,
        families: &mut Families<'_>,
        name: &str,
        help: &str,
        counter: ReadCounter,
    ) -> fmt::Result {
        let mut family = families.counter(name, help, None)?;
        for listener in &self.0 {
            family.series(&labels(listener), listener.sum(counter))?;
        }
        Ok(())
    }

    /// One family whose series differ in the label `by` as well.
    fn split(
        &self,
        family: &mut Counters<'_>,
        by: &'static str,
        counters: &[(&str, ReadCounter)],
    ) -> fmt::Result {
        for listener in &self.0 {
            for &(value, counter) in counters {
                let by = Label(by, value.to_owned());
                let labels: Vec<_> = labels(listener).into_iter().chain([by]).collect();
                family.series(&labels, listener.sum(counter))?;
            }
        }
        Ok(())
    }
}

fn labels(listener: &ListenerMetrics) -> [Label; 4] {
    let key = listener.key();
    [
        Label("load_balancer", key.load_balancer.to_string()),
        Label("type", key.kind.to_owned()),
        Label("listener", key.port.to_string()),
        Label("protocol", key.protocol.to_owned()),
    ]
}

/// Every code that was ever counted, with its sum over workers.
fn sum_codes(
    listener: &ListenerMetrics,
    counts: fn(&ListenerCells) -> &StatusCounts,
) -> Vec<(String, u64)> {
    let sum = |of: &dyn Fn(&StatusCounts) -> u64| -> u64 {
        listener.cells().iter().map(|cells| of(counts(cells))).sum()
    };
    let codes = (100..600).map(|code| (code.to_string(), sum(&|c| c.get(code))));
    let other = ("other".to_owned(), sum(&|c| c.other()));
    codes
        .chain([other])
        .filter(|&(_, count)| count > 0)
        .collect()
}

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use elbow_model::TargetState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use crate::counter::HistogramSum;
use crate::lines;
use crate::process::Process;
use crate::{
    Counter, Histogram, ListenerCells, ListenerMetrics, ShedReason, StatusCounts, Telemetry,
};
use family::{BYTES, Counters, Families, Label, SECONDS};

mod family;

/// A target group as it is at the moment of a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// Its name.
    pub name: Arc<str>,
    /// Its registered targets.
    pub targets: Vec<TargetRow>,
}

/// A registered target as it is at the moment of a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRow {
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

pub(crate) fn write(
    telemetry: Arc<Telemetry>,
    groups: Vec<GroupRow>,
    certificates: Vec<CertificateRow>,
    out: &mut impl fmt::Write,
) -> fmt::Result {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape {
        telemetry,
        rows: Rows::new(groups),
        certificates,
    }));
    text::encode_registry(out, &registry)
}

#[derive(Debug)]
struct Scrape {
    telemetry: Arc<Telemetry>,
    rows: Rows,
    certificates: Vec<CertificateRow>,
}

/// The targets of a scrape, whose number times the walks over them is what it costs.
#[derive(Debug)]
struct Rows {
    groups: Vec<GroupRow>,
    #[cfg(test)]
    visits: std::sync::atomic::AtomicUsize,
}

impl Rows {
    fn new(groups: Vec<GroupRow>) -> Self {
        Self {
            groups,
            #[cfg(test)]
            visits: Default::default(),
        }
    }

    /// Every target with the name of its group.
    fn targets(&self) -> impl Iterator<Item = (&str, &TargetRow)> {
        let targets = self.groups.iter().flat_map(|group| {
            let targets = group.targets.iter();
            targets.map(|target| (&*group.name, target))
        });
        #[cfg(test)]
        let targets = targets.inspect(|_| {
            self.visits.fetch_add(1, Ordering::Relaxed);
        });
        targets
    }
}

/// How many targets of a group are healthy, and how many are not.
#[derive(Clone, Copy, Debug, Default)]
struct Hosts {
    healthy: u64,
    unhealthy: u64,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        let listeners = Listeners::new(self.telemetry.listeners());
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
        fn labels<'r>((group, row): (&'r str, &'r TargetRow)) -> [Label<'r>; 2] {
            [
                Label::new("target_group", group),
                Label::new("target", &row.target),
            ]
        }
        let mut family = families.gauge(
            "elbow_target_health",
            "Whether a target takes traffic as healthy (1) or not (0), with its state",
            None,
        )?;
        for (group, row) in self.rows.targets() {
            let [group, target] = labels((group, row));
            let state = Label::new("state", row.state_name);
            let healthy = row.state == TargetState::Healthy;
            family.series(&[group, target, state], healthy.into())?;
        }
        let mut family = families.gauge(
            "elbow_target_in_flight",
            "Requests or connections in progress on a target",
            None,
        )?;
        for (group, row) in self.rows.targets() {
            family.series(&labels((group, row)), row.in_flight)?;
        }
        let mut family = families.counter(
            "elbow_target_requests",
            "Requests or connections sent to a target",
            None,
        )?;
        for (group, row) in self.rows.targets() {
            family.series(&labels((group, row)), row.requests)?;
        }
        Ok(())
    }

    /// Counts every target once, whatever the number of groups.
    fn hosts(&self) -> HashMap<&str, Hosts> {
        let mut hosts: HashMap<&str, Hosts> = HashMap::with_capacity(self.rows.groups.len());
        for (group, row) in self.rows.targets() {
            let hosts = hosts.entry(group).or_default();
            match row.state {
                TargetState::Healthy => hosts.healthy += 1,
                TargetState::Unhealthy => hosts.unhealthy += 1,
                _ => {}
            }
        }
        hosts
    }

    fn groups(&self, families: &mut Families<'_>) -> fmt::Result {
        let groups = self.telemetry.groups();
        let hosts = self.hosts();
        for (name, help, count) in [
            (
                "elbow_healthy_hosts",
                "Healthy targets of a group",
                (|hosts| hosts.healthy) as fn(Hosts) -> u64,
            ),
            (
                "elbow_unhealthy_hosts",
                "Unhealthy targets of a group",
                |hosts| hosts.unhealthy,
            ),
        ] {
            let mut family = families.gauge(name, help, None)?;
            for group in &groups {
                let hosts = hosts.get(&**group.name()).copied().unwrap_or_default();
                let label = Label::new("target_group", &**group.name());
                family.series(&[label], count(hosts))?;
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
                let name = Label::new("target_group", &**group.name());
                let result = Label::new("result", result);
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
            let label = Label::new("certificate", &*row.arn);
            // A time before 1970 has expired all the same.
            family.series(&[label], u64::try_from(row.not_after).unwrap_or_default())?;
        }
        Ok(())
    }

    fn configuration(&self, families: &mut Families<'_>) -> fmt::Result {
        let (ok, failed) = self.telemetry.reloads();
        let mut family =
            families.counter("elbow_config_reloads", "Configurations by result", None)?;
        family.series(&[Label::new("result", "ok")], ok)?;
        family.series(&[Label::new("result", "failed")], failed)?;
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
            family.series(&[Label::new("result", "written")], log.written())?;
            family.series(&[Label::new("result", "dropped")], log.dropped())?;
        }
        families
            .counter(
                "elbow_log_dropped",
                "Lines of the process's own log that nobody read in time",
                None,
            )?
            .series(&[], lines::stderr_lost())?;
        families
            .counter("elbow_accept_errors", "Calls of accept that failed", None)?
            .series(&[], self.telemetry.accept_errors.get())?;
        let mut family = families.counter(
            "elbow_shed",
            "Connections and requests turned away at a limit, by reason",
            None,
        )?;
        for reason in ShedReason::ALL {
            let label = Label::new("reason", reason.label());
            family.series(&[label], self.telemetry.shed.get(reason))?;
        }
        families
            .gauge("elbow_workers", "Worker threads", None)?
            .series(&[], self.telemetry.workers() as u64)?;
        let version = Label::new("version", env!("CARGO_PKG_VERSION"));
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
struct Listeners(Vec<Listener>);

struct Listener {
    metrics: Arc<ListenerMetrics>,
    port: String,
}

impl Listener {
    fn labels(&self) -> [Label<'_>; 4] {
        let key = self.metrics.key();
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
    fn new(listeners: Vec<Arc<ListenerMetrics>>) -> Self {
        let with_port = |metrics: Arc<ListenerMetrics>| Listener {
            port: metrics.key().port.to_string(),
            metrics,
        };
        Self(listeners.into_iter().map(with_port).collect())
    }

    fn connections(&self, families: &mut Families<'_>) -> fmt::Result {
        let mut family =
            families.gauge("elbow_active_connections", "Client connections open", None)?;
        for listener in &self.0 {
            family.series(&listener.labels(), listener.metrics.active_connections())?;
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
                family.series(&listener.labels(), listener.metrics.sum(counter))?;
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
                for (code, count) in sum_codes(&listener.metrics, counts) {
                    let source = Label::new("source", source);
                    let labels = listener.labels_and([source, Label::new("code", code)]);
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
                for cells in listener.metrics.cells() {
                    sum.add(histogram(cells));
                }
                family.series(&listener.labels(), &sum)?;
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
            family.series(&listener.labels(), listener.metrics.sum(counter))?;
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
                let labels = listener.labels_and([Label::new(by, value)]);
                family.series(&labels, listener.metrics.sum(counter))?;
            }
        }
        Ok(())
    }
}

/// Every code that was ever counted, with its sum over workers.
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

#[cfg(test)]
mod tests;

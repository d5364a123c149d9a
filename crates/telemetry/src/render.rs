use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use elbow_model::{TargetState, ZoneName};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use crate::lines;
use crate::process::Process;
use crate::{ShedReason, SurgeQueue, Telemetry};
use family::{BYTES, Families, Label, SECONDS};
use hosts::{AllHosts, Hosts, ZONE};
use listeners::Listeners;

mod family;
mod groups;
mod hosts;
mod listeners;

/// The state of a target group for a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// Its name.
    pub name: Arc<str>,
    /// Its registered targets.
    pub targets: Vec<TargetRow>,
}

/// The state of a registered target for a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRow {
    /// `id:port` as registered.
    pub target: String,
    /// Its state.
    pub state: TargetState,
    /// The name of the state in the API of its load balancer.
    pub state_name: &'static str,
    /// Requests or connections in progress.
    pub in_flight: u64,
    /// Requests or connections so far.
    pub requests: u64,
    /// Whether it fails more requests than the other targets.
    pub is_anomalous: bool,
    /// Whether it gets fewer requests for that reason.
    pub is_mitigated: bool,
    /// Its zone, if it is known.
    pub zone: Option<ZoneName>,
}

/// A zone in which a load balancer has a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneRow {
    /// The name of the load balancer.
    pub load_balancer: Arc<str>,
    /// The name of the zone.
    pub zone: String,
    /// Whether its addresses are in DNS.
    pub healthy: bool,
}

/// What a scrape shows of the active configuration.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The target groups.
    pub groups: Vec<GroupRow>,
    /// The zones of load balancers.
    pub zones: Vec<ZoneRow>,
    /// The certificates.
    pub certificates: Vec<CertificateRow>,
}

/// A certificate of the active configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRow {
    /// Its ARN-shaped name.
    pub arn: Arc<str>,
    /// End of its validity, in seconds of Unix time.
    pub not_after: i64,
}

impl Telemetry {
    /// Writes all metrics as OpenMetrics text, without the final `# EOF`. [`Exposition`](crate::Exposition) turns it
    /// into the response to a scrape.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn write(self: &Arc<Self>, rows: Rows, out: &mut impl fmt::Write) -> fmt::Result {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape {
            telemetry: Arc::clone(self),
            targets: Targets::new(rows.groups),
            zones: rows.zones,
            certificates: rows.certificates,
        }));
        text::encode_registry(out, &registry)
    }
}

#[derive(Debug)]
struct Scrape {
    telemetry: Arc<Telemetry>,
    targets: Targets,
    zones: Vec<ZoneRow>,
    certificates: Vec<CertificateRow>,
}

/// The targets of a scrape. Iterating over them dominates its cost.
#[derive(Debug)]
struct Targets {
    groups: Vec<GroupRow>,
    #[cfg(test)]
    visits: std::sync::atomic::AtomicUsize,
}

impl Targets {
    fn new(groups: Vec<GroupRow>) -> Self {
        Self {
            groups,
            #[cfg(test)]
            visits: Default::default(),
        }
    }

    /// All targets with the names of their groups.
    fn iter(&self) -> impl Iterator<Item = (&str, &TargetRow)> {
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

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        let listeners = Listeners::new(self.telemetry.listeners());
        listeners.connections(&mut families)?;
        listeners.datagrams(&mut families)?;
        listeners.requests(&mut families)?;
        listeners.authentication(&mut families)?;
        listeners.failures(&mut families)?;
        self.each_target(&mut families)?;
        self.groups(&mut families)?;
        self.nodes(&mut families)?;
        self.surge_queues(&mut families)?;
        self.lcus(&mut families)?;
        self.certificates(&mut families)?;
        self.configuration(&mut families)?;
        self.process(&mut families)
    }
}

impl Scrape {
    fn each_target(&self, families: &mut Families<'_>) -> fmt::Result {
        fn labels<'r>((group, row): (&'r str, &'r TargetRow)) -> [Label<'r>; 2] {
            [
                Label::new("target_group", group),
                Label::new("target", &row.target),
            ]
        }
        let mut family = families.gauge(
            "elbow_target_health",
            "Whether a target is healthy (1) or not (0), with its state as a label",
            None,
        )?;
        for (group, row) in self.targets.iter() {
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
        for (group, row) in self.targets.iter() {
            family.series(&labels((group, row)), row.in_flight)?;
        }
        let mut family = families.counter(
            "elbow_target_requests",
            "Requests or connections sent to a target",
            None,
        )?;
        for (group, row) in self.targets.iter() {
            family.series(&labels((group, row)), row.requests)?;
        }
        Ok(())
    }

    fn surge_queues(&self, families: &mut Families<'_>) -> fmt::Result {
        let queues = self.telemetry.surge_queues();
        let label = |queue: &SurgeQueue| [Label::new("load_balancer", queue.name().to_owned())];
        let mut family = families.gauge(
            "elbow_surge_queue_length",
            "Requests and connections of a Classic load balancer that wait for a connection to an instance",
            None,
        )?;
        for queue in &queues {
            family.series(&label(queue), queue.length())?;
        }
        let mut family = families.counter(
            "elbow_spillover",
            "Requests and connections of a Classic load balancer that found the surge queue full",
            None,
        )?;
        for queue in &queues {
            family.series(&label(queue), queue.spilled())?;
        }
        Ok(())
    }

    fn lcus(&self, families: &mut Families<'_>) -> fmt::Result {
        let mut family = families.gauge(
            "elbow_lcus",
            "Load balancer capacity units of the last minute by dimension; AWS bills the largest",
            None,
        )?;
        for (consumer, consumed) in self.telemetry.lcus().consumed() {
            for (dimension, units) in consumed.dimensions() {
                let labels = [
                    Label::new("load_balancer", &*consumer.load_balancer),
                    Label::new("type", consumer.kind),
                    Label::new("protocol", consumer.protocol),
                    Label::new("dimension", dimension),
                ];
                family.float_series(&labels, units)?;
            }
        }
        Ok(())
    }

    fn groups(&self, families: &mut Families<'_>) -> fmt::Result {
        let groups = self.telemetry.groups();
        groups::requests(&groups, families)?;
        let AllHosts {
            groups: hosts,
            zones,
        } = AllHosts::of(&self.targets);
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
            (
                "elbow_anomalous_hosts",
                "Targets of a group that fail more requests than the others",
                |hosts| hosts.anomalous,
            ),
            (
                "elbow_mitigated_hosts",
                "Targets of a group that get fewer requests because they are anomalous",
                |hosts| hosts.mitigated,
            ),
        ] {
            let mut family = families.gauge(name, help, None)?;
            for group in &groups {
                let hosts = hosts.get(&**group.name()).copied().unwrap_or_default();
                let label = Label::new("target_group", &**group.name());
                family.series(&[label], count(hosts))?;
            }
        }
        hosts::in_zones(&zones, families)?;
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

    fn nodes(&self, families: &mut Families<'_>) -> fmt::Result {
        let mut family = families.gauge(
            "elbow_zone_healthy",
            "Whether the addresses of a load balancer in a zone are in DNS (1) or not (0)",
            None,
        )?;
        for row in &self.zones {
            let balancer = Label::new("load_balancer", &*row.load_balancer);
            let zone = Label::new(ZONE, &*row.zone);
            family.series(&[balancer, zone], row.healthy.into())?;
        }
        Ok(())
    }

    fn certificates(&self, families: &mut Families<'_>) -> fmt::Result {
        let mut family = families.gauge(
            "elbow_certificate_expiry_timestamp",
            "Expiry of a certificate, in Unix time",
            Some(&SECONDS),
        )?;
        for row in &self.certificates {
            let label = Label::new("certificate", &*row.arn);
            // A certificate that expired before 1970 is exposed as 0.
            family.series(&[label], u64::try_from(row.not_after).unwrap_or_default())?;
        }
        Ok(())
    }

    fn configuration(&self, families: &mut Families<'_>) -> fmt::Result {
        let (ok, failed) = self.telemetry.reloads();
        let mut family = families.counter(
            "elbow_config_reloads",
            "Configuration reloads by result",
            None,
        )?;
        family.series(&[Label::new("result", "ok")], ok)?;
        family.series(&[Label::new("result", "failed")], failed)?;
        families
            .gauge(
                "elbow_config_last_reload_success",
                "Whether the last configuration was applied (1) or rejected (0)",
                None,
            )?
            .series(&[], self.telemetry.last_reload_ok().into())?;
        families
            .gauge(
                "elbow_config_generation",
                "Generation of the active configuration",
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
        self.log_delivery(families)?;
        families
            .counter(
                "elbow_log_dropped",
                "Lines of the process log dropped because the reader was too slow",
                None,
            )?
            .series(&[], lines::stderr_lost())?;
        families
            .counter("elbow_accept_errors", "Failed calls of accept", None)?
            .series(&[], self.telemetry.accept_errors.get())?;
        let mut family = families.counter(
            "elbow_shed",
            "Connections and requests refused because of a limit, by reason",
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
        families.info("elbow_build", "Version of elbow", &[version])?;
        let started = self.telemetry.started().duration_since(UNIX_EPOCH);
        families
            .gauge(
                "process_start_time",
                "Start of the process, in Unix time",
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
    fn log_delivery(&self, families: &mut Families<'_>) -> fmt::Result {
        let counts = &self.telemetry.log_delivery;
        for (name, help, counter) in [
            (
                "elbow_log_files_delivered",
                "Log files delivered to buckets and folders",
                &counts.files,
            ),
            (
                "elbow_log_delivery_failures",
                "Attempts to deliver a log file that failed, and were repeated",
                &counts.failures,
            ),
        ] {
            families
                .counter(name, help, None)?
                .series(&[], counter.get())?;
        }
        let mut family = families.counter(
            "elbow_log_file_lines",
            "Lines of log files for buckets and folders, by result",
            None,
        )?;
        family.series(&[Label::new("result", "delivered")], counts.lines.get())?;
        family.series(&[Label::new("result", "dropped")], counts.dropped.get())?;
        families
            .gauge(
                "elbow_log_files_pending",
                "Log files in memory, before their delivery",
                Some(&BYTES),
            )?
            .series(&[], counts.held())
    }

    fn open_files(&self, families: &mut Families<'_>) -> fmt::Result {
        let files = &self.telemetry.open_files;
        for (name, help, value) in [
            (
                "process_max_fds",
                "Limit of open file descriptors",
                &files.limit,
            ),
            (
                "elbow_traffic_fds",
                "File descriptors used by traffic, including those reserved for connections to targets",
                &files.traffic,
            ),
            (
                "elbow_traffic_max_fds",
                "File descriptors that traffic may use; the rest is reserved",
                &files.max_traffic,
            ),
            (
                "elbow_max_connections",
                "Limit of open client connections, by --max-connections and file descriptors",
                &files.max_connections,
            ),
        ] {
            let value = value.load(Ordering::Relaxed);
            families.gauge(name, help, None)?.series(&[], value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

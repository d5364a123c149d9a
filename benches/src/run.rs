//! One measured run: its specification, its state and its report.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::cpu;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// 128 bytes there and back.
    TcpEcho,
    /// Connect, 128 bytes there and back, close.
    TcpConnect,
    /// Read without end.
    TcpDown,
    /// Write without end.
    TcpUp,
    /// One echo on each connection, which then stays open.
    TcpIdle,
    /// GET of 1 KiB on kept connections.
    Http,
    /// Connect, GET of 1 KiB, close.
    HttpConnect,
    /// GET of 64 MiB.
    HttpGet,
    /// PUT of 64 MiB.
    HttpPut,
    /// GET of 64 MiB over TLS; the target speaks HTTP.
    HttpsGet,
    /// PUT of 64 MiB over TLS.
    HttpsPut,
    /// Connect, full TLS handshake, GET of 1 KiB, close.
    HttpsConnect,
    /// The same with sessions that are resumed.
    HttpsResume,
    /// One GET on each connection, which then stays open.
    HttpIdle,
    /// The same over TLS.
    HttpsIdle,
    /// GET of 1 KiB over TLS; the target speaks HTTP.
    Https,
    /// The same with a target that speaks HTTPS.
    HttpsHttps,
    /// 64 bytes there and back by UDP; a connection is an address of a client.
    UdpEcho,
    /// One echo of each address, whose flow then stays open.
    UdpIdle,
    /// Datagrams of 1,200 bytes to the server.
    UdpStream,
    /// The same from clients that leave the cutting to the kernel, 16 datagrams at a time.
    UdpGso,
}

impl Workload {
    /// Whether the client speaks TLS.
    pub fn tls(self) -> bool {
        matches!(
            self,
            Self::Https
                | Self::HttpsHttps
                | Self::HttpsGet
                | Self::HttpsPut
                | Self::HttpsConnect
                | Self::HttpsResume
                | Self::HttpsIdle
        )
    }

    /// Whether datagrams are sent.
    pub fn is_udp(self) -> bool {
        self.echoes_datagrams() || matches!(self, Self::UdpStream | Self::UdpGso)
    }

    /// Whether the server sends datagrams back.
    pub fn echoes_datagrams(self) -> bool {
        matches!(self, Self::UdpEcho | Self::UdpIdle)
    }

    /// Whether each exchange has its own connection.
    pub fn reconnects(self) -> bool {
        matches!(
            self,
            Self::TcpConnect | Self::HttpConnect | Self::HttpsConnect | Self::HttpsResume
        )
    }

    /// Whether connections stay open after their only exchange.
    pub fn idles(self) -> bool {
        matches!(
            self,
            Self::TcpIdle | Self::HttpIdle | Self::HttpsIdle | Self::UdpIdle
        )
    }
}

/// The specification of a run; as JSON, an input line of `load serve`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What the clients do.
    pub workload: Workload,
    /// The address of the proxy.
    pub target: SocketAddr,
    /// The number of connections.
    pub connections: usize,
    /// Length of the measured window in seconds.
    pub seconds: f64,
    /// Length of the warm-up before the window, in seconds.
    #[serde(default = "default_warm")]
    pub warm: f64,
    /// Requests per second, sent on schedule even when replies are late. Without a rate, each
    /// connection sends the next request after the reply to the last one.
    #[serde(default)]
    pub rate: Option<f64>,
    /// Processes for the CPU time of the report.
    #[serde(default)]
    pub pids: Vec<u32>,
}

fn default_warm() -> f64 {
    0.2
}

/// The result of a run; as JSON, an output line.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Exchanges completed inside the window.
    pub requests: u64,
    /// Those of `requests` whose connection resumed a TLS session.
    pub resumed: u64,
    /// Body bytes moved inside the window.
    pub bytes: u64,
    /// Length of the measured window in seconds.
    pub seconds: f64,
    /// CPU time of `pids` inside the window.
    pub cpu_seconds: f64,
    /// CPU time of this process inside the window: its clients and its servers.
    pub load_cpu_seconds: f64,
    /// Median latency in microseconds.
    pub p50_us: u64,
    /// 99th percentile of the latency in microseconds.
    pub p99_us: u64,
    /// Maximum latency in microseconds.
    pub max_us: u64,
    /// Failed exchanges, including those of the warm-up.
    pub errors: u64,
    /// The first failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
}

/// The state of a run.
pub struct Run {
    /// The specification.
    pub spec: Spec,
    /// The open connections.
    pub keys: Vec<usize>,
    /// Open connections without a pending reply.
    pub resting: Vec<usize>,
    next_due: Instant,
    opens: Instant,
    window: Option<Window>,
    histogram: Histogram<u64>,
    requests: u64,
    resumed: u64,
    errors: u64,
    first_error: Option<String>,
}

struct Window {
    opened: Instant,
    moved: u64,
    cpu: Duration,
    load_cpu: Duration,
}

/// A run ends after this number of failed exchanges.
const MAX_ERRORS: u64 = 200;

impl Run {
    /// Starts the clock of a run.
    pub fn new(spec: Spec) -> anyhow::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            opens: now + Duration::from_secs_f64(spec.warm),
            keys: Vec::new(),
            resting: Vec::new(),
            next_due: now,
            window: None,
            histogram: Histogram::new_with_bounds(1, 60_000_000, 3)?,
            requests: 0,
            resumed: 0,
            errors: 0,
            first_error: None,
            spec,
        })
    }

    /// Records a complete exchange that began at `started`.
    pub fn completed(&mut self, started: Instant) {
        if self.window.is_some() {
            self.requests += 1;
            let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.histogram.saturating_record(micros);
        }
    }

    /// Records that the connection of the last complete exchange resumed a TLS session.
    pub fn resumed(&mut self) {
        self.resumed += u64::from(self.window.is_some());
    }

    /// Records a failed exchange.
    pub fn failed(&mut self, error: impl std::fmt::Display) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }

    /// Whether too many exchanges have failed.
    pub fn is_aborted(&self) -> bool {
        self.errors >= MAX_ERRORS
    }

    /// Opens the window when the warm-up is over; returns the report when the window ends.
    pub fn tick(&mut self, now: Instant, moved: u64) -> Option<Report> {
        let Some(window) = &self.window else {
            if now >= self.opens {
                self.window = Some(Window {
                    opened: now,
                    moved,
                    cpu: cpu::used(&self.spec.pids),
                    load_cpu: cpu::used(&[std::process::id()]),
                });
            }
            return None;
        };
        let length = now.duration_since(window.opened).as_secs_f64();
        (length >= self.spec.seconds).then(|| self.report(moved))
    }

    /// Returns the counts so far.
    pub fn report(&self, moved: u64) -> Report {
        let cpu = cpu::used(&self.spec.pids);
        let load_cpu = cpu::used(&[std::process::id()]);
        let window = self.window.as_ref();
        Report {
            requests: self.requests,
            resumed: self.resumed,
            bytes: window.map_or(0, |w| moved - w.moved),
            seconds: window.map_or(0.0, |w| w.opened.elapsed().as_secs_f64()),
            cpu_seconds: window.map_or(0.0, |w| cpu.saturating_sub(w.cpu).as_secs_f64()),
            load_cpu_seconds: window
                .map_or(0.0, |w| load_cpu.saturating_sub(w.load_cpu).as_secs_f64()),
            p50_us: self.histogram.value_at_quantile(0.5),
            p99_us: self.histogram.value_at_quantile(0.99),
            max_us: self.histogram.max(),
            errors: self.errors,
            first_error: self.first_error.clone(),
        }
    }

    /// Returns a free connection for the next paced request and the time it was due, once it is due.
    pub fn due(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let rate = self.spec.rate?;
        if self.next_due > now {
            return None;
        }
        let key = self.resting.pop()?;
        let due = self.next_due;
        self.next_due += Duration::from_secs_f64(1.0 / rate);
        Some((key, due))
    }

    /// The longest sleep of the loop, in milliseconds.
    pub fn timeout(&self, now: Instant) -> u64 {
        let pause = match self.spec.rate {
            Some(_) if !self.resting.is_empty() => self.next_due.saturating_duration_since(now),
            _ => Duration::from_millis(5),
        };
        // The timer of the kernel has a resolution of a millisecond: spin for less.
        u64::try_from(pause.as_millis()).unwrap_or(5).min(5)
    }
}

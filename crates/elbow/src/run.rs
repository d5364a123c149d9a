//! `elbow run`.

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use elbow_admin::{Access, Pages};
use elbow_logs::Delivery;
use elbow_model::{DnsZone, Model};
use elbow_plane::{DataPath, Logs, Options, Plane, open_files};
use elbow_telemetry::{AccessLog, Sink, Telemetry, stderr};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::args::{AccessLogArg, DataPathArg, RunArgs, ServingArgs};
use crate::authority::expiry;
use crate::handover::{Handing, Start, Upgrades};
use crate::process::{Failure, PidFile};
use crate::reload::{self, Reloader};
use crate::sockets::Sockets;
use crate::source::{Reader, Source};
use crate::ticket_keys::{self, KeyFile};
use crate::{deploy, dns, dualstack, loaded, placed, process, systemd, token};

/// The number of access-log batches that may wait for the writer.
const LOG_QUEUE: usize = 512;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Nothing can be served, or an address of the operator cannot be bound.
pub(crate) fn run(args: RunArgs) -> Result<(), Failure> {
    process::log_to_stderr("info")?;
    let begin = Start::find()?;
    let mut reader = Reader::new(Source::new(&args.input));
    let seen = reader.look();
    let loaded = reader.load();
    // A closed stderr cannot be reported anywhere.
    let _ = loaded::report(&loaded.diagnostics, &mut stderr());
    if begin.is_upgrade() && loaded.has_errors() {
        // The previous process serves what was correct before.
        return Err(Failure::Input);
    }
    let nothing_is_good = |m: &Model| loaded.has_errors() && m.load_balancers.is_empty();
    let model = loaded.model.clone().filter(|m| !nothing_is_good(m));
    let model = model.ok_or(Failure::Input)?;
    process::runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let mut upgrades = Upgrades::listen()?;
        let sockets = Sockets::new(begin.sockets());
        let admin = Admin::bind(&args.serving, &sockets).await?;
        let plane = Arc::new(start(&args.serving, loaded.dns.clone())?);
        begin.inherit(&plane);
        let key_file = restore_ticket_keys(&args.serving, &plane);
        plane.set_log_buckets(loaded.log_buckets.clone());
        let dns = dns::bind(args.serving.dns.0, &sockets).await?;
        let desired = deploy::begin(&plane, &model, |name| reader.origin(name))?;
        if begin.is_upgrade() && desired.failures().next().is_some() {
            return Err(incomplete());
        }
        begin.accept(&plane).await?;
        announce(&plane);
        dns.serve(plane.view(), &sockets);
        let pages = Pages::new(plane.view(), Arc::new(elbow_admin::NoActions));
        admin.serve(&pages, &sockets);
        tokio::spawn(expiry::watch(plane.view()));
        let reloader = Reloader::new(reader, seen, Arc::clone(&plane), &loaded).serving(desired);
        let hang_up = reload::start(reloader)?;
        let serving = Serving::start(Handing { plane, sockets }, &args.serving, key_file)?;
        let on_hangup = || {
            // A full channel means that a reload is pending.
            let _ = hang_up.try_send(());
        };
        let end = tokio::select! {
            () = signals.until_stop(on_hangup) => End::Stopped,
            () = upgrades.handed_over(&serving.handing) => End::HandedOver,
        };
        serving.end(signals, args.serving.drain_timeout, end).await;
        Ok(())
    })
}

/// Some load balancers cannot be served; their failures have been reported.
fn incomplete() -> Failure {
    Failure::environment(
        "not everything can be served, so the previous process goes on",
        "correct what is reported above, and upgrade again",
    )
}

/// A process that serves.
pub(crate) struct Serving {
    pub(crate) handing: Handing,
    pid_file: PidFile,
    ticket_keys: Option<JoinHandle<()>>,
}

impl Serving {
    /// Tells those who wait for it that this process serves. Its ticket keys are kept in `key_file`.
    ///
    /// # Errors
    /// The pid file cannot be written.
    pub(crate) fn start(
        handing: Handing,
        args: &ServingArgs,
        key_file: Option<KeyFile>,
    ) -> Result<Self, Failure> {
        let pid_file = PidFile::write(args.pid_file.as_deref())?;
        systemd::ready();
        tokio::spawn(systemd::watch(Arc::clone(&handing.plane)));
        let keep = |file| ticket_keys::keep(file, Arc::clone(&handing.plane));
        Ok(Self {
            ticket_keys: key_file.map(|file| tokio::spawn(keep(file))),
            handing,
            pid_file,
        })
    }

    /// Drains for `timeout`. After handing over, the pid file and the file of ticket keys are those of the other process.
    pub(crate) async fn end(self, signals: Signals, timeout: Duration, end: End) {
        if let Some(task) = self.ticket_keys {
            task.abort();
        }
        signals.drain(&self.handing.plane, timeout, end).await;
        if end == End::Stopped {
            self.pid_file.remove();
        }
    }
}

/// Why a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A signal asks for it.
    Stopped,
    /// Another process has taken over.
    HandedOver,
}

/// Gives `plane` the ticket keys of an earlier process, from the file that `args` names. The keys of a predecessor come first.
pub(crate) fn restore_ticket_keys(args: &ServingArgs, plane: &Plane) -> Option<KeyFile> {
    let (file, keys) = KeyFile::open(args.ticket_keys.as_deref()?);
    plane.inherit_ticket_keys(&keys);
    Some(file)
}

/// Starts a plane with the options in `args`; it serves nothing yet.
pub(crate) fn start(args: &ServingArgs, dns: DnsZone) -> Result<Plane, Failure> {
    let workers = match args.workers {
        Some(n) => usize::from(n),
        None => std::thread::available_parallelism().map_or(1, NonZero::get),
    };
    let options = Options {
        workers,
        address_pool: args.address_pool,
        ipv6: dualstack::source(args.address_pool_v6, args.address_pool),
        port_offset: args.port_offset,
        data_path: match args.data_path {
            DataPathArg::Auto => DataPath::Auto,
            DataPathArg::Portable => DataPath::Portable,
        },
        dns,
        max_connections: args.max_connections.map(NonZero::get),
        targets_within: false,
        drain_timeout: args.drain_timeout,
    };
    let plane = start_plane(options, &args.access_log)?;
    placed::adopt(&plane);
    Ok(plane)
}

/// Starts a plane that serves nothing yet.
pub(crate) fn start_plane(options: Options, access_log: &AccessLogArg) -> Result<Plane, Failure> {
    match open_files::raise() {
        Ok(limit) => info!(limit, "open files"),
        Err(error) => warn!(%error, "cannot raise the limit of open files"),
    }
    let telemetry = Telemetry::new(options.workers);
    let logs = logs(access_log, &telemetry).map_err(|e| {
        Failure::environment(
            format!("access log: {e}"),
            "check the path and its permissions",
        )
    })?;
    Plane::start(options, telemetry, logs)
        .map_err(|e| Failure::environment(e, "raise the limits of threads and open files"))
}

/// Where logs go, with the access logs of all load balancers where `access_log` says.
fn logs(access_log: &AccessLogArg, telemetry: &Telemetry) -> io::Result<Logs> {
    let logs = Logs::new(Delivery::new(Arc::clone(&telemetry.log_delivery)));
    let sink = match access_log {
        AccessLogArg::Off => return Ok(logs),
        AccessLogArg::Folder(path) => {
            std::fs::create_dir_all(path)?;
            return Ok(logs.to_folder(path));
        }
        AccessLogArg::Stdout => Sink::Stdout,
        AccessLogArg::File(path) => Sink::File(path.clone()),
    };
    let log = AccessLog::start(sink, LOG_QUEUE)?;
    telemetry.set_access_log(Arc::clone(&log));
    Ok(logs.to(log))
}

/// The admin address and the probe address, bound.
pub(crate) struct Admin {
    sockets: Vec<(TcpListener, Access)>,
    /// The token that the probe address requires.
    #[cfg(feature = "controller")]
    token: Arc<OnceLock<elbow_admin::Token>>,
}

impl Admin {
    /// Binds the addresses that `args` name.
    ///
    /// # Errors
    /// An address cannot be bound, or the admin token cannot be read.
    pub(crate) async fn bind(args: &ServingArgs, sockets: &Sockets) -> Result<Self, Failure> {
        let configured = token::to_require(&args.token)?;
        let token = || {
            Arc::new(
                configured
                    .clone()
                    .map_or_else(OnceLock::new, OnceLock::from),
            )
        };
        let access = Access {
            hosts: args.admin_host.clone(),
            token: token(),
            only_with_token: false,
        };
        let for_probes = Access {
            token: token(),
            only_with_token: true,
            ..access.clone()
        };
        #[cfg(feature = "controller")]
        let probes_token = Arc::clone(&for_probes.token);
        let admin = bind(("admin address", "--admin"), args.admin.0, sockets).await?;
        if let Some(address) = args.admin.0.filter(|a| !a.ip().is_loopback())
            && configured.is_none()
        {
            warn!(%address, "other machines can read the admin address without a token; require one with --admin-token FILE");
        }
        let probes = bind(("probe address", "--probes"), args.probes.0, sockets).await?;
        let admin = admin.map(|listener| (listener, access));
        let probes = probes.map(|listener| (listener, for_probes));
        Ok(Self {
            sockets: admin.into_iter().chain(probes).collect(),
            #[cfg(feature = "controller")]
            token: probes_token,
        })
    }

    /// The token that the probe address requires, to be set later.
    #[cfg(feature = "controller")]
    pub(crate) fn probes_token(&self) -> Arc<OnceLock<elbow_admin::Token>> {
        Arc::clone(&self.token)
    }

    /// Serves `pages` until another process does.
    pub(crate) fn serve(self, pages: &Pages, sockets: &Sockets) {
        for (listener, access) in self.sockets {
            sockets.serve(pages.clone().serve(listener, access));
        }
    }
}

/// Binds `address`, unless it is off. `what` is for the error; without its dashes, `flag` also names the socket.
pub(crate) async fn bind(
    (what, flag): (&str, &str),
    address: Option<SocketAddr>,
    sockets: &Sockets,
) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = address else {
        return Ok(None);
    };
    match sockets.tcp(flag.trim_start_matches('-'), address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(e) => Err(Failure::environment(
            format!("{what} {address}: {e}"),
            &format!("choose another with {flag} ADDR, or {flag} off"),
        )),
    }
}

fn announce(plane: &Plane) {
    for balancer in plane.view().status().load_balancers {
        for listener in &balancer.listeners {
            info!(
                load_balancer = balancer.name,
                protocol = listener.protocol,
                bound = listener.bound,
                dns_name = balancer.dns_name,
                "serving"
            );
        }
    }
}

/// The signals that a serving process handles.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Replaces the default actions of the signals.
    pub(crate) fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|e| Failure::environment(e, "raise the limit of open files (ulimit -n)"))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT; calls `on_hangup` on each SIGHUP.
    pub(crate) async fn until_stop(&mut self, mut on_hangup: impl FnMut()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => on_hangup(),
            }
        }
    }

    /// Drains `plane` for `timeout`; a second signal, or the first after handing over, stops it at once.
    pub(crate) async fn drain(mut self, plane: &Arc<Plane>, timeout: Duration, end: End) {
        if end == End::Stopped {
            systemd::stopping();
        }
        info!(?timeout, "draining; a second signal stops at once");
        let mut draining = {
            let plane = Arc::clone(plane);
            tokio::task::spawn_blocking(move || match end {
                End::Stopped => plane.drain(timeout),
                End::HandedOver => plane.drain_after_hand_over(timeout),
            })
        };
        let drained = tokio::select! {
            drained = &mut draining => drained,
            () = self.again() => {
                warn!("stopping at once");
                plane.stop();
                draining.await
            }
        };
        if let Err(error) = drained {
            warn!(%error, "draining failed");
        }
    }

    async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

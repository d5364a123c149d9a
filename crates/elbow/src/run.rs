//! `elbow run`.

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use elbow_admin::{Door, Pages, Token};
use elbow_model::{DnsZone, Model};
use elbow_plane::{ApplyError, DataPath, Options, Plane, Rejection, open_files};
use elbow_telemetry::{AccessLog, Sink, Telemetry, stderr};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::cli::{AccessLogArg, DataPathArg, RunArgs, ServingArgs};
use crate::reload::{self, Reloader, Seen};
use crate::{Failure, cert, dns, source};

/// Batches of access-log lines that may wait for the writer.
const LOG_QUEUE: usize = 256;

/// Serves until a signal ends it.
pub(crate) fn run(args: RunArgs) -> Result<(), Failure> {
    let source = args.input.source();
    crate::log_to_stderr("info")?;
    let seen = Seen::of(&source);
    let loaded = source.load_to_serve(None);
    // Nobody can be told when stderr is gone.
    let _ = source::report(&loaded.diagnostics, &mut stderr());
    let nothing_is_good = |m: &Model| loaded.has_errors() && m.load_balancers.is_empty();
    let model = loaded.model.clone().filter(|m| !nothing_is_good(m));
    let model = model.ok_or(Failure::Input)?;
    crate::runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let admin = Admin::bind(&args.serving).await?;
        let plane = Arc::new(start(&args.serving, loaded.dns.clone())?);
        dns::start(args.serving.dns.0, plane.view()).await?;
        let reloader = Reloader::new(source, seen, Arc::clone(&plane), &loaded);
        plane.apply(model).map_err(refused)?;
        announce(&plane);
        admin.serve(Pages::new(plane.view(), Arc::new(elbow_admin::NoActions)));
        tokio::spawn(cert::expiry::watch(plane.view()));
        let hang_up = reload::start(reloader)?;
        signals
            .until_stop(|| {
                // Full: a reload is on its way.
                let _ = hang_up.try_send(());
            })
            .await;
        signals.drain(&plane, args.serving.drain_timeout).await;
        Ok(())
    })
}

/// A plane as `args` say, that serves nothing yet.
pub(crate) fn start(args: &ServingArgs, dns: DnsZone) -> Result<Plane, Failure> {
    let workers = match args.workers {
        Some(n) => usize::from(n),
        None => std::thread::available_parallelism().map_or(1, NonZero::get),
    };
    let sink = match &args.access_log {
        AccessLogArg::Off => None,
        AccessLogArg::Stdout => Some(Sink::Stdout),
        AccessLogArg::File(path) => Some(Sink::File(path.clone())),
    };
    let log = sink
        .map(|sink| AccessLog::start(sink, LOG_QUEUE))
        .transpose()
        .map_err(|e| {
            Failure::environment(
                format!("access log: {e}"),
                "check the path and who may write there",
            )
        })?;
    let options = Options {
        workers,
        address_pool: args.address_pool,
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
    start_plane(options, log)
}

/// A plane that serves nothing yet.
pub(crate) fn start_plane(options: Options, log: Option<Arc<AccessLog>>) -> Result<Plane, Failure> {
    match open_files::raise() {
        Ok(limit) => info!(limit, "open files"),
        Err(error) => warn!(%error, "the limit of open files stays as it is"),
    }
    let telemetry = Telemetry::new(options.workers);
    if let Some(log) = &log {
        telemetry.set_access_log(Arc::clone(log));
    }
    Plane::start(options, telemetry, log)
        .map_err(|e| Failure::environment(e, "raise the limits of threads and open files"))
}

/// The addresses of the operator's pages.
pub(crate) struct Admin {
    sockets: Vec<(TcpListener, Door)>,
    /// What the probe address asks for.
    token: Arc<OnceLock<Token>>,
}

impl Admin {
    /// Those that `args` name; refused when one is taken.
    pub(crate) async fn bind(args: &ServingArgs) -> Result<Self, Failure> {
        let told = args.token.to_serve()?;
        let token = || Arc::new(told.clone().map_or_else(OnceLock::new, OnceLock::from));
        let door = Door {
            hosts: args.admin_host.clone(),
            token: token(),
            only_with_token: false,
        };
        let for_probes = Door {
            token: token(),
            only_with_token: true,
            ..door.clone()
        };
        let token = Arc::clone(&for_probes.token);
        let admin = bind("admin address", "--admin", args.admin.0).await?;
        if let Some(address) = args.admin.0.filter(|a| !a.ip().is_loopback())
            && told.is_none()
        {
            warn!(%address, "other machines may read the pages of the admin address; --admin-token FILE asks for a token");
        }
        let probes = bind("probe address", "--probes", args.probes.0).await?;
        let admin = admin.map(|listener| (listener, door));
        let probes = probes.map(|listener| (listener, for_probes));
        Ok(Self {
            sockets: admin.into_iter().chain(probes).collect(),
            token,
        })
    }

    /// The token that the probe address asks for, which may come later.
    #[cfg(feature = "controller")]
    pub(crate) fn probes_token(&self) -> Arc<OnceLock<Token>> {
        Arc::clone(&self.token)
    }

    /// Answers until the runtime ends.
    pub(crate) fn serve(self, pages: Pages) {
        for (listener, door) in self.sockets {
            tokio::spawn(pages.clone().serve(listener, door));
        }
    }
}

/// A socket; refused when it is taken.
pub(crate) async fn bind(
    what: &str,
    flag: &str,
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = address else {
        return Ok(None);
    };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(e) => Err(Failure::environment(
            format!("{what} {address}: {e}"),
            &format!("choose another with {flag} ADDR, or {flag} off"),
        )),
    }
}

/// What a person is told when a model cannot be served.
pub(crate) fn refused(failure: ApplyError) -> Failure {
    match &failure {
        ApplyError::Rejected(rejections) => {
            report(rejections);
            Failure::Input
        }
        ApplyError::Bind(_) | ApplyError::Addresses(_) => {
            Failure::environment(&failure, hint(&failure))
        }
    }
}

/// What to do when a model cannot be served.
pub(crate) fn hint(failure: &ApplyError) -> &'static str {
    let errors = match failure {
        ApplyError::Rejected(_) => return "correct what is named",
        ApplyError::Addresses(_) => return "choose a larger --address-pool",
        ApplyError::Bind(errors) => errors,
    };
    let kind = errors.first().map(|error| error.source.kind());
    match kind.unwrap_or(io::ErrorKind::Other) {
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root or `setcap cap_net_bind_service=+ep`; or add --port-offset 8000"
        }
        io::ErrorKind::AddrInUse => {
            "another process listens there; `ss -ltnp` names it; or use --port-offset or --address-pool"
        }
        io::ErrorKind::AddrNotAvailable => {
            "the address is not on this machine; choose one that is, or leave `addresses` out"
        }
        _ => "see the reason above",
    }
}

/// Says on stderr what a plane does not take.
pub(crate) fn report(rejections: &[Rejection]) {
    let diagnostics: Vec<_> = rejections.iter().map(|r| r.diagnostic.clone()).collect();
    // Nobody can be told when stderr is gone.
    let _ = source::report(&diagnostics, &mut stderr());
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

/// The signals that a serving elbow knows.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on they do what elbow says.
    pub(crate) fn new() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|e| Failure::environment(e, "signals cannot be had"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Until SIGTERM or SIGINT; each SIGHUP is told to `on_hangup`.
    pub(crate) async fn until_stop(&mut self, mut on_hangup: impl FnMut()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => on_hangup(),
            }
        }
    }

    /// Drains `plane` for `timeout`; a second signal stops it at once.
    pub(crate) async fn drain(mut self, plane: &Arc<Plane>, timeout: Duration) {
        info!(?timeout, "draining; a second signal stops at once");
        let mut draining = {
            let plane = Arc::clone(plane);
            tokio::task::spawn_blocking(move || plane.drain(timeout))
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

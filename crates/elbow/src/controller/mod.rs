//! `elbow controller`.

mod args;
mod balancers;
mod routes;

use std::io::{self, Write};
use std::sync::Arc;

use elbow_admin::{Actions, Done, Pages, Token};
use elbow_kube::{Controller, Metrics, Options};
use elbow_manifest::Context;
use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;
use elbow_plane::Plane;
use elbow_telemetry::stderr;
use tokio::sync::watch;
use tracing::warn;

pub(crate) use args::ControllerArgs;
use args::ControllerCommand;
use balancers::Balancers;

use crate::cluster::failure;
use crate::reload::{self, Reloader, Seen};
use crate::run::{self, Signals};
use crate::source::{self, Loaded, Source};
use crate::{Failure, cert, dns, manifests, pipes};

/// Threads beside those of the plane: one may be at work on a large cluster while the other answers probes.
const THREADS: usize = 2;

/// Serves a cluster until a signal ends it, or does what the subcommand says.
pub(crate) fn controller(args: ControllerArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|e| Failure::environment(e, "raise the limit of open files (ulimit -n)"))?;
    match &args.command {
        None => runtime.block_on(serve(args)),
        Some(ControllerCommand::Crds) => crds(),
        Some(ControllerCommand::Routes) => routes::routes(&args.cluster),
        Some(ControllerCommand::Check) => runtime.block_on(check(&args)),
    }
}

/// The definitions, as they are applied.
fn crds() -> Result<(), Failure> {
    let text = elbow_kube::crd::yaml().map_err(|e| Failure::environment(e, "tell its authors"))?;
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|e| Failure::environment(e, "is the reader of the output still there?"))
}

/// Says what the cluster lacks.
async fn check(args: &ControllerArgs) -> Result<(), Failure> {
    let server = args.cluster.open().await.map_err(failure)?;
    let checked = elbow_kube::check(&server, &options(args)?).await;
    let (version, found) = checked.map_err(failure)?;
    let mut out = io::stdout().lock();
    let told = writeln!(out, "API server {} is Kubernetes {version}", server.url)
        .and_then(|()| source::report(&found, &mut out));
    told.map_err(|e| Failure::environment(e, "is the reader still there?"))?;
    match found.iter().filter(|found| found.is_error()).count() {
        0 => Ok(()),
        lacking => Err(Failure::environment(
            format!("the cluster lacks {lacking} of the things that elbow needs"),
            "config/kube has all rules in one place; what can be served without them is served",
        )),
    }
}

fn options(args: &ControllerArgs) -> Result<Options, Failure> {
    Ok(Options {
        context: context(args)?,
        watch_namespace: args.cluster.watch_namespace.clone(),
        status_address: args.status_address.into(),
        dry_run_plan: args.dry_run_plan,
        leader_election: args.leader_election(),
    })
}

async fn serve(args: ControllerArgs) -> Result<(), Failure> {
    pipes::keep(args.config.as_deref());
    crate::log_to_stderr("info")?;
    let options = options(&args)?;
    let native = args.config.clone().map(Source::Native);
    let native = native.map(Beside::load).transpose()?;
    let mut signals = Signals::new()?;
    let server = args.cluster.open().await.map_err(failure)?;
    let admin = run::Admin::bind(&args.serving).await?;
    if let Some(secret) = args.admin_token_secret {
        let (client, door) = (server.client.clone(), admin.probes_token());
        tokio::spawn(async move {
            match Token::new(&elbow_kube::token::keep(client, &secret).await) {
                // Nothing else sets it.
                Some(token) => drop(door.set(token)),
                None => warn!("Secret {secret} has no token: expected visible ASCII characters"),
            }
        });
    }
    let webhook = run::bind("webhook address", "--webhook", args.webhook.0).await?;
    let plane = Arc::new(run::start(&args.serving, options.context.dns_zone())?);
    dns::start(args.serving.dns.0, plane.view()).await?;
    let balancers = Arc::new(Balancers::new(Arc::clone(&plane)));
    let mut controller = Controller::new(server, options, balancers).with_webhook(webhook);
    let mut hang_up = None;
    if let Some(native) = native {
        let (models, told) = watch::channel(native.model.clone());
        controller = controller.beside(told);
        let reloader = native.reloader(&plane).beside(models);
        hang_up = Some(reload::start(reloader)?);
    }
    let watching = Arc::new(Watching {
        metrics: controller.metrics(),
        ready: controller.ready(),
    });
    admin.serve(Pages::new(plane.view(), watching));
    tokio::spawn(cert::expiry::watch(plane.view()));
    let stop = watch::Sender::new(false);
    let mut watching = tokio::spawn(controller.run(stop.subscribe()));
    tokio::select! {
        () = signals.until_stop(|| {
            if let Some(hang_up) = &hang_up {
                // Full: a reload is on its way.
                let _ = hang_up.try_send(());
            }
        }) => {}
        ended = &mut watching => match ended {
            Ok(Err(error)) => return Err(failure(error)),
            Ok(Ok(())) => return Err(Failure::environment("the cluster is watched no longer", "start elbow again")),
            Err(panic) => return Err(Failure::environment(panic, "start elbow again, and tell its authors")),
        },
    }
    // Nothing is written any more, and the status stays: another replica, or the next start, serves the same.
    stop.send_replace(true);
    // It has only to let go of its Lease, for which the listeners do not wait.
    let _ = tokio::join!(watching, signals.drain(&plane, args.serving.drain_timeout));
    Ok(())
}

/// The native file beside the cluster.
struct Beside {
    source: Source,
    /// The file before it was read.
    seen: Seen,
    loaded: Loaded,
    model: Model,
}

impl Beside {
    fn load(source: Source) -> Result<Self, Failure> {
        let seen = Seen::of(&source);
        let loaded = source.load_to_serve(None);
        // Nobody can be told when stderr is gone.
        let _ = source::report(&loaded.diagnostics, &mut stderr());
        let model = loaded.model.clone().ok_or(Failure::Input)?;
        Ok(Self {
            source,
            seen,
            loaded,
            model,
        })
    }

    fn reloader(self, plane: &Arc<Plane>) -> Reloader {
        Reloader::new(self.source, self.seen, Arc::clone(plane), &self.loaded)
    }
}

/// The environment file, with the flags that go before it.
fn context(args: &ControllerArgs) -> Result<Context, Failure> {
    let mut found = Vec::new();
    let mut context = manifests::environment(args.flags.environment.as_deref(), &mut found);
    // Nobody can be told when stderr is gone.
    let _ = source::report(&found, &mut stderr());
    if found.iter().any(Diagnostic::is_error) {
        return Err(Failure::Input);
    }
    args.flags.apply(&mut context);
    Ok(context)
}

/// What the admin address says of the controller.
struct Watching {
    metrics: Metrics,
    ready: watch::Receiver<bool>,
}

impl Actions for Watching {
    fn post(&self, _path: &str) -> Option<Done> {
        None
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }
}

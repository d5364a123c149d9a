//! `elbow controller`.

mod args;
mod balancers;

use std::io;
use std::sync::Arc;

use elbow_admin::{Actions, Done};
use elbow_kube::{Controller, Error, Metrics, Options, client};
use elbow_manifest::Context;
use elbow_model::diagnostic::Diagnostic;
use tokio::sync::watch;

pub(crate) use args::ControllerArgs;
use args::ControllerCommand;
use balancers::Balancers;

use crate::run::{self, Signals};
use crate::{Failure, cert, manifests, source};

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
        Some(ControllerCommand::Check) => runtime.block_on(check(&args)),
    }
}

async fn check(args: &ControllerArgs) -> Result<(), Failure> {
    let cluster = &args.cluster;
    let server = client::open(cluster.kubeconfig.as_deref(), cluster.context.as_deref()).await;
    let server = server.map_err(failure)?;
    let version = client::version(&server).await.map_err(failure)?;
    println!("API server {} is Kubernetes {version}", server.url);
    Ok(())
}

async fn serve(args: ControllerArgs) -> Result<(), Failure> {
    crate::log_to_stderr("info");
    let context = context(&args)?;
    let mut signals = Signals::new()?;
    let cluster = &args.cluster;
    let server = client::open(cluster.kubeconfig.as_deref(), cluster.context.as_deref()).await;
    let server = server.map_err(failure)?;
    let admin = run::bind_admin(args.serving.admin.0).await?;
    let plane = Arc::new(run::start(&args.serving)?);
    let options = Options {
        context,
        watch_namespace: cluster.watch_namespace.clone(),
        status_address: args.status_address.into(),
        dry_run_plan: args.dry_run_plan,
        leader_election: args.leader_election(),
    };
    let balancers = Arc::new(Balancers::new(Arc::clone(&plane)));
    let controller = Controller::new(server, options, balancers);
    if let Some(listener) = admin {
        let actions = Arc::new(Watching {
            metrics: controller.metrics(),
            ready: controller.ready(),
        });
        tokio::spawn(elbow_admin::serve(listener, plane.view(), actions));
    }
    tokio::spawn(cert::expiry::watch(plane.view()));
    let stop = watch::Sender::new(false);
    let mut watching = tokio::spawn(controller.run(stop.subscribe()));
    tokio::select! {
        () = signals.until_stop(|| {}) => {}
        ended = &mut watching => match ended {
            Ok(Err(error)) => return Err(failure(error)),
            Ok(Ok(())) => return Err(Failure::environment("the cluster is watched no longer", "start elbow again")),
            Err(panic) => return Err(Failure::environment(panic, "start elbow again, and tell its authors")),
        },
    }
    // Nothing is written any more, and the status stays: another replica, or the next start, serves the same.
    stop.send_replace(true);
    // It has only to let go of its Lease.
    let _ = watching.await;
    signals.drain(&plane, args.serving.drain_timeout).await;
    Ok(())
}

/// The environment file, with the flags that go before it.
fn context(args: &ControllerArgs) -> Result<Context, Failure> {
    let mut found = Vec::new();
    let mut context = manifests::environment(args.flags.environment.as_deref(), &mut found);
    // Nobody can be told when stderr is gone.
    let _ = source::report(&found, &mut io::stderr());
    if found.iter().any(Diagnostic::is_error) {
        return Err(Failure::Input);
    }
    args.flags.apply(&mut context);
    Ok(context)
}

fn failure(error: Error) -> Failure {
    let message = format!("{error}\n  hint: {}", error.hint());
    match error.is_input() {
        true => {
            // As above.
            let _ =
                io::Write::write_all(&mut io::stderr(), format!("error: {message}\n").as_bytes());
            Failure::Input
        }
        false => Failure::Environment { message },
    }
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

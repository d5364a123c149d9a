//! `elbow controller`.

mod balancers;
mod routes;

use std::io::{self, Write};
use std::sync::Arc;

use elbow_admin::{Actions, Done, Pages, Token};
use elbow_kube::crd::Family;
use elbow_kube::{Controller, Metrics, Options};
use elbow_logs::Buckets;
use elbow_manifest::Context;
use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;
use elbow_plane::Plane;
use elbow_telemetry::stderr;
use tokio::sync::watch;
use tracing::warn;

use balancers::Balancers;

use crate::args::{ControllerArgs, ControllerCommand};
use crate::authority::expiry;
use crate::cluster::{self, failure};
use crate::handover::{Handing, Start, Upgrades};
use crate::loaded::{self, Loaded};
use crate::look::Look;
use crate::process::Failure;
use crate::reload::{self, Reloader};
use crate::run::{self, End, Serving, Signals};
use crate::sockets::Sockets;
use crate::source::{NativeFile as NativeFileSource, Reader, Source};
use crate::{dns, log_buckets, manifests, pipes};

/// The number of threads besides those of the plane: one may process a large cluster while the other answers probes.
const THREADS: usize = 2;

/// Serves a cluster until SIGTERM or SIGINT, or runs the subcommand.
pub(crate) fn controller(args: ControllerArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|e| Failure::environment(e, "raise the limit of open files (ulimit -n)"))?;
    match &args.command {
        None => runtime.block_on(serve(args)),
        Some(ControllerCommand::Crds { eks_auto_mode }) => crds(*eks_auto_mode),
        Some(ControllerCommand::Routes) => routes::routes(&args.cluster),
        Some(ControllerCommand::Check) => runtime.block_on(check(&args)),
    }
}

/// Prints the CRDs as YAML.
fn crds(eks_auto_mode: bool) -> Result<(), Failure> {
    let family = if eks_auto_mode {
        Family::EksAutoMode
    } else {
        Family::Lbc
    };
    let text =
        elbow_kube::crd::yaml(family).map_err(|e| Failure::environment(e, "report a bug"))?;
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|e| Failure::environment(e, "check the reader of the output"))
}

/// Reports what the cluster lacks.
async fn check(args: &ControllerArgs) -> Result<(), Failure> {
    let server = cluster::open(&args.cluster).await.map_err(failure)?;
    let checked = elbow_kube::check(&server, &options(args)?).await;
    let (version, found) = checked.map_err(failure)?;
    let mut out = io::stdout().lock();
    let told = writeln!(out, "API server {} is Kubernetes {version}", server.url)
        .and_then(|()| loaded::report(&found, &mut out));
    told.map_err(|e| Failure::environment(e, "check the reader of the output"))?;
    match found.iter().filter(|found| found.is_error()).count() {
        0 => Ok(()),
        lacking => Err(Failure::environment(
            format!("the cluster lacks {lacking} things that elbow needs"),
            "apply config/kube, which has all permissions and CRDs; elbow serves what it can without them",
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
    crate::process::log_to_stderr("info")?;
    let begin = Start::find()?;
    pipes::keep(args.config.as_deref());
    let options = options(&args)?;
    let native = args.config.clone();
    let native = native.map(|path| {
        Source::Native(NativeFileSource {
            path,
            environment: args.flags.environment.clone(),
        })
    });
    let native = native.map(NativeFile::load).transpose()?;
    let mut signals = Signals::new()?;
    let server = cluster::open(&args.cluster).await.map_err(failure)?;
    let mut upgrades = Upgrades::listen()?;
    let sockets = Sockets::new(begin.sockets());
    let admin = run::Admin::bind(&args.serving, &sockets).await?;
    if let Some(secret) = args.admin_token_secret {
        let (client, probes_token) = (server.client.clone(), admin.probes_token());
        tokio::spawn(async move {
            match Token::new(&elbow_kube::token::keep(client, &secret).await) {
                // Nothing else sets it.
                Some(token) => drop(probes_token.set(token)),
                None => warn!("Secret {secret} has no token: expected visible ASCII characters"),
            }
        });
    }
    let webhook = run::bind(("webhook address", "--webhook"), args.webhook.0, &sockets).await?;
    let plane = Arc::new(run::start(&args.serving, options.context.dns_zone())?);
    begin.inherit(&plane);
    let key_file = run::restore_ticket_keys(&args.serving, &plane);
    plane.set_log_buckets(buckets(&options.context)?);
    let dns = dns::bind(args.serving.dns.0, &sockets).await?;
    let balancers = Arc::new(Balancers::new(Arc::clone(&plane)));
    let mut controller = Controller::new(server, options, balancers).with_webhook(webhook);
    let mut hang_up = None;
    if let Some(native) = native {
        let (models, receiver) = watch::channel(native.model.clone());
        controller = controller.with_native(receiver);
        let reloader = native.reloader(&plane).publishing_to(models);
        hang_up = Some(reload::start(reloader)?);
    }
    let mut ready = controller.ready();
    let watching = Arc::new(Watching {
        metrics: controller.metrics(),
        ready: ready.clone(),
    });
    let pages = Pages::new(plane.view(), watching);
    let handing = Handing {
        plane: Arc::clone(&plane),
        sockets: Arc::clone(&sockets),
    };
    let answer = || {
        admin.serve(&pages, &sockets);
        dns.serve(plane.view(), &sockets);
    };
    // In an upgrade, the previous process answers until this one serves the cluster.
    let late = if begin.is_upgrade() {
        Some(answer)
    } else {
        answer();
        None
    };
    tokio::spawn(expiry::watch(plane.view()));
    let stop = watch::Sender::new(false);
    let mut watching = tokio::spawn(controller.run(stop.subscribe()));
    let mut serving = None;
    let handed_over = async {
        // The sender lives as long as the controller, whose end is handled below.
        let _ = ready.wait_for(|ready| *ready).await;
        begin.accept(&plane).await?;
        if let Some(answer) = late {
            answer();
        }
        let serving = serving.insert(Serving::start(handing, &args.serving, key_file)?);
        upgrades.handed_over(&serving.handing).await;
        Ok::<_, Failure>(())
    };
    let end = tokio::select! {
        () = signals.until_stop(|| {
            if let Some(hang_up) = &hang_up {
                // A full channel means that a reload is pending.
                let _ = hang_up.try_send(());
            }
        }) => End::Stopped,
        result = handed_over => result.map(|()| End::HandedOver)?,
        ended = &mut watching => match ended {
            Ok(Err(error)) => return Err(failure(error)),
            Ok(Ok(())) => return Err(Failure::environment("the watch of the cluster ended", "start elbow again")),
            Err(panic) => return Err(Failure::environment(panic, "start elbow again, and report a bug")),
        },
    };
    // The status stays in the cluster: another replica, or the next start, serves the same.
    stop.send_replace(true);
    // The controller only has to release its Lease; the listeners drain meanwhile.
    let timeout = args.serving.drain_timeout;
    let drain = async {
        match serving {
            Some(serving) => serving.end(signals, timeout, end).await,
            None => signals.drain(&plane, timeout, end).await,
        }
    };
    let _ = tokio::join!(watching, drain);
    Ok(())
}

/// A native file that is served in addition to the cluster.
struct NativeFile {
    reader: Reader,
    /// The state of the file before it was read.
    seen: Look,
    loaded: Loaded,
    model: Model,
}

impl NativeFile {
    fn load(source: Source) -> Result<Self, Failure> {
        let mut reader = Reader::new(source);
        let seen = reader.look();
        let loaded = reader.load();
        // A closed stderr cannot be reported anywhere.
        let _ = loaded::report(&loaded.diagnostics, &mut stderr());
        let model = loaded.model.clone().ok_or(Failure::Input)?;
        Ok(Self {
            reader,
            seen,
            loaded,
            model,
        })
    }

    fn reloader(self, plane: &Arc<Plane>) -> Reloader {
        Reloader::new(self.reader, self.seen, Arc::clone(plane), &self.loaded)
    }
}

/// The context from the environment file and the flags, which override it.
fn context(args: &ControllerArgs) -> Result<Context, Failure> {
    let mut found = Vec::new();
    let mut context = manifests::environment(args.flags.environment.as_deref(), &mut found);
    // A closed stderr cannot be reported anywhere.
    let _ = loaded::report(&found, &mut stderr());
    if found.iter().any(Diagnostic::is_error) {
        return Err(Failure::Input);
    }
    args.flags.apply(&mut context);
    Ok(context)
}

/// The buckets of logs.
fn buckets(context: &Context) -> Result<Buckets, Failure> {
    let mut found = Vec::new();
    let buckets = log_buckets::of(context, &mut found);
    // A closed stderr cannot be reported anywhere.
    let _ = loaded::report(&found, &mut stderr());
    if found.is_empty() {
        Ok(buckets)
    } else {
        Err(Failure::Input)
    }
}

/// The state of the controller for the admin address.
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

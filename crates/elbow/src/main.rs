//! The command line of elbow.

mod admin;
mod cert;
mod check;
mod cli;
#[cfg(feature = "controller")]
mod cluster;
#[cfg(feature = "controller")]
mod controller;
#[cfg(feature = "demo")]
mod demo;
mod dns;
mod get;
mod manifests;
mod pipes;
mod plan;
mod plugin;
mod reload;
mod run;
mod source;
mod table;
mod text;
mod token;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::cli::{Cli, Command};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long a process that ends waits for whoever reads its log.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Takes up the capability for ports below 1024 where the binary's file permits it. The file in the image does no more than
/// permit: one that raised the capability itself would not start in a container that may not have it.
fn raise_permitted_capability() {
    let Ok(mut sets) = capabilities(None) else {
        return;
    };
    let missing = (sets.permitted - sets.effective) & CapabilitySet::NET_BIND_SERVICE;
    if !missing.is_empty() {
        sets.effective |= missing;
        // Where it is refused, the listener that needs it says so.
        let _ = set_capabilities(None, sets);
    }
}

/// Why a command ends without having done what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The input has errors; they have been printed.
    #[error("the input has errors")]
    Input,
    /// There are changes, and the exit code is to say so.
    #[error("there are changes")]
    Changes,
    /// The environment refuses.
    #[error("{message}")]
    Environment {
        /// What, and what to do.
        message: String,
    },
}

impl Failure {
    /// The environment refuses `what`; `hint` says what to do.
    pub(crate) fn environment(what: impl std::fmt::Display, hint: &str) -> Self {
        Self::Environment {
            message: format!("{what}\n  hint: {hint}"),
        }
    }
}

fn main() -> ExitCode {
    // Before anything is opened; whoever serves says what came of it.
    let _ = elbow_plane::open_files::raise();
    raise_permitted_capability();
    let result = match plugin::parse().command {
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::demo(args),
        Command::Run(args) => run::run(args),
        #[cfg(feature = "controller")]
        Command::Controller(args) => controller::controller(*args),
        Command::Check(args) => check::check(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Get(args) => get::get(&args),
        Command::Cert(args) => cert::cert(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "elbow", &mut io::stdout());
            Ok(())
        }
        Command::Man => clap_mangen::Man::new(Cli::command())
            .render(&mut io::stdout())
            .map_err(|e| Failure::environment(e, "is the reader of the page still there?")),
    };
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input) => ExitCode::from(1),
        Err(Failure::Changes) => ExitCode::from(4),
        Err(failure @ Failure::Environment { .. }) => {
            // Nobody can be told when stderr is gone.
            let _ = writeln!(elbow_telemetry::stderr(), "error: {failure}");
            ExitCode::from(3)
        }
    };
    elbow_telemetry::flush_stderr(LAST_WORDS);
    code
}

/// Logs go to stderr by a thread of its own, so that nobody waits for their reader. `RUST_LOG` chooses, else what
/// elbow itself has to say from `level` up: dependencies log what strangers send. `NO_COLOR` and pipes are respected.
pub(crate) fn log_to_stderr(level: &str) -> Result<(), Failure> {
    elbow_telemetry::queue_stderr()
        .map_err(|e| Failure::environment(e, "raise the limits of threads and open files"))?;
    let color =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("off,elbow={level}")));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(elbow_telemetry::stderr)
        .with_ansi(color)
        .with_target(false)
        .init();
    std::panic::set_hook(Box::new(|panic| {
        let trace = std::backtrace::Backtrace::capture();
        // Nobody can be told when stderr is gone.
        let _ = writeln!(elbow_telemetry::stderr(), "{panic}\n{trace}");
    }));
    Ok(())
}

/// A runtime on the calling thread, for everything that is not the path of a byte.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::environment(e, "raise the limit of open files (ulimit -n)"))
}

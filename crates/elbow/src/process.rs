//! The process: its failures, log and runtime.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// How long a process waits at its end for the reader of its log.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Makes the capabilities for ports below 1024 and for addresses of clients effective if the file capabilities of the binary permit
/// them. The binary in the image has them only as permitted: with an effective one, it would not start in a container without the capability.
pub(crate) fn raise_permitted_capability() {
    let Ok(mut sets) = capabilities(None) else {
        return;
    };
    let wanted = CapabilitySet::NET_BIND_SERVICE | CapabilitySet::NET_RAW;
    let missing = (sets.permitted - sets.effective) & wanted;
    if !missing.is_empty() {
        sets.effective |= missing;
        // If this fails, what needs them reports the error.
        let _ = set_capabilities(None, sets);
    }
}

/// A file with the id of this process.
pub(crate) struct PidFile(Option<PathBuf>);

impl PidFile {
    /// Writes it, if there is to be one.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        // Replaced in one step: a reader must find either process.
        let next = path.with_extension(format!("{}.tmp", std::process::id()));
        fs::write(&next, format!("{}\n", std::process::id()))
            .and_then(|()| fs::rename(&next, path))
            .map_err(|error| {
                let what = format!("pid file {}: {error}", path.display());
                Failure::environment(what, "check the path and its permissions")
            })?;
        Ok(Self(Some(path.to_owned())))
    }

    /// Removes it.
    pub(crate) fn remove(self) {
        if let Some(path) = self.0 {
            // Someone else may have removed it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The input has errors; they have been printed.
    #[error("the input has errors")]
    Input,
    /// There are changes, and the exit code has to show it.
    #[error("there are changes")]
    Changes,
    /// The environment (operating system, network, cluster) refuses.
    #[error("{message}")]
    Environment {
        /// What is wrong and what to do.
        message: String,
    },
}

impl Failure {
    /// A failure of the environment: what is wrong and what to do.
    pub(crate) fn environment(what: impl std::fmt::Display, hint: &str) -> Self {
        Self::Environment {
            message: format!("{what}\n  hint: {hint}"),
        }
    }
}

/// Logs to stderr through a thread, so that a slow reader blocks nobody. RUST_LOG sets the filter; by default it is elbow's
/// own messages from `level` up, because dependencies log data from the network. Colours are for terminals without
/// NO_COLOR.
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
        // A closed stderr cannot be reported anywhere.
        let _ = writeln!(elbow_telemetry::stderr(), "{panic}\n{trace}");
    }));
    Ok(())
}

/// A runtime on the calling thread, for everything but the data plane.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::environment(e, "raise the limit of open files (ulimit -n)"))
}

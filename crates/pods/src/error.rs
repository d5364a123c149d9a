use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why pods could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder or file of a pod cannot be made.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A pod's certificate cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A pod's certificate cannot be used.
    #[error("cannot use the certificate of a pod")]
    Tls(#[from] rustls::Error),
    /// No port can be had, or it cannot be listened on again.
    #[error("cannot listen for a pod")]
    Listen(#[source] io::Error),
    /// The folder of an embedded pod cannot be used.
    #[error("cannot keep objects in {}: {reason}", path.display())]
    Store {
        /// The folder.
        path: PathBuf,
        /// What the store says.
        reason: String,
    },
    /// MinIO's program does not run.
    #[error("cannot run {}", program.display())]
    Run {
        /// What was to be run.
        program: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A MinIO process ended instead of serving.
    #[error("{pod} ended ({status}); the end of its log:\n{log}")]
    Exited {
        /// Name of the pod.
        pod: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        log: String,
    },
    /// A MinIO process runs but does not serve.
    #[error("{pod} does not serve after {} s; the end of its log:\n{log}", after.as_secs())]
    NotServing {
        /// Name of the pod.
        pod: String,
        /// How long it was given.
        after: Duration,
        /// The last lines that it wrote.
        log: String,
    },
    /// There is no pod of this name.
    #[error("there is no pod \"{0}\"")]
    UnknownPod(String),
    /// A pod was stopped while it was starting.
    #[error("{0} was stopped while it started")]
    Stopped(String),
    /// The thread of the pods cannot start, or is gone.
    #[error("the pods' thread does not run")]
    Thread(#[source] Option<io::Error>),
}

impl Error {
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Write { path, source }
    }
}

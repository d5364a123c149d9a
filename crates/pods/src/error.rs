use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why pods cannot be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder or file of a pod cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A pod's certificate cannot be issued.
    #[error("cannot issue a certificate for a pod")]
    Certificate(#[from] rcgen::Error),
    /// A pod's certificate cannot be used.
    #[error("cannot use the certificate of a pod")]
    Tls(#[from] rustls::Error),
    /// No port is free, or it cannot be listened on again.
    #[error("cannot listen for a pod")]
    Listen(#[source] io::Error),
    /// The folder of an embedded pod cannot be used.
    #[error("cannot keep objects in {}: {reason}", path.display())]
    Store {
        /// The folder.
        path: PathBuf,
        /// The error of the store.
        reason: String,
    },
    /// MinIO's program cannot be run.
    #[error("cannot run {}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A MinIO process ended instead of serving.
    #[error("{pod} exited ({status}); the end of its log:\n{log}")]
    Exited {
        /// The name of the pod.
        pod: String,
        /// Its exit status.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// A MinIO process runs but does not serve.
    #[error("{pod} does not serve after {} s; the end of its log:\n{log}", after.as_secs())]
    NotServing {
        /// The name of the pod.
        pod: String,
        /// The timeout.
        after: Duration,
        /// The last lines of its log.
        log: String,
    },
    /// There is no pod of this name.
    #[error("pod \"{0}\" not found")]
    UnknownPod(String),
    /// A pod was stopped while it was starting.
    #[error("{0} was stopped while it was starting")]
    Stopped(String),
    /// The thread of the pods cannot start, or is gone.
    #[error("the pods' thread is not running")]
    Thread(#[source] Option<io::Error>),
}

impl Error {
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Write { path, source }
    }
}

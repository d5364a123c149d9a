//! Why a cluster cannot be watched.

/// Why a cluster cannot be watched: its [`Display`](std::fmt::Display) says what and where, [`Error::hint`] what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What says where the cluster is cannot be used.
    #[error("{what}")]
    Kubeconfig {
        /// Which file, and what is wrong with it.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The API server does not answer, or not as one does.
    #[error("API server {server}: {what}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// What happened.
        what: String,
    },
    /// The API server does not know who asks.
    #[error("API server {server}: {what}")]
    Unauthorized {
        /// Its URL.
        server: String,
        /// What it said.
        what: String,
    },
    /// The API server lacks what is needed.
    #[error(
        "API server {server} is Kubernetes {version}; discovery.k8s.io/v1 came with 1.21, and elbow needs it"
    )]
    TooOld {
        /// Its URL.
        server: String,
        /// Its version.
        version: String,
    },
}

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Kubeconfig { hint, .. } => hint,
            Self::Unreachable { .. } => {
                "is the cluster up, and the server of the kubeconfig the right one? `kubectl version` asks the same"
            }
            Self::Unauthorized { .. } => {
                "the credentials of the kubeconfig or the service account are not taken; renew them"
            }
            Self::TooOld { .. } => "upgrade the cluster to Kubernetes 1.21 or later",
        }
    }

    /// Whether what elbow was given is wrong, and not what it found.
    pub fn is_input(&self) -> bool {
        matches!(self, Self::Kubeconfig { .. })
    }
}

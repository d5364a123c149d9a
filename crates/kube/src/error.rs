//! Why a cluster cannot be watched.

/// Why a cluster cannot be watched: its [`Display`](std::fmt::Display) says what is wrong and where, [`Error::hint`] what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig or the service account cannot be used.
    #[error("{what}")]
    Kubeconfig {
        /// The file, and what is wrong with it.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The API server does not answer, or not as expected.
    #[error("API server {server}: {what}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// What happened.
        what: String,
    },
    /// The API server rejects the credentials.
    #[error("API server {server}: {what}")]
    Unauthorized {
        /// Its URL.
        server: String,
        /// Its message.
        what: String,
    },
    /// The API server is too old.
    #[error(
        "API server {server} is Kubernetes {version}; elbow needs 1.21 or later, for discovery.k8s.io/v1"
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
                "check that the cluster is up and that the kubeconfig names the right server: `kubectl version` sends the same request"
            }
            Self::Unauthorized { .. } => {
                "the API server rejects the credentials of the kubeconfig or service account; renew them"
            }
            Self::TooOld { .. } => "upgrade the cluster to Kubernetes 1.21 or later",
        }
    }

    /// Whether elbow's input is wrong, as opposed to the cluster.
    pub fn is_input(&self) -> bool {
        matches!(self, Self::Kubeconfig { .. })
    }
}

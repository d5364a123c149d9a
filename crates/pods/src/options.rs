//! Which pods to start.

use std::path::PathBuf;

/// Which pods to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The number of pods; their names are `minio-0`, `minio-1`, ...
    pub count: usize,
    /// The folder of the pods; each uses a subfolder of its name. Created if missing, never removed.
    pub folder: PathBuf,
    /// The access key; MinIO requires at least three characters.
    pub access_key: String,
    /// The secret key; MinIO requires at least eight characters.
    pub secret_key: String,
    /// Additional names and addresses in the pods' certificates, for example those of a load balancer that
    /// passes TLS through to them.
    pub names: Vec<String>,
    /// The kind of the pods.
    pub kind: Kind,
}

/// The kind of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A server in this process.
    Embedded {
        /// Whether all pods keep their objects in the folder `shared`, as the pods of one MinIO
        /// deployment have the same objects; otherwise each has its own `data`.
        shared: bool,
        /// Whether each port accepts both TLS and plain HTTP, and so can stand in for pods of either
        /// kind. Otherwise S3 uses TLS, and the console plain HTTP.
        lenient: bool,
    },
    /// A MinIO process.
    Minio {
        /// The MinIO program; [`find_minio`](crate::find_minio) looks for it on `PATH`.
        program: PathBuf,
    },
}

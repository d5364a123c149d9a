//! S3 pods to stand behind a load balancer.
//!
//! A pod is what a MinIO pod is in a cluster: an S3 endpoint under TLS with a certificate of its
//! own, which refuses requests that are not signed, and a console on a second port. [`Pods`] starts
//! several, on a thread of their own so that they take no time from the load balancer's workers,
//! and stops and starts each on the ports it has.
//!
//! - [`Kind::Embedded`]: `s3s` on a folder, in this process. Every answer carries the pod's name in
//!   the header `x-pod`, so that a client can see who answered. `GET /minio/health/live` and
//!   `/ready` answer 200 as MinIO's do. The console is a page that names the pod, in clear.
//! - [`Kind::Minio`]: MinIO's own processes, whose console speaks TLS as well. Four or more of
//!   them are one deployment (distributed erasure coding): an object put through one is read through
//!   any other, and one of them may be down.

mod certificate;
mod embedded;
mod error;
mod minio;
mod pods;
mod port;
mod probe;

pub use error::Error;
pub use minio::find_minio;
pub use pods::{Kind, Options, Pod, Pods};

//! S3 pods to put behind a load balancer.
//!
//! A pod is like a MinIO pod in a cluster: an S3 endpoint under TLS with its own certificate,
//! which refuses unsigned requests, and a console on a second port. [`Pods`] starts several on a
//! separate thread, so that they take no time from the load balancer's workers. It can stop
//! and restart each on its ports.
//!
//! - [`Kind::Embedded`]: `s3s` on a folder, in this process. Every response has the pod's name in
//!   the header `x-pod`, so that a client can see which pod answered. `GET /minio/health/live` and
//!   `/ready` answer 200 like MinIO's. The console is a page with the pod's name, over plain HTTP.
//! - [`Kind::Minio`]: MinIO processes; their console uses TLS as well. Four or more of
//!   them form one deployment (distributed erasure coding): an object put through one is read through
//!   any other, and one of them may be down.

mod certificate;
mod embedded;
mod error;
mod minio;
mod options;
mod plan;
mod pods;
mod port;
mod probe;

pub use error::Error;
pub use minio::find_minio;
pub use options::{Kind, Options};
pub use pods::{Pod, Pods};

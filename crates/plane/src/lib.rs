//! Joins the rooms: starts, changes, drains and stops listeners as snapshots arrive.
//!
//! ```text
//!   Model --apply--> Snapshot --ArcSwap--> workers: accept -> [tls] -> tcp | http -> target
//!                        \--------------> control: health checks, names, deregistration delays
//! ```
//!
//! A [`Plane`] owns the worker threads (one runtime each, no shared lock on the path of a byte) and
//! one control thread. [`Plane::apply`] turns a validated model into an immutable snapshot and swaps
//! it in; when anything is wrong the old snapshot keeps serving and the caller gets the reasons.

mod checks;
mod control;
mod descriptors;
mod error;
mod handshakes;
mod instances;
mod names;
mod plane;
mod snapshot;
mod status;
mod stream;
mod view;
mod worker;

/// The limit of open files, to be raised before any is opened.
pub use elbow_net::open_files;
pub use error::{ApplyError, BindError, Failure, Rejection};
pub use plane::{DataPath, Options, Plane};
pub use snapshot::check;
pub use status::{
    CertificateStatus, ListenerStatus, LoadBalancerStatus, RuleStatus, Status, TargetGroupStatus,
    TargetHealth, TargetStatus,
};
pub use view::{Served, View};

//! The data plane: starts, changes, drains and stops listeners as models are applied.
//!
//! ```text
//!   Model --apply--> Snapshot --ArcSwap--> workers: accept -> [tls] -> tcp | http -> target
//!                        \--------------> control: health checks, names, deregistration delays
//! ```
//!
//! A [`Plane`] owns the worker threads (one runtime each, no shared lock in the data path) and one
//! control thread. [`Plane::apply`] turns a validated model into an immutable snapshot and publishes it.
//! If anything is wrong, the previous snapshot keeps serving and the caller gets the reasons.

mod anomalies;
mod apply;
mod checks;
mod clients;
mod connector;
mod control;
mod descriptors;
mod error;
mod flows;
mod handover;
mod handshakes;
mod inheritance;
mod listener_key;
mod logs;
mod message;
mod names;
mod options;
mod plane;
mod return_paths;
mod seldom;
mod shared;
mod snapshot;
mod state_name;
mod status;
mod target_stream;
mod task;
mod view;
mod worker;

pub use apply::Applied;
/// The limit of open files; raise it before opening any.
pub use elbow_net::open_files;
pub use error::{ApplyError, Cause, Failure, ListenerId};
pub use flows::{FlowRecord, UdpFlow};
pub use inheritance::Heritage;
pub use logs::Logs;
pub use options::{DataPath, Options};
pub use plane::Plane;
pub use return_paths::{Lack, bypassing, lacks};
pub use snapshot::check;
pub use status::{
    AdministrativeOverride, AnomalyDetection, CertificateStatus, ListenerStatus,
    LoadBalancerStatus, NodeAddress, RuleStatus, Served, Status, TargetGroupStatus, TargetHealth,
    TargetStatus, ZoneStatus,
};
pub use view::View;

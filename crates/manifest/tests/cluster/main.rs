//! A live cluster, object by object (control-plane.md 0.4, 3.6, 3.7).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

mod changes;
mod files;
mod kit;
mod live;
mod native;
mod properties;
mod protection;
mod semantics;

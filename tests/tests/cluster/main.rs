//! Tests on a real Kubernetes cluster with real MinIO pods, from dumps and live.
//!
//! They are one program, so that they share one cluster.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

mod changes;
mod faults;
mod live;
mod rollout;
mod rows;
mod shared;
mod table;
mod witness;

//! On a real Kubernetes cluster, with real MinIO pods: what its API server says of them is served, from dumps and as it changes.
//!
//! All tests are one program, so that they share one cluster.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

mod changes;
mod faults;
mod live;
mod rollout;
mod rows;
mod shared;
mod table;
mod witness;

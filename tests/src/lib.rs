//! The kit of the whole-binary tests: it starts the real `elbow`, the targets behind it and the
//! clients in front of it, all on loopback addresses of their own, and ends them when dropped.
//!
//! Everything here blocks and uses plain threads: a test reads from top to bottom. Waiting is always
//! for an event, with a deadline ([`wait`]).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a kit for tests a panic is how a test fails"
)]

pub mod address;
pub mod certificates;
pub mod client;
pub mod cluster;
pub mod command;
pub mod config;
pub mod docker;
pub mod eks;
pub mod elbow;
pub mod frames;
pub mod load;
pub mod memory;
pub mod message;
pub mod plan;
pub mod s3;
pub mod scene;
pub mod target;
pub mod temp;
pub mod tools;
pub mod usage;
pub mod wait;

pub use address::address;
pub use certificates::Ca;
pub use client::Client;
pub use elbow::Elbow;
pub use message::{Request, Response};
pub use scene::Scene;
pub use target::Target;
pub use temp::TempDir;

//! The kit of the whole-binary tests. It starts the real `elbow`, targets behind it and
//! clients in front of it, on unused loopback addresses, and ends them when dropped.
//!
//! Everything blocks and uses plain threads, so that a test reads from top to bottom. Tests wait
//! for events, with a timeout ([`wait`]).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a kit for tests a panic is how a test fails"
)]

pub mod address;
pub mod browser;
pub mod certificates;
pub mod chromium;
pub mod client;
pub mod cluster;
pub mod command;
pub mod config;
pub mod datagram;
pub mod dns;
pub mod docker;
pub mod eks;
pub mod elbow;
pub mod frames;
pub mod identity;
pub mod load;
pub mod log_files;
pub mod memory;
pub mod message;
pub mod pki;
pub mod plan;
pub mod quic;
pub mod s3;
pub mod scene;
pub mod target;
pub mod temp;
pub mod tools;
pub mod udp_scene;
pub mod upgrade;
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

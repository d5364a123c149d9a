//! The HTTP/1.x engine over loopback sockets: requests go through an ALB to scripted targets,
//! bytes in and bytes out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod bodies;
mod endings;
mod exhausted;
mod failover;
mod forwarding;
mod framing;
#[path = "../kit/mod.rs"]
mod kit;
mod pooling;
mod shortage;
mod upgrade;
mod veiled;

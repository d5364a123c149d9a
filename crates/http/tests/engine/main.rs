//! HTTP/1.x over loopback sockets: byte for byte, through an ALB to scripted targets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod bodies;
mod buffered;
mod endings;
mod exhausted;
mod failover;
mod forwarding;
mod framing;
#[path = "../kit/mod.rs"]
mod kit;
mod options;
mod pooling;
mod shortage;
mod upgrade;

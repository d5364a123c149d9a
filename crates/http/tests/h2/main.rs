//! HTTP/2 clients through an ALB to scripted targets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod alb;
mod bad_targets;
mod bounds;
mod cancelled;
#[path = "../kit/mod.rs"]
mod kit;

mod connection;
mod failures;
mod grpc;
mod malformed;
mod requests;
mod target;
mod trailers;
mod windows;
mod writes;

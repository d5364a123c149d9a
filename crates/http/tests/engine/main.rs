//! The HTTP/1.x engine over loopback sockets: requests go through an ALB to scripted targets,
//! bytes in and bytes out.

mod bodies;
mod endings;
mod failover;
mod forwarding;
mod framing;
#[path = "../kit/mod.rs"]
mod kit;

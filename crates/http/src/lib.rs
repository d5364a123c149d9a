//! Layer 7 of ALB: HTTP/1.1, HTTP/2 and WebSocket.

pub mod action;
pub mod date;
pub mod error;
pub mod forwarded;
pub mod head;
pub mod listener;
pub mod page;
pub mod pattern;
mod rules;
#[cfg(test)]
mod test_kit;
pub mod trace_id;
pub mod uri;

//! Layer 7 of ALB: HTTP/1.1, HTTP/2 and WebSocket.

pub mod head;

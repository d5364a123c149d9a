//! Requests over HTTP/2 to targets: many at a time on one connection.

mod open;
mod request;

pub(crate) use open::{Destination, connection};
pub(crate) use request::Request;

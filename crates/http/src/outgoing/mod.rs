//! What leaves: the head of a request for its target, and the fields of a response for its client.

pub(crate) mod additions;
pub mod fields;
pub(crate) mod passed;
pub(crate) mod request;
pub mod trace_id;

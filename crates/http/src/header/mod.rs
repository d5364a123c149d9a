//! Heads in their parsed form, and the fields that the load balancer reads, changes or adds.

pub mod cookie;
pub mod date;
pub mod head;
pub(crate) mod response_fields;
pub mod seal;
pub(crate) mod trailers;
pub mod uri;

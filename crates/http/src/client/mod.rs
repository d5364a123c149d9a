//! The client side: how requests come in and responses go out, one module for each version of HTTP.

pub(crate) mod h1;
pub(crate) mod h2;

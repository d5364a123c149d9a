//! The local certificate authority of a user, and the certificates that it issues.

pub(crate) mod expiry;
mod home;
mod issuer;
mod models;

pub(crate) use home::{Error, Home};
pub(crate) use issuer::Authority;
#[cfg(feature = "demo")]
pub(crate) use models::resolve_with;
pub(crate) use models::{locate, resolve};

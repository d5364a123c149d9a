//! System calls without a safe wrapper elsewhere.
#![allow(unsafe_code)]

pub(crate) mod heap;
mod readable;
mod tcp_info;

pub use readable::readable;
pub(crate) use tcp_info::{is_acknowledged, segments_in};

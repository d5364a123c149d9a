//! System calls without a safe wrapper elsewhere.
#![allow(unsafe_code)]

pub(crate) mod datagram;
pub(crate) mod heap;
mod inherited;
mod late_port;
mod readable;
mod tcp_info;

pub use inherited::take_inherited;
pub(crate) use late_port::choose_port_late;
pub use readable::readable;
pub(crate) use tcp_info::{is_acknowledged, segments_in};

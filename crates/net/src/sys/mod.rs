//! System calls that have no safe cover elsewhere.
#![allow(unsafe_code)]

mod tcp_info;

pub(crate) use tcp_info::segments_in;

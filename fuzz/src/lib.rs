//! Modules that the fuzz targets share.

pub mod agreement;
pub mod feed;
pub mod objects;
pub mod peak;
pub mod strict_requests;

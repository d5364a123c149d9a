//! Log files as AWS writes them: their names, their intervals, their compression, and their delivery.
//!
//! Workers send lines through the sinks of a [`Delivery`]. Its thread collects the lines of each
//! [`Destination`] in a file in memory, and delivers the file at the end of the interval to a folder or a
//! bucket. A bucket that is away delays nothing: its files wait in bounded memory, and lines that do not fit
//! are dropped and counted.

mod bucket;
mod collect;
mod deliver;
mod delivery;
mod destination;
mod file;
mod folder;
mod s3;

pub use bucket::{Bucket, Buckets};
pub use delivery::Delivery;
pub use destination::{Destination, Kind, Place};
pub use s3::{S3, S3Settings};

//! Counters, histograms, access-log records and their sinks.
//!
//! Numbers of the data path live in cells that one worker alone writes, so that counting costs a
//! load and a store and no cache line travels between cores; [`Telemetry::write`] sums them when
//! it is scraped. Access-log lines are made on the worker ([`AccessRecord`], [`LogBuffer`]) and
//! travel in batches to the one thread that writes them ([`AccessLog`]); what the process says to people
//! is written by another one ([`Lines`]), so that nobody waits for a reader.

mod cells;
mod classic;
mod counter;
mod exposition;
mod field;
mod lines;
mod log;
mod process;
mod record;
mod render;
mod shed;
mod stamp;
mod telemetry;

pub use cells::{GroupMetrics, ListenerCells, ListenerKey, ListenerMetrics};
pub use classic::ClassicRecord;
pub use counter::{Counter, Histogram, SharedCounter, StatusCounts};
pub use exposition::{Exposition, Format};
pub use lines::{Lines, Stderr, flush_stderr, queue_stderr, stderr, stderr_lost};
pub use log::{AccessLog, LogBuffer, Sink};
pub use record::{AccessRecord, RequestLine, RequestType};
pub use render::{CertificateRow, GroupRow, TargetRow};
pub use shed::{Shed, ShedReason};
pub use stamp::Stamps;
pub use telemetry::{OpenFiles, Telemetry};

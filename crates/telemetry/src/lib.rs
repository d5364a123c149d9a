//! Counters, histograms, access-log records and their sinks.
//!
//! Counters of the data path are in cells that only one worker writes. Counting thus costs a load and a
//! store, and no cache line moves between cores. [`Telemetry::write`] sums the cells for a scrape.
//!
//! Workers format access-log lines ([`AccessRecord`], [`LogBuffer`]) and pass them in batches to one
//! writer thread ([`AccessLog`]). Another thread writes the log of the process ([`LineQueue`]), so that
//! no other thread waits for a slow reader.

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
mod tls;

pub use cells::{GroupMetrics, ListenerCells, ListenerLabels, ListenerMetrics};
pub use classic::ClassicRecord;
pub use counter::{Counter, Histogram, SharedCounter, StatusCounts};
pub use exposition::{Exposition, Format};
pub use lines::{LineQueue, Stderr, flush_stderr, queue_stderr, stderr};
pub use log::{AccessLog, LogBuffer, Sink};
pub use record::{AccessRecord, RequestLine, RequestType};
pub use render::{CertificateRow, GroupRow, TargetRow};
pub use shed::{Shed, ShedReason};

pub use telemetry::{OpenFiles, Telemetry};
pub use tls::TlsRecord;

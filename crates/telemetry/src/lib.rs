//! Counters, histograms, access-log records and their sinks.
//!
//! Counters of the data path are in cells that only one worker writes. Counting thus costs a load and a
//! store, and no cache line moves between cores. [`Telemetry::write`] sums the cells for a scrape.
//!
//! Workers format log lines ([`AccessRecord`], [`LogBuffers`]) and pass them in batches to the sinks of a
//! log ([`LogStream`]), such as a writer thread ([`AccessLog`]). Another thread writes the log of the process ([`LineQueue`]), so that
//! no other thread waits for a slow reader.

mod cells;
mod classic;
mod connection;
mod counter;
mod delivery;
mod exposition;
mod field;
mod group;
mod health;
mod lcu;
mod lines;
mod log;
mod process;
mod record;
mod render;
mod shed;
mod stamp;
mod stream;
mod surge;
mod telemetry;
mod tls;

pub use cells::{ListenerCells, ListenerLabels, ListenerMetrics};
pub use classic::ClassicRecord;
pub use connection::{ConnectionRecord, VerifyStatus};
pub use counter::{ClassCounts, Counter, Histogram, Kind, KindCounts, SharedCounter, StatusCounts};
pub use delivery::DeliveryCounts;
pub use exposition::{Exposition, Format};
pub use group::{GroupCells, GroupMetrics};
pub use health::HealthRecord;
pub use lcu::FREE_RULES;
pub use lines::{LineQueue, Stderr, flush_stderr, queue_stderr, stderr};
pub use log::{AccessLog, Sink};
pub use record::{AccessRecord, RequestLine, RequestType};
pub use render::{CertificateRow, GroupRow, Rows, TargetRow, ZoneRow};
pub use shed::{Shed, ShedReason};
pub use stream::{LogBuffers, LogSink, LogStream};
pub use surge::{SurgeQueue, Waiting};

pub use telemetry::{OpenFiles, Telemetry};
pub use tls::TlsRecord;

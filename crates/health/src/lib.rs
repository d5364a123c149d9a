//! Target health as defined by AWS: a pure state machine, and the probes that feed it.
//!
//! ```text
//! run (start to start) --> probe (TCP, SSL, HTTP, HTTPS, gRPC) --> Outcome --> Tracker
//! ```
//!
//! [`Tracker`] has no clock and no socket, and [`probe`] has no state; the caller connects them.

mod http;
mod http2;
mod probe;
mod prober;
mod reason;
mod run;
mod tracker;

pub use probe::{Outcome, probe};
pub use prober::{Prober, host};
pub use reason::Reason;
pub use run::{Checkup, run};
pub use tracker::Tracker;

//! The health of targets as AWS sees it: a pure state machine, and the probers that feed it.
//!
//! ```text
//! run (start to start) --> probe (TCP, SSL, HTTP, HTTPS) --> Outcome --> Tracker --> Transition
//! ```
//!
//! [`Tracker`] knows no clock and no socket; [`probe`] knows no state. Whoever runs them keeps both.

mod http;
mod probe;
mod reason;
mod run;
mod tracker;

pub use probe::{Asker, CLASSIC_USER_AGENT, Outcome, USER_AGENT, host, probe};
pub use reason::Reason;
pub use run::run;
pub use tracker::{Tracker, Transition};

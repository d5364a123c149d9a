//! The inputs of a snapshot besides the model.

use std::sync::Arc;

use elbow_http::Providers;
use elbow_model::DnsZone;
use elbow_telemetry::Telemetry;
use elbow_tls::Tickets;
use rustc_hash::FxHashMap;

use super::state::Snapshot;
use crate::logs::Logs;
use crate::names::Resolved;

/// The inputs of a snapshot besides the model.
pub(crate) struct Parts<'a> {
    pub(crate) previous: &'a Snapshot,
    /// The addresses of host names.
    pub(crate) resolved: &'a FxHashMap<Arc<str>, Resolved>,
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) tickets: &'a Tickets,
    pub(crate) logs: &'a Logs,
    pub(crate) providers: &'a Providers,
    pub(crate) workers: usize,
    pub(crate) port_offset: u16,
    pub(crate) dns: &'a DnsZone,
}

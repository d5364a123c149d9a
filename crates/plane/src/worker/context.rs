//! The state that the connections of a worker share.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use elbow_http::Pools;
use elbow_net::Worker;
use elbow_telemetry::{LogBuffers, ShedReason};
use tokio::sync::Notify;
use tracing::warn;

use super::proxy_header::HeaderError;
use crate::descriptors::Descriptors;
use crate::handshakes::Handshakes;
use crate::listener_key::ListenerKey;
use crate::options::DataPath;
use crate::seldom::is_due;
use crate::shared::Shared;
use crate::target_stream::TargetStream;

/// The state that the connections of a worker share.
pub(super) struct WorkerContext {
    pub(super) shared: Arc<Shared>,
    pub(super) worker: Rc<Worker>,
    pub(super) pools: Rc<Pools<TargetStream>>,
    pub(super) descriptors: Rc<Descriptors>,
    pub(super) handshakes: Rc<Handshakes>,
    /// When the worker last logged rejected clients.
    pub(super) warned: Cell<Option<Instant>>,
    /// When it last logged a connection without an acceptable PROXY protocol header.
    warned_of_header: Cell<Option<Instant>>,
    pub(super) logs: Rc<LogBuffers>,
    /// Number of open client connections.
    pub(super) open: Cell<usize>,
    /// Notified when a connection ends.
    pub(super) closed: Notify,
}

impl WorkerContext {
    pub(super) fn new(id: usize, shared: Arc<Shared>) -> Self {
        let worker = match shared.options.data_path {
            DataPath::Auto => Worker::with_budget(id, Arc::clone(&shared.budget)),
            DataPath::Portable => Worker::without_splice(id, Arc::clone(&shared.budget)),
        };
        let pools = Pools::new();
        worker.set_delivery_timeout(shared.options.drain_timeout);
        Self {
            descriptors: Rc::new(Descriptors::new(Rc::clone(&worker), Rc::clone(&pools))),
            handshakes: Handshakes::new(),
            warned: Cell::new(None),
            warned_of_header: Cell::new(None),
            worker,
            pools,
            logs: Rc::default(),
            open: Cell::new(0),
            closed: Notify::new(),
            shared,
        }
    }

    /// Logs that clients of `listener` are rejected because of a limit, but not too often.
    pub(super) fn warn_of_limit(&self, listener: ListenerKey, reason: ShedReason) {
        if is_due(&self.warned) {
            let reason = reason.label();
            warn!(address = %listener, reason, "limit reached, rejecting clients; see docs/limits.md");
        }
    }

    /// Logs that a connection of `peer` is refused because of its PROXY protocol header, but not too often.
    pub(super) fn warn_of_header(
        &self,
        listener: ListenerKey,
        peer: SocketAddr,
        error: &HeaderError,
    ) {
        if is_due(&self.warned_of_header) {
            warn!(address = %listener, %peer, %error, "connection refused; see docs/client-address.md");
        }
    }
}

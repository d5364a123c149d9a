//! What HTTP connections share.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use elbow_net::{Connect, Worker};
use elbow_telemetry::{ListenerCells, ListenerMetrics, LogBuffers};

use crate::listener::Listener;
use crate::pool::Pools;

/// What the connections of one listener on one worker share.
pub struct Context<C: Connect> {
    /// The worker of this thread.
    pub worker: Rc<Worker>,
    /// Opens connections to targets.
    pub connector: Rc<C>,
    /// Open connections to targets, shared by all listeners of this worker.
    pub pools: Rc<Pools<C::Io>>,
    /// Gives the listener as it is configured now; called once per request.
    pub listener: Rc<dyn Fn() -> Arc<Listener>>,
    /// The listener's metrics.
    pub metrics: Arc<ListenerMetrics>,
    /// The log lines of this worker.
    pub logs: Rc<LogBuffers>,
}

impl<C: Connect> Context<C> {
    /// The cells of this worker.
    pub(crate) fn cells(&self) -> &ListenerCells {
        self.metrics.worker(self.worker.id)
    }
}

impl<C: Connect> fmt::Debug for Context<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("worker", &self.worker.id)
            .finish_non_exhaustive()
    }
}

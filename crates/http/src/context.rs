//! What HTTP connections share.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use elbow_net::{Connect, Worker};
use elbow_telemetry::{GroupCells, ListenerCells, ListenerMetrics, LogBuffers};

use crate::error::{Error, ErrorKind, Side};
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
    /// Whether clients may speak HTTP/0.9 at this kind of load balancer.
    pub http09: bool,
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

    /// Counts a connection to a target that could not be opened, for a request to `group`. A lack of elbow's own is
    /// no error of the target.
    pub(crate) fn count_unreached(&self, error: &Error, group: Option<&GroupCells>) {
        let cells = self.cells();
        let (of_listener, of_group) = match error.kind {
            ErrorKind::TargetTls | ErrorKind::TargetPublicKey | ErrorKind::TargetTlsTimeout => (
                &cells.target_tls_errors,
                group.map(|group| &group.tls_errors),
            ),
            _ if error.side == Side::Local => return,
            _ => (
                &cells.connect_errors,
                group.map(|group| &group.connect_errors),
            ),
        };
        of_listener.increment();
        if let Some(counter) = of_group {
            counter.increment();
        }
    }
}

impl<C: Connect> fmt::Debug for Context<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("worker", &self.worker.id)
            .finish_non_exhaustive()
    }
}

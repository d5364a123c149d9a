//! The open client connections of a worker.

use std::rc::Rc;
use std::sync::Arc;

use elbow_net::ClockUse;
use elbow_net::open_files::Slot;
use elbow_telemetry::ListenerMetrics;

use super::context::WorkerContext;

/// Counts an open client connection until dropped. Also holds its descriptors of the budget and keeps the clock running.
pub(super) struct Open {
    context: Rc<WorkerContext>,
    metrics: Arc<ListenerMetrics>,
    _slot: Slot,
    _clock: ClockUse,
}

impl Open {
    pub(super) fn new(
        context: &Rc<WorkerContext>,
        metrics: &Arc<ListenerMetrics>,
        slot: Slot,
    ) -> Self {
        context.open.set(context.open.get() + 1);
        metrics.worker(context.worker.id).connections.increment();
        Self {
            _clock: context.worker.timers.use_clock(),
            context: Rc::clone(context),
            metrics: Arc::clone(metrics),
            _slot: slot,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let context = &self.context;
        context.open.set(context.open.get() - 1);
        let cells = self.metrics.worker(context.worker.id);
        cells.connections_closed.increment();
        context.closed.notify_one();
        context.worker.connection_ended();
    }
}

use std::rc::Rc;
use std::sync::Arc;

use elbow_net::Worker;
use elbow_telemetry::{ListenerMetrics, LogBuffers};

/// The state that the flows of one listener share on one worker.
#[derive(Debug)]
pub struct Context<C> {
    /// The worker that the flows run on.
    pub worker: Rc<Worker>,
    /// Opens connections to targets.
    pub connector: Rc<C>,
    /// The metrics of the listener.
    pub metrics: Arc<ListenerMetrics>,
    /// The log lines of this worker.
    pub logs: Rc<LogBuffers>,
}

//! A gate in front of one target. A test of memory, which is a program of its own, has it as well.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use elbow_balance::{Forward, Forwards, Group, Target};
use elbow_model::{TargetGroup, TargetGroupSpec, TargetState};
use elbow_net::{ClockUse, Worker};
use elbow_telemetry::{ListenerCells, ListenerMetrics, ShedReason, Telemetry};

use super::{Gate, Listener, Refusal};

/// Admits a number of flows at a time.
pub(crate) struct TestGate {
    listener: Arc<Listener>,
    worker: Rc<Worker>,
    most: usize,
    pub(crate) target: Arc<Target>,
    pub(crate) metrics: Arc<ListenerMetrics>,
    pub(crate) counts: Rc<Counts>,
}

/// What a gate counts.
#[derive(Default)]
pub(crate) struct Counts {
    /// Flows that are open.
    pub(crate) open: Cell<usize>,
    /// Flows that have begun.
    pub(crate) begun: Cell<usize>,
    /// Flows that ended early, and clients that were refused.
    pub(crate) shed: Cell<usize>,
}

impl TestGate {
    /// A gate that forwards to the group `g`, whose only target is at `address`, and admits `most` flows at a time.
    pub(crate) fn new(worker: &Rc<Worker>, address: SocketAddr, most: usize) -> Self {
        let spec = TargetGroupSpec {
            name: Some("g".to_owned()),
            protocol: Some("UDP".to_owned()),
            port: Some(53),
            target_type: Some("ip".to_owned()),
            ..TargetGroupSpec::default()
        };
        let target = Arc::new(Target::new(elbow_model::Target::at(address), address));
        target.set_state(TargetState::Healthy);
        let config = Arc::new(TargetGroup::new(&spec).value.unwrap());
        let group = Arc::new(Group::new(config, vec![Arc::clone(&target)], 1));
        Self {
            listener: Arc::new(Listener {
                forwards: Forwards {
                    ipv4: Forward::new([(group, 1)], false, None),
                    ..Forwards::default()
                },
                quic: false,
            }),
            worker: Rc::clone(worker),
            most,
            target,
            metrics: Telemetry::new(1).listener("nlb", "network", 53, "UDP"),
            counts: Rc::default(),
        }
    }
}

/// Counts an open flow, and keeps the clock running.
pub(crate) struct Open {
    counts: Rc<Counts>,
    _clock: ClockUse,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counts.open.update(|open| open - 1);
    }
}

impl Gate for TestGate {
    type Open = Open;

    fn listener(&self) -> Option<Arc<Listener>> {
        Some(Arc::clone(&self.listener))
    }

    fn admit(&self, _: SocketAddr) -> Result<(Arc<Listener>, Open), Refusal> {
        self.resume()
    }

    fn resume(&self) -> Result<(Arc<Listener>, Open), Refusal> {
        let counts = &self.counts;
        if counts.open.get() >= self.most {
            return Err(Refusal::Full(ShedReason::UdpFlows));
        }
        counts.open.update(|open| open + 1);
        counts.begun.update(|begun| begun + 1);
        let open = Open {
            counts: Rc::clone(counts),
            _clock: self.worker.timers.use_clock(),
        };
        Ok((Arc::clone(&self.listener), open))
    }

    fn cells(&self) -> &ListenerCells {
        self.metrics.worker(0)
    }

    fn shed(&self, _: ShedReason) {
        self.counts.shed.update(|shed| shed + 1);
    }
}

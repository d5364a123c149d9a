//! Descriptors for traffic. Closes idle pipes and connections when they run out.

use std::rc::Rc;

use elbow_http::Pools;
use elbow_net::Worker;
use elbow_net::open_files::{Full, Slot};

use crate::target_stream::TargetStream;

/// The descriptors of one worker.
pub(crate) struct Descriptors {
    worker: Rc<Worker>,
    pools: Rc<Pools<TargetStream>>,
}

impl Descriptors {
    pub(crate) fn new(worker: Rc<Worker>, pools: Rc<Pools<TargetStream>>) -> Self {
        Self { worker, pools }
    }

    /// The number of the worker.
    pub(crate) fn worker(&self) -> usize {
        self.worker.id
    }

    /// Takes the descriptors for an accepted client; see [`elbow_net::open_files::Slots::client`].
    pub(crate) fn client(&self) -> Result<Slot, Full> {
        let slots = &self.worker.slots;
        loop {
            match slots.client() {
                Err(Full::OpenFiles) if self.close_spare_pipes() => {}
                Err(Full::OpenFiles) if slots.spare_targets() > 0 && self.pools.close_one() => {}
                done => return done,
            }
        }
    }

    /// Takes the descriptor for a UDP flow; see [`elbow_net::open_files::Slots::flow`].
    pub(crate) fn flow(&self) -> Result<Slot, Full> {
        loop {
            match self.worker.slots.flow() {
                Err(Full::OpenFiles) if self.close_spare_pipes() || self.pools.close_one() => {}
                done => return done,
            }
        }
    }

    /// Takes the descriptors for a connection to a target; see [`elbow_net::open_files::Slots::target`].
    pub(crate) fn target(&self) -> Option<Slot> {
        loop {
            let slot = self.worker.slots.target();
            if slot.is_some() || !(self.close_spare_pipes() || self.pools.close_one()) {
                return slot;
            }
        }
    }

    fn close_spare_pipes(&self) -> bool {
        self.worker.close_spare_pipes() > 0
    }
}

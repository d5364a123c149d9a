use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use elbow_model::TargetState;

/// A registered target that is resolved to an address, with its live numbers. The next snapshot
/// adopts the same `Arc` for a target that stays, so the numbers outlive a reload.
#[derive(Debug)]
pub struct Target {
    /// Unique in the process: the key of upstream pools.
    pub serial: u64,
    /// As it was registered: address or name.
    pub registered: elbow_model::Target,
    /// Where it is connected to.
    pub address: SocketAddr,
    state: AtomicU8,
    in_flight: AtomicU32,
    requests: AtomicU64,
    cut: AtomicU32,
}

impl Target {
    /// A target in state `initial`.
    pub fn new(registered: elbow_model::Target, address: SocketAddr) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        Self {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            registered,
            address,
            state: AtomicU8::new(TargetState::Initial as u8),
            in_flight: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            cut: AtomicU32::new(0),
        }
    }

    /// Its state now.
    pub fn state(&self) -> TargetState {
        match self.state.load(Ordering::Relaxed) {
            0 => TargetState::Unused,
            1 => TargetState::Initial,
            2 => TargetState::Healthy,
            3 => TargetState::Unhealthy,
            4 => TargetState::Draining,
            _ => TargetState::Unavailable,
        }
    }

    /// Written by the health checker and by deregistration alone.
    pub fn set_state(&self, state: TargetState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// Requests (layer 7) or connections (layer 4) in progress.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests or connections so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Counts one more in progress until the guard is dropped.
    pub fn start(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        InFlight {
            cut_at_start: self.cut.load(Ordering::Relaxed),
            target: Arc::clone(self),
        }
    }

    /// Asks everything in progress on this target to end: the deregistration delay is over, or an
    /// NLB target became unhealthy. Whoever holds an [`InFlight`] sees it in [`InFlight::is_cut`]
    /// when it is next polled; the caller wakes the workers.
    pub fn cut(&self) {
        self.cut.fetch_add(1, Ordering::Relaxed);
    }
}

/// One request or connection in progress on a target.
#[derive(Debug)]
pub struct InFlight {
    target: Arc<Target>,
    cut_at_start: u32,
}

impl InFlight {
    /// The target.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Whether [`Target::cut`] was called since this started.
    pub fn is_cut(&self) -> bool {
        self.target.cut.load(Ordering::Relaxed) != self.cut_at_start
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.target.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

use std::net::{IpAddr, SocketAddr};
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
    /// What rendezvous hashing knows it by: depends on the address alone.
    flow_key: u64,
    state: AtomicU8,
    reason: AtomicU32,
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
            flow_key: flow_key(address),
            state: AtomicU8::new(TargetState::Initial as u8),
            reason: AtomicU32::new(0),
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

    /// Why it is in its state, as whoever sets that spells it; 0 until it is set.
    pub fn reason(&self) -> u32 {
        self.reason.load(Ordering::Relaxed)
    }

    /// Written by those who write the state.
    pub fn set_reason(&self, reason: u32) {
        self.reason.store(reason, Ordering::Relaxed);
    }

    /// Requests (layer 7) or connections (layer 4) in progress.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests or connections so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// A number for its address, the same in every process: what flow hashing and cookies know it
    /// by.
    pub fn key(&self) -> u64 {
        self.flow_key
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

fn flow_key(address: SocketAddr) -> u64 {
    let ip = match address.ip() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let (high, low) = ((ip >> 64) as u64, ip as u64);
    mix(mix(mix(high) ^ low) ^ u64::from(address.port()))
}

/// Spreads every bit of the input over the output (the finalizer of SplitMix64).
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use elbow_model::TargetId;

    use super::*;

    fn target(address: &str) -> Arc<Target> {
        let address: SocketAddr = address.parse().unwrap();
        let registered = elbow_model::Target {
            id: TargetId::Ip(address.ip()),
            port: address.port(),
            availability_zone: None,
        };
        Arc::new(Target::new(registered, address))
    }

    #[test]
    fn what_is_in_progress_is_counted_until_it_ends() {
        let target = target("10.0.0.1:80");
        assert_eq!(target.state(), TargetState::Initial);
        let (a, b) = (target.start(), target.start());
        assert_eq!((target.in_flight(), target.requests()), (2, 2));
        drop(a);
        assert_eq!((target.in_flight(), target.requests()), (1, 2));
        assert_eq!(b.target().serial, target.serial);
    }

    #[test]
    fn a_cut_ends_what_runs_and_nothing_that_starts_later() {
        let target = target("10.0.0.1:80");
        let before = target.start();
        target.cut();
        assert!(before.is_cut());
        assert!(!target.start().is_cut());
    }

    #[test]
    fn a_target_is_known_to_flows_by_its_address_alone() {
        let key = |address| target(address).key();
        assert_eq!(key("10.0.0.1:80"), key("10.0.0.1:80"));
        let others = ["10.0.0.1:81", "10.0.0.2:80", "[::1]:80", "[1::1]:80"];
        for other in others {
            assert_ne!(key("10.0.0.1:80"), key(other));
        }
        assert_ne!(key(others[2]), key(others[3]));
    }
}

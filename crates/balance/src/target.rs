use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use elbow_model::TargetState;

use crate::Share;

/// A registered target, resolved to an address, with its state and counters. A new snapshot reuses the
/// same `Arc` for a target that stays, so that they survive a reload.
#[derive(Debug)]
pub struct Target {
    /// Unique in the process; the key in upstream connection pools.
    pub serial: u64,
    /// The target as registered: an address or a name.
    pub registered: elbow_model::Target,
    /// The address for connections.
    pub address: SocketAddr,
    /// Key for rendezvous hashing; depends only on the address.
    flow_key: u64,
    state: AtomicU8,
    reason: AtomicU32,
    in_flight: AtomicU32,
    requests: AtomicU64,
    terminations: AtomicU32,
    answers_clients: AtomicBool,
    /// [`Share::parts`].
    share: AtomicU32,
    skips_slow_start: AtomicBool,
    failures: AtomicU64,
    refusals: AtomicU32,
    /// Of who waits for refusals.
    waker: Mutex<Option<Waker>>,
    is_anomalous: AtomicBool,
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
            terminations: AtomicU32::new(0),
            answers_clients: AtomicBool::new(false),
            share: AtomicU32::new(Share::FULL.parts()),
            skips_slow_start: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            refusals: AtomicU32::new(0),
            waker: Mutex::new(None),
            is_anomalous: AtomicBool::new(false),
        }
    }

    /// Its current state.
    pub fn state(&self) -> TargetState {
        match self.state.load(Ordering::Relaxed) {
            0 => TargetState::Unused,
            1 => TargetState::Initial,
            2 => TargetState::Healthy,
            3 => TargetState::Unhealthy,
            4 => TargetState::Draining,
            6 => TargetState::UnhealthyDraining,
            _ => TargetState::Unavailable,
        }
    }

    /// Sets the state. Only the health checker and deregistration call this.
    pub fn set_state(&self, state: TargetState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// The reason for its state, encoded by the caller of [`Self::set_reason`]; 0 until set.
    pub fn reason(&self) -> u32 {
        self.reason.load(Ordering::Relaxed)
    }

    /// Sets the reason for its state, together with the state.
    pub fn set_reason(&self, reason: u32) {
        self.reason.store(reason, Ordering::Relaxed);
    }

    /// How much of its normal share of requests it gets.
    pub fn share(&self) -> Share {
        Share::from_parts(self.share.load(Ordering::Relaxed))
    }

    /// Sets how much of its normal share of requests it gets.
    pub fn set_share(&self, share: Share) {
        self.share.store(share.parts(), Ordering::Relaxed);
    }

    /// The number of requests so far that ended with a status of 500 or more, or without a response.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Counts a request that ended with a status of 500 or more, or without a response because of the target.
    pub fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Ready when it has not accepted `most` connections in a row, for passive health checks. The last one who asks is woken.
    pub fn poll_refusals(&self, cx: &mut Context<'_>, most: u32) -> Poll<()> {
        *self.lock_waker() = Some(cx.waker().clone());
        if self.refusals.load(Ordering::Relaxed) >= most {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Counts a connection that it did not accept; `most` in a row wake who waits for them.
    pub fn count_refusal(&self, most: u32) {
        let before = self.refusals.fetch_add(1, Ordering::Relaxed);
        if before.saturating_add(1) == most
            && let Some(waker) = self.lock_waker().take()
        {
            waker.wake();
        }
    }

    fn lock_waker(&self) -> MutexGuard<'_, Option<Waker>> {
        // A panic cannot leave it inconsistent: each change is a single step.
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to count again, after a connection that it accepted or when its state changed.
    pub fn forget_refusals(&self) {
        // Usually there are none, and the workers share the line for reading.
        if self.refusals.load(Ordering::Relaxed) != 0 {
            self.refusals.store(0, Ordering::Relaxed);
        }
    }

    /// Whether it fails more requests than the other targets of its group.
    pub fn is_anomalous(&self) -> bool {
        self.is_anomalous.load(Ordering::Relaxed)
    }

    /// Sets whether it is anomalous, and returns whether it was before.
    pub(crate) fn set_anomalous(&self, is_anomalous: bool) -> bool {
        self.is_anomalous.swap(is_anomalous, Ordering::Relaxed)
    }

    /// Whether it gets its full share at once when it becomes healthy, because it was registered in an empty group.
    pub fn skips_slow_start(&self) -> bool {
        self.skips_slow_start.load(Ordering::Relaxed)
    }

    /// Sets whether it skips slow start when it becomes healthy.
    pub fn set_skips_slow_start(&self, skips: bool) {
        self.skips_slow_start.store(skips, Ordering::Relaxed);
    }

    /// The number of requests (HTTP) or connections (TCP, TLS) in progress.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The number of requests or connections so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// A hash of its address, the same in every process. Identifies the target in flow hashing and cookies.
    pub fn key(&self) -> u64 {
        self.flow_key
    }

    /// Counts one more request or connection in progress until the guard is dropped.
    pub fn start(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        InFlight {
            terminations_at_start: self.terminations.load(Ordering::Relaxed),
            target: Arc::clone(self),
        }
    }

    /// Whether a connection with the address of a client as its source reaches the target, and the answer comes back. Not
    /// until that is known.
    pub fn answers_clients(&self) -> bool {
        self.answers_clients.load(Ordering::Relaxed)
    }

    /// Sets [`Self::answers_clients`].
    pub fn set_answers_clients(&self, answers: bool) {
        self.answers_clients.store(answers, Ordering::Relaxed);
    }

    /// Terminates all requests and connections in progress on this target, because the deregistration
    /// delay has passed or an NLB target became unhealthy. They see it in [`InFlight::is_terminated`] when
    /// polled next; the caller wakes the workers.
    pub fn terminate_connections(&self) {
        self.terminations.fetch_add(1, Ordering::Relaxed);
    }
}

/// One request or connection in progress on a target.
#[derive(Debug)]
pub struct InFlight {
    target: Arc<Target>,
    terminations_at_start: u32,
}

impl InFlight {
    /// The target.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Whether [`Target::terminate_connections`] was called since this started.
    pub fn is_terminated(&self) -> bool {
        self.target.terminations.load(Ordering::Relaxed) != self.terminations_at_start
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
    use super::*;

    fn target(address: &str) -> Arc<Target> {
        let address: SocketAddr = address.parse().unwrap();
        let registered = elbow_model::Target::at(address);
        Arc::new(Target::new(registered, address))
    }

    #[test]
    fn requests_in_progress_are_counted_until_they_end() {
        let target = target("10.0.0.1:80");
        assert_eq!(target.state(), TargetState::Initial);
        let (a, b) = (target.start(), target.start());
        assert_eq!((target.in_flight(), target.requests()), (2, 2));
        drop(a);
        assert_eq!((target.in_flight(), target.requests()), (1, 2));
        assert_eq!(b.target().serial, target.serial);
    }

    #[test]
    fn refusals_in_a_row_wake_who_waits_for_them() {
        struct Count(AtomicU32);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let woken = Arc::new(Count(AtomicU32::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let target = target("10.0.0.1:80");
        let is_out = || {
            let mut cx = Context::from_waker(&waker);
            target.poll_refusals(&mut cx, 2).is_ready()
        };
        assert!(!is_out());
        target.count_refusal(2);
        assert_eq!((is_out(), woken.0.load(Ordering::Relaxed)), (false, 0));
        target.forget_refusals();
        target.count_refusal(2);
        assert_eq!((is_out(), woken.0.load(Ordering::Relaxed)), (false, 0));
        target.count_refusal(2);
        assert_eq!((is_out(), woken.0.load(Ordering::Relaxed)), (true, 1));
        target.count_refusal(2);
        assert_eq!((is_out(), woken.0.load(Ordering::Relaxed)), (true, 1));
    }

    #[test]
    fn termination_affects_only_connections_in_progress() {
        let target = target("10.0.0.1:80");
        let before = target.start();
        target.terminate_connections();
        assert!(before.is_terminated());
        assert!(!target.start().is_terminated());
    }

    #[test]
    fn key_depends_only_on_the_address() {
        let key = |address| target(address).key();
        assert_eq!(key("10.0.0.1:80"), key("10.0.0.1:80"));
        let others = ["10.0.0.1:81", "10.0.0.2:80", "[::1]:80", "[1::1]:80"];
        for other in others {
            assert_ne!(key("10.0.0.1:80"), key(other));
        }
        assert_ne!(key(others[2]), key(others[3]));
    }

    // Cookies issued by one process are read by another.
    #[test]
    fn key_of_an_address_never_changes() {
        let key = |address| target(address).key();
        assert_eq!(key("10.0.0.1:80"), 0xda33_284c_2c98_22f2);
        assert_eq!(key("[2001:db8::1]:443"), 0x908b_f8cd_f275_020a);
    }

    // The first outputs of SplitMix64 for the seeds 0 and 1234567.
    #[test]
    fn mix_is_the_finalizer_of_splitmix64() {
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn share_is_full_until_it_is_set() {
        let target = target("10.0.0.1:80");
        assert!(target.share().is_full() && !target.skips_slow_start());
        target.set_share(Share::ratio(1, 2));
        target.set_skips_slow_start(true);
        assert_eq!(target.share(), Share::ratio(1, 2));
        assert!(target.skips_slow_start());
    }

    #[test]
    fn state_and_reason_are_kept() {
        let target = target("10.0.0.1:80");
        assert_eq!(target.reason(), 0);
        target.set_reason(7);
        assert_eq!(target.reason(), 7);
        for state in [
            TargetState::Unused,
            TargetState::Initial,
            TargetState::Healthy,
            TargetState::Unhealthy,
            TargetState::Draining,
            TargetState::Unavailable,
            TargetState::UnhealthyDraining,
        ] {
            target.set_state(state);
            assert_eq!(target.state(), state);
        }
    }
}

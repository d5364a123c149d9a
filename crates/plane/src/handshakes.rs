//! The TLS handshakes with clients in progress on one worker, and the PROXY protocol headers that it waits for.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::task::AbortHandle;

/// Limit of concurrent handshakes per worker, about 20 KiB each: more than can complete within a round trip.
const MAX: usize = 1024;

/// The handshakes in progress on one worker, oldest first.
pub(crate) struct Handshakes {
    max: usize,
    running: RefCell<VecDeque<(u64, AbortHandle)>>,
    next: Cell<u64>,
}

impl Handshakes {
    /// Creates it without handshakes.
    pub(crate) fn new() -> Rc<Self> {
        Self::with_max(MAX)
    }

    fn with_max(max: usize) -> Rc<Self> {
        Rc::new(Self {
            max,
            running: RefCell::default(),
            next: Cell::new(0),
        })
    }

    /// Registers a new handshake. Its task keeps the guard until the handshake has ended.
    pub(crate) fn begin(self: &Rc<Self>) -> Handshake {
        let number = self.next.get();
        self.next.set(number + 1);
        Handshake {
            of: Rc::clone(self),
            number,
        }
    }

    /// Records the task of the handshake with this `number`, before it runs. If there are too many handshakes, aborts
    /// the oldest one and returns true: honest clients complete within a round trip, so the oldest one is the most
    /// likely to be stalled.
    pub(crate) fn started(&self, number: u64, task: AbortHandle) -> bool {
        let mut running = self.running.borrow_mut();
        running.push_back((number, task));
        if running.len() <= self.max {
            return false;
        }
        let oldest = running.pop_front();
        drop(running);
        oldest.map(|(_, task)| task.abort()).is_some()
    }
}

/// A handshake in progress. Dropping it ends the registration.
pub(crate) struct Handshake {
    of: Rc<Handshakes>,
    pub(crate) number: u64,
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut running = self.of.running.borrow_mut();
        // An aborted handshake has already been removed.
        if let Ok(place) = running.binary_search_by_key(&self.number, |(number, _)| *number) {
            running.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;
    use tokio::task::{JoinHandle, LocalSet, spawn_local};

    use super::*;

    fn start(handshakes: &Rc<Handshakes>, until: oneshot::Receiver<()>) -> (JoinHandle<()>, bool) {
        let handshake = handshakes.begin();
        let number = handshake.number;
        let task = spawn_local(async move {
            let _ = until.await;
            drop(handshake);
            pending::<()>().await;
        });
        let full = handshakes.started(number, task.abort_handle());
        (task, full)
    }

    #[tokio::test]
    async fn oldest_handshake_is_aborted_for_a_new_one() {
        let script = async {
            let handshakes = Handshakes::with_max(2);
            let (_first, until_first) = oneshot::channel();
            let (second, until_second) = oneshot::channel();
            let (_third, until_third) = oneshot::channel();
            let (_fourth, until_fourth) = oneshot::channel();
            let (first, full) = start(&handshakes, until_first);
            assert!(!full);
            let (served, full) = start(&handshakes, until_second);
            assert!(!full);
            // After its handshake the connection is not aborted any more.
            second.send(()).unwrap();
            while handshakes.running.borrow().len() > 1 {
                tokio::task::yield_now().await;
            }
            let (third, full) = start(&handshakes, until_third);
            assert!(!full);
            let (fourth, full) = start(&handshakes, until_fourth);
            assert!(full);
            assert!(first.await.unwrap_err().is_cancelled());
            for task in [served, third, fourth] {
                assert!(!task.is_finished());
            }
            assert_eq!(handshakes.running.borrow().len(), 2);
        };
        LocalSet::new().run_until(script).await;
    }
}

//! TLS handshakes with clients that are in progress on one worker.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::task::AbortHandle;

/// Handshakes of one worker at a time: some 20 KiB each, and more than complete within a round trip.
const MOST: usize = 1024;

/// The handshakes of one worker in the order in which they began.
pub(crate) struct Handshakes {
    most: usize,
    running: RefCell<VecDeque<(u64, AbortHandle)>>,
    next: Cell<u64>,
}

impl Handshakes {
    /// None yet.
    pub(crate) fn new() -> Rc<Self> {
        Self::with_most(MOST)
    }

    fn with_most(most: usize) -> Rc<Self> {
        Rc::new(Self {
            most,
            running: RefCell::default(),
            next: Cell::new(0),
        })
    }

    /// A new one, to be kept by its task until the handshake is over.
    pub(crate) fn begin(self: &Rc<Self>) -> Handshake {
        let number = self.next.get();
        self.next.set(number + 1);
        Handshake {
            of: Rc::clone(self),
            number,
        }
    }

    /// Notes the task of the handshake with this `number`, before it runs. When there are too many, the oldest one
    /// ends, and this says so: a client that means it needs a round trip, so that those which do not are older.
    pub(crate) fn started(&self, number: u64, task: AbortHandle) -> bool {
        let mut running = self.running.borrow_mut();
        running.push_back((number, task));
        if running.len() <= self.most {
            return false;
        }
        let oldest = running.pop_front();
        drop(running);
        oldest.map(|(_, task)| task.abort()).is_some()
    }
}

/// A handshake in progress, until it is dropped.
pub(crate) struct Handshake {
    of: Rc<Handshakes>,
    pub(crate) number: u64,
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut running = self.of.running.borrow_mut();
        // One that had to make room is not there any more.
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
    async fn the_oldest_handshake_makes_room_for_a_new_one() {
        let script = async {
            let handshakes = Handshakes::with_most(2);
            let (_first, until_first) = oneshot::channel();
            let (second, until_second) = oneshot::channel();
            let (_third, until_third) = oneshot::channel();
            let (_fourth, until_fourth) = oneshot::channel();
            let (first, full) = start(&handshakes, until_first);
            assert!(!full);
            let (served, full) = start(&handshakes, until_second);
            assert!(!full);
            // Once it is over, its connection is none of ours.
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

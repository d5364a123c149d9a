//! Connections of HTTP/2 to targets, which requests share: those of one worker, by target.

pub(crate) mod connection;
pub(crate) mod head;
pub(crate) mod incoming;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::hash::Hash;
use std::rc::Rc;
use std::task::{Poll, Waker};

use elbow_net::Stream;
use rustc_hash::FxHashMap;

use crate::error::ErrorKind;
use connection::Connection;

/// A further connection is opened when no more streams than this part of a connection's are left.
const AHEAD: usize = 4;

/// The connections of one worker. Those with the same key are interchangeable.
pub(crate) struct Connections<K, Io> {
    by_key: RefCell<FxHashMap<K, Group<Io>>>,
}

/// The connections to one target.
struct Group<Io> {
    open: Vec<Rc<Connection<Io>>>,
    opening: Option<Rc<Opening>>,
}

impl<Io> Default for Group<Io> {
    fn default() -> Self {
        Self {
            open: Vec::new(),
            opening: None,
        }
    }
}

impl<K, Io> Default for Connections<K, Io> {
    fn default() -> Self {
        Self {
            by_key: RefCell::default(),
        }
    }
}

/// A connection that is being opened; requests wait for it together.
#[derive(Default)]
pub(crate) struct Opening {
    is_done: Cell<bool>,
    /// Why it could not be opened.
    failure: Cell<Option<ErrorKind>>,
    waiting: RefCell<Vec<Waker>>,
}

impl Opening {
    /// Lets the requests go on that wait.
    pub(crate) fn finish(&self, failure: Option<ErrorKind>) {
        self.failure.set(failure);
        self.is_done.set(true);
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// Waits until the connection is open; returns the error if it cannot be opened.
    pub(crate) async fn wait(&self) -> Result<(), ErrorKind> {
        poll_fn(|cx| {
            if self.is_done.get() {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
        self.failure.get().map_or(Ok(()), Err)
    }
}

impl<K: Copy + Eq + Hash, Io: Stream> Connections<K, Io> {
    /// Open connections.
    pub(crate) fn len(&self) -> usize {
        self.by_key.borrow().values().map(|g| g.open.len()).sum()
    }

    /// Closes one idle connection. Returns false if every connection has streams.
    pub(crate) fn close_one(&self) -> bool {
        let groups = self.by_key.borrow();
        let mut open = groups.values().flat_map(|group| &group.open);
        open.any(|connection| connection.close_if_idle())
    }

    /// Looks for a connection with room for a stream.
    pub(crate) fn find(&self, key: K) -> Found<Io> {
        let groups = self.by_key.borrow();
        let Some(group) = groups.get(&key) else {
            return Found {
                connection: None,
                opening: None,
                is_scarce: true,
            };
        };
        let mut room = 0;
        let mut is_scarce = true;
        let mut found = None;
        // The oldest first, so that later ones become idle.
        for connection in &group.open {
            let (left, most) = connection.room();
            room += left;
            is_scarce = room <= most / AHEAD;
            if found.is_none() && left > 0 {
                found = Some(Rc::clone(connection));
            }
            if found.is_some() && !is_scarce {
                break;
            }
        }
        Found {
            connection: found,
            opening: group.opening.clone(),
            is_scarce,
        }
    }

    /// Notes a connection that is being opened.
    pub(crate) fn add_opening(&self, key: K) -> Rc<Opening> {
        let opening = Rc::new(Opening::default());
        let mut groups = self.by_key.borrow_mut();
        groups.entry(key).or_default().opening = Some(Rc::clone(&opening));
        opening
    }

    /// Adds a connection.
    pub(crate) fn add(&self, key: K, connection: Rc<Connection<Io>>) {
        let mut groups = self.by_key.borrow_mut();
        groups.entry(key).or_default().open.push(connection);
    }

    /// Forgets the connection that is being opened.
    pub(crate) fn take_opening(&self, key: K) {
        let mut groups = self.by_key.borrow_mut();
        if let Some(group) = groups.get_mut(&key) {
            group.opening = None;
            if group.open.is_empty() {
                groups.remove(&key);
            }
        }
    }

    /// Forgets a connection that is over.
    pub(crate) fn remove(&self, key: K, connection: &Rc<Connection<Io>>) {
        let mut groups = self.by_key.borrow_mut();
        if let Some(group) = groups.get_mut(&key) {
            group.open.retain(|one| !Rc::ptr_eq(one, connection));
            if group.open.is_empty() && group.opening.is_none() {
                groups.remove(&key);
            }
        }
    }
}

/// What [`Connections::find`] found.
pub(crate) struct Found<Io> {
    pub(crate) connection: Option<Rc<Connection<Io>>>,
    /// A connection that is being opened.
    pub(crate) opening: Option<Rc<Opening>>,
    /// Few streams are left on all connections together.
    pub(crate) is_scarce: bool,
}

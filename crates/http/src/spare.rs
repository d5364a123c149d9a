//! Memory that is used again: vectors for heads and log fields.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// Vectors kept, and the capacity up to which one is kept.
const SPARES_MAX: usize = 64;
const SPARE_CAPACITY: usize = 64 * 1024;

/// Vectors that were used and will be again.
#[derive(Default)]
pub(crate) struct Spares(RefCell<Vec<Vec<u8>>>);

impl Spares {
    /// An empty vector with the capacity that an earlier use left it.
    pub(crate) fn take(self: &Rc<Self>) -> Spare {
        let mut spare = self.later();
        spare.fill();
        spare
    }

    /// An empty vector without memory, for [`Spare::fill`].
    pub(crate) fn later(self: &Rc<Self>) -> Spare {
        Spare {
            bytes: Vec::new(),
            home: Rc::clone(self),
        }
    }
}

/// A vector that goes back when dropped.
pub(crate) struct Spare {
    bytes: Vec<u8>,
    home: Rc<Spares>,
}

impl Spare {
    /// Takes memory that an earlier use left, unless there is some.
    pub(crate) fn fill(&mut self) {
        if self.bytes.capacity() == 0 {
            self.bytes = self.home.0.borrow_mut().pop().unwrap_or_default();
        }
    }

    /// Gives the memory back before the drop; what is left is empty.
    pub(crate) fn give_back(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut kept = self.home.0.borrow_mut();
        if kept.len() < SPARES_MAX && (1..=SPARE_CAPACITY).contains(&bytes.capacity()) {
            bytes.clear();
            kept.push(bytes);
        }
    }
}

impl Deref for Spare {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Spare {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.give_back();
    }
}

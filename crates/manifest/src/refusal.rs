//! Why a stack is refused.

use std::cell::RefCell;

use elbow_model::diagnostic::Diagnostic;

/// The error that refuses a stack.
pub type Refusal = Box<Diagnostic>;

/// Takes the first error out of what was found.
pub(crate) fn take_error(found: &mut Vec<Diagnostic>) -> Option<Refusal> {
    let first = found.iter().position(Diagnostic::is_error)?;
    Some(Box::new(found.remove(first)))
}

/// How many errors of one stack are kept. A wrong class can make thousands of paths wrong at once.
const MOST: usize = 100;

/// The errors of a stack that is read on, so that a person sees all of them at once and not one after the other. A value
/// that depends on a refused one is left out, since errors about it may not be true.
#[derive(Clone, Debug)]
pub(crate) struct Refusals<E>(RefCell<Vec<E>>);

impl<E> Default for Refusals<E> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<E: PartialEq> Refusals<E> {
    /// Keeps an error.
    pub(crate) fn add(&self, error: E) {
        let mut kept = self.0.borrow_mut();
        if kept.len() < MOST && !kept.contains(&error) {
            kept.push(error);
        }
    }

    /// The value, or `None` after an error, which is kept.
    pub(crate) fn keep<T>(&self, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(error);
                None
            }
        }
    }

    /// The value, or `otherwise` after an error, which is kept.
    pub(crate) fn or<T>(&self, otherwise: T, read: Result<T, E>) -> T {
        self.keep(read).unwrap_or(otherwise)
    }

    /// The value, or the default of its type after an error, which is kept.
    pub(crate) fn or_default<T: Default>(&self, read: Result<T, E>) -> T {
        self.keep(read).unwrap_or_default()
    }

    /// The value if there was no error at all, else the first error and the others.
    pub(crate) fn finish<T>(&self, read: Result<T, E>) -> Result<T, (E, Vec<E>)> {
        let mut others = self.0.take();
        let last = match read {
            Ok(value) if others.is_empty() => return Ok(value),
            Ok(_) => None,
            Err(last) => Some(last),
        };
        others.extend(last.filter(|last| !others.contains(last)));
        let first = others.remove(0);
        Err((first, others))
    }
}

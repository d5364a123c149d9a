//! Tasks that are aborted on drop.

use std::future::Future;

use tokio::task::{AbortHandle, spawn_local};

/// A task on this thread, aborted on drop.
pub(crate) struct Task(AbortHandle);

impl Task {
    /// Starts `future`.
    pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) -> Self {
        Self(spawn_local(future).abort_handle())
    }
}

#[cfg(test)]
impl Task {
    pub(crate) fn id(&self) -> tokio::task::Id {
        self.0.id()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

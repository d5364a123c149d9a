//! Limits the connections of an admin address.

use std::collections::VecDeque;

use tokio::task::AbortHandle;

/// The most connections of one address at a time. Answers take milliseconds, so older connections are slow or idle.
const MOST: usize = 32;

/// The connections of one address, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Connections(VecDeque<AbortHandle>);

impl Connections {
    /// Adds the task of a new connection. If there are too many, ends the oldest and returns true, so that open
    /// connections keep no probe out.
    pub(crate) fn add(&mut self, task: AbortHandle) -> bool {
        self.0.push_back(task);
        if self.0.len() <= MOST {
            return false;
        }
        self.0.retain(|task| !task.is_finished());
        let oldest = self.0.len() > MOST;
        let oldest = oldest.then(|| self.0.pop_front()).flatten();
        oldest.map(|task| task.abort()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn oldest_connection_is_closed_for_a_new_one() {
        let mut connections = Connections::default();
        let mut tasks = VecDeque::new();
        for _ in 0..MOST {
            let task = tokio::spawn(pending::<()>());
            assert!(!connections.add(task.abort_handle()));
            tasks.push_back(task);
        }
        // A finished connection does not count.
        let over = tasks.remove(5).unwrap();
        over.abort();
        assert!(over.await.is_err());
        assert!(!connections.add(tokio::spawn(pending::<()>()).abort_handle()));
        assert!(connections.add(tokio::spawn(pending::<()>()).abort_handle()));
        assert!(tasks.pop_front().unwrap().await.unwrap_err().is_cancelled());
        assert!(tasks.iter().all(|task| !task.is_finished()));
    }
}

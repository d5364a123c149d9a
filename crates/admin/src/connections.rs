//! How many clients an admin address has at a time.

use std::collections::VecDeque;

use tokio::task::AbortHandle;

/// Connections of one address at a time; answers take milliseconds, so that whoever is still there is slow or idle.
const MOST: usize = 32;

/// The connections of one address, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Connections(VecDeque<AbortHandle>);

impl Connections {
    /// Notes the task of a new connection. The oldest one ends when there are too many, which this then says: whoever
    /// holds connections keeps no probe out.
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
    async fn the_oldest_connection_makes_room_for_a_new_one() {
        let mut connections = Connections::default();
        let mut tasks = VecDeque::new();
        for _ in 0..MOST {
            let task = tokio::spawn(pending::<()>());
            assert!(!connections.add(task.abort_handle()));
            tasks.push_back(task);
        }
        // One that is over takes no place.
        let over = tasks.remove(5).unwrap();
        over.abort();
        assert!(over.await.is_err());
        assert!(!connections.add(tokio::spawn(pending::<()>()).abort_handle()));
        assert!(connections.add(tokio::spawn(pending::<()>()).abort_handle()));
        assert!(tasks.pop_front().unwrap().await.unwrap_err().is_cancelled());
        assert!(tasks.iter().all(|task| !task.is_finished()));
    }
}

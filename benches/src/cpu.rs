//! The CPU time that other processes have used so far.

use std::time::Duration;

/// Run time of all threads of `pids`; a process that is gone counts nothing.
pub fn used(pids: &[u32]) -> Duration {
    let nanos = pids.iter().flat_map(|pid| {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
        tasks.into_iter().flatten().flatten().filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        })
    });
    Duration::from_nanos(nanos.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_time_grows_and_an_unknown_process_counts_nothing() {
        let me = [std::process::id()];
        let before = used(&me);
        while used(&me) == before {}
        assert_eq!(used(&[u32::MAX]), Duration::ZERO);
    }
}

//! The limit of open files: each connection uses two descriptors, each listener one per worker.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

mod budget;

pub use budget::{Budget, Full, Needs, Slot, Slots};

/// Raises the soft limit of this process to its hard limit and returns it; `None` means unlimited.
///
/// # Errors
/// If the system refuses to raise it.
pub fn raise() -> io::Result<Option<u64>> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        )?;
    }
    Ok(maximum)
}

/// The limit of this process; `None` means unlimited.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// What to do about `error` if it says that too many files are open.
pub fn advice(error: &io::Error) -> Option<String> {
    match Errno::from_io_error(error)? {
        Errno::MFILE => {
            let limit = limit().map_or_else(String::new, |limit| format!(" of {limit}"));
            Some(format!(
                "the process has reached its limit{limit}: a listener uses one for each worker; raise it \
                 (`ulimit -Hn`, LimitNOFILE=) or use fewer --workers"
            ))
        }
        Errno::NFILE => Some("the machine has reached its limit; raise fs.file-max".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_raised_to_the_hard_limit() {
        let limit = raise().unwrap();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, now.maximum), (limit, limit));
    }

    #[test]
    fn only_limit_errors_get_advice() {
        let advice = |errno: Errno| advice(&errno.into());
        assert!(advice(Errno::MFILE).unwrap().contains("LimitNOFILE"));
        assert!(advice(Errno::NFILE).unwrap().contains("fs.file-max"));
        assert_eq!(advice(Errno::ADDRINUSE), None);
    }
}

//! The limit of open files: each connection takes two, each listener one for every worker.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

mod budget;

pub use budget::{Budget, Full, Needs, Slot, Slots};

/// Raises this process's limit as far as it may, and says what it is then; `None`: there is none.
///
/// # Errors
/// When the system does not let a process have what its own hard limit allows.
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

/// This process's limit; `None` means unlimited.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// What to do about `error` when too many files are open.
pub fn advice(error: &io::Error) -> Option<String> {
    match Errno::from_io_error(error)? {
        Errno::MFILE => {
            let limit = limit().map_or_else(String::new, |limit| format!(" of {limit}"));
            Some(format!(
                "the process has reached its limit{limit}: a listener takes one for each worker; raise it \
                 (`ulimit -Hn`, LimitNOFILE=) or have fewer --workers"
            ))
        }
        Errno::NFILE => Some("the machine has reached its limit: raise fs.file-max".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_be() {
        let limit = raise().unwrap();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, now.maximum), (limit, limit));
    }

    #[test]
    fn only_what_limits_cause_gets_advice() {
        let advice = |errno: Errno| advice(&errno.into());
        assert!(advice(Errno::MFILE).unwrap().contains("LimitNOFILE"));
        assert!(advice(Errno::NFILE).unwrap().contains("fs.file-max"));
        assert_eq!(advice(Errno::ADDRINUSE), None);
    }
}

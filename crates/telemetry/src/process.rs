use std::fs;

/// Resource usage of this process; `None` without `/proc`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) open_fds: Option<u64>,
}

impl Process {
    pub(crate) fn read() -> Self {
        Self {
            resident_bytes: fs::read_to_string("/proc/self/status")
                .ok()
                .and_then(|status| resident(&status)),
            // Reading the directory opens one more descriptor.
            open_fds: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|entries| (entries.count() as u64).saturating_sub(1)),
        }
    }
}

/// `VmRSS` (proc(5)), converted from KiB to bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_status_file() {
        let status = "Name:\telbow\nVmHWM:\t  9000 kB\nVmRSS:\t    5124 kB\nThreads:\t3\n";
        assert_eq!(resident(status), Some(5124 * 1024));
        assert_eq!(resident("Name:\telbow\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn process_has_resident_memory_and_open_files() {
        let process = Process::read();
        assert!(process.resident_bytes > Some(0));
        assert!(process.open_fds > Some(2));
    }
}

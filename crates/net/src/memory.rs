//! Returns free heap memory to the system after connections have ended.
//!
//! The allocator keeps freed memory for reuse. Without trimming, one client that needed 100 MB for a
//! minute would leave the process at that size for good.

#[cfg(target_env = "gnu")]
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Delay from the end of a connection to the check of the heap, because connections end in groups.
pub(crate) const SETTLE: Duration = Duration::from_secs(5);

/// Free memory, in bytes, that justifies a trim, which walks the whole heap and locks each arena.
const TRIM_THRESHOLD: u64 = 16 * 1024 * 1024;

/// Free bytes that the last trim could not return, because parts of their pages are in use.
static UNRECLAIMED: AtomicU64 = AtomicU64::new(0);

/// Returns free memory to the system if there is enough of it. Allocators other than glibc's do this by
/// themselves.
pub(crate) fn trim() {
    let Some(free) = free() else { return };
    let unreclaimed = UNRECLAIMED.load(Ordering::Relaxed);
    if free < unreclaimed.saturating_add(TRIM_THRESHOLD) {
        // Some of the unreclaimed memory is in use again.
        UNRECLAIMED.fetch_min(free, Ordering::Relaxed);
        return;
    }
    #[cfg(target_env = "gnu")]
    crate::sys::heap::trim();
    UNRECLAIMED.store(self::free().unwrap_or(0), Ordering::Relaxed);
}

/// Allocated bytes of the heap, modulo 4 GiB, if the allocator counts them: what connections hold, in tests.
pub fn heap_in_use() -> Option<u32> {
    #[cfg(target_env = "gnu")]
    return Some(crate::sys::heap::in_use());
    #[cfg(not(target_env = "gnu"))]
    None
}

/// Bytes of the heap that are resident and free.
#[cfg(target_env = "gnu")]
fn free() -> Option<u64> {
    // Modulo 4 GiB, like the counters of the heap: more than 4 GiB of free memory is returned in two
    // trims. Allocated but untouched memory is not resident, so the difference can be negative.
    let difference = (anonymous()? as u32).wrapping_sub(crate::sys::heap::in_use());
    u64::try_from(difference.cast_signed()).ok()
}

#[cfg(not(target_env = "gnu"))]
fn free() -> Option<u64> {
    None
}

/// Anonymous resident memory of this process in bytes.
#[cfg(target_env = "gnu")]
pub(crate) fn anonymous() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

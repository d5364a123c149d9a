//! Memory that is free goes back to the system once connections have ended.
//!
//! The allocator keeps what was freed, for the next time: one client that took 100 MB for a minute
//! would leave a process of that size for good.

#[cfg(target_env = "gnu")]
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// From the end of a connection to a look at the heap: connections end in groups.
pub(crate) const SETTLE: Duration = Duration::from_secs(5);

/// Free memory, in bytes, that is worth a trim: it walks the whole heap, and locks each arena.
const WORTH: u64 = 16 * 1024 * 1024;

/// Free bytes that the last trim could not give back, since parts of their pages are in use.
static STUCK: AtomicU64 = AtomicU64::new(0);

/// Gives free memory back to the system if there is much of it. Other allocators than glibc's do
/// that by themselves.
pub(crate) fn trim() {
    let Some(free) = free() else { return };
    let stuck = STUCK.load(Ordering::Relaxed);
    if free < stuck.saturating_add(WORTH) {
        // What was stuck is in use again.
        STUCK.fetch_min(free, Ordering::Relaxed);
        return;
    }
    #[cfg(target_env = "gnu")]
    crate::sys::heap::trim();
    STUCK.store(self::free().unwrap_or(0), Ordering::Relaxed);
}

/// Bytes that are resident and not in use.
#[cfg(target_env = "gnu")]
fn free() -> Option<u64> {
    // Modulo 4 GiB, as the heap counts: what is more than that reads as less, and is given back in
    // two steps. Memory in use that was never touched is not resident: then there is nothing free.
    let difference = (anonymous()? as u32).wrapping_sub(crate::sys::heap::in_use());
    u64::try_from(difference.cast_signed()).ok()
}

#[cfg(not(target_env = "gnu"))]
fn free() -> Option<u64> {
    None
}

/// Bytes of this process in memory that are not pages of files.
#[cfg(target_env = "gnu")]
pub(crate) fn anonymous() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

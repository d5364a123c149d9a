//! The heap that a piece of work holds at once. Shared by the fuzz targets and by the tests of memory
//! bounds, which run on the stable toolchain. A program that has this module counts every allocation.

use std::sync::{Mutex, PoisonError};

use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The counter is one for the whole process: one piece of work is measured at a time. All tests of a program that
/// measures must measure, since what the others allocate counts too.
static MEASURING: Mutex<()> = Mutex::new(());

/// The result of `work`, and the most heap in bytes that it held beyond what was held before it.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let _guard = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let result = work();
    (result, HEAP.peak_usage().saturating_sub(before))
}

/// The result of `work`, which must hold at most `bound` bytes of heap at once.
pub fn within<T>(bound: usize, work: impl FnOnce() -> T) -> T {
    let (result, held) = peak(work);
    assert!(
        held <= bound,
        "held {held} bytes at once, expected at most {bound}"
    );
    result
}

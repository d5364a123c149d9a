//! Measures the peak heap of a piece of work. The fuzz targets share it with the tests of memory bounds,
//! which run on the stable toolchain. A program with this module counts every allocation.

use std::sync::{Mutex, PoisonError};

use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The counter covers the whole process, so only one piece of work is measured at a time. In a program that measures,
/// every test must measure, since the allocations of all tests count.
static MEASURING: Mutex<()> = Mutex::new(());

/// Returns the result of `work`, and its peak heap in bytes above the heap before it.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let _guard = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let result = work();
    (result, HEAP.peak_usage().saturating_sub(before))
}

/// Returns the result of `work`. Panics when its peak heap exceeds `bound` bytes.
pub fn within<T>(bound: usize, work: impl FnOnce() -> T) -> T {
    let (result, held) = peak(work);
    assert!(
        held <= bound,
        "held {held} bytes at once, expected at most {bound}"
    );
    result
}

//! What the heap of the C library holds.

/// Allocated bytes, modulo 4 GiB, where the C library is glibc: what connections hold, in tests that do not set another allocator.
pub fn heap_in_use() -> Option<u32> {
    #[cfg(target_env = "gnu")]
    return Some(crate::sys::heap::in_use());
    #[cfg(not(target_env = "gnu"))]
    None
}

//! The heap of glibc, which keeps freed memory until it is trimmed.

/// Allocated bytes of the heap, modulo 4 GiB.
#[cfg(target_env = "gnu")]
pub(crate) fn in_use() -> u32 {
    // mallinfo2 has wider fields, but only glibc 2.33 and newer have it.
    // SAFETY: takes no argument and returns plain numbers; each arena is read under its lock. Only
    // mallopt changes what is read without a lock, and nothing here calls it.
    let info = unsafe { libc::mallinfo() };
    let (blocks, mapped) = (info.uordblks.cast_unsigned(), info.hblkhd.cast_unsigned());
    blocks.wrapping_add(mapped)
}

/// Returns the free pages of all arenas to the system.
#[cfg(target_env = "gnu")]
pub(crate) fn trim() {
    // SAFETY: takes no pointer, may be called by any thread at any time (malloc_trim(3): MT-Safe),
    // and touches only free memory.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::{in_use, trim};
    use crate::memory::anonymous;

    #[test]
    fn trim_returns_free_pages_between_used_ones() {
        const BLOCKS: usize = 8 * 1024;
        let before = in_use();
        let mut blocks: Vec<_> = (0..BLOCKS).map(|_| vec![1_u8; 8 * 1024]).collect();
        let grown = in_use().wrapping_sub(before) as usize;
        assert!(grown >= BLOCKS * 8 * 1024, "{grown}");
        let full = anonymous().unwrap();
        // The last block pins the end of the heap, so that freeing alone cannot shrink it.
        blocks.drain(..BLOCKS - 1);
        trim();
        let left = anonymous().unwrap();
        assert!(left + 48 * 1024 * 1024 < full, "{full} -> {left}");
        assert_eq!(blocks.len(), 1);
    }
}

//! The heaps: that of mimalloc, which returns freed memory only as it allocates and frees more, and that of the C library.

/// Allocated bytes of the heap of glibc, modulo 4 GiB.
#[cfg(target_env = "gnu")]
pub(crate) fn in_use() -> u32 {
    // mallinfo2 has wider fields, but only glibc 2.33 and newer have it.
    // SAFETY: takes no argument and returns plain numbers; each arena is read under its lock. Only
    // mallopt changes what is read without a lock, and nothing here calls it.
    let info = unsafe { libc::mallinfo() };
    let (blocks, mapped) = (info.uordblks.cast_unsigned(), info.hblkhd.cast_unsigned());
    blocks.wrapping_add(mapped)
}

/// Returns the free memory of this thread to the system. It walks the pages of the heap of this thread.
pub(crate) fn trim() {
    // SAFETY: takes no pointer, and frees only what the heap of the calling thread no longer uses. It may be called at any
    // time, also where another allocator is in use.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::trim;

    #[global_allocator]
    static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

    /// Anonymous resident memory of this process in KiB.
    fn anonymous() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
        let kib = line.unwrap().strip_suffix("kB").unwrap();
        kib.trim().parse().unwrap()
    }

    #[test]
    fn trim_returns_free_pages_between_used_ones() {
        const BLOCKS: usize = 8 * 1024;
        let mut blocks: Vec<_> = (0..BLOCKS).map(|_| vec![1_u8; 8 * 1024]).collect();
        let full = anonymous();
        blocks.drain(..BLOCKS - 1);
        trim();
        let left = anonymous();
        assert!(left + 48 * 1024 < full, "{full} -> {left}");
        assert_eq!(blocks.len(), 1);
    }
}

//! Whether a file is still what was read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Metadata of a file that changes when it is written or replaced; `None` if the file does not exist.
pub(super) type Stamp = Option<[i64; 6]>;

pub(super) fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    let numbers = [file.dev(), file.ino(), file.size()].map(u64::cast_signed);
    let [device, inode, size] = numbers;
    // Programs can set the modification time, but not the change time (ctime).
    let (seconds, nanoseconds) = (file.ctime(), file.ctime_nsec());
    Some([device, inode, size, file.mtime(), seconds, nanoseconds])
}

//! Reads files that a user names: regular files only, and up to a size limit.
//!
//! Reading a FIFO, a device or a socket could block or never end.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

#[cfg(test)]
mod tests;

/// Opens the regular file at `path` for reading; follows symbolic links. Never blocks, whatever the path is.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if it is not a regular file; the message says what it is.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    match special_kind(file.metadata()?.file_type()) {
        None => Ok(file),
        Some(what) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("expected a regular file, found {what}"),
        )),
    }
}

/// Reads the regular file at `path`, which may have up to `limit` bytes, even if it grows while it is read.
///
/// # Errors
/// As [`open`], and [`io::ErrorKind::FileTooLarge`] if it has more than `limit` bytes.
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > limit as u64 {
        return Err(too_large(limit));
    }
    // Two spare bytes, so that reaching the end of an unchanged file does not reallocate the buffer.
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(limit) + 2);
    file.take(limit as u64 + 1).read_to_end(&mut content)?;
    if content.len() > limit {
        return Err(too_large(limit));
    }
    Ok(content)
}

fn too_large(limit: usize) -> io::Error {
    let message = format!("has more than {limit} bytes");
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

/// A name for `kind`, with its article; `None` for a regular file.
fn special_kind(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_char_device() || kind.is_block_device() {
        Some("a device")
    } else {
        Some("a socket")
    }
}

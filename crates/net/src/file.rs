//! Files that somebody names: only regular ones are read, and only a bounded part of them.
//!
//! A FIFO, a device or a socket in the place of a file would block its reader or never end.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

#[cfg(test)]
mod tests;

/// Opens the regular file at `path` for reading, wherever links lead. Never blocks on what else is there.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] when it is not a regular file: the message says what it is.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    match name(file.metadata()?.file_type()) {
        None => Ok(file),
        Some(what) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("expected a regular file, found {what}"),
        )),
    }
}

/// Reads the regular file at `path`, which may have `limit` bytes, also when it grows meanwhile.
///
/// # Errors
/// As [`open`], and [`io::ErrorKind::FileTooLarge`] when it has more than `limit` bytes.
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > limit as u64 {
        return Err(too_large(limit));
    }
    // Two more, so that the end of a file that does not grow is found without a larger buffer.
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(limit) + 2);
    file.take(limit as u64 + 1).read_to_end(&mut content)?;
    match content.len() > limit {
        true => Err(too_large(limit)),
        false => Ok(content),
    }
}

fn too_large(limit: usize) -> io::Error {
    let message = format!("has more than {limit} bytes");
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

/// What is not a regular file.
fn name(kind: FileType) -> Option<&'static str> {
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

//! Files that are written atomically.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use elbow_tls::pem;

/// The mode of files that only their owner can read.
pub(crate) const SECRET: u32 = 0o600;
/// The mode of files that everybody can read.
pub(crate) const PUBLIC: u32 = 0o644;

/// Reads a text file of at most [`pem::MAX_BYTES`].
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let text = elbow_net::file::read(path, pem::MAX_BYTES)?;
    String::from_utf8(text).map_err(io::Error::other)
}

/// Creates `folder` and its parents, accessible only to their owner.
pub(crate) fn folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Replaces the file at `path` by one with `text`. Callers hold a lock against concurrent writers.
pub(crate) fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

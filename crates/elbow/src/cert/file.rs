//! Files that appear whole or not at all.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use elbow_tls::pem;

/// What only its owner may read.
pub(super) const SECRET: u32 = 0o600;
/// What everybody may read.
pub(super) const PUBLIC: u32 = 0o644;

/// The text of what is at `path`.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let text = elbow_net::file::read(path, pem::MAX_BYTES)?;
    String::from_utf8(text).map_err(io::Error::other)
}

/// Makes `folder` and those above it, for their owner alone.
pub(super) fn folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Puts `text` at `path`. Whoever calls keeps others from writing the same.
pub(super) fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
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

//! The keys of TLS session tickets in a file, so that clients resume their sessions after a restart.

use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use elbow_plane::Plane;
use tracing::warn;

use crate::atomic_file::{self, SECRET};

#[cfg(test)]
mod tests;

/// How long the file may lack a key after a rotation, which happens every six hours.
const PERIOD: Duration = Duration::from_secs(60);

/// The first line of the file.
const HEADER: &str = "# Keys of TLS session tickets of elbow, one a line, in hexadecimal. Whoever has them can read recorded \
                      connections of clients of TLS 1.2 that got a ticket.";

/// A file with the keys.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    /// Its content, as far as this process knows.
    content: String,
    has_failed: bool,
}

impl KeyFile {
    /// The file at `path`, and its keys. A file that cannot be used is reported; [`Self::save`] replaces it.
    pub(crate) fn open(path: &Path) -> (Self, Vec<Vec<u8>>) {
        let mut file = Self {
            path: path.to_owned(),
            content: String::new(),
            has_failed: false,
        };
        let keys = match read(path) {
            Ok((content, keys)) => {
                file.content = content;
                keys
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let path = path.display();
                warn!(%path, %error, "ticket keys cannot be used; new ones replace them, and clients need a full handshake");
                Vec::new()
            }
        };
        (file, keys)
    }

    /// Writes `keys`, unless the file has them or there are none.
    pub(crate) fn save(&mut self, keys: &[Vec<u8>]) {
        let content = text(keys);
        if keys.is_empty() || content == self.content {
            return;
        }
        match atomic_file::write(&self.path, &content, SECRET) {
            Ok(()) => {
                self.content = content;
                self.has_failed = false;
            }
            Err(error) => {
                if !self.has_failed {
                    let path = self.path.display();
                    warn!(%path, %error, "ticket keys cannot be saved; check the path and its permissions");
                }
                self.has_failed = true;
            }
        }
    }
}

/// Keeps the keys of `plane` in `file`, for as long as the task runs.
pub(crate) async fn keep(mut file: KeyFile, plane: Arc<Plane>) {
    let mut period = tokio::time::interval(PERIOD);
    loop {
        period.tick().await;
        file.save(&plane.ticket_keys());
    }
}

/// The text of the file at `path`, and its keys.
fn read(path: &Path) -> io::Result<(String, Vec<Vec<u8>>)> {
    let content = atomic_file::read(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        let found = format!("mode {:04o}, expected 0600", mode & 0o7777);
        return Err(io::Error::other(found));
    }
    let lines = content.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.starts_with('#'));
    let keys = lines.map(|(number, line)| {
        let malformed = || io::Error::other(format!("line {}: not a key", number + 1));
        key(line).ok_or_else(malformed)
    });
    let keys = keys.collect::<io::Result<_>>()?;
    Ok((content, keys))
}

fn text(keys: &[Vec<u8>]) -> String {
    let mut text = format!("{HEADER}\n");
    for key in keys {
        for byte in key {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }
    text
}

fn key(line: &str) -> Option<Vec<u8>> {
    let digits = line.as_bytes().chunks_exact(2);
    let is_key = digits.remainder().is_empty() && digits.len() == elbow_tls::TICKET_KEY_BYTES;
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    is_key.then(|| digits.map(byte).collect())?
}

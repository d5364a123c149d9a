//! Input that can be read but once, like the pipe of `--config <(…)`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// The longest text that a pipe may give, in bytes: as long as a manifest.
pub(crate) const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What pipes gave, by their paths.
static KEPT: Mutex<BTreeMap<PathBuf, Result<Vec<u8>, String>>> = Mutex::new(BTreeMap::new());

/// Reads those of `paths` that are pipes, to their ends. To be called before anything serves, since it takes
/// as long as the writer does: a signal still ends the process.
pub(crate) fn keep<'a>(paths: impl IntoIterator<Item = &'a Path>) {
    let is_pipe = |path: &Path| fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo());
    for path in paths {
        if is_pipe(path) && !is_kept(path) {
            let text = read(path).map_err(|error| error.to_string());
            lock().insert(path.to_owned(), text);
        }
    }
}

/// What the pipe at `path` gave; `None` for what is not one that was read.
pub(crate) fn kept(path: &Path) -> Option<io::Result<Vec<u8>>> {
    let text = lock().get(path).cloned()?;
    Some(text.map_err(io::Error::other))
}

/// Whether `path` is a pipe that was read.
pub(crate) fn is_kept(path: &Path) -> bool {
    lock().contains_key(path)
}

fn lock() -> MutexGuard<'static, BTreeMap<PathBuf, Result<Vec<u8>, String>>> {
    // A panic elsewhere leaves it whole: texts are put in by one step.
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opened so, a named pipe is waited for below and not in `open`.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    let mut text = Vec::new();
    Waiting(file)
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut text)?;
    Ok(text)
}

/// Waits for something to read, or the end.
struct Waiting(File);

impl Read for Waiting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            match self.0.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }
}

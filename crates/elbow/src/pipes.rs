//! Pipes as input, like that of `--config <(…)`, which can be read only once.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// The longest input from a pipe, in bytes: the longest manifest.
pub(crate) const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The content of pipes, by path.
static KEPT: Mutex<BTreeMap<PathBuf, Result<Vec<u8>, String>>> = Mutex::new(BTreeMap::new());

/// Reads those of `paths` that are pipes to their ends. Call it before signals are handled: it waits for the writer, and
/// a signal still ends the process.
pub(crate) fn keep<'a>(paths: impl IntoIterator<Item = &'a Path>) {
    let is_pipe = |path: &Path| fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo());
    for path in paths {
        if !is_kept(path) && is_pipe(path) {
            let text = read(path).map_err(|error| error.to_string());
            lock().insert(path.to_owned(), text);
        }
    }
}

/// The content of the pipe at `path`; `None` if no pipe was read there.
pub(crate) fn kept(path: &Path) -> Option<io::Result<Vec<u8>>> {
    let text = lock().get(path).cloned()?;
    Some(text.map_err(io::Error::other))
}

/// The content of all pipes that could be read, for the next process.
pub(crate) fn texts() -> BTreeMap<PathBuf, String> {
    let kept = lock();
    let read = kept.iter().filter_map(|(path, text)| {
        // Other content than UTF-8 was refused at the start.
        let text = String::from_utf8(text.clone().ok()?).ok()?;
        Some((path.clone(), text))
    });
    read.collect()
}

/// Keeps what was read from stdin, whose path is `-`.
pub(crate) fn remember(path: &Path, text: &str) {
    lock().insert(path.to_owned(), Ok(text.as_bytes().to_vec()));
}

/// Keeps what the previous process read from pipes.
pub(crate) fn restore(texts: BTreeMap<PathBuf, String>) {
    for (path, text) in texts {
        remember(&path, &text);
    }
}

/// Whether a pipe was read at `path`.
pub(crate) fn is_kept(path: &Path) -> bool {
    lock().contains_key(path)
}

fn lock() -> MutexGuard<'static, BTreeMap<PathBuf, Result<Vec<u8>, String>>> {
    // A panic elsewhere leaves the map consistent: each insertion is one step.
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // With NONBLOCK, a named pipe without a writer blocks in `poll` below and not in `open`.
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

/// Blocks in `read` until there is data or the end.
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

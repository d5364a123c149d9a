//! Text files with a limit of their length.

use std::io::{self, Read};
use std::path::Path;

use elbow_model::diagnostic::Diagnostic;

use crate::look::Disk;
use crate::pipes;

/// The text of the regular file at `path`, or of the pipe that was read there.
///
/// # Errors
/// A diagnostic that names the file when it cannot be read, is not a regular file, has more than `limit` bytes (with
/// `hint`), or is not UTF-8.
pub(crate) fn read(path: &Path, limit: usize, hint: &str) -> Result<String, Diagnostic> {
    let bytes = pipes::kept(path).unwrap_or_else(|| elbow_net::file::read(path, limit));
    of(bytes, path, limit, hint)
}

/// As [`read`]; `disk` remembers the content of a regular file.
pub(crate) fn take(
    disk: &mut Disk,
    path: &Path,
    limit: usize,
    hint: &str,
) -> Result<String, Diagnostic> {
    if pipes::is_kept(path) {
        return read(path, limit, hint);
    }
    of(disk.take(path, limit), path, limit, hint)
}

fn of(
    bytes: io::Result<Vec<u8>>,
    path: &Path,
    limit: usize,
    hint: &str,
) -> Result<String, Diagnostic> {
    let name = path.display().to_string();
    match bytes {
        Ok(bytes) => utf_8(bytes, &name, limit, hint),
        Err(e) if e.kind() == io::ErrorKind::FileTooLarge => Err(too_large(&name, limit, hint)),
        Err(e) => Err(unreadable(&name, &e)),
    }
}

/// The text from `reader`, which errors call `name`. Its length is unknown, so the limit applies while reading.
///
/// # Errors
/// As [`read`].
pub(crate) fn from(
    reader: impl Read,
    name: &str,
    limit: usize,
    hint: &str,
) -> Result<String, Diagnostic> {
    let mut text = Vec::new();
    reader
        .take(limit as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|error| unreadable(name, &error))?;
    utf_8(text, name, limit, hint)
}

fn utf_8(text: Vec<u8>, name: &str, limit: usize, hint: &str) -> Result<String, Diagnostic> {
    if text.len() > limit {
        return Err(too_large(name, limit, hint));
    }
    String::from_utf8(text).map_err(|e| {
        let message = format!("is not UTF-8 at byte {}", e.utf8_error().valid_up_to());
        Diagnostic::error("not-utf-8", message)
            .at(name, 0, 0)
            .hint("save it as UTF-8")
    })
}

fn too_large(name: &str, limit: usize, hint: &str) -> Diagnostic {
    let message = format!("has more than {limit} bytes, the longest input allowed");
    Diagnostic::error("too-large", message)
        .at(name, 0, 0)
        .hint(hint)
}

/// The diagnostic for a file that cannot be read.
pub(crate) fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "check its permissions",
        io::ErrorKind::InvalidInput => "use a regular file; only arguments may be pipes",
        _ => "use a YAML file",
    };
    Diagnostic::error("unreadable-file", format!("cannot be read: {error}"))
        .at(name, 0, 0)
        .hint(hint)
}

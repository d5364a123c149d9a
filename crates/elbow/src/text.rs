//! Files as text, within a limit.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use elbow_model::diagnostic::Diagnostic;

/// The text of the file at `path`.
///
/// # Errors
/// A diagnostic that names the file: when it cannot be read, has more than `limit` bytes (what to do then is
/// `hint`), or is not UTF-8.
pub(crate) fn read(path: &Path, limit: usize, hint: &str) -> Result<String, Diagnostic> {
    let name = path.display().to_string();
    let failed = |error: io::Error| unreadable(&name, &error);
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes > limit as u64 {
        return Err(too_large(&name, limit, hint));
    }
    from(file, &name, limit, hint)
}

/// The text that `reader`, called `name`, gives; errors as in [`read`]. A pipe has no length to ask
/// for, so that it is bounded as it is read.
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
    let message = format!("has more than {limit} bytes, which is all that is read");
    Diagnostic::error("too-large", message)
        .at(name, 0, 0)
        .hint(hint)
}

/// Nothing can be read from `name`.
pub(crate) fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "check who may read it",
        _ => "it should be a YAML file",
    };
    Diagnostic::error("unreadable-file", format!("cannot be read: {error}"))
        .at(name, 0, 0)
        .hint(hint)
}

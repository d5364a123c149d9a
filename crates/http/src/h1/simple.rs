//! Simple-Requests of HTTP/0.9.

use crate::header::uri;

/// The target of a Simple-Request, GET without a version (RFC 1945, 5); `line` has its line end.
pub(super) fn simple_target(line: &[u8]) -> Option<&str> {
    let target = line.strip_prefix(b"GET ")?.strip_suffix(b"\r\n")?;
    // A space may precede a version that is damaged.
    if !target.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let target = str::from_utf8(target).ok()?;
    (uri::is_path_of("GET", target) || uri::is_absolute(target)).then_some(target)
}

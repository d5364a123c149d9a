//! Files in a folder.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes `path`, with the folders above it. Readers see all of it or nothing.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // In the same folder, so that the rename stays on one file system.
    let part = path.with_extension("part");
    let written = write_new(&part, bytes).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // Nobody reads a partial file; a full disk gets its space back.
        let _ = fs::remove_file(&part);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_appears_whole_and_alone() {
        let root = std::env::temp_dir().join(format!("elbow-logs-folder-{}", std::process::id()));
        let path = root.join("a/b/c.log.gz");
        write(&path, b"lines").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"lines");
        let names = fs::read_dir(root.join("a/b")).unwrap();
        assert_eq!(names.count(), 1);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn failure_leaves_no_part() {
        let root = std::env::temp_dir().join(format!("elbow-logs-failure-{}", std::process::id()));
        // The file's name is taken by a folder.
        fs::create_dir_all(root.join("c.log.gz/inside")).unwrap();
        write(&root.join("c.log.gz"), b"lines").unwrap_err();
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
        fs::remove_dir_all(&root).unwrap();
    }
}

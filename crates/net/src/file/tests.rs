use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::read;

/// A temporary path, removed on drop.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let name = format!("elbow-net-file-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

#[test]
fn file_is_read_up_to_the_limit() {
    let file = Temporary::new("limit");
    fs::write(&file.0, "0123456789").unwrap();
    assert_eq!(read(&file.0, 10).unwrap(), b"0123456789");
    let refused = read(&file.0, 9).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::FileTooLarge);
    assert_eq!(refused.to_string(), "has more than 9 bytes");
}

/// Files in /proc report a length of 0 but have content.
#[test]
fn file_that_reports_no_length_is_limited_while_reading() {
    let maps = Path::new("/proc/self/maps");
    assert_eq!(fs::metadata(maps).unwrap().len(), 0);
    assert!(read(maps, 1 << 20).unwrap().len() > 100);
    assert_eq!(read(maps, 100).unwrap_err().kind(), ErrorKind::FileTooLarge);
}

#[test]
fn special_file_is_refused_without_blocking() {
    let fifo = Temporary::new("fifo");
    mknodat(CWD, &fifo.0, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for (path, what) in [
        (&*fifo.0, "a pipe"),
        (Path::new("/dev/zero"), "a device"),
        (Path::new("/"), "a folder"),
    ] {
        let refused = read(path, 10).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert_eq!(
            refused.to_string(),
            format!("expected a regular file, found {what}")
        );
    }
    assert_eq!(
        read(Path::new("/nowhere"), 10).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

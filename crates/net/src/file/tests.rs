use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::read;

/// A path that is gone with the test.
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
fn a_file_is_read_up_to_its_limit() {
    let file = Temporary::new("limit");
    fs::write(&file.0, "0123456789").unwrap();
    assert_eq!(read(&file.0, 10).unwrap(), b"0123456789");
    let refused = read(&file.0, 9).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::FileTooLarge);
    assert_eq!(refused.to_string(), "has more than 9 bytes");
}

/// Files of /proc have a length of 0 and content all the same.
#[test]
fn a_file_without_a_length_is_bounded_as_it_is_read() {
    let maps = Path::new("/proc/self/maps");
    assert_eq!(fs::metadata(maps).unwrap().len(), 0);
    assert!(read(maps, 1 << 20).unwrap().len() > 100);
    assert_eq!(read(maps, 100).unwrap_err().kind(), ErrorKind::FileTooLarge);
}

#[test]
fn what_is_not_a_regular_file_is_refused_and_never_waited_for() {
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

//! What files look like: cheaply, and by their content.

use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file that changed so short a time ago may change again without looking other: file systems count time in steps
/// of up to two seconds (FAT).
const STEP: Duration = Duration::from_secs(2);

/// What the file system says of files, wherever links lead, without reading them. Another one means that they may
/// have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    print: u64,
    /// How many files have nothing in them.
    pub(super) empty: usize,
}

impl Glance {
    /// Of files whose stamps give `print`.
    pub(super) fn new(print: u64, empty: usize) -> Self {
        Self { print, empty }
    }

    /// At what `other` is of as well.
    pub(super) fn and(self, other: Self) -> Self {
        let mut hasher = DefaultHasher::new();
        (self.print, other.print).hash(&mut hasher);
        Self::new(hasher.finish(), self.empty + other.empty)
    }
}

/// A glance, and whether the next one can be trusted to differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) glance: Glance,
    /// A change may have come since that no glance shows.
    pub(super) is_fresh: bool,
}

impl Look {
    /// A system call for each of `files`.
    pub(super) fn at<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let now = SystemTime::now();
        let mut hasher = DefaultHasher::new();
        let (mut empty, mut is_fresh) = (0, false);
        for path in files {
            path.hash(&mut hasher);
            let file = fs::metadata(path).ok();
            empty += usize::from(file.as_ref().is_some_and(|f| f.is_file() && f.size() == 0));
            is_fresh |= file.as_ref().is_some_and(|file| is_recent(file, now));
            file.as_ref().map(stamp).hash(&mut hasher);
        }
        Self {
            glance: Glance::new(hasher.finish(), empty),
            is_fresh,
        }
    }
}

fn stamp(file: &Metadata) -> (u64, u64, u64, [i64; 4]) {
    // Whoever sets the time of writing cannot set that of the change.
    let times = [
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    ];
    (file.dev(), file.ino(), file.size(), times)
}

fn is_recent(file: &Metadata, now: SystemTime) -> bool {
    let (Ok(seconds), Ok(nanoseconds)) = (file.ctime().try_into(), file.ctime_nsec().try_into())
    else {
        return false;
    };
    let changed = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    // A clock of a file server that is ahead of this one would keep a file fresh for ever.
    now.duration_since(changed).is_ok_and(|age| age < STEP)
}

/// A number that changes when the content of one of `files` does, or when there are others. What is no regular file
/// has none, nor has what is longer than `limit`.
pub(super) fn content<'a>(files: impl IntoIterator<Item = &'a PathBuf>, limit: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in files {
        path.hash(&mut hasher);
        hash(path, limit).hash(&mut hasher);
    }
    hasher.finish()
}

fn hash(path: &Path, limit: usize) -> Option<u64> {
    let content = elbow_net::file::read(path, limit).ok()?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&content);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// A file of its own, gone with the test.
    struct Temporary(Vec<PathBuf>);

    impl Temporary {
        fn new(name: &str, text: &str) -> Self {
            let name = format!("elbow-look-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::write(&path, text).unwrap();
            Self(vec![path])
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            drop(fs::remove_file(&self.0[0]));
        }
    }

    #[test]
    fn a_glance_differs_when_a_file_was_written_replaced_or_removed() {
        let file = Temporary::new("glance", "one");
        let glance = || Look::at(&file.0).glance;
        let mut seen = vec![glance()];
        assert_eq!(glance(), seen[0], "looking changes nothing");
        fs::read(&file.0[0]).unwrap();
        assert_eq!(glance(), seen[0], "nor does reading");
        fs::write(&file.0[0], "longer").unwrap();
        seen.push(glance());
        let next = file.0[0].with_extension("next");
        fs::write(&next, "longer").unwrap();
        fs::rename(&next, &file.0[0]).unwrap();
        seen.push(glance());
        File::create(&file.0[0]).unwrap();
        seen.push(glance());
        assert_eq!(seen[3].empty, 1);
        fs::remove_file(&file.0[0]).unwrap();
        seen.push(glance());
        fs::write(&file.0[0], "one").unwrap();
        for (i, one) in seen.iter().enumerate() {
            let others = seen.iter().skip(i + 1);
            assert!(others.into_iter().all(|other| other != one), "{seen:?}");
        }
    }

    #[test]
    fn what_was_written_just_now_is_fresh_and_nothing_else_is() {
        let file = Temporary::new("fresh", "one");
        assert!(Look::at(&file.0).is_fresh);
        let of_the_system = [PathBuf::from("/bin/sh")];
        assert!(!Look::at(&of_the_system).is_fresh);
    }

    #[test]
    fn content_is_the_same_however_it_was_written() {
        let file = Temporary::new("content", "one");
        let before = content(&file.0, 10);
        fs::write(&file.0[0], "one").unwrap();
        assert_eq!(content(&file.0, 10), before);
        fs::write(&file.0[0], "two").unwrap();
        assert_ne!(content(&file.0, 10), before);
        let zero = [PathBuf::from("/dev/zero")];
        assert_eq!(
            content(&zero, 10),
            content(&zero, 10),
            "and is not waited for"
        );
    }
}

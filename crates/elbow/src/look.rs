//! Detection of changed files by their metadata and content.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The coarsest time stamp of a file system: two seconds (FAT). A file that changed within this time may change again
/// without another time stamp.
const STEP: Duration = Duration::from_secs(2);

/// A hash of the metadata of files, links followed. If it differs, the files may have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Glance {
    print: u64,
    /// The number of empty files.
    pub(crate) empty: usize,
}

impl Glance {
    /// A glance from a hash and the number of empty files.
    pub(crate) fn new(print: u64, empty: usize) -> Self {
        Self { print, empty }
    }

    /// The glance of both sets of files.
    pub(crate) fn and(self, other: Self) -> Self {
        let mut hasher = DefaultHasher::new();
        (self.print, other.print).hash(&mut hasher);
        Self::new(hasher.finish(), self.empty + other.empty)
    }
}

/// A glance, and whether a later change might not show.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    pub(crate) glance: Glance,
    /// A file changed so recently that another change may not show in a glance.
    pub(crate) is_fresh: bool,
}

impl Look {
    /// Looks at `files`, with a system call for each.
    pub(crate) fn at<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let now = SystemTime::now();
        let mut hasher = DefaultHasher::new();
        let (mut empty, mut is_fresh) = (0, false);
        for path in files {
            path.hash(&mut hasher);
            let file = fs::metadata(path).ok();
            empty += usize::from(file.as_ref().is_some_and(|f| f.is_file() && f.size() == 0));
            is_fresh |= file.as_ref().is_some_and(|file| is_recent(file, now));
            file.as_ref().map(Stamp::of).hash(&mut hasher);
        }
        Self {
            glance: Glance::new(hasher.finish(), empty),
            is_fresh,
        }
    }
}

/// The metadata that changes when a file is written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    times: [i64; 4],
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            // Programs can set the modification time, but not the change time.
            times: [
                file.mtime(),
                file.mtime_nsec(),
                file.ctime(),
                file.ctime_nsec(),
            ],
        }
    }
}

fn is_recent(file: &Metadata, now: SystemTime) -> bool {
    let (Ok(seconds), Ok(nanoseconds)) = (file.ctime().try_into(), file.ctime_nsec().try_into())
    else {
        return false;
    };
    let changed = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    // A time in the future (from the clock of a file server) does not count: it would keep the file fresh forever.
    now.duration_since(changed).is_ok_and(|age| age < STEP)
}

/// The content of files, read again only when it may have changed.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    known: HashMap<PathBuf, Known>,
    /// The number of files read, and their bytes.
    pub(crate) reads: Reads,
}

/// The amount of data read from disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// The known state of one file.
#[derive(Debug, Default)]
struct Known {
    stamp: Option<Stamp>,
    is_fresh: bool,
    /// The hash of the content; `None` when it cannot be read.
    content: Option<u64>,
    /// The content when it was last [taken](Disk::take); the outer `None` means never.
    taken: Option<Option<u64>>,
}

impl Disk {
    /// The hash of the content of the regular file at `path`; `None` for one that cannot be read, is not regular or is
    /// longer than `limit` bytes.
    pub(crate) fn content(&mut self, path: &Path, limit: usize) -> Option<u64> {
        let file = fs::metadata(path).ok();
        let stamp = file.as_ref().map(Stamp::of);
        if let Some(known) = self.known.get(path)
            && known.stamp == stamp
            && !known.is_fresh
        {
            return known.content;
        }
        let bytes = elbow_net::file::read(path, limit).ok();
        self.note(path, file.as_ref(), bytes.as_deref())
    }

    /// Whether the content of a file differs from what was taken last.
    pub(crate) fn differs(&mut self, path: &Path, limit: usize) -> bool {
        let content = self.content(path, limit);
        let known = self.known.get(path);
        known.and_then(|known| known.taken) != Some(content)
    }

    /// Reads a regular file of at most `limit` bytes; until it has another content, it no longer [differs](Self::differs).
    pub(crate) fn take(&mut self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        // Metadata first: a change during the read shows in the next comparison.
        let file = fs::metadata(path).ok();
        let bytes = elbow_net::file::read(path, limit);
        let content = self.note(path, file.as_ref(), bytes.as_deref().ok());
        if let Some(known) = self.known.get_mut(path) {
            known.taken = Some(content);
        }
        bytes
    }

    /// Whether any file was taken that is not one of `files`.
    pub(crate) fn has_others(&self, files: &[PathBuf]) -> bool {
        let known: HashSet<&PathBuf> = files.iter().collect();
        let mut taken = self.known.iter().filter(|(_, one)| one.taken.is_some());
        taken.any(|(path, _)| !known.contains(path))
    }

    /// Forgets all files except those for which `is_wanted` is true.
    pub(crate) fn retain(&mut self, is_wanted: impl Fn(&Path) -> bool) {
        self.known.retain(|path, _| is_wanted(path));
    }

    fn note(&mut self, path: &Path, file: Option<&Metadata>, bytes: Option<&[u8]>) -> Option<u64> {
        self.reads.files += 1;
        self.reads.bytes += bytes.map_or(0, |bytes| bytes.len() as u64);
        let content = bytes.map(|bytes| {
            let mut hasher = DefaultHasher::new();
            hasher.write(bytes);
            hasher.finish()
        });
        let now = SystemTime::now();
        let known = self.known.entry(path.to_owned()).or_default();
        known.stamp = file.map(Stamp::of);
        known.is_fresh = file.is_some_and(|file| is_recent(file, now));
        known.content = content;
        content
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// A temporary file; dropping removes it.
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
    fn glance_shows_writes_replacement_and_removal() {
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
    fn only_recently_written_files_are_fresh() {
        let file = Temporary::new("fresh", "one");
        assert!(Look::at(&file.0).is_fresh);
        let of_the_system = [PathBuf::from("/bin/sh")];
        assert!(!Look::at(&of_the_system).is_fresh);
    }

    #[test]
    fn content_does_not_depend_on_metadata() {
        let file = Temporary::new("content", "one");
        let path = &file.0[0];
        let mut disk = Disk::default();
        let before = disk.content(path, 10);
        fs::write(path, "one").unwrap();
        assert_eq!(disk.content(path, 10), before);
        fs::write(path, "two").unwrap();
        assert_ne!(disk.content(path, 10), before);
        let zero = Path::new("/dev/zero");
        assert_eq!(disk.content(zero, 10), None, "and is not waited for");
    }

    #[test]
    fn file_is_read_again_only_when_it_may_have_changed() {
        let mut disk = Disk::default();
        let shell = Path::new("/bin/sh");
        let limit = 64 << 20;
        let content = disk.content(shell, limit);
        let reads = disk.reads;
        assert!(content.is_some() && reads.files == 1 && reads.bytes > 0);
        assert_eq!(disk.content(shell, limit), content);
        assert_eq!(disk.reads, reads);

        let file = Temporary::new("taken", "one");
        let path = &file.0[0];
        assert!(disk.differs(path, 10), "it was never taken");
        assert_eq!(disk.take(path, 10).unwrap(), b"one");
        assert!(!disk.differs(path, 10));
        fs::write(path, "two").unwrap();
        assert!(disk.differs(path, 10));
        assert!(disk.differs(path, 10), "until it is taken");
        fs::remove_file(path).unwrap();
        assert!(disk.differs(path, 10));
        fs::write(path, "one").unwrap();
        assert!(!disk.differs(path, 10));
    }
}

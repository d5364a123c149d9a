//! Folders watched with inotify.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::future::pending;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tracing::warn;

use crate::manifests;

/// The buffer size for several hundred events, in bytes.
const BUFFER: usize = 16 * 1024;

/// Notifies of changes to the relevant files. It watches folders, because replacing a file or swapping a link is an event
/// of the folder.
///
/// Relevant events complete a change: a file is closed after writing, or a name is added or removed. Opening, reading
/// and single writes (such as lines of a log) cause no event.
pub(super) struct Folders {
    /// `None` if inotify is not available; files are polled then.
    inotify: Option<AsyncFd<OwnedFd>>,
    watched: HashMap<i32, Names>,
    /// The folders with a logged error.
    refused: HashSet<PathBuf>,
}

/// The relevant names of a folder.
#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    /// The names of all manifests, present or future, and of folders.
    manifests: bool,
    /// Names of single files.
    files: HashSet<OsString>,
}

impl Folders {
    /// Creates an instance without watches.
    pub(super) fn new() -> Self {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        let inotify = inotify
            .map_err(io::Error::from)
            .and_then(elbow_net::readable);
        Self {
            inotify: inotify
                .inspect_err(|error| warn!(%error, "cannot watch files, polling instead"))
                .ok(),
            watched: HashMap::new(),
            refused: HashSet::new(),
        }
    }

    /// Watches `files` and every manifest in `folders`, and nothing else.
    pub(super) fn follow<'a>(
        &mut self,
        files: impl IntoIterator<Item = &'a PathBuf>,
        folders: &[PathBuf],
    ) {
        let Some(inotify) = &self.inotify else {
            return;
        };
        let mut wanted: HashMap<&Path, Names> = HashMap::new();
        for folder in folders {
            wanted.entry(folder).or_default().manifests = true;
        }
        for file in files {
            let folder = match file.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            let names = wanted.entry(folder).or_default();
            names.files.extend(file.file_name().map(OsStr::to_owned));
        }
        let mut watched: HashMap<i32, Names> = HashMap::new();
        for (folder, names) in wanted {
            match inotify::add_watch(inotify.get_ref(), folder, events()) {
                // Two paths may lead to one folder.
                Ok(watch) => watched.entry(watch).or_default().add(names),
                Err(error) => {
                    if self.refused.insert(folder.to_owned()) {
                        warn!(folder = %folder.display(), %error, "cannot watch the folder, polling instead");
                    }
                }
            }
        }
        for watch in self.watched.keys().filter(|w| !watched.contains_key(w)) {
            // Fails if the folder was removed, which removes the watch too.
            let _ = inotify::remove_watch(inotify.get_ref(), *watch);
        }
        self.watched = watched;
    }

    /// Waits for a relevant change; forever if inotify is not available.
    pub(super) async fn changed(&self) {
        let Some(inotify) = &self.inotify else {
            return pending().await;
        };
        loop {
            let Ok(mut ready) = inotify.readable().await else {
                return pending().await;
            };
            let read = ready.try_io(|inotify| self.read(inotify.get_ref()));
            match read {
                Ok(Ok(false)) | Err(_) => {}
                Ok(Ok(true)) => return,
                Ok(Err(_)) => return pending().await,
            }
        }
    }

    /// Reads all pending events; returns whether one is relevant.
    fn read(&self, inotify: &OwnedFd) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut events = Reader::new(inotify, &mut buffer);
        let mut is_relevant = false;
        loop {
            match events.next() {
                Ok(event) => is_relevant |= self.is_relevant(&event),
                Err(Errno::AGAIN) if is_relevant => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn is_relevant(&self, event: &inotify::Event<'_>) -> bool {
        let kind = event.events();
        if kind.intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED) {
            return true;
        }
        let name = event
            .file_name()
            .map(|name| OsStr::from_bytes(name.to_bytes()));
        let names = self.watched.get(&event.wd());
        let is_folder = kind.contains(ReadFlags::ISDIR);
        names
            .zip(name)
            .is_some_and(|(names, name)| names.contains(name, is_folder))
    }
}

fn events() -> WatchFlags {
    WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::ATTRIB
}

impl Names {
    fn add(&mut self, other: Self) {
        self.manifests |= other.manifests;
        self.files.extend(other.files);
    }

    fn contains(&self, name: &OsStr, is_folder: bool) -> bool {
        // A mounted ConfigMap swaps the link `..data`, through which its files resolve.
        self.files.contains(name)
            || name.as_bytes().starts_with(b"..")
            || self.manifests && manifests::is_wanted(Path::new(name), is_folder)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;

    use super::*;

    #[test]
    fn only_names_of_input_files_are_relevant() {
        let config = Names {
            manifests: false,
            files: HashSet::from(["elbow.yaml".into()]),
        };
        let folder = Names {
            manifests: true,
            files: HashSet::new(),
        };
        for (name, is_folder, in_config, in_folder) in [
            ("elbow.yaml", false, true, true),
            ("..data", false, true, true),
            ("other.yml", false, false, true),
            ("new", true, false, true),
            ("access.log", false, false, false),
            (".elbow.yaml.swp", false, false, false),
            (".git", true, false, false),
            ("4913", false, false, false),
        ] {
            let name = OsStr::new(name);
            assert_eq!(config.contains(name, is_folder), in_config, "{name:?}");
            assert_eq!(folder.contains(name, is_folder), in_folder, "{name:?}");
        }
    }

    /// Irrelevant events cause no checks, however many there are.
    #[tokio::test]
    async fn reading_and_logs_are_not_changes() {
        let folder = std::env::temp_dir().join(format!("elbow-folders-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let config = folder.join("elbow.yaml");
        fs::write(&config, "a").unwrap();
        let mut folders = Folders::new();
        folders.follow([&config], &[]);
        let inotify = folders.inotify.as_ref().unwrap().get_ref();
        let events = || match folders.read(inotify) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            is_relevant => is_relevant.unwrap(),
        };
        for line in 0..100 {
            fs::write(folder.join("other.log"), line.to_string()).unwrap();
            fs::read(&config).unwrap();
        }
        assert!(!events());
        let mut written = File::options().write(true).open(&config).unwrap();
        written.write_all(b"b").unwrap();
        assert!(!events(), "it is not closed yet");
        drop(written);
        assert!(events());
        fs::write(folder.join("next"), "c").unwrap();
        assert!(!events());
        fs::rename(folder.join("next"), &config).unwrap();
        assert!(events());
        fs::remove_file(&config).unwrap();
        assert!(events());
        fs::remove_dir_all(&folder).unwrap();
        assert!(events(), "the watch has ended");
    }
}

//! Reload: by signal, and when a file of the configuration changes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use elbow_model::Model;
use elbow_plane::{ApplyError, Plane};
use notify::Watcher;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::source;

/// A change is looked at after this much quiet, since editors write in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// Changes that no notification tells of, like a link above the watched folders, are found so.
const POLL: Duration = Duration::from_secs(2);

/// Keeps a plane at what its file says.
pub(crate) struct Reloader {
    path: PathBuf,
    plane: Arc<Plane>,
    files: Vec<PathBuf>,
    fingerprint: u64,
}

impl Reloader {
    /// For a plane that serves `model` from `path`.
    pub(crate) fn new(path: PathBuf, plane: Arc<Plane>, model: &Model) -> Self {
        let files = source::files(&path, model);
        Self {
            path,
            plane,
            fingerprint: source::fingerprint(&files),
            files,
        }
    }

    /// Reads the file again and applies it; what is wrong with it is told and changes nothing.
    pub(crate) fn reload(&mut self) {
        self.fingerprint = source::fingerprint(&self.files);
        let (model, diagnostics) = source::load(&self.path);
        // Nobody can be told when stderr is gone.
        let _ = source::report(&diagnostics, &mut io::stderr());
        let Some(model) = model else {
            self.plane.reload_failed();
            error!(file = %self.path.display(), "not reloaded: the configuration of before serves on");
            return;
        };
        let files = source::files(&self.path, &model);
        match self.plane.apply(model) {
            Ok(()) => {
                self.fingerprint = source::fingerprint(&files);
                self.files = files;
                info!(file = %self.path.display(), "reloaded");
            }
            Err(failure) => {
                if let ApplyError::Rejected(diagnostics) = &failure {
                    let _ = source::report(diagnostics, &mut io::stderr());
                }
                error!(%failure, "not reloaded: the configuration of before serves on");
            }
        }
    }

    fn changed(&self) -> bool {
        source::fingerprint(&self.files) != self.fingerprint
    }
}

/// Reloads when a file changes or `hangup` gets a message; never returns.
pub(crate) async fn watch(mut reloader: Reloader, mut hangup: mpsc::Receiver<()>) {
    let (tell, mut told) = mpsc::channel(1);
    let mut watched: Vec<PathBuf> = Vec::new();
    let mut watcher = notify::recommended_watcher(move |_| {
        // Full: one is enough.
        let _ = tell.try_send(());
    })
    .inspect_err(|error| warn!(%error, "files are polled, since they cannot be watched"))
    .ok();
    loop {
        if let Some(watcher) = &mut watcher {
            follow(watcher, &mut watched, &reloader.files);
        }
        tokio::select! {
            Some(()) = hangup.recv() => reloader.reload(),
            event = told.recv(), if watcher.is_some() => {
                tokio::time::sleep(QUIET).await;
                if event.is_some() && reloader.changed() {
                    reloader.reload();
                }
            }
            () = tokio::time::sleep(POLL) => if reloader.changed() {
                reloader.reload();
            },
        }
    }
}

/// Watches the folders of `files`: a file that is replaced, or a link that is swapped, is an event of
/// its folder.
fn follow(watcher: &mut notify::RecommendedWatcher, watched: &mut Vec<PathBuf>, files: &[PathBuf]) {
    for file in files {
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        if watched.contains(&folder) {
            continue;
        }
        if let Err(error) = watcher.watch(&folder, notify::RecursiveMode::NonRecursive) {
            warn!(folder = %folder.display(), %error, "polled, since it cannot be watched");
        }
        watched.push(folder);
    }
}

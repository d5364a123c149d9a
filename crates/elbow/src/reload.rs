//! Reload: by signal, and when a file of the configuration changes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use elbow_manifest::Serving;
use elbow_model::Model;
use elbow_plane::{ApplyError, Plane};
use notify::Watcher;
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::run::report;
use crate::source::{self, Loaded, Source};

/// A change is looked at after this much quiet, since editors write in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// Changes that no notification tells of, like a link above the watched folders, are found so.
const POLL: Duration = Duration::from_secs(2);

/// Keeps a plane at what its source says.
pub(crate) struct Reloader {
    source: Source,
    plane: Arc<Plane>,
    /// Who serves it together with something else, instead of the plane.
    beside: Option<watch::Sender<Model>>,
    /// What serves of manifests.
    serving: Option<Serving>,
    /// Files of the certificates in force.
    certificates: Vec<PathBuf>,
    seen: Seen,
}

/// Fingerprints of what is in force. That of the source is taken before it is read, so that a change
/// meanwhile is seen as one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    source: u64,
    certificates: u64,
}

impl Reloader {
    /// For a plane that serves what was `loaded` from `source`, whose fingerprint was `seen` before it was
    /// read.
    pub(crate) fn new(source: Source, seen: u64, plane: Arc<Plane>, loaded: &Loaded) -> Self {
        let certificates = loaded.model.as_ref().map(source::certificate_files);
        let certificates = certificates.unwrap_or_default();
        Self {
            source,
            plane,
            beside: None,
            serving: loaded.serving.clone(),
            seen: Seen {
                source: seen,
                certificates: source::fingerprint(&certificates),
            },
            certificates,
        }
    }

    /// Gives what is read to somebody who serves it together with something else.
    pub(crate) fn beside(mut self, models: watch::Sender<Model>) -> Self {
        self.beside = Some(models);
        self
    }

    fn apply(&self, model: Model) -> Result<(), ApplyError> {
        match &self.beside {
            Some(models) => {
                models.send_replace(model);
                Ok(())
            }
            None => self.plane.apply(model),
        }
    }

    /// Reads the source again and applies it; what is wrong with it is told and changes nothing.
    pub(crate) fn reload(&mut self) {
        self.seen = self.look();
        let loaded = self.source.load_to_serve(self.serving.as_ref());
        // Nobody can be told when stderr is gone.
        let _ = source::report(&loaded.diagnostics, &mut io::stderr());
        let partly = loaded.has_errors();
        let Some(model) = loaded.model else {
            self.plane.reload_failed();
            error!(source = %self.source, "not reloaded: the configuration of before serves on");
            return;
        };
        let certificates = source::certificate_files(&model);
        match self.apply(model) {
            Ok(()) => {
                self.certificates = certificates;
                self.seen.certificates = source::fingerprint(&self.certificates);
                self.serving = loaded.serving;
                if partly {
                    self.plane.reload_failed();
                    error!(source = %self.source, "reloaded in part: what has errors is as before");
                } else {
                    info!(source = %self.source, "reloaded");
                }
            }
            Err(failure) => {
                if let ApplyError::Rejected(rejections) = &failure {
                    report(rejections);
                }
                error!(%failure, "not reloaded: the configuration of before serves on");
            }
        }
    }

    /// Whether there is something else than what is in force, once nobody writes at it any more: a file is
    /// empty for a moment when it is written in place, and that moment is no wish to serve nothing.
    async fn changed(&self) -> bool {
        let mut last = self.look();
        while last != self.seen {
            tokio::time::sleep(QUIET).await;
            let now = self.look();
            if now == last {
                return true;
            }
            last = now;
        }
        false
    }

    fn look(&self) -> Seen {
        Seen {
            source: self.source.fingerprint(),
            certificates: source::fingerprint(&self.certificates),
        }
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
            follow(watcher, &mut watched, &reloader);
        }
        tokio::select! {
            Some(()) = hangup.recv() => reloader.reload(),
            event = told.recv(), if watcher.is_some() => {
                if event.is_some() && reloader.changed().await {
                    reloader.reload();
                }
            }
            () = tokio::time::sleep(POLL) => if reloader.changed().await {
                reloader.reload();
            },
        }
    }
}

/// Watches every folder that has a part in what is served: a file that is replaced, or a link that is
/// swapped, is an event of its folder.
fn follow(
    watcher: &mut notify::RecommendedWatcher,
    watched: &mut Vec<PathBuf>,
    reloader: &Reloader,
) {
    let files = reloader.source.files();
    let files = files.iter().chain(&reloader.certificates);
    let parents = files.map(|file| match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    });
    for folder in parents.chain(reloader.source.folders()) {
        if watched.contains(&folder) {
            continue;
        }
        if let Err(error) = watcher.watch(&folder, notify::RecursiveMode::NonRecursive) {
            warn!(folder = %folder.display(), %error, "polled, since it cannot be watched");
        }
        watched.push(folder);
    }
}

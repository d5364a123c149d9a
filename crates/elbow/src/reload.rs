//! Reload: by signal, and when a file of the configuration changes.

mod folders;
mod look;
mod settle;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use elbow_manifest::Serving;
use elbow_model::{Change, ChangeAction, Model, summary};
use elbow_plane::{ApplyError, Plane};
use elbow_telemetry::stderr;
use elbow_tls::pem;
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::run::report;
use crate::source::{self, Loaded, Source};
use crate::{Failure, runtime};

use folders::Folders;
use look::{Glance, Look};
use settle::settle;

/// Changes that no event tells of, like those of a network file system, are found so: with the wait for quiet, within
/// a second.
const POLL: Duration = Duration::from_millis(700);
const _: () = assert!(POLL.as_millis() + settle::QUIET.as_millis() <= 900);
/// The looks at very many files are further apart, so that they take at most this part of the time.
const SHARE: u32 = 25;
/// They are never further apart than this.
const LONGEST_POLL: Duration = Duration::from_secs(10);

/// Keeps a plane at what its source says.
pub(crate) struct Reloader {
    source: Source,
    plane: Arc<Plane>,
    /// Who serves it together with something else, instead of the plane.
    beside: Option<watch::Sender<Model>>,
    /// What serves of manifests.
    serving: Option<Serving>,
    /// In force, or handed over.
    model: Model,
    seen: Seen,
    /// Of the last reading, served or not.
    certificates: CertificateFiles,
    /// What is in the files of the certificates in force, by their names.
    served: Contents,
}

type Contents = BTreeMap<Arc<str>, u64>;

/// The files of a source before they were read, so that a change meanwhile is seen as one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    look: Look,
    content: u64,
}

impl Seen {
    /// As they are now.
    pub(crate) fn of(source: &Source) -> Self {
        let files = source.inputs().files;
        Self {
            look: Look::at(&files),
            content: look::content(&files, source.max_bytes()),
        }
    }
}

/// The files of certificates, as they were at one time.
struct CertificateFiles {
    of_each: Vec<(Arc<str>, Vec<PathBuf>)>,
    look: Look,
    contents: Contents,
}

impl CertificateFiles {
    /// Those of `model`, as they are now.
    fn of(model: &Model) -> Self {
        Self::read(source::certificate_files(model))
    }

    fn read(of_each: Vec<(Arc<str>, Vec<PathBuf>)>) -> Self {
        let look = Look::at(of_each.iter().flat_map(|(_, files)| files));
        let content = |files: &[PathBuf]| look::content(files, pem::MAX_BYTES);
        let contents = of_each.iter();
        let contents = contents.map(|(name, files)| (Arc::clone(name), content(files)));
        Self {
            contents: contents.collect(),
            look,
            of_each,
        }
    }

    /// The same files as they are now.
    fn again(&self) -> Self {
        Self::read(self.of_each.clone())
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.of_each.iter().flat_map(|(_, files)| files)
    }
}

impl Reloader {
    /// For a plane that serves what was `loaded` from `source`, whose files were `seen` before they were read.
    pub(crate) fn new(source: Source, seen: Seen, plane: Arc<Plane>, loaded: &Loaded) -> Self {
        let model = loaded.model.clone().unwrap_or_default();
        let certificates = CertificateFiles::of(&model);
        Self {
            source,
            plane,
            beside: None,
            serving: loaded.serving.clone(),
            seen,
            served: certificates.contents.clone(),
            certificates,
            model,
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
    fn reload(&mut self) {
        self.seen = Seen::of(&self.source);
        let loaded = self.source.load_to_serve(self.serving.as_ref());
        // Nobody can be told when stderr is gone.
        let _ = source::report(&loaded.diagnostics, &mut stderr());
        let partly = loaded.has_errors();
        let Some(model) = loaded.model else {
            // Another reading would find the same.
            self.certificates = CertificateFiles::of(&self.model);
            self.plane.reload_failed();
            error!(source = %self.source, "not reloaded: the configuration of before serves on");
            return;
        };
        let certificates = CertificateFiles::of(&model);
        match self.apply(model.clone()) {
            Ok(()) => {
                let changes = self.changes(&model, &certificates.contents);
                self.served.clone_from(&certificates.contents);
                self.serving = loaded.serving;
                self.model = model;
                if partly {
                    self.plane.reload_failed();
                    error!(source = %self.source, "reloaded in part, {changes}: what has errors is as before");
                } else {
                    info!(source = %self.source, "reloaded, {changes}");
                }
            }
            Err(failure) => {
                if let ApplyError::Rejected(rejections) = &failure {
                    report(rejections);
                }
                error!(%failure, "not reloaded: the configuration of before serves on");
            }
        }
        // Those of what was refused as well: it is tried again when they change.
        self.certificates = certificates;
    }

    /// Takes up what can be read again, when somebody asks for it.
    fn hang_up(&mut self) {
        for pipe in self.source.pipes() {
            warn!("{pipe} was read once and cannot be read again: what it gave at the start stays");
        }
        self.reload();
    }

    /// What is other in `model`, whose certificates are `contents`, than in what serves; each certificate is named.
    fn changes(&self, model: &Model, contents: &Contents) -> String {
        let mut changes = elbow_model::diff(&self.model, model);
        for (name, content) in contents {
            if let Some(before) = self.served.get(name).filter(|before| *before != content) {
                let pem = |content| format!("PEM {content:016x}");
                let change = Change {
                    kind: "certificate",
                    name: name.to_string(),
                    action: ChangeAction::Changed {
                        field: "content".to_owned(),
                        from: pem(before),
                        to: pem(content),
                    },
                };
                info!("{change}");
                changes.push(change);
            }
        }
        summary(&changes)
    }

    /// Whether there is something else than what was read last, once nobody writes at it any more. Reads files only
    /// where a glance shows a change, or could miss one.
    async fn is_changed(&mut self) -> bool {
        let before = self.seen_glance();
        if self.glance() == before && !self.is_fresh() {
            return false;
        }
        settle(before, || self.glance()).await;
        let seen = Seen::of(&self.source);
        let certificates = self.certificates.again();
        let is_changed = seen.content != self.seen.content
            || certificates.contents != self.certificates.contents;
        self.seen = seen;
        self.certificates = certificates;
        is_changed
    }

    fn glance(&self) -> Glance {
        let certificates = Look::at(self.certificates.files()).glance;
        Look::at(&self.source.inputs().files)
            .glance
            .and(certificates)
    }

    fn seen_glance(&self) -> Glance {
        self.seen.look.glance.and(self.certificates.look.glance)
    }

    fn is_fresh(&self) -> bool {
        self.seen.look.is_fresh || self.certificates.look.is_fresh
    }

    fn follow(&self, folders: &mut Folders) {
        let inputs = self.source.inputs();
        let files = inputs.files.iter().chain(self.certificates.files());
        folders.follow(files, &inputs.folders);
    }
}

/// Keeps `reloader` at work on a thread of its own, where it may wait for a slow disk; what is sent to the result asks
/// for a reload.
pub(crate) fn start(reloader: Reloader) -> Result<mpsc::Sender<()>, Failure> {
    let (ask, asked) = mpsc::channel(1);
    let runtime = runtime()?;
    thread::Builder::new()
        .name("reload".into())
        .spawn(move || runtime.block_on(watch(reloader, asked)))
        .map_err(|e| Failure::environment(e, "raise the limit of threads"))?;
    Ok(ask)
}

/// Reloads when a file changes or somebody asks, until nobody can ask any more.
async fn watch(mut reloader: Reloader, mut asked: mpsc::Receiver<()>) {
    let mut folders = Folders::new();
    reloader.follow(&mut folders);
    let mut pause = POLL;
    loop {
        tokio::select! {
            ask = asked.recv() => match ask {
                Some(()) => reloader.hang_up(),
                None => return,
            },
            changed = next(&mut reloader, &folders, &mut pause) => if changed {
                reloader.reload();
            },
        }
        reloader.follow(&mut folders);
    }
}

/// Whether the next thing that happens is a change; another glance is due all the same.
async fn next(reloader: &mut Reloader, folders: &Folders, pause: &mut Duration) -> bool {
    loop {
        let is_told = tokio::select! {
            () = folders.changed() => true,
            () = tokio::time::sleep(*pause) => false,
        };
        let before = reloader.seen_glance();
        let start = Instant::now();
        let is_changed = reloader.is_changed().await;
        if before != reloader.seen_glance() {
            return is_changed;
        }
        *pause = (start.elapsed() * SHARE).clamp(POLL, LONGEST_POLL);
        if is_changed {
            return true;
        }
        if is_told {
            // However often it is told of what then is no change.
            tokio::time::sleep(settle::QUIET).await;
        }
    }
}

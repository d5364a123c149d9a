//! Reloads on SIGHUP and when a file of the configuration changes.

mod folders;
mod settle;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use elbow_desired::{Desired, Retry};
use elbow_model::Model;
use elbow_native::{Change, ChangeAction, summary};
use elbow_plane::Plane;
use elbow_telemetry::stderr;
use elbow_tls::MAX_REVOCATION_BYTES;
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::loaded::{self, Loaded};
use crate::look::{Disk, Glance, Look};
use crate::process::{Failure, runtime};
use crate::source::{self, Owner, Reader};
use crate::{authority, deploy, systemd};

use folders::Folders;
use settle::settle;

/// The polling interval for changes without inotify events, like those on a network file system. Together with the wait
/// for quiet, such a change is found within a second.
const POLL: Duration = Duration::from_millis(700);
const _: () = assert!(POLL.as_millis() + settle::QUIET.as_millis() <= 900);
/// Polling takes at most one part in this many of the time; with very many files, the interval grows.
const SHARE: u32 = 25;
/// The longest polling interval.
const LONGEST_POLL: Duration = Duration::from_secs(10);

/// Keeps a plane in sync with its source.
pub(crate) struct Reloader {
    reader: Reader,
    plane: Arc<Plane>,
    /// Receives the model instead of the plane, to serve it together with another one.
    publisher: Option<watch::Sender<Model>>,
    /// The part of the model that the plane serves.
    desired: Desired,
    /// The model of the source.
    model: Model,
    /// Whether the source has errors.
    has_errors: bool,
    /// The delays between retries of failures.
    retry: Retry,
    /// When the next retry is due; `None` without failures.
    due: Option<Instant>,
    /// The state of the source's files before they were read.
    seen: Look,
    /// The files of the certificates, trust stores and public keys in the model.
    pems: PemFiles,
    /// The content hashes of those in force.
    served: Contents,
    disk: Disk,
}

type Contents = BTreeMap<Owner, u64>;

/// The state of the files of certificates, trust stores and public keys at one time.
#[derive(Default)]
struct PemFiles {
    of_each: Vec<(Owner, Vec<PathBuf>)>,
    look: Look,
    contents: Contents,
}

impl PemFiles {
    /// Reads the files of `model`; for a self-signed certificate, those of the local authority.
    fn of(model: &Model, disk: &mut Disk) -> Self {
        let located = authority::locate(model.clone());
        Self::read(source::pem_files(&located), disk)
    }

    fn read(of_each: Vec<(Owner, Vec<PathBuf>)>, disk: &mut Disk) -> Self {
        let look = Look::at(of_each.iter().flat_map(|(_, files)| files));
        let contents = of_each.iter().map(|(owner, files)| {
            let mut hasher = DefaultHasher::new();
            for file in files {
                (file, disk.content(file, MAX_REVOCATION_BYTES)).hash(&mut hasher);
            }
            (owner.clone(), hasher.finish())
        });
        Self {
            contents: contents.collect(),
            look,
            of_each,
        }
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.of_each.iter().flat_map(|(_, files)| files)
    }
}

impl Reloader {
    /// A reloader for a plane that serves `loaded`, the result of `reader`. `seen` is the state of the files before they
    /// were read.
    pub(crate) fn new(reader: Reader, seen: Look, plane: Arc<Plane>, loaded: &Loaded) -> Self {
        let model = loaded.model.clone().unwrap_or_default();
        let mut disk = Disk::default();
        let pems = PemFiles::of(&model, &mut disk);
        Self {
            reader,
            plane,
            publisher: None,
            desired: Desired::default(),
            has_errors: loaded.has_errors(),
            retry: Retry::default(),
            due: None,
            seen,
            served: pems.contents.clone(),
            pems,
            model,
            disk,
        }
    }

    /// Publishes models to `models` instead of applying them to the plane.
    #[cfg(feature = "controller")]
    pub(crate) fn publishing_to(mut self, models: watch::Sender<Model>) -> Self {
        self.publisher = Some(models);
        self
    }

    /// Continues from the state that the plane serves.
    pub(crate) fn serving(mut self, desired: Desired) -> Self {
        if desired.failures().next().is_some() {
            self.due = Some(Instant::now() + self.retry.next());
        }
        self.desired = desired;
        self
    }

    /// Reads changed files and applies them. Parts with errors are reported and keep their previous state.
    fn reload(&mut self) {
        systemd::reloading();
        self.load();
        systemd::ready();
    }

    fn load(&mut self) {
        self.seen = self.reader.look();
        let loaded = self.reader.load();
        // A closed stderr cannot be reported anywhere.
        let _ = loaded::report(&loaded.diagnostics, &mut stderr());
        self.has_errors = loaded.has_errors();
        let Some(model) = loaded.model else {
            self.pems = PemFiles::of(&self.model, &mut self.disk);
            self.plane.reload_failed();
            error!(source = %self.reader.source(), "not reloaded: the previous configuration stays in force");
            return;
        };
        let pems = PemFiles::of(&model, &mut self.disk);
        let before = match self.publisher {
            Some(_) => self.model.clone(),
            None => self.desired.in_force().clone(),
        };
        self.model = model;
        if self.publisher.is_none() {
            self.plane.set_log_buckets(loaded.log_buckets);
        }
        let is_served = self.apply();
        let now = match self.publisher {
            Some(_) => &self.model,
            None => self.desired.in_force(),
        };
        let changes = self.changes(&before, now, &pems.contents);
        let source = self.reader.source();
        match (is_served, changes.is_empty()) {
            (true, _) => info!(%source, "reloaded, {}", summary(&changes)),
            (false, false) => {
                let changes = summary(&changes);
                error!(%source, "reloaded in part, {changes}: parts with errors keep their previous state");
            }
            (false, true) => {
                error!(%source, "not reloaded: the previous configuration stays in force");
            }
        }
        self.served.clone_from(&pems.contents);
        self.pems = pems;
    }

    /// Serves as much of the model as possible. Returns whether all of it is served and the source has no errors.
    fn apply(&mut self) -> bool {
        if let Some(models) = &self.publisher {
            models.send_replace(self.model.clone());
            if self.has_errors {
                self.plane.reload_failed();
            }
            return !self.has_errors;
        }
        let plane = &self.plane;
        let attempt = self
            .desired
            .serve(&self.model, true, |model| deploy::apply(plane, model));
        deploy::report_failures(&attempt, |name| self.reader.origin(name));
        plane.set_left_out(self.desired.not_serving());
        let is_complete = attempt.is_complete && !plane.is_stale();
        if is_complete {
            self.retry.reset();
            self.due = None;
        } else {
            self.due = Some(Instant::now() + self.retry.next());
        }
        let is_served = is_complete && !self.has_errors;
        if !is_served {
            plane.reload_failed();
        }
        is_served
    }

    /// Retries failures.
    fn retry(&mut self) {
        if self.apply() {
            info!(source = %self.reader.source(), "all failures are resolved");
        }
    }

    /// Reloads on SIGHUP.
    fn hang_up(&mut self) {
        for pipe in self.reader.source().pipes() {
            warn!(
                "{pipe} was read once and cannot be read again: its previous content stays in force"
            );
        }
        self.reload();
    }

    /// The changes from `before` to `now`, including those of the content of PEM files; `contents` has the hashes of
    /// `now`.
    fn changes(&self, before: &Model, now: &Model, contents: &Contents) -> Vec<Change> {
        let mut changes = elbow_native::diff(before, now);
        for (owner, content) in contents {
            if let Some(before) = self.served.get(owner).filter(|before| *before != content) {
                let pem = |content| format!("PEM {content:016x}");
                let change = Change {
                    kind: owner.kind,
                    name: owner.name.to_string(),
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
        changes
    }

    /// Waits until the files stop changing; returns whether their content differs from what was read last. Reads files only
    /// if their metadata changed, or is too recent to show a change.
    async fn is_changed(&mut self) -> bool {
        let before = self.seen_glance();
        if self.glance() == before && !self.is_fresh() {
            return false;
        }
        settle(before, || self.glance()).await;
        self.seen = self.reader.look();
        let of_each = std::mem::take(&mut self.pems.of_each);
        let pems = PemFiles::read(of_each, &mut self.disk);
        let is_changed = pems.contents != self.pems.contents;
        self.pems = pems;
        self.reader.is_changed() || is_changed
    }

    fn glance(&self) -> Glance {
        let pems = Look::at(self.pems.files()).glance;
        self.reader.look().glance.and(pems)
    }

    fn seen_glance(&self) -> Glance {
        self.seen.glance.and(self.pems.look.glance)
    }

    fn is_fresh(&self) -> bool {
        self.seen.is_fresh || self.pems.look.is_fresh
    }

    fn follow(&self, folders: &mut Folders) {
        let inputs = self.reader.source().inputs();
        let files = inputs.files.iter().chain(self.pems.files());
        folders.follow(files, &inputs.folders);
    }
}

/// Runs `reloader` on a thread of its own, where it may block on a slow disk. Sending to the returned channel requests a
/// reload.
pub(crate) fn start(reloader: Reloader) -> Result<mpsc::Sender<()>, Failure> {
    let (requests, requested) = mpsc::channel(1);
    let runtime = runtime()?;
    thread::Builder::new()
        .name("reload".into())
        .spawn(move || runtime.block_on(watch(reloader, requested)))
        .map_err(|e| Failure::environment(e, "raise the limit of threads"))?;
    Ok(requests)
}

/// Reloads when a file changes or a reload is requested, until all senders are dropped.
async fn watch(mut reloader: Reloader, mut requested: mpsc::Receiver<()>) {
    let mut folders = Folders::new();
    reloader.follow(&mut folders);
    let mut pause = POLL;
    loop {
        tokio::select! {
            request = requested.recv() => match request {
                Some(()) => reloader.hang_up(),
                None => return,
            },
            event = next(&mut reloader, &folders, &mut pause) => match event {
                Event::Changed => reloader.reload(),
                Event::Due => reloader.retry(),
                Event::None => {}
            },
        }
        reloader.follow(&mut folders);
    }
}

/// An event that may require a reload.
enum Event {
    None,
    /// The content of the source or of a PEM file changed.
    Changed,
    /// A retry is due.
    Due,
}

/// Waits for the next event; [`Event::None`] if the followed folders may have changed.
async fn next(reloader: &mut Reloader, folders: &Folders, pause: &mut Duration) -> Event {
    loop {
        let is_notified = tokio::select! {
            () = folders.changed() => true,
            () = tokio::time::sleep(*pause) => false,
            () = until(reloader.due) => return Event::Due,
        };
        let before = reloader.seen_glance();
        let start = Instant::now();
        let is_changed = reloader.is_changed().await;
        let event = if is_changed {
            Event::Changed
        } else {
            Event::None
        };
        if before != reloader.seen_glance() {
            return event;
        }
        *pause = (start.elapsed() * SHARE).clamp(POLL, LONGEST_POLL);
        if is_changed {
            return event;
        }
        if is_notified {
            // Limits the rate of checks after notifications without a change.
            tokio::time::sleep(settle::QUIET).await;
        }
    }
}

/// Waits until `due`, or forever for `None`.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

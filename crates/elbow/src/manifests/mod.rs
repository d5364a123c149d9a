//! Kubernetes manifests from files, folders, kustomizations, charts and stdin.

mod build;
mod builds;
mod chart;
mod entry;
mod environment;
mod kustomize;
mod template;
mod tool;
mod walk;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elbow_manifest::cluster::{Content, Files};
use elbow_manifest::context::{Personality, Reading};
use elbow_manifest::{Context, Object};
use elbow_model::diagnostic::Diagnostic;

use crate::args::{ManifestArgs, SurroundingsArgs};
use crate::loaded::Loaded;
use crate::look::Disk;
use crate::{log_buckets, pipes, text};

pub(crate) use builds::Builds;
pub(crate) use environment::read as environment;
pub(crate) use walk::is_wanted;

use chart::Chart;
use entry::Entry;
use walk::Walk;

/// The longest manifest, in bytes: the dump of a cluster with some 50,000 endpoints.
pub(crate) const MAX_BYTES: usize = pipes::MAX_BYTES;
const TOO_LARGE: &str = "split it into several files";

/// Kubernetes manifests and their environment.
#[derive(Clone, Debug)]
pub(crate) struct Manifests {
    /// Files, folders (searched recursively), or `-` for stdin.
    pub(crate) paths: Vec<PathBuf>,
    chart: Option<Chart>,
    /// The environment file; by default that of the first folder of `paths` with one.
    pub(crate) environment: Option<PathBuf>,
    /// Overrides that of the environment file.
    pub(crate) personality: Option<Personality>,
    /// Whether names that are known nowhere are refused.
    pub(crate) strict: bool,
    /// How strictly objects are read.
    pub(crate) reading: Reading,
}

/// The files and folders of a source.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// The files that exist now.
    pub(crate) files: Vec<PathBuf>,
    /// The folders whose manifests are read, including those that are created later.
    pub(crate) folders: Vec<PathBuf>,
}

impl Manifests {
    /// The manifests that `args` name with their surroundings; pipes are read at once.
    pub(crate) fn new(args: &ManifestArgs, surroundings: &SurroundingsArgs) -> Self {
        let named = args.files.iter().chain(&surroundings.environment);
        pipes::keep(named.map(PathBuf::as_path));
        Self {
            paths: args.files.clone(),
            chart: Chart::new(&args.chart),
            environment: surroundings.environment.clone(),
            personality: surroundings.personality.map(Personality::from),
            strict: surroundings.strict,
            reading: if surroundings.lenient {
                Reading::Lenient
            } else {
                Reading::Strict
            },
        }
    }

    /// What the user named, for messages.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let paths = self.paths.iter().map(|path| path.display().to_string());
        paths.chain(self.chart.iter().map(|chart| chart.name().to_owned()))
    }

    /// Reads the objects and the context; errors are added to `found`.
    pub(crate) fn read(&self, found: &mut Vec<Diagnostic>) -> (Vec<Object>, Context) {
        let file = self.environment_file();
        let context = self.context(file.as_deref(), found);
        let mut objects = Vec::new();
        let walk = self.walk(file.as_deref());
        found.extend(walk.found);
        let (mut disk, mut builds) = (Disk::default(), Builds::default());
        builds.refresh(&walk.entries, &mut disk);
        for entry in walk.entries {
            match builds.content(&entry, &mut disk) {
                Ok(content) => {
                    let (read, problems) = content.read(&entry.name);
                    objects.extend(read);
                    found.extend(problems);
                }
                Err(unreadable) => found.push(unreadable),
            }
        }
        template::collapse(found);
        (objects, context)
    }

    /// The context from the environment file.
    fn context(&self, file: Option<&Path>, found: &mut Vec<Diagnostic>) -> Context {
        let mut context = environment(file, found);
        context.personality = self.personality.unwrap_or(context.personality);
        if self.strict {
            context.be_strict();
        }
        context.reading = self.reading;
        context
    }

    /// All inputs with objects, in the order of the arguments; without the environment file in use.
    fn walk(&self, environment: Option<&Path>) -> Walk {
        let mut walk = Walk::along(&self.paths);
        walk.entries
            .retain(|entry| environment.is_none() || entry.file_path() != environment);
        walk.entries.extend(self.chart.clone().map(Entry::chart));
        walk
    }

    /// Applies the files that changed since the last update of `files`.
    pub(crate) fn update(&self, files: &mut Files, disk: &mut Disk, builds: &mut Builds) -> Loaded {
        let mut found = Vec::new();
        let environment = self.environment_file();
        if let Some(file) = &environment {
            // An error is reported when the context is read.
            let _ = text::take(disk, file, MAX_BYTES, TOO_LARGE);
        }
        let context = self.context(environment.as_deref(), &mut found);
        let dns = context.dns_zone();
        let log_buckets = log_buckets::of(&context, &mut found);
        let Walk {
            entries,
            found: problems,
            ..
        } = self.walk(environment.as_deref());
        found.extend(problems);
        let known: HashMap<&Arc<str>, &Entry> =
            entries.iter().map(|one| (&one.name, one)).collect();
        let mut changed: BTreeSet<Arc<str>> = builds.refresh(&entries, disk).into_iter().collect();
        let differing = entries.iter().filter(|entry| entry.differs(disk));
        changed.extend(differing.map(|entry| Arc::clone(&entry.name)));
        let mut read = |name: &Arc<str>| match known.get(name) {
            Some(entry) => builds.content(entry, disk),
            None => Ok(Content::default()),
        };
        if found.iter().any(Diagnostic::is_error) {
            // Report the errors of all files, and apply none.
            for name in changed {
                match read(&name) {
                    Ok(content) => found.extend(content.read(&name).1),
                    Err(unreadable) => found.push(unreadable),
                }
                files.postpone(name);
            }
            template::collapse(&mut found);
            return Loaded::refused(found);
        }
        files.set_context(context);
        let names: Vec<Arc<str>> = entries.iter().map(|one| Arc::clone(&one.name)).collect();
        let update = files.update(&names, changed, read);
        found.extend(files.diagnostics());
        template::collapse(&mut found);
        let model = update.is_applied.then(|| files.cluster().model());
        let is_empty = model
            .as_ref()
            .is_some_and(|model| model.load_balancers.is_empty());
        if is_empty && !found.iter().any(Diagnostic::is_error) {
            found.push(files.seen().nothing_to_serve());
        }
        Loaded {
            model,
            diagnostics: found,
            dns,
            log_buckets,
        }
    }

    fn environment_file(&self) -> Option<PathBuf> {
        let of_folder = |path: &PathBuf| {
            let file = path.join(environment::NAME);
            let text = text::read(&file, MAX_BYTES, TOO_LARGE).ok()?;
            environment::is_environment(&file, &text).then_some(file)
        };
        let given = self.environment.clone();
        given.or_else(|| self.paths.iter().find_map(of_folder))
    }

    /// The existing files, including the environment file, and the folders to watch for new ones.
    pub(crate) fn inputs(&self) -> Inputs {
        let Walk {
            entries, folders, ..
        } = self.walk(None);
        let sources = entries.iter().flat_map(Entry::sources);
        let mut files: Vec<PathBuf> = sources.cloned().collect();
        let environment = self.environment_file();
        files.extend(environment.filter(|file| !files.contains(file)));
        Inputs { files, folders }
    }
}

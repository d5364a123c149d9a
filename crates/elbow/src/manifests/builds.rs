//! What programs built of kustomizations and charts, built again only when a file changes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{mem, thread};

use elbow_manifest::Object;
use elbow_manifest::cluster::Content;
use elbow_model::diagnostic::Diagnostic;

use super::build::{Build, Outcome};
use super::entry::Entry;
use super::{MAX_BYTES, TOO_LARGE, kustomize};
use crate::look::Disk;
use crate::text;

/// How many programs run at once.
const AT_ONCE: usize = 4;

/// The kinds by which two kustomizations are found to be alternatives: those that load balancers are made of.
const SERVED: &[&str] = &["Service", "Ingress", "Tenant"];

/// The results of builds, by the names of their entries.
#[derive(Debug, Default)]
pub(crate) struct Builds {
    known: HashMap<Arc<str>, Outcome>,
    /// The kustomizations that are left out.
    left_out: HashMap<Arc<str>, Diagnostic>,
}

impl Builds {
    /// Builds those of `entries` that have changed, and returns the names of the entries that give something else now.
    pub(super) fn refresh(&mut self, entries: &[Entry], disk: &mut Disk) -> Vec<Arc<str>> {
        let built: Vec<&Entry> = entries
            .iter()
            .filter(|entry| entry.build().is_some())
            .collect();
        let mut before = mem::take(&mut self.known);
        let mut due = Vec::new();
        for entry in &built {
            let differs = entry.differs(disk);
            match before.remove(&entry.name).filter(|_| !differs) {
                Some(outcome) => drop(self.known.insert(Arc::clone(&entry.name), outcome)),
                None => due.push((*entry, sources(entry, disk))),
            }
        }
        let mut changed: Vec<Arc<str>> = due.iter().map(|(one, _)| Arc::clone(&one.name)).collect();
        self.known.extend(run_all(&due));
        let left_out = self.alternatives(&built);
        let before = mem::replace(&mut self.left_out, left_out);
        let turned =
            |name: &&Arc<str>| before.contains_key(*name) != self.left_out.contains_key(*name);
        changed.extend(built.iter().map(|one| &one.name).filter(turned).cloned());
        changed
    }

    /// The objects of an entry, or their text. `disk` remembers the content of a file.
    ///
    /// # Errors
    /// A diagnostic if it cannot be read or built, or a warning if it has no objects.
    pub(super) fn content(&self, entry: &Entry, disk: &mut Disk) -> Result<Content, Diagnostic> {
        if let Some(warning) = self.left_out.get(&entry.name) {
            return Err(warning.clone());
        }
        match self.known.get(&entry.name) {
            Some(Ok((objects, found))) => Ok(Content::Objects(objects.clone(), found.clone())),
            Some(Err(error)) => Err(error.clone()),
            None => entry.take(disk),
        }
    }

    /// The kustomizations that build an object of an earlier one, such as overlays of one base. Both at once would be
    /// neither.
    fn alternatives(&self, entries: &[&Entry]) -> HashMap<Arc<str>, Diagnostic> {
        let mut owners: BTreeMap<String, &Path> = BTreeMap::new();
        let mut left_out = HashMap::new();
        for entry in entries {
            let Some(Build::Kustomization { folder, file }) = entry.build() else {
                continue;
            };
            let Some(Ok((objects, _))) = self.known.get(&entry.name) else {
                continue;
            };
            let served = objects.iter().filter(|one| SERVED.contains(&&*one.kind));
            let paths: Vec<String> = served.map(Object::path).collect();
            let taken = paths
                .iter()
                .find_map(|path| Some((path, owners.get(path)?)));
            if let Some((path, earlier)) = taken {
                let warning = kustomize::alternative(file, folder, earlier, path);
                left_out.insert(Arc::clone(&entry.name), warning);
            } else {
                owners.extend(paths.into_iter().map(|path| (path, &**folder)));
            }
        }
        left_out
    }
}

/// The objects in the files of a kustomization, to find the places of what is built of them.
fn sources(entry: &Entry, disk: &mut Disk) -> Vec<Object> {
    let mut objects = Vec::new();
    for file in entry.sources() {
        // Kustomize and helm report what cannot be read.
        let text = text::take(disk, file, MAX_BYTES, TOO_LARGE).unwrap_or_default();
        let is_yaml = super::is_wanted(file, false) && !kustomize::is_named(file);
        if entry.kustomization_folder().is_some() && is_yaml {
            objects.extend(elbow_manifest::read(&text, &file.display().to_string()).0);
        }
    }
    objects
}

/// Runs the builds, a few at once.
fn run_all(due: &[(&Entry, Vec<Object>)]) -> Vec<(Arc<str>, Outcome)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((entry, sources)) = due.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(build) = entry.build() {
                done.push((Arc::clone(&entry.name), build.run(sources)));
            }
        }
        done
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..due.len().min(AT_ONCE))
            .map(|_| scope.spawn(work))
            .collect();
        let done = workers.into_iter().filter_map(|worker| worker.join().ok());
        done.flatten().collect()
    })
}

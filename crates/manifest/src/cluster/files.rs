//! Manifests in files: an edit costs what it changes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use elbow_model::diagnostic::{Diagnostic, Severity};

use super::{Change, Cluster, Identity};
use crate::inventory::Typed;
use crate::nothing::Seen;
use crate::object::{Object, Place, path, read};
use crate::{Context, sort, versions, wrappers};

/// Kinds that are known, and that no load balancer depends on.
const SILENT: &[&str] = &["ConfigMap"];

/// A cluster whose objects stand in files. Of several objects with one name, the first counts: files are in the order
/// in which they are named, objects in the order of the text.
///
/// ```
/// use elbow_manifest::{Context, cluster::Files};
///
/// let text = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, ports: [{port: 80}]}}";
/// let mut files = Files::new(Context::default());
/// let update = files.update(&["web.yaml".into()], [], |_| Ok(text.to_owned()));
/// assert_eq!((update.parsed, update.is_applied), (1, true));
/// assert_eq!(files.cluster().model().load_balancers.len(), 1);
/// ```
#[derive(Debug)]
pub struct Files {
    cluster: Cluster,
    /// In the order in which they are named.
    names: Vec<Arc<str>>,
    files: HashMap<Arc<str>, File>,
    /// The files in which an object stands, once for each time that it does.
    holders: HashMap<Arc<Identity>, Vec<Arc<str>>>,
    /// Objects that stand more than once.
    repeated: BTreeSet<Arc<Identity>>,
    /// Files that changed since an update was applied last.
    pending: BTreeSet<Arc<str>>,
    /// What was found in reading files, when it kept the last update from being applied.
    unreadable: Option<Vec<Diagnostic>>,
}

/// What a file gives.
#[derive(Clone, Debug)]
pub enum Content {
    /// Its text.
    Text(String),
    /// Objects that were made of it elsewhere, and what was found in reading them.
    Objects(Vec<Object>, Vec<Diagnostic>),
}

impl Content {
    /// The objects of the file `name`, and what was found in reading them.
    pub fn read(self, name: &str) -> (Vec<Object>, Vec<Diagnostic>) {
        match self {
            Self::Text(text) => read(&text, name),
            Self::Objects(objects, found) => (objects, found),
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// What one file contains.
#[derive(Debug, Default)]
struct File {
    objects: Vec<Entry>,
    /// What was found in reading the text.
    found: Vec<Diagnostic>,
}

/// A file that was parsed just now.
struct Parsed {
    name: Arc<str>,
    file: File,
    objects: Vec<Object>,
}

/// The position of each file among all.
type Ranks<'a> = HashMap<&'a Arc<str>, usize>;

/// An object of a file.
#[derive(Debug)]
struct Entry {
    identity: Arc<Identity>,
    place: Place,
    /// The API version of an object whose kind is not read.
    skipped: Option<String>,
}

/// What an update did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// How many files were parsed.
    pub parsed: usize,
    /// Whether the objects are those of the files now. A file that cannot be read leaves all objects as they were: half
    /// of a change may ask for something else than all of it.
    pub is_applied: bool,
}

impl Files {
    /// No files.
    pub fn new(context: Context) -> Self {
        Self::with(Cluster::new(context))
    }

    fn with(cluster: Cluster) -> Self {
        Self {
            cluster,
            names: Vec::new(),
            files: HashMap::new(),
            holders: HashMap::new(),
            repeated: BTreeSet::new(),
            pending: BTreeSet::new(),
            unreadable: None,
        }
    }

    /// These objects, as if they stood in one file. Without `serving` they are planned and not modelled.
    pub(crate) fn of(objects: &[Object], context: &Context, serving: bool) -> Self {
        let mut files = Self::with(if serving {
            Cluster::new(context.clone())
        } else {
            Cluster::to_plan(context.clone())
        });
        let name: Arc<str> = "".into();
        files.names.push(name.clone());
        let file = File::of(objects, Vec::new());
        files.enter(&name, file);
        files.feed(objects.iter().cloned(), |_| false);
        files.cluster.reconcile();
        files
    }

    /// The objects, and the load balancers that they ask for.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Which objects there are, each once.
    pub fn seen(&self) -> Seen {
        let kinds = self.holders.keys().map(|identity| &*identity.kind);
        Seen::new(kinds, self.cluster.inventory())
    }

    /// Replaces what the objects do not say; [`Self::update`] plans every stack again then.
    pub fn set_context(&mut self, context: Context) {
        let variable = |context: &Context| context.defaults.quic_environment_variable_name.clone();
        if variable(&context) != variable(&self.cluster.context) {
            // What else the pods say is not kept.
            self.pending.extend(self.names.iter().cloned());
        }
        self.cluster.set_context(context);
    }

    /// Has the next [`Self::update`] parse a file.
    pub fn postpone(&mut self, name: Arc<str>) {
        self.pending.insert(name);
    }

    /// Takes the files called `names`, in this order, instead of those before. `text` gives the text of a file, and is
    /// asked for those that `changed`, for new ones, and for those that share an object with one of these. A warning
    /// instead of a text is about a file without objects.
    pub fn update<C: Into<Content>>(
        &mut self,
        names: &[Arc<str>],
        changed: impl IntoIterator<Item = Arc<str>>,
        mut text: impl FnMut(&Arc<str>) -> Result<C, Diagnostic>,
    ) -> Update {
        let ranks: Ranks<'_> = names.iter().zip(0..).collect();
        self.pending.extend(changed);
        let gone = self.files.keys().filter(|name| !ranks.contains_key(name));
        self.pending.extend(gone.cloned());
        let new = names.iter().filter(|name| !self.files.contains_key(*name));
        self.pending.extend(new.cloned());
        if self.files.is_empty() {
            return self.load(names, text);
        }
        let mut fresh = parse(&self.pending, &ranks, &mut text);
        let touched = self.touched(&fresh);
        fresh.append(&mut parse(&self.sharing(&touched), &ranks, &mut text));
        let parsed = fresh.len();
        let is_applied = !fresh.values().any(|one| one.file.is_unreadable());
        if is_applied {
            self.apply(names, fresh, touched, &ranks);
        } else {
            let fresh = fresh.values().map(|one| (&one.name, &one.file));
            let fresh: HashMap<&Arc<str>, &File> = fresh.collect();
            let files = names.iter();
            let files =
                files.filter_map(|name| fresh.get(name).copied().or_else(|| self.files.get(name)));
            let found = files.flat_map(|file| file.found.iter().cloned());
            self.unreadable = Some(found.collect());
        }
        Update { parsed, is_applied }
    }

    /// Puts files in the place of those that changed.
    fn apply(
        &mut self,
        names: &[Arc<str>],
        fresh: BTreeMap<usize, Parsed>,
        touched: HashSet<Arc<Identity>>,
        ranks: &Ranks<'_>,
    ) {
        for name in std::mem::take(&mut self.pending) {
            self.leave(&name);
        }
        let mut objects = Vec::with_capacity(fresh.len());
        for one in fresh.into_values() {
            self.leave(&one.name);
            self.enter(&one.name, one.file);
            objects.push((one.name, one.objects));
        }
        self.names = names.to_vec();
        for (name, objects) in objects {
            self.feed(objects, |holder| ranks.get(holder) < ranks.get(&name));
        }
        for identity in touched {
            if !self.holders.contains_key(&identity) {
                let identity = Arc::unwrap_or_clone(identity);
                self.cluster.withdraw_object(identity);
            }
        }
        self.unreadable = None;
        self.cluster.reconcile();
    }

    /// Takes the first files, one after the other, so that the objects of only one of them are in memory.
    fn load<C: Into<Content>>(
        &mut self,
        names: &[Arc<str>],
        mut text: impl FnMut(&Arc<str>) -> Result<C, Diagnostic>,
    ) -> Update {
        let mut is_applied = true;
        for name in names {
            let Parsed { file, objects, .. } = Parsed::new(name, text(name));
            is_applied &= !file.is_unreadable();
            self.enter(name, file);
            if is_applied {
                self.feed(objects, |holder| holder != name);
            }
        }
        self.pending.clear();
        if is_applied {
            self.names = names.to_vec();
            self.cluster.reconcile();
        } else {
            let files = names.iter().filter_map(|name| self.files.get(name));
            let found = files.flat_map(|file| file.found.iter().cloned());
            let found = found.collect();
            *self = Self::new(self.cluster.context.clone());
            self.unreadable = Some(found);
        }
        Update {
            parsed: names.len(),
            is_applied,
        }
    }

    /// Everything that is wrong or worth knowing: what was found in reading the files, in their order, then what was
    /// found in the objects, by file and line. Of files that cannot be read, what keeps them from being read.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        if let Some(unreadable) = &self.unreadable {
            return unreadable.clone();
        }
        let files = self.names.iter().filter_map(|name| self.files.get(name));
        let mut all: Vec<Diagnostic> = files.flat_map(|file| file.found.iter().cloned()).collect();
        let mut found = self.cluster.diagnostics();
        self.repetitions(&mut found);
        self.skipped(&mut found);
        sort(&mut found);
        all.extend(found);
        all
    }

    /// The objects of the files that change: those that they had, and those that they have now.
    fn touched(&self, fresh: &BTreeMap<usize, Parsed>) -> HashSet<Arc<Identity>> {
        let before = self.pending.iter().filter_map(|name| self.files.get(name));
        let files = before.chain(fresh.values().map(|one| &one.file));
        let entries = files.flat_map(|file| &file.objects);
        entries.map(|entry| entry.identity.clone()).collect()
    }

    /// The files that did not change and have one of these objects as well, which may count from now on.
    fn sharing(&self, touched: &HashSet<Arc<Identity>>) -> BTreeSet<Arc<str>> {
        let holders = touched.iter();
        let holders = holders.filter_map(|identity| self.holders.get(identity));
        let sharing = holders.flatten();
        let sharing = sharing.filter(|name| !self.pending.contains(*name));
        sharing.cloned().collect()
    }

    /// Notes what a file contains.
    fn enter(&mut self, name: &Arc<str>, file: File) {
        for entry in &file.objects {
            let holders = self.holders.entry(entry.identity.clone()).or_default();
            holders.push(name.clone());
            if holders.len() > 1 {
                self.repeated.insert(entry.identity.clone());
            }
        }
        self.files.insert(name.clone(), file);
    }

    /// Forgets what a file contains.
    fn leave(&mut self, name: &Arc<str>) {
        let file = self.files.remove(name).unwrap_or_default();
        for Entry { identity, .. } in &file.objects {
            let Some(holders) = self.holders.get_mut(identity) else {
                continue;
            };
            holders.retain(|holder| holder != name);
            if holders.len() < 2 {
                self.repeated.remove(identity);
            }
            if holders.is_empty() {
                self.holders.remove(identity);
            }
        }
    }

    /// Gives the cluster those `objects` of a file that count: not those that a file that `goes_first` has as well.
    fn feed(
        &mut self,
        objects: impl IntoIterator<Item = Object>,
        goes_first: impl Fn(&Arc<str>) -> bool,
    ) {
        let mut repeated = HashSet::new();
        for object in objects {
            let identity = Identity::from(&object);
            let Some(holders) = self.holders.get(&identity) else {
                continue;
            };
            let is_first =
                holders.len() == 1 || !holders.iter().any(&goes_first) && repeated.insert(identity);
            if is_first {
                self.cluster.take(Change::Set(object));
            }
        }
    }

    /// The file whose object counts.
    fn winner(&self, identity: &Identity) -> Option<&Arc<str>> {
        let holders = self.holders.get(identity)?;
        match holders.as_slice() {
            [only] => Some(only),
            holders => self.names.iter().find(|name| holders.contains(name)),
        }
    }

    /// The objects that stand more than once, but for the first of each.
    fn repetitions(&self, found: &mut Vec<Diagnostic>) {
        for identity in &self.repeated {
            let winner = self.winner(identity);
            let holders: BTreeSet<&Arc<str>> =
                self.holders.get(identity).into_iter().flatten().collect();
            for name in holders {
                let entries = self
                    .files
                    .get(name)
                    .into_iter()
                    .flat_map(|file| &file.objects);
                // It does not matter which one counts of a kind that is not read.
                let entries =
                    entries.filter(|entry| entry.identity == *identity && entry.skipped.is_none());
                let first = usize::from(Some(name) == winner);
                found.extend(entries.skip(first).map(repetition));
            }
        }
    }

    /// A note for each kind that is not read.
    fn skipped(&self, found: &mut Vec<Diagnostic>) {
        let mut kinds: BTreeMap<(&str, &str), (usize, &Entry)> = BTreeMap::new();
        for name in &self.names {
            let mut seen = HashSet::new();
            let entries = self
                .files
                .get(name)
                .into_iter()
                .flat_map(|file| &file.objects);
            for entry in entries.filter(|entry| entry.skipped.is_some()) {
                let identity = &entry.identity;
                let counts = !self.repeated.contains(identity)
                    || self.winner(identity) == Some(name) && seen.insert(identity);
                if counts {
                    let kind = kinds.entry((&identity.group, &identity.kind));
                    kind.or_insert((0, entry)).0 += 1;
                }
            }
        }
        found.extend(kinds.into_values().map(|(count, first)| skip(count, first)));
    }
}

impl File {
    fn of(objects: &[Object], found: Vec<Diagnostic>) -> Self {
        Self {
            objects: objects.iter().map(Entry::of).collect(),
            found,
        }
    }

    fn is_unreadable(&self) -> bool {
        self.found.iter().any(Diagnostic::is_error)
    }
}

impl Entry {
    fn of(object: &Object) -> Self {
        let kind = &*object.kind;
        let is_read = Typed::is_read(object.group(), kind)
            || SILENT.contains(&kind)
            || versions::refuse(object).is_some();
        Self {
            identity: Arc::new(Identity::from(object)),
            place: object.place(),
            skipped: (!is_read).then(|| object.api_version.clone()),
        }
    }

    fn path(&self) -> String {
        let Identity {
            kind,
            namespace,
            name,
            ..
        } = &*self.identity;
        path(kind, namespace, name)
    }

    fn found(&self, diagnostic: Diagnostic) -> Diagnostic {
        let Place { file, at } = &self.place;
        diagnostic
            .at(&**file, at.line, at.column)
            .object(self.path())
    }
}

/// Parses those of `names` that still exist, by their ranks.
fn parse<C: Into<Content>>(
    names: &BTreeSet<Arc<str>>,
    ranks: &Ranks<'_>,
    text: &mut impl FnMut(&Arc<str>) -> Result<C, Diagnostic>,
) -> BTreeMap<usize, Parsed> {
    let existing = names
        .iter()
        .filter_map(|name| Some((*ranks.get(name)?, name)));
    existing
        .map(|(rank, name)| (rank, Parsed::new(name, text(name))))
        .collect()
}

impl Parsed {
    fn new(name: &Arc<str>, content: Result<impl Into<Content>, Diagnostic>) -> Self {
        let (objects, found) = match content {
            Ok(content) => content.into().read(name),
            Err(found) => (Vec::new(), vec![found]),
        };
        Self {
            name: name.clone(),
            file: File::of(&objects, found),
            objects,
        }
    }
}

fn repetition(entry: &Entry) -> Diagnostic {
    let message = format!(
        "{} is defined twice; the first definition counts",
        entry.path()
    );
    entry.found(Diagnostic::warning("duplicate-object", message))
}

fn skip(count: usize, first: &Entry) -> Diagnostic {
    let version = first.skipped.as_deref().unwrap_or_default();
    let Identity { group, kind, .. } = &*first.identity;
    let Some(wrapper) = wrappers::find(group, kind) else {
        let message = format!(
            "skipped {count} of kind {kind} ({version}), which no load balancer depends on"
        );
        return first.found(Diagnostic::new(Severity::Note, "skipped-kind", message));
    };
    let message = format!(
        "skipped {count} of kind {kind} ({version}), which {}",
        wrapper.message
    );
    let note = Diagnostic::new(Severity::Note, wrapper.code, message);
    first.found(note.hint(wrapper.hint))
}

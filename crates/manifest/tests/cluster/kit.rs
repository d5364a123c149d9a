//! What the tests of a live cluster share.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use elbow_manifest::cluster::{Change, Cluster, Identity, Outcome, Reconciled};
use elbow_manifest::{Context, Object, read};
use elbow_model::Model;
use elbow_yaml::{Node, Value};

/// The objects and the context of one recorded case.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) objects: Vec<Object>,
    pub(crate) context: Context,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every recorded case of `set`, its objects as an API server would give them.
pub(crate) fn cases(set: &str) -> Vec<Case> {
    let set = root().join("tests/golden").join(set);
    let context = fs::read_to_string(set.join("environment.yaml")).unwrap_or_default();
    let context = Context::parse(&context, "environment.yaml").0;
    let folders = fs::read_dir(&set)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    let case = |folder: PathBuf| Case {
        name: folder.display().to_string(),
        objects: objects(&fs::read_to_string(folder.join("input.yaml")).unwrap()),
        context: context.clone(),
    };
    folders.into_iter().map(case).collect()
}

/// The objects of a text as an API server would give them: without positions.
pub(crate) fn objects(text: &str) -> Vec<Object> {
    let documents = documents(text).into_iter();
    documents
        .map(|one| Object::from_json(one).unwrap())
        .collect()
}

/// The objects of a text as JSON.
pub(crate) fn documents(text: &str) -> Vec<serde_json::Value> {
    let (objects, found) = read(text, "a.yaml");
    assert!(found.is_empty(), "{found:?}");
    objects.iter().map(|object| json(&object.node)).collect()
}

fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Scalar(text) if node.plain => match serde_json::from_str(text) {
            Ok(value @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_))) => value,
            _ => text.as_str().into(),
        },
        Value::Scalar(text) => text.as_str().into(),
        Value::Sequence(items) => items.iter().map(json).collect(),
        Value::Mapping(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(key, field)| (key.name.clone(), json(field)));
            serde_json::Value::Object(fields.collect())
        }
    }
}

/// A cluster to which objects are written.
pub(crate) struct Live {
    pub(crate) cluster: Cluster,
}

impl Live {
    pub(crate) fn new(context: Context, text: &str) -> (Self, Vec<Reconciled>) {
        let context = Context {
            has_all_objects: true,
            ..context
        };
        let mut live = Self {
            cluster: Cluster::new(context),
        };
        let told = live.set(text);
        (live, told)
    }

    /// Sets every object of a text.
    pub(crate) fn set(&mut self, text: &str) -> Vec<Reconciled> {
        for object in objects(text) {
            self.cluster.take(Change::Set(object));
        }
        self.cluster.reconcile()
    }

    /// Deletes every object of a text.
    pub(crate) fn gone(&mut self, text: &str) -> Vec<Reconciled> {
        for object in objects(text) {
            self.cluster.take(Change::Gone(Identity::from(&object)));
        }
        self.cluster.reconcile()
    }

    /// The targets of the group whose name starts with `group`.
    pub(crate) fn targets(&self, group: &str) -> Vec<String> {
        let model = self.cluster.model();
        let mut groups = model.target_groups.iter();
        let group = groups.find(|one| one.name.starts_with(group));
        let targets = group.iter().flat_map(|group| &group.targets);
        targets
            .map(|target| format!("{}:{}", target.id, target.port))
            .collect()
    }
}

/// The keys of the reconciled stacks.
pub(crate) fn keys(told: &[Reconciled]) -> Vec<&str> {
    told.iter().map(|one| &*one.key).collect()
}

/// `made`, `gone`, or the code of the refusal.
pub(crate) fn outcome(one: &Reconciled) -> &'static str {
    match &one.outcome {
        Outcome::Made(_) => "made",
        Outcome::Gone => "gone",
        Outcome::Refused(why) => why.code,
    }
}

/// The lines of a model, independent of its order.
pub(crate) fn text(model: &Model) -> BTreeSet<String> {
    let balancers = model.load_balancers.iter().map(|one| format!("{one:?}"));
    let groups = model.target_groups.iter().map(|one| format!("{one:?}"));
    let certificates = model.certificates.iter().map(|one| format!("{one:?}"));
    balancers.chain(groups).chain(certificates).collect()
}

/// The last result of each stack.
#[derive(Default)]
pub(crate) struct Heard(pub(crate) BTreeMap<String, Reconciled>);

impl Heard {
    pub(crate) fn hear(&mut self, told: Vec<Reconciled>) {
        for one in told {
            let over = matches!(one.outcome, Outcome::Gone) && one.leaving.is_empty();
            if over {
                self.0.remove(&one.key);
            } else {
                self.0.insert(one.key.clone(), one);
            }
        }
    }

    /// Members, leaving, outcome and diagnostics of each stack, as text. A refused stack is shown without the diagnostics
    /// of the state that it goes on serving.
    pub(crate) fn text(&self) -> BTreeMap<String, String> {
        let text = |one: &Reconciled| {
            // Advice may name objects that are deleted by now.
            let found = one.diagnostics.iter();
            let found = found.map(|one| (one.severity, one.code, &one.object, &one.message));
            let found: Vec<_> = found.collect();
            let outcome = match &one.outcome {
                Outcome::Made(made) => format!("{made:?} {found:?}"),
                Outcome::Refused(why) => format!("{why:?}"),
                Outcome::Gone => "gone".to_owned(),
            };
            format!("{:?} {:?} {outcome}", one.members, one.leaving)
        };
        self.0
            .iter()
            .map(|(key, one)| (key.clone(), text(one)))
            .collect()
    }

    /// Keys of the refused stacks.
    pub(crate) fn refused(&self) -> BTreeSet<String> {
        let refused = self.0.iter();
        let refused = refused.filter(|(_, one)| matches!(one.outcome, Outcome::Refused(_)));
        refused.map(|(key, _)| key.clone()).collect()
    }
}

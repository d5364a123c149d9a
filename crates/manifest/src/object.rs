//! Kubernetes objects as they stand in files: many documents, lists of objects, any kind.

use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::yaml::{Limits, Node, Position, Value, parse_all};

use crate::view::{Log, View};

/// An object of any kind, with the place it was read from.
#[derive(Clone, Debug)]
pub struct Object {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// `apps/v1`, `v1`.
    pub api_version: String,
    /// `Service`.
    pub kind: String,
    /// Of namespaced kinds, `default` when none is written; empty for the others.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The whole object.
    pub node: Node,
}

impl Object {
    /// `kind/namespace/name`, as diagnostics name it.
    pub fn path(&self) -> String {
        if self.namespace.is_empty() {
            format!("{}/{}", self.kind, self.name)
        } else {
            format!("{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }

    /// The part of the API version before the slash: `networking.k8s.io`, empty for the core.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// A log for findings in this object.
    pub fn log(&self) -> Log {
        Log::new(self.file.clone(), self.path())
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        Place {
            file: self.file.clone(),
            at: self.node.at,
        }
    }

    /// The object as a tree to read; findings go to `log`.
    pub fn view<'a>(&'a self, log: &'a Log) -> View<'a> {
        View::root(&self.node, log)
    }
}

/// Kinds that stand outside namespaces, of those that are read.
const CLUSTER_SCOPED: &[&str] = &["IngressClass", "IngressClassParams", "Namespace", "Node"];

/// Every object in `text`, which came from `file`: all documents, JSON or YAML, and the items of
/// lists. What cannot be read is reported; what stands before it is still given.
///
/// ```
/// let text = "apiVersion: v1\nkind: Service\nmetadata: {name: minio}\n---\n";
/// let (objects, found) = elbow_manifest::read(text, "minio.yaml");
/// assert!(found.is_empty());
/// assert_eq!(objects[0].path(), "Service/default/minio");
/// ```
pub fn read(text: &str, file: &str) -> (Vec<Object>, Vec<Diagnostic>) {
    let file: Arc<str> = file.into();
    let (documents, problems) = parse_all(text, Limits::OBJECTS);
    let mut found: Vec<Diagnostic> = problems
        .iter()
        .map(|problem| problem.diagnostic(&file))
        .collect();
    let mut objects = Vec::new();
    for node in documents {
        unfold(node, &file, &mut objects, &mut found);
    }
    (objects, found)
}

/// One document: an object, or a list of them.
fn unfold(node: Node, file: &Arc<str>, objects: &mut Vec<Object>, found: &mut Vec<Diagnostic>) {
    let log = Log::new(file.clone(), "");
    let head = Head::read(&View::root(&node, &log));
    found.extend(log.into_found());
    let Some(head) = head else { return };
    if let Some(items) = items(&node, &head) {
        for item in items {
            unfold(item, file, objects, found);
        }
        return;
    }
    if head.name.is_empty() {
        let message = format!("a {} needs metadata.name", head.kind);
        found.push(
            Diagnostic::error("missing-field", message)
                .at(&**file, node.at.line, node.at.column)
                .field("metadata.name"),
        );
        return;
    }
    let namespace = match head.namespace {
        _ if CLUSTER_SCOPED.contains(&&*head.kind) => String::new(),
        namespace if namespace.is_empty() => "default".to_owned(),
        namespace => namespace,
    };
    objects.push(Object {
        file: file.clone(),
        api_version: head.api_version,
        kind: head.kind,
        namespace,
        name: head.name,
        node,
    });
}

/// The items of a `List`, `ServiceList`, ...
fn items(node: &Node, head: &Head) -> Option<Vec<Node>> {
    if !head.kind.ends_with("List") {
        return None;
    }
    let Value::Mapping(entries) = &node.value else {
        return None;
    };
    let (_, items) = entries.iter().find(|(key, _)| key.name == "items")?;
    match &items.value {
        Value::Sequence(items) => Some(items.clone()),
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}

/// What every object begins with.
struct Head {
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
}

impl Head {
    fn read(root: &View<'_>) -> Option<Self> {
        let text = |view: View<'_>| view.text().unwrap_or_default().to_owned();
        let kind = text(root.get("kind"));
        let api_version = text(root.get("apiVersion"));
        if kind.is_empty() || api_version.is_empty() {
            root.error(
                "no-kubernetes-object",
                "a Kubernetes object has a kind and an apiVersion",
            );
            return None;
        }
        let metadata = root.get("metadata");
        Some(Self {
            api_version,
            kind,
            namespace: text(metadata.get("namespace")),
            name: text(metadata.get("name")),
        })
    }
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// Line and column.
    pub at: Position,
}

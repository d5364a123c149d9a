//! Kubernetes objects as they stand in files: many documents, lists of objects, any kind.

use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::yaml::{Limits, Node, Position, Value, from_json, parse_all};

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
    /// An object as an API server gives it, with its `kind` and its `apiVersion`. It stands in no file: the file is
    /// empty and all positions are 0.
    ///
    /// ```
    /// use elbow_manifest::Object;
    /// use serde_json::json;
    ///
    /// let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "a", "name": "minio"}});
    /// assert_eq!(Object::from_json(service)?.path(), "Service/a/minio");
    /// let nameless = json!({"apiVersion": "v1", "kind": "Service"});
    /// assert_eq!(Object::from_json(nameless).unwrap_err().code, "missing-field");
    /// # Ok::<(), elbow_model::diagnostic::Diagnostic>(())
    /// ```
    pub fn from_json(json: serde_json::Value) -> Result<Self, Diagnostic> {
        let file: Arc<str> = "".into();
        let name = named(&json);
        let node = from_json(json, Limits::OBJECTS)
            .map_err(|problem| problem.diagnostic(&file).object(name))?;
        let log = Log::new(file.clone(), "");
        let head = Head::read(&View::root(&node, &log));
        let mut found = log.into_found();
        match head {
            Some(head) if found.is_empty() => Self::new(node, head, file),
            _ => Err(found.swap_remove(0)),
        }
    }

    fn new(node: Node, head: Head, file: Arc<str>) -> Result<Self, Diagnostic> {
        if head.name.is_empty() {
            let message = format!("a {} needs metadata.name", head.kind);
            return Err(Diagnostic::error("missing-field", message)
                .at(&*file, node.at.line, node.at.column)
                .field("metadata.name"));
        }
        let namespace = match head.namespace {
            _ if CLUSTER_SCOPED.contains(&&*head.kind) => String::new(),
            namespace if namespace.is_empty() => "default".to_owned(),
            namespace => namespace,
        };
        Ok(Self {
            file,
            api_version: head.api_version,
            kind: head.kind,
            namespace,
            name: head.name,
            node,
        })
    }

    /// `kind/namespace/name`, as diagnostics name it.
    pub fn path(&self) -> String {
        path(&self.kind, &self.namespace, &self.name)
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

/// `kind/namespace/name`; of kinds without namespaces, `kind/name`.
pub(crate) fn path(kind: &str, namespace: &str, name: &str) -> String {
    match namespace.is_empty() {
        true => format!("{kind}/{name}"),
        false => format!("{kind}/{namespace}/{name}"),
    }
}

/// What an object calls itself, before it is known to be one.
fn named(json: &serde_json::Value) -> String {
    let text = |at: &str| json.pointer(at).and_then(|value| value.as_str());
    let text = |at| text(at).unwrap_or_default();
    path(
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name"),
    )
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
    let node = match items(node, &head) {
        Ok(items) => {
            for item in items {
                unfold(item, file, objects, found);
            }
            return;
        }
        Err(node) => node,
    };
    match Object::new(node, head, file.clone()) {
        Ok(object) => objects.push(object),
        Err(nameless) => found.push(nameless),
    }
}

/// The items of a `List`, `ServiceList`, ..., or the node itself if it is not a list. Moved, not copied: lists may
/// hold lists.
fn items(mut node: Node, head: &Head) -> Result<Vec<Node>, Node> {
    if head.kind.ends_with("List")
        && let Value::Mapping(entries) = &mut node.value
        && let Some((_, items)) = entries.iter_mut().find(|(key, _)| key.name == "items")
    {
        match &mut items.value {
            Value::Sequence(items) => return Ok(std::mem::take(items)),
            Value::Null => return Ok(Vec::new()),
            _ => {}
        }
    }
    Err(node)
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

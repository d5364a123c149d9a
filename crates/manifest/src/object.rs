//! Kubernetes objects of any kind, read from files with several documents and lists of objects.

use std::sync::Arc;

use elbow_model::Origin;
use elbow_model::diagnostic::Diagnostic;
use elbow_yaml::{Key, Limits, Node, Position, Problem, Value, from_json, parse_all};
use serde::de::IgnoredAny;

use crate::view::{Log, View};

/// An object of any kind, with its place.
#[derive(Clone, Debug)]
pub struct Object {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// `apps/v1`, `v1`.
    pub api_version: String,
    /// `Service`.
    pub kind: String,
    /// Its namespace, `default` when none is written; empty for kinds without namespaces.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The whole object.
    pub node: Node,
}

impl Object {
    /// An object of a live cluster, with its `kind` and `apiVersion`. It has no file: the file is empty and all
    /// positions are 0.
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

    /// The API group, for example `networking.k8s.io`; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// Whether it was read from a file, and not from a live cluster.
    pub fn is_from_file(&self) -> bool {
        !self.file.is_empty()
    }

    /// A log for findings in this object.
    pub fn log(&self) -> Log {
        Log::new(self.file.clone(), self.path())
    }

    /// Its place.
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
    if namespace.is_empty() {
        format!("{kind}/{name}")
    } else {
        format!("{kind}/{namespace}/{name}")
    }
}

/// The path of an object, before it is known to be valid.
fn named(json: &serde_json::Value) -> String {
    let text = |at: &str| json.pointer(at).and_then(|value| value.as_str());
    let text = |at| text(at).unwrap_or_default();
    path(
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name"),
    )
}

/// The kinds without namespaces, of those that are read.
const CLUSTER_SCOPED: &[&str] = &["IngressClass", "IngressClassParams", "Namespace", "Node"];

/// Every object in `text`, which came from `file`: all documents, JSON or YAML, and the items of
/// lists. What cannot be read is reported; the objects before it are still returned.
///
/// ```
/// let text = "apiVersion: v1\nkind: Service\nmetadata: {name: minio}\n---\n";
/// let (objects, found) = elbow_manifest::read(text, "minio.yaml");
/// assert!(found.is_empty());
/// assert_eq!(objects[0].path(), "Service/default/minio");
/// ```
pub fn read(text: &str, file: &str) -> (Vec<Object>, Vec<Diagnostic>) {
    let file: Arc<str> = file.into();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (documents, problems) = parse_all(text, Limits::OBJECTS);
    if !problems.is_empty()
        && let Some(starts) = json_documents(text)
    {
        return read_json(text, &starts, &file);
    }
    let (mut objects, mut found) = (Vec::new(), Vec::new());
    for node in documents {
        unfold(node, &file, &mut objects, &mut found);
    }
    let problems = problems
        .iter()
        .filter(|problem| is_of_interest(problem, &objects));
    let problems: Vec<_> = problems.map(|problem| problem.diagnostic(&file)).collect();
    found.splice(0..0, problems);
    (objects, found)
}

/// Whether a problem may matter: kubectl takes the last of repeated fields, and the objects of kinds that nobody reads here are
/// as good as it takes them.
fn is_of_interest(problem: &Problem, objects: &[Object]) -> bool {
    let place = |at: Position| (at.line, at.column);
    let before = objects.partition_point(|object| place(object.node.at) <= place(problem.at));
    let object = before.checked_sub(1).and_then(|index| objects.get(index));
    problem.code != "duplicate-field"
        || object.is_none_or(|object| elbow_schema::knows(&object.api_version, &object.kind))
}

/// Where the documents of a JSON text start, if there are several: JSON needs no mark between them, and YAML does.
fn json_documents(text: &str) -> Option<Vec<usize>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut starts = vec![0];
    while let Some(document) = stream.next() {
        document.ok()?;
        starts.push(stream.byte_offset());
    }
    (starts.len() > 2).then_some(starts)
}

/// The objects of a text with several JSON documents, which start at `starts`; the last of these is the end.
fn read_json(text: &str, starts: &[usize], file: &Arc<str>) -> (Vec<Object>, Vec<Diagnostic>) {
    let (mut objects, mut found) = (Vec::new(), Vec::new());
    let mut line = 0;
    for document in starts.windows(2) {
        let part = &text[document[0]..document[1]];
        let (nodes, problems) = parse_all(part, Limits::OBJECTS);
        found.extend(problems.iter().map(|problem| {
            let mut found = problem.diagnostic(file);
            found.line += line;
            found
        }));
        for mut node in nodes {
            lower(&mut node, line);
            unfold(node, file, &mut objects, &mut found);
        }
        let lines = part.matches('\n').count();
        line += u32::try_from(lines).unwrap_or(u32::MAX);
    }
    (objects, found)
}

/// Moves the positions of a tree down by some lines.
fn lower(node: &mut Node, lines: u32) {
    node.at.line += lines;
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| lower(item, lines)),
        Value::Mapping(fields) => {
            for (key, value) in fields {
                key.at.line += lines;
                lower(value, lines);
            }
        }
    }
}

/// One document: an object, or a list of them.
fn unfold(node: Node, file: &Arc<str>, objects: &mut Vec<Object>, found: &mut Vec<Diagnostic>) {
    let log = Log::new(file.clone(), "");
    let head = Head::read(&View::root(&node, &log));
    found.extend(log.into_found());
    let Some(head) = head else { return };
    let node = match items(node, &head) {
        Ok(items) => {
            for mut item in items {
                head.give_to(&mut item);
                unfold(item, file, objects, found);
            }
            return;
        }
        Err(node) => node,
    };
    if is_kustomization(&head) {
        found.push(kustomization(&node, &head, file));
        return;
    }
    // A Job may have generateName, and files of programs look like objects.
    let is_read = elbow_schema::knows(&head.api_version, &head.kind);
    match Object::new(node, head, file.clone()) {
        Ok(object) => objects.push(object),
        Err(nameless) if is_read => found.push(nameless),
        Err(_) => {}
    }
}

/// Whether an object is a file of Kustomize, which has no metadata.
fn is_kustomization(head: &Head) -> bool {
    let is_kind = matches!(&*head.kind, "Kustomization" | "Component");
    is_kind && head.api_version.starts_with("kustomize.config.k8s.io/")
}

fn kustomization(node: &Node, head: &Head, file: &str) -> Diagnostic {
    let message = format!(
        "skipped a {} of Kustomize, which is no object; build its folder first",
        head.kind
    );
    Diagnostic::warning("kustomization-not-built", message)
        .at(file, node.at.line, node.at.column)
        .hint("-f DIR, or kubectl kustomize DIR | elbow check -f -")
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

/// The fields that every object has.
struct Head {
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
}

impl Head {
    /// Gives an item of this list the kind and the version that it lacks: an API server writes those of a `ServiceList`
    /// once, at the list.
    fn give_to(&self, item: &mut Node) {
        let kind = self
            .kind
            .strip_suffix("List")
            .filter(|kind| !kind.is_empty());
        let (Some(kind), Value::Mapping(fields)) = (kind, &mut item.value) else {
            return;
        };
        for (name, value) in [("kind", kind), ("apiVersion", &self.api_version)] {
            if fields.iter().all(|(key, _)| key.name != name) {
                let at = item.at;
                let key = Key {
                    at,
                    name: name.to_owned(),
                };
                let node = Node {
                    at,
                    plain: false,
                    value: Value::Scalar(value.to_owned()),
                };
                fields.push((key, node));
            }
        }
    }

    fn read(root: &View<'_>) -> Option<Self> {
        let text = |view: View<'_>| view.text().unwrap_or_default().to_owned();
        let kind = text(root.get("kind"));
        let api_version = text(root.get("apiVersion"));
        if kind.is_empty() || api_version.is_empty() {
            root.error(
                "no-kubernetes-object",
                "a Kubernetes object needs kind and apiVersion",
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

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// Line and column.
    pub at: Position,
}

impl Place {
    /// The origin of a value at this place: a field of an object, or the object itself when `field` is empty.
    pub(crate) fn origin(&self, object: &Arc<str>, field: Arc<str>) -> Origin {
        Origin {
            file: self.file.clone(),
            line: self.at.line,
            column: self.at.column,
            object: object.clone(),
            field,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<(String, u32)> {
        let (objects, found) = read(text, "a");
        assert!(found.is_empty(), "{found:?}");
        objects
            .iter()
            .map(|one| (one.path(), one.node.at.line))
            .collect()
    }

    /// `kubectl get --raw` and programs that print one object after another.
    #[test]
    fn json_documents_need_no_mark_between_them() {
        let one = |name: &str| {
            format!(
                r#"{{"apiVersion": "v1", "kind": "Service", "metadata": {{"name": "{name}"}}}}"#
            )
        };
        let expected = [
            ("Service/default/a".to_owned(), 1),
            ("Service/default/b".to_owned(), 2),
        ];
        assert_eq!(
            places(&format!("\u{feff}{}\n{}\n", one("a"), one("b"))),
            expected
        );
        assert_eq!(
            places(&format!("{}{}", one("a"), one("b")))[1].0,
            "Service/default/b"
        );
        let (_, found) = read(&format!("{}\n{{", one("a")), "a");
        assert_eq!(found.len(), 1, "{found:?}");
    }

    /// Charts that are published have such labels, and install.
    #[test]
    fn repeated_fields_of_kinds_that_nobody_reads_are_no_errors() {
        let of = |kind: &str| {
            let text =
                format!("apiVersion: {kind}\nmetadata: {{name: a, labels: {{a: b, a: b}}}}\n");
            let (objects, found) = read(&text, "a");
            let codes: Vec<&str> = found.iter().map(|one| one.code).collect();
            (objects.len(), codes)
        };
        assert_eq!(of("apps/v1\nkind: DaemonSet"), (1, vec![]));
        assert_eq!(of("v1\nkind: Service"), (1, vec!["duplicate-field"]));
    }

    #[test]
    fn objects_of_kinds_that_nobody_reads_need_no_name() {
        let of = |kind: &str| {
            let text = format!("apiVersion: {kind}\nmetadata: {{generateName: a-}}\n");
            let (objects, found) = read(&text, "a");
            (objects.len(), found.len())
        };
        assert_eq!(of("batch/v1\nkind: Job"), (0, 0));
        assert_eq!(of("v1\nkind: Service"), (0, 1));
    }

    #[test]
    fn items_of_a_list_get_its_kind() {
        let list = "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a}\n";
        assert_eq!(places(list), [("Service/default/a".to_owned(), 4)]);
        let (_, found) = read(
            "apiVersion: v1\nkind: List\nitems:\n- metadata: {name: a}\n",
            "a",
        );
        assert_eq!(found[0].code, "no-kubernetes-object");
    }

    #[test]
    fn kustomization_is_no_nameless_object() {
        let text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
        let (objects, found) = read(text, "a");
        assert_eq!(
            (objects.len(), found[0].code),
            (0, "kustomization-not-built")
        );
    }
}

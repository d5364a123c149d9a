//! Objects that a program built from other files. Their positions in its output help nobody, so they get better places.

use std::collections::HashMap;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_yaml::{Node, Position, Value};

use crate::object::{Object, read};

/// No position: the whole file.
const NOWHERE: Position = Position { line: 0, column: 0 };

/// What Helm writes before each object: the template that it is from.
const SOURCE: &str = "# Source: ";

/// The objects in the output of Kustomize. Each stands where its `sources` have it, if one of them has an object of the
/// kind and name that it is made of, otherwise in `file` as a whole.
///
/// ```
/// use elbow_manifest::{built, read};
///
/// let base = "kind: Service\napiVersion: v1\nmetadata: {name: web}\nspec:\n  ports: []\n";
/// let (sources, _) = read(base, "base.yaml");
/// let output = "apiVersion: v1\nkind: Service\nmetadata:\n  name: dev-web\nspec:\n  ports: []\n";
/// let (objects, _) = built::kustomized(output, "kustomization.yaml", &sources);
/// assert_eq!((&*objects[0].file, objects[0].node.at.line), ("base.yaml", 1));
/// let (objects, _) = built::kustomized(output, "kustomization.yaml", &[]);
/// assert_eq!((&*objects[0].file, objects[0].node.at.line), ("kustomization.yaml", 0));
/// ```
pub fn kustomized(text: &str, file: &str, sources: &[Object]) -> (Vec<Object>, Vec<Diagnostic>) {
    let (mut objects, mut found) = read(text, file);
    let mut by_kind: HashMap<&str, Vec<&Object>> = HashMap::new();
    for source in sources {
        by_kind.entry(&source.kind).or_default().push(source);
    }
    for object in &mut objects {
        let same_kind = by_kind.get(&*object.kind).map_or(&[][..], Vec::as_slice);
        match source_of(object, same_kind) {
            Some(source) => {
                object.file = source.file.clone();
                place(&mut object.node, &source.node);
            }
            None => lift(&mut object.node, NOWHERE),
        }
    }
    found.iter_mut().for_each(unplace);
    (objects, found)
}

/// The objects in the output of `helm template`. Each is in the template that Helm names. An object without a namespace
/// belongs to `namespace`, that of the release.
///
/// ```
/// let output = "---\n# Source: web/templates/svc.yaml\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n";
/// let (objects, _) = elbow_manifest::built::rendered(output, "charts/web", "shop");
/// assert_eq!(objects[0].path(), "Service/shop/web");
/// assert_eq!((&*objects[0].file, objects[0].node.at.line), ("charts/web/templates/svc.yaml", 0));
/// ```
pub fn rendered(text: &str, chart: &str, namespace: &str) -> (Vec<Object>, Vec<Diagnostic>) {
    let (mut objects, mut found) = read(text, chart);
    let templates: Vec<(u32, Arc<str>)> = (1..)
        .zip(text.lines())
        .filter_map(|(line, text)| Some((line, template(chart, text.strip_prefix(SOURCE)?))))
        .collect();
    let template_at = |line: u32| {
        let after = templates.partition_point(|(at, _)| *at <= line);
        after.checked_sub(1).and_then(|index| templates.get(index))
    };
    for object in &mut objects {
        if let Some((_, file)) = template_at(object.node.at.line) {
            object.file = file.clone();
        }
        lift(&mut object.node, NOWHERE);
        if !object.namespace.is_empty() && !has_namespace(&object.node) {
            namespace.clone_into(&mut object.namespace);
        }
    }
    for one in &mut found {
        if let Some((_, file)) = template_at(one.line) {
            one.file = file.to_string();
        }
        unplace(one);
    }
    (objects, found)
}

/// The path of a template that Helm calls `chart/templates/a.yaml`; subcharts keep their folders.
fn template(chart: &str, source: &str) -> Arc<str> {
    let chart = chart.trim_end_matches('/');
    match source.split_once('/') {
        Some((_, within)) => format!("{chart}/{within}").into(),
        None => chart.into(),
    }
}

fn has_namespace(object: &Node) -> bool {
    let namespace = field(object, "metadata").and_then(|metadata| field(metadata, "namespace"));
    matches!(namespace.map(|one| &one.value), Some(Value::Scalar(name)) if !name.is_empty())
}

fn unplace(found: &mut Diagnostic) {
    (found.line, found.column) = (0, 0);
}

/// The source that an object is made of: of its kind, with its name but for a prefix and a suffix; of several, the one
/// that shares most values with it, because a patch has the name of its object too.
fn source_of<'a>(object: &Object, sources: &[&'a Object]) -> Option<&'a Object> {
    let named = sources.iter().filter(|source| {
        object.name == source.name || !source.name.is_empty() && object.name.contains(&*source.name)
    });
    let best = named.max_by_key(|source| {
        let is_same = object.name == source.name && object.group() == source.group();
        (is_same, shared(&object.node, &source.node))
    });
    best.copied()
}

/// How many values two trees share.
fn shared(one: &Node, other: &Node) -> usize {
    match (&one.value, &other.value) {
        (Value::Scalar(one), Value::Scalar(other)) => usize::from(one == other),
        (Value::Sequence(one), Value::Sequence(other)) => {
            let pairs = one.iter().zip(other);
            pairs.map(|(one, other)| shared(one, other)).sum()
        }
        (Value::Mapping(fields), Value::Mapping(_)) => {
            let pairs = fields
                .iter()
                .filter_map(|(key, one)| Some((one, field(other, &key.name)?)));
            pairs.map(|(one, other)| shared(one, other)).sum()
        }
        _ => 0,
    }
}

/// Gives the values of a tree their positions in `source`. A value that is not there stands where what holds it does.
fn place(node: &mut Node, source: &Node) {
    node.at = source.at;
    match (&mut node.value, &source.value) {
        (Value::Sequence(items), Value::Sequence(sources)) => {
            for (index, item) in items.iter_mut().enumerate() {
                match sources.get(index) {
                    Some(source) => place(item, source),
                    None => lift(item, source.at),
                }
            }
        }
        (Value::Mapping(fields), Value::Mapping(sources)) => {
            for (key, value) in fields {
                let of_key = sources.iter().find(|(other, _)| other.name == key.name);
                match of_key {
                    Some((other, source)) => {
                        key.at = other.at;
                        place(value, source);
                    }
                    None => {
                        key.at = source.at;
                        lift(value, source.at);
                    }
                }
            }
        }
        _ => lift(node, source.at),
    }
}

/// Gives a tree one position.
fn lift(node: &mut Node, at: Position) {
    node.at = at;
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| lift(item, at)),
        Value::Mapping(fields) => {
            for (key, value) in fields {
                key.at = at;
                lift(value, at);
            }
        }
    }
}

fn field<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let Value::Mapping(fields) = &node.value else {
        return None;
    };
    let mut fields = fields.iter();
    fields.find_map(|(key, field)| (key.name == name).then_some(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_stands_in_its_base_and_not_in_its_patch() {
        let base = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    a: b
spec:
  ingressClassName: alb
  rules:
  - host: a.example
";
        let patch = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\nspec: {ingressClassName: x}\n";
        let (mut sources, _) = read(base, "base/web.yaml");
        sources.extend(read(patch, "patch.yaml").0);
        let output = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  annotations:
    a: b
    c: d
  labels: {app: web}
  name: web
spec:
  ingressClassName: x
  rules:
  - host: a.example
  - host: b.example
";
        let (objects, found) = kustomized(output, "kustomization.yaml", &sources);
        assert!(found.is_empty());
        let object = &objects[0];
        assert_eq!(&*object.file, "base/web.yaml");
        let line = |path: &[&str]| {
            let at = path
                .iter()
                .fold(&object.node, |node, name| field(node, name).unwrap());
            at.at.line
        };
        assert_eq!(line(&["metadata", "annotations", "a"]), 6);
        assert_eq!(
            line(&["metadata", "annotations", "c"]),
            6,
            "the annotations"
        );
        assert_eq!(line(&["metadata", "labels", "app"]), 4, "the metadata");
        assert_eq!(line(&["spec", "ingressClassName"]), 8);
        let rules = field(field(&object.node, "spec").unwrap(), "rules").unwrap();
        let Value::Sequence(rules) = &rules.value else {
            panic!()
        };
        let lines: Vec<u32> = rules.iter().map(|rule| rule.at.line).collect();
        assert_eq!(lines, [10, 10]);
    }

    #[test]
    fn templates_of_subcharts_are_named() {
        let text = "\
# Source: top/templates/a.yaml
apiVersion: v1
kind: Service
metadata: {name: a, namespace: own}
---
# Source: top/charts/sub/templates/b.yaml
apiVersion: v1
kind: Namespace
metadata: {name: b}
---
# Source: top/templates/c.yaml
apiVersion: v1
";
        let (objects, found) = rendered(text, "charts/top/", "shop");
        let places: Vec<(&str, String)> =
            objects.iter().map(|one| (&*one.file, one.path())).collect();
        let expected = [
            ("charts/top/templates/a.yaml", "Service/own/a".to_owned()),
            (
                "charts/top/charts/sub/templates/b.yaml",
                "Namespace/b".to_owned(),
            ),
        ];
        assert_eq!(places, expected);
        assert_eq!(
            (&*found[0].file, found[0].line),
            ("charts/top/templates/c.yaml", 0)
        );
    }
}

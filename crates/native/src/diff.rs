//! Differences between two models.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use elbow_model::{Changed, Model, changed, stable_id};

/// One difference between two models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `load balancer`, `listener`, `rule`, `instance`, `target group`, `target`, `certificate`, `trust store` or
    /// `public key`.
    pub kind: &'static str,
    /// `web` (a name), `web:443` (a listener), `web:443/10` (a rule), `pods/10.0.0.1:80` (a target).
    pub name: String,
    /// What happened to it.
    pub action: ChangeAction,
}

/// What happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeAction {
    /// It is new.
    Added,
    /// It is not there any more.
    Removed,
    /// One of its fields has another value.
    Changed {
        /// As in the native file; `attributes.KEY` for an attribute.
        field: String,
        /// The old value as in the native file; empty: the field was not there.
        from: String,
        /// The new value as in the native file; empty: the field is not there any more.
        to: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, .. } = self;
        match &self.action {
            ChangeAction::Added => write!(f, "{kind} {name} added"),
            ChangeAction::Removed => write!(f, "{kind} {name} removed"),
            ChangeAction::Changed { field, from, to } if from.is_empty() => {
                write!(f, "{kind} {name}: {field} set to {to}")
            }
            ChangeAction::Changed { field, from, to } if to.is_empty() => {
                write!(f, "{kind} {name}: {field} unset from {from}")
            }
            ChangeAction::Changed { field, from, to } => {
                write!(f, "{kind} {name}: {field} changed from {from} to {to}")
            }
        }
    }
}

/// Counts `changes` for people, e.g. `1 listener added, 2 targets removed`. An object with several changed fields counts
/// once. Without changes, the summary is `nothing changed`.
///
/// ```
/// use elbow_native::{Change, ChangeAction, summary};
///
/// let change = |name: &str, action| Change { kind: "target", name: name.to_owned(), action };
/// let changes = [change("a", ChangeAction::Added), change("b", ChangeAction::Added)];
/// assert_eq!(summary(&changes), "2 targets added");
/// assert_eq!(summary(&[]), "nothing changed");
/// ```
pub fn summary(changes: &[Change]) -> String {
    let mut objects: Vec<(usize, &str, usize, &str, &str)> = changes
        .iter()
        .map(|change| {
            let place = KINDS.iter().position(|kind| *kind == change.kind);
            let (order, word) = change.action.word();
            let place = place.unwrap_or(KINDS.len());
            (place, change.kind, order, word, &*change.name)
        })
        .collect();
    objects.sort_unstable();
    objects.dedup();
    let parts = objects.chunk_by(|a, b| (a.0, a.2) == (b.0, b.2));
    let parts: Vec<String> = parts
        .filter_map(|part| {
            let (_, kind, _, word, _) = part.first()?;
            let s = if part.len() == 1 { "" } else { "s" };
            Some(format!("{} {kind}{s} {word}", part.len()))
        })
        .collect();
    if parts.is_empty() {
        "nothing changed".to_owned()
    } else {
        parts.join(", ")
    }
}

/// The order of a summary: from load balancers to their parts.
const KINDS: [&str; 9] = [
    "load balancer",
    "listener",
    "rule",
    "target group",
    "target",
    "instance",
    "certificate",
    "trust store",
    "public key",
];

impl ChangeAction {
    /// Its order in a summary, and its word there.
    fn word(&self) -> (usize, &'static str) {
        match self {
            Self::Added => (0, "added"),
            Self::Removed => (1, "removed"),
            Self::Changed { .. } => (2, "changed"),
        }
    }
}

/// The differences between two models, by kind and name. The parts of an object that was added or removed are listed,
/// too.
///
/// ```
/// use elbow_model::Model;
/// use elbow_native::diff;
///
/// let group = |port| {
///     let text = format!("targetGroups: [{{name: pods, protocol: TCP, port: {port}}}]");
///     elbow_native::parse(&text, "a.yaml").0.unwrap()
/// };
/// let changes = diff(&group(80), &group(81));
/// assert_eq!(changes[0].to_string(), "target group pods: port changed from 80 to 81");
/// assert_eq!(diff(&Model::default(), &group(80))[0].to_string(), "target group pods added");
/// ```
pub fn diff(old: &Model, new: &Model) -> Vec<Change> {
    let balancers = changed(&old.load_balancers, &new.load_balancers, |lb| &lb.name);
    let groups = changed(&old.target_groups, &new.target_groups, |g| &g.name);
    let certificates = changed(&old.certificates, &new.certificates, |c| &c.name);
    // Only objects that changed are rendered and compared.
    let (mut was, mut is) = (Model::default(), Model::default());
    was.load_balancers = before(&balancers);
    was.target_groups = before(&groups);
    was.certificates = before(&certificates);
    is.load_balancers = after(&balancers);
    is.target_groups = after(&groups);
    is.certificates = after(&certificates);
    diff_rendered(&crate::render(&was), &crate::render(&is))
}

fn before<T>(changed: &Changed<'_, T>) -> Vec<Arc<T>> {
    let set = changed.set.iter().filter_map(|(before, _)| *before);
    changed.gone.iter().copied().chain(set).cloned().collect()
}

fn after<T>(changed: &Changed<'_, T>) -> Vec<Arc<T>> {
    let set = changed.set.iter();
    set.map(|(_, after)| Arc::clone(after)).collect()
}

/// Like [`diff`], of models that [`crate::render`] wrote: a running elbow shows its model so.
pub fn diff_rendered(old: &Value, new: &Value) -> Vec<Change> {
    let (old, new) = (Objects::of(old), Objects::of(new));
    let mut changes = Vec::new();
    for (key, fields) in &old.0 {
        match new.0.get(key) {
            Some(now) => compare(key, fields, now, &mut changes),
            None => changes.push(key.change(ChangeAction::Removed)),
        }
    }
    let added = new.0.keys().filter(|key| !old.0.contains_key(key));
    changes.extend(added.map(|key| key.change(ChangeAction::Added)));
    changes
}

fn compare(key: &Key, old: &Fields, new: &Fields, changes: &mut Vec<Change>) {
    let gone = old.keys().filter(|field| !new.contains_key(*field));
    for field in new.keys().chain(gone) {
        let value = |fields: &Fields| fields.get(field).cloned().unwrap_or_default();
        let (from, to) = (value(old), value(new));
        if from != to {
            changes.push(key.change(ChangeAction::Changed {
                field: field.clone(),
                from,
                to,
            }));
        }
    }
}

type Fields = BTreeMap<String, String>;

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: &'static str,
    name: String,
}

impl Key {
    fn change(&self, action: ChangeAction) -> Change {
        Change {
            kind: self.kind,
            name: self.name.clone(),
            action,
        }
    }
}

/// Every object of a model with its own fields, named as in the native file.
struct Objects(BTreeMap<Key, Fields>);

impl Objects {
    fn of(file: &Value) -> Self {
        let mut objects = Self(BTreeMap::new());
        for item in list(file, "loadBalancers") {
            let name = text(item, "name");
            objects.add(
                "load balancer",
                name.clone(),
                item,
                &["listeners", "instances"],
            );
            for item in list(item, "instances") {
                let id = text(item, "id");
                // Several instances of one host differ in their ports.
                let ports = item.get("ports").map(|ports| format!(" {ports}"));
                let name = format!("{name}/{id}{}", ports.unwrap_or_default());
                objects.add("instance", name, item, &[]);
            }
            for item in list(item, "listeners") {
                let name = format!("{name}:{}", text(item, "port"));
                objects.add("listener", name.clone(), item, &["rules"]);
                for item in list(item, "rules") {
                    let name = format!("{name}/{}", text(item, "priority"));
                    objects.add("rule", name, item, &[]);
                }
            }
        }
        for item in list(file, "targetGroups") {
            let name = text(item, "name");
            objects.add("target group", name.clone(), item, &["targets"]);
            for item in list(item, "targets") {
                let name = format!("{name}/{}:{}", text(item, "id"), text(item, "port"));
                objects.add("target", name, item, &[]);
            }
        }
        for item in list(file, "certificates") {
            let mut item = item.clone();
            if let Some(chain) = item.get_mut("certificate") {
                // A chain has many lines; its fingerprint is enough to tell that it changed.
                *chain = format!("PEM {}", stable_id(&plain(chain))).into();
            }
            objects.add("certificate", text(&item, "name"), &item, &[]);
        }
        objects
    }

    /// Adds the fields of `item` except `children`, which are objects of their own.
    fn add(&mut self, kind: &'static str, name: String, item: &Value, children: &[&str]) {
        let mut fields = Fields::new();
        for (field, value) in item.as_object().into_iter().flatten() {
            match value {
                _ if children.contains(&field.as_str()) => {}
                Value::Object(inner) => {
                    let inner = inner
                        .iter()
                        .map(|(k, v)| (format!("{field}.{k}"), plain(v)));
                    fields.extend(inner);
                }
                value => {
                    fields.insert(field.clone(), plain(value));
                }
            }
        }
        self.0.insert(Key { kind, name }, fields);
    }
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    let items = value.get(field).and_then(Value::as_array);
    items.into_iter().flatten()
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).map(plain).unwrap_or_default()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests;

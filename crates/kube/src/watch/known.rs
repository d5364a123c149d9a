//! The known objects of a kind with their versions; differences of a new list follow from them.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::kinds::Kind;
use super::{Update, trim};

/// Namespace and name.
pub(super) type Key = (String, String);

/// The objects of a kind that have been reported.
pub(super) struct Known {
    kind: &'static Kind,
    versions: HashMap<Key, Box<str>>,
    /// The newest version seen of any object of the kind.
    newest: u64,
}

/// The differences of a new list.
#[derive(Default)]
pub(super) struct Relist {
    seen: HashSet<Key>,
    changed: Vec<Value>,
}

impl Known {
    pub(super) fn new(kind: &'static Kind) -> Self {
        Self {
            kind,
            versions: HashMap::new(),
            newest: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.versions.len()
    }

    /// Records that the kind has reached this version.
    pub(super) fn reached(&mut self, version: &str) {
        // With etcd versions are numbers; other versions cannot be compared.
        self.newest = self.newest.max(version.parse().unwrap_or(0));
    }

    /// Whether a list of this version is older than what is known, as a list from a cache can be.
    pub(super) fn is_stale(&self, version: &str) -> bool {
        version
            .parse::<u64>()
            .is_ok_and(|version| version < self.newest)
    }

    /// Records an object; `None` if this version is already known.
    pub(super) fn set(&mut self, object: Value) -> Option<Update> {
        let key = key(&object);
        let version = version(&object);
        if !version.is_empty()
            && self
                .versions
                .get(&key)
                .is_some_and(|known| **known == *version)
        {
            return None;
        }
        self.reached(version);
        let version = version.into();
        self.versions.insert(key, version);
        Some(Update::Applied(self.trimmed(object)))
    }

    /// Records a deletion; `None` if the object is not known.
    pub(super) fn delete(&mut self, object: &Value) -> Option<Update> {
        self.reached(version(object));
        let key = key(object);
        self.versions.remove(&key)?;
        Some(Update::Deleted(self.kind.identity(key)))
    }

    /// Deletes all objects: the kind no longer exists.
    pub(super) fn delete_all(&mut self) -> Vec<Update> {
        let gone = std::mem::take(&mut self.versions).into_keys();
        gone.map(|key| Update::Deleted(self.kind.identity(key)))
            .collect()
    }

    /// Adds an object to a new list; nothing takes effect before [`Known::finish`].
    pub(super) fn note(&self, relist: &mut Relist, object: Value) {
        let key = key(&object);
        let known = self.versions.get(&key);
        let same = known.is_some_and(|known| **known == *version(&object));
        if !same {
            relist.changed.push(object);
        }
        relist.seen.insert(key);
    }

    /// Applies a complete new list; returns the differences.
    pub(super) fn finish(&mut self, relist: Relist) -> Vec<Update> {
        let Relist { seen, changed } = relist;
        let gone: Vec<Key> = {
            let known = self.versions.keys();
            known.filter(|key| !seen.contains(key)).cloned().collect()
        };
        let mut updates: Vec<_> = changed
            .into_iter()
            .filter_map(|object| self.set(object))
            .collect();
        for key in gone {
            self.versions.remove(&key);
            updates.push(Update::Deleted(self.kind.identity(key)));
        }
        updates
    }

    /// Accepts older lists again: they come from a cache, or from a cluster that was restored from a backup.
    pub(super) fn forget_newest(&mut self) {
        self.newest = 0;
    }

    fn trimmed(&self, mut object: Value) -> Value {
        if let Some(map) = object.as_object_mut() {
            trim::any(map);
            (self.kind.trim)(map);
            // The items of a list do not carry their kind.
            map.insert("kind".to_owned(), self.kind.name.into());
            map.insert("apiVersion".to_owned(), self.kind.api_version().into());
        }
        object
    }
}

impl Relist {
    /// Removes an object that is deleted while the list is read.
    pub(super) fn delete(&mut self, object: &Value) {
        let key = key(object);
        self.changed.retain(|changed| self::key(changed) != key);
        self.seen.remove(&key);
    }
}

fn key(object: &Value) -> Key {
    let metadata = &object["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kinds::KINDS;
    use super::*;

    fn node(name: &str, version: &str) -> Value {
        json!({"metadata": {"name": name, "resourceVersion": version}})
    }

    fn known() -> Known {
        let kind = KINDS.iter().find(|kind| kind.name == "Node").unwrap();
        let mut known = Known::new(kind);
        for name in ["a", "b", "c"] {
            assert!(known.set(node(name, "1")).is_some());
        }
        known
    }

    fn names(updates: Vec<Update>) -> Vec<String> {
        let name = |update: Update| match update {
            Update::Applied(object) => {
                format!("applied {}", object["metadata"]["name"].as_str().unwrap())
            }
            Update::Deleted(identity) => format!("deleted {}", identity.name),
            Update::State(..) => unreachable!(),
        };
        updates.into_iter().map(name).collect()
    }

    #[test]
    fn relist_reports_only_differences() {
        let mut known = known();
        let mut relist = Relist::default();
        known.note(&mut relist, node("a", "1"));
        known.note(&mut relist, node("b", "2"));
        known.note(&mut relist, node("d", "2"));
        assert_eq!(
            names(known.finish(relist)),
            ["applied b", "applied d", "deleted c"]
        );
        assert_eq!(known.len(), 3);
    }

    #[test]
    fn object_deleted_during_a_relist_is_deleted() {
        let mut known = known();
        let mut relist = Relist::default();
        for name in ["a", "b", "c", "d"] {
            known.note(&mut relist, node(name, "2"));
        }
        for name in ["a", "d"] {
            relist.delete(&node(name, "3"));
        }
        assert_eq!(
            names(known.finish(relist)),
            ["applied b", "applied c", "deleted a"]
        );
    }

    #[test]
    fn same_version_is_reported_once() {
        let mut known = known();
        assert!(known.set(node("a", "1")).is_none());
        assert!(known.set(node("a", "2")).is_some());
        assert!(known.delete(&node("a", "3")).is_some());
        assert!(known.delete(&node("a", "3")).is_none());
    }

    #[test]
    fn list_older_than_known_objects_is_stale() {
        let mut known = known();
        known.reached("17");
        assert!(known.is_stale("16"));
        assert!(!known.is_stale("17"));
        assert!(!known.is_stale("not a number"));
        known.forget_newest();
        assert!(!known.is_stale("3"));
    }
}

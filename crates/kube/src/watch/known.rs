//! Which objects of a kind are known, at which version: what a new list says differently follows from that.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::kinds::Kind;
use super::{Told, trim};

/// Namespace and name.
pub(super) type Key = (String, String);

/// The objects of a kind that have been told of.
pub(super) struct Known {
    kind: &'static Kind,
    versions: HashMap<Key, Box<str>>,
    /// The newest version that was seen of anything of the kind.
    newest: u64,
}

/// What a new list differs in.
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

    /// Something of the kind has this version.
    pub(super) fn reached(&mut self, version: &str) {
        // Versions are numbers wherever etcd is behind them; others cannot be compared.
        self.newest = self.newest.max(version.parse().unwrap_or(0));
    }

    /// Whether a list of this version is older than what is known, as one from a cache can be.
    pub(super) fn is_stale(&self, version: &str) -> bool {
        version
            .parse::<u64>()
            .is_ok_and(|version| version < self.newest)
    }

    /// The object is so; `None` when that is known.
    pub(super) fn set(&mut self, object: Value) -> Option<Told> {
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
        Some(Told::Set(self.trimmed(object)))
    }

    /// The object is there no longer; `None` when that is known.
    pub(super) fn gone(&mut self, object: &Value) -> Option<Told> {
        self.reached(version(object));
        let key = key(object);
        self.versions.remove(&key)?;
        Some(Told::Gone(self.kind.identity(key)))
    }

    /// All objects are gone: the kind is.
    pub(super) fn all_gone(&mut self) -> Vec<Told> {
        let gone = std::mem::take(&mut self.versions).into_keys();
        gone.map(|key| Told::Gone(self.kind.identity(key)))
            .collect()
    }

    /// Takes note of an object of a new list, in which nothing counts before its end.
    pub(super) fn note(&self, relist: &mut Relist, object: Value) {
        let key = key(&object);
        let known = self.versions.get(&key);
        let same = known.is_some_and(|known| **known == *version(&object));
        if !same {
            relist.changed.push(object);
        }
        relist.seen.insert(key);
    }

    /// The end of a new list: what is to be told.
    pub(super) fn finish(&mut self, relist: Relist) -> Vec<Told> {
        let Relist { seen, changed } = relist;
        let gone: Vec<Key> = {
            let known = self.versions.keys();
            known.filter(|key| !seen.contains(key)).cloned().collect()
        };
        let mut told: Vec<_> = changed
            .into_iter()
            .filter_map(|object| self.set(object))
            .collect();
        for key in gone {
            self.versions.remove(&key);
            told.push(Told::Gone(self.kind.identity(key)));
        }
        told
    }

    /// A cache, or a cluster that was restored from a backup: what is known counts no longer as the newest.
    pub(super) fn forget_newest(&mut self) {
        self.newest = 0;
    }

    fn trimmed(&self, mut object: Value) -> Value {
        if let Some(map) = object.as_object_mut() {
            trim::any(map);
            (self.kind.trim)(map);
            // The items of a list do not say what they are.
            map.insert("kind".to_owned(), self.kind.name.into());
            map.insert("apiVersion".to_owned(), self.kind.api_version().into());
        }
        object
    }
}

/// What takes part in a new list instead of an object that is deleted while it comes.
impl Relist {
    pub(super) fn gone(&mut self, object: &Value) {
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

    fn names(told: Vec<Told>) -> Vec<String> {
        let name = |one: Told| match one {
            Told::Set(object) => format!("set {}", object["metadata"]["name"].as_str().unwrap()),
            Told::Gone(identity) => format!("gone {}", identity.name),
            Told::Standing(..) => unreachable!(),
        };
        told.into_iter().map(name).collect()
    }

    #[test]
    fn a_new_list_tells_what_differs_and_nothing_else() {
        let mut known = known();
        let mut relist = Relist::default();
        known.note(&mut relist, node("a", "1"));
        known.note(&mut relist, node("b", "2"));
        known.note(&mut relist, node("d", "2"));
        assert_eq!(names(known.finish(relist)), ["set b", "set d", "gone c"]);
        assert_eq!(known.len(), 3);
    }

    #[test]
    fn an_object_that_goes_while_a_list_comes_is_gone() {
        let mut known = known();
        let mut relist = Relist::default();
        for name in ["a", "b", "c", "d"] {
            known.note(&mut relist, node(name, "2"));
        }
        for name in ["a", "d"] {
            relist.gone(&node(name, "3"));
        }
        assert_eq!(names(known.finish(relist)), ["set b", "set c", "gone a"]);
    }

    #[test]
    fn the_same_version_is_told_once() {
        let mut known = known();
        assert!(known.set(node("a", "1")).is_none());
        assert!(known.set(node("a", "2")).is_some());
        assert!(known.gone(&node("a", "3")).is_some());
        assert!(known.gone(&node("a", "3")).is_none());
    }

    #[test]
    fn a_list_older_than_what_is_known_is_stale() {
        let mut known = known();
        known.reached("17");
        assert!(known.is_stale("16"));
        assert!(!known.is_stale("17"));
        assert!(!known.is_stale("a version that is no number"));
        known.forget_newest();
        assert!(!known.is_stale("3"));
    }
}

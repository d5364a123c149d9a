//! The fields of a mapping that is still open, with those that merge keys add.

use std::collections::HashMap;

use crate::{Key, Node, Position, Value};

/// The fields of a mapping, by their names.
#[derive(Default)]
pub(crate) struct Fields {
    entries: Vec<(Key, Node)>,
    names: HashMap<String, Slot>,
}

#[derive(Default)]
struct Slot {
    /// Where it is in the entries, once it has a value.
    index: Option<usize>,
    /// Whether the name stands in the mapping itself.
    is_written: bool,
}

impl Fields {
    /// Notes a name that stands in the mapping; false if it did before.
    pub(crate) fn write(&mut self, name: &str) -> bool {
        let slot = self.names.entry(name.to_owned()).or_default();
        !std::mem::replace(&mut slot.is_written, true)
    }

    /// Sets the value of a field. In go-yaml the later one counts, whether it is written or merged.
    pub(crate) fn put(&mut self, key: Key, node: Node) {
        let slot = self.names.entry(key.name.clone()).or_default();
        match slot.index.and_then(|index| self.entries.get_mut(index)) {
            Some(entry) => *entry = (key, node),
            None => {
                slot.index = Some(self.entries.len());
                self.entries.push((key, node));
            }
        }
    }

    /// Adds the fields of the value of a merge key: a mapping, or a list of mappings of which the first counts. The place of
    /// what is neither.
    pub(crate) fn merge(&mut self, node: Node) -> Result<(), Position> {
        let at = node.at;
        match node.value {
            Value::Mapping(entries) => {
                for (key, value) in entries {
                    self.put(key, value);
                }
                Ok(())
            }
            Value::Sequence(items) => {
                if let Some(other) = items
                    .iter()
                    .find(|item| !matches!(item.value, Value::Mapping(_)))
                {
                    return Err(other.at);
                }
                items
                    .into_iter()
                    .rev()
                    .try_for_each(|item| self.merge(item))
            }
            Value::Null | Value::Scalar(_) => Err(at),
        }
    }

    /// The fields in the order of the text.
    pub(crate) fn into_entries(self) -> Vec<(Key, Node)> {
        self.entries
    }
}

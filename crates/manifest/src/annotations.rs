//! Annotations: one table of those that are known, and the syntax of their values.
//!
//! Whoever reads an annotation names its [`Row`]; nobody writes a key. The unknown ones, the misplaced ones and the
//! hints about them follow from the table.

use std::collections::BTreeMap;

use elbow_yaml::Position;

pub mod foreign;
pub mod ingress;
pub mod other;
mod row;
pub mod service;
mod suggest;
mod syntax;

pub use row::{Key, Readers, Row, Served, Syntax};
pub use suggest::{Suggestion, meant};
pub use syntax::{parse_bool, parse_list, parse_map};

/// The annotations of an object, by their whole key.
pub type Annotations = BTreeMap<String, Annotation>;

/// One annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Its value.
    pub value: String,
    /// Where the value stands.
    pub at: Position,
    /// Where the key stands.
    pub key_at: Position,
}

/// Every annotation that is known.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    let tables = [ingress::ROWS, service::ROWS, other::ROWS];
    tables.into_iter().flatten().copied()
}

/// The row of the annotation `key` in `table`.
pub(crate) fn find(table: &[&'static Row], key: &str) -> Option<&'static Row> {
    table.iter().find(|row| row.is(key)).copied()
}

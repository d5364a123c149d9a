//! What an API server refuses in an object, before any controller sees it.
//!
//! [`check`] is a pure function from the tree of one object to its [`Fault`]s, all of them at once. It has two parts:
//!
//! - `structure` decodes the object as `kubectl apply` with strict field validation does: unknown, misplaced and repeated
//!   fields, wrong types, formats, and for custom resources the whole schema of their definition. The schemas are data with
//!   a version (`data/`), made from Kubernetes' OpenAPI and from published custom resource definitions.
//! - `rules` is Kubernetes' validation of decoded objects as a table: names, uniqueness, ranges, combinations of fields.
//!
//! Both walk the object with a [`Cursor`], which knows its path and its place, and report to [`Faults`]. A rule reads
//! values with [`Cursor::text`], [`Cursor::number`] and the like, which are `None` for an absent value and for one of a wrong
//! type; `structure` has reported the latter. A kind without a schema has no faults.
//!
//! ```
//! use elbow_yaml::{Limits, parse};
//!
//! let text = "
//! apiVersion: v1
//! kind: Service
//! metadata: {name: web}
//! spec: {ports: [{port: 80}]}
//! ";
//! let (root, _) = parse(text, Limits::OBJECTS);
//! assert_eq!(elbow_schema::check(&root.unwrap()), []);
//! ```

mod cursor;
mod fault;
mod rules;
mod structure;

use elbow_yaml::Node;

pub use cursor::Cursor;
pub use fault::{Fault, Faults};
pub use rules::{Rule, rules};

/// Whether there is a schema for a kind.
pub fn knows(api_version: &str, kind: &str) -> bool {
    structure::knows(api_version, kind)
}

/// Everything that an API server refuses in an object, in the order of the text. Empty for a kind without a schema.
pub fn check(object: &Node) -> Vec<Fault> {
    let root = Cursor::root(object);
    let Some(api_version) = root.get("apiVersion").text() else {
        return Vec::new();
    };
    let Some(kind) = root.get("kind").text() else {
        return Vec::new();
    };
    let mut faults = Faults::default();
    structure::check(api_version, kind, &root, &mut faults);
    let decoded = faults.count();
    rules::check(api_version, kind, &root, &mut faults);
    faults.drop_repeated(decoded);
    faults.into_sorted()
}

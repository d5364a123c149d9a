//! Where a field belongs that stands in the wrong place.

use std::collections::VecDeque;

use super::shape::{Kind, Shape};
use super::table::resolved;

/// Levels that are searched below the top of the object.
const DEPTH: usize = 6;

/// The place of the field `name` that is nearest to the top of a kind, as the path of the object that has it, for example
/// `spec.ports[]`. `None`: no object of this kind has such a field.
pub(super) fn home(kind: &'static Shape, name: &str) -> Option<String> {
    if name.contains('/') {
        // The key of an annotation, or of a label.
        return Some("metadata.annotations".to_owned());
    }
    let mut queue = VecDeque::from([(kind, String::new(), 0)]);
    while let Some((shape, path, depth)) = queue.pop_front() {
        let shape = resolved(shape);
        let child = |name: &str| match path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        match &shape.kind {
            Kind::Object { fields, .. } => {
                // The field of a status is no place to write to.
                let written = fields
                    .iter()
                    .filter(|(name, _)| !path.is_empty() || **name != *"status");
                if Shape::field(fields, name).is_some() {
                    return Some(path);
                }
                if depth < DEPTH {
                    queue.extend(written.map(|(name, field)| (field, child(name), depth + 1)));
                }
            }
            Kind::List(items) if depth < DEPTH => {
                queue.push_back((items, format!("{path}[]"), depth));
            }
            _ => {}
        }
    }
    None
}

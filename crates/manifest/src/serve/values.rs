//! Values of a stack in the words of the model.

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{AttributesSpec, Origin};

use crate::stack::Attribute;

/// Attributes by key.
pub(super) fn attributes(list: &[Attribute]) -> AttributesSpec {
    list.iter()
        .map(|one| (one.key.clone(), one.value.value.clone()))
        .collect()
}

/// A number that the model has without a sign; a negative one is a fault.
pub(super) fn unsigned(number: i32, origin: &Origin, faults: &mut Vec<Diagnostic>) -> u32 {
    u32::try_from(number).unwrap_or_else(|_| {
        let negative = Diagnostic::error("wrong-type", format!("{number} is less than 0"));
        faults.push(origin.place(negative));
        0
    })
}

/// Whether `text` is what `pattern` says, where `*` stands for anything.
pub(super) fn is_match(pattern: &str, text: &str) -> bool {
    let Some((first, pattern)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = pattern.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

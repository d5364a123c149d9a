//! A row of the table.

use super::message::Report;
use super::name::Problems;
use crate::{Cursor, Faults};

/// What is checked in one field of one kind.
#[derive(Debug)]
pub struct Rule {
    /// The kind with its API group, for example `networking.k8s.io/Ingress`; `*` for every kind.
    pub kind: &'static str,
    /// The field: `spec.ports[].name` is the name of each port, `data{}` each value of a mapping. Empty: the whole object.
    pub field: &'static str,
    /// What is checked.
    pub(crate) check: Check,
    /// The function that it comes from.
    pub source: &'static str,
}

/// What is checked in a field.
#[derive(Debug)]
pub(crate) enum Check {
    /// A text that is written and not empty.
    Text(fn(&str) -> Problems),
    /// A text that is written.
    Written(fn(&str) -> Problems),
    /// A text that is not empty is one of these.
    OneOf(&'static [&'static str]),
    /// A text that is written is one of these.
    Exactly(&'static [&'static str]),
    /// A whole number from here to there, both included; an absent one is 0.
    Number(i64, i64),
    /// As [`Self::Number`], unless it is absent or 0.
    NumberIfSet(i64, i64),
    /// A list of at most so many items.
    AtMost(usize),
    /// Fields that depend on one another.
    Fields(fn(&Cursor<'_>, &mut Faults)),
}

impl Rule {
    pub(crate) const fn new(
        kind: &'static str,
        field: &'static str,
        check: Check,
        source: &'static str,
    ) -> Self {
        Self {
            kind,
            field,
            check,
            source,
        }
    }

    /// Whether it holds for objects of this kind.
    pub(crate) fn applies(&self, group: &str, kind: &str) -> bool {
        let (its_group, its_kind) = self.kind.rsplit_once('/').unwrap_or(("", self.kind));
        its_kind == "*" || (its_kind == kind && its_group == group)
    }

    /// Checks every value of the field in `root`.
    pub(crate) fn check(&self, root: &Cursor<'_>, faults: &mut Faults) {
        walk(root, self.field, &mut |value| {
            self.check.value(value, faults);
        });
    }
}

/// Calls `visit` with every value at `field` below `cursor`. An absent last field is visited if the mapping around it is
/// written.
fn walk(cursor: &Cursor<'_>, field: &str, visit: &mut dyn FnMut(&Cursor<'_>)) {
    if field.is_empty() {
        return visit(cursor);
    }
    if let Some(rest) = field.strip_prefix("[]") {
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        return cursor.items().for_each(|item| walk(&item, rest, visit));
    }
    if let Some(rest) = field.strip_prefix("{}") {
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        return cursor.keys().for_each(|(_, item)| walk(&item, rest, visit));
    }
    if !cursor.is_object() {
        return;
    }
    let end = field.find(['.', '[', '{']).unwrap_or(field.len());
    let (name, rest) = field.split_at(end);
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    walk(&cursor.get(name), rest, visit);
}

impl Check {
    fn value(&self, value: &Cursor<'_>, faults: &mut Faults) {
        match *self {
            Self::Text(problems) => {
                if let Some(text) = value.text().filter(|text| !text.is_empty()) {
                    faults.problems(value, problems(text));
                }
            }
            Self::Written(problems) => {
                if let Some(text) = value.decoded_text() {
                    faults.problems(value, problems(text));
                }
            }
            Self::OneOf(known) => {
                if let Some(text) = value.text().filter(|text| !text.is_empty()) {
                    one_of(value, text, known, faults);
                }
            }
            Self::Exactly(known) => {
                if let Some(text) = value.text() {
                    one_of(value, text, known, faults);
                }
            }
            Self::Number(from, to) => {
                let absent = value.is_absent().then_some(0);
                if let Some(number) = value.number().or(absent) {
                    in_range(value, number, from, to, faults);
                }
            }
            Self::NumberIfSet(from, to) => {
                if let Some(number) = value.number().filter(|number| *number != 0) {
                    in_range(value, number, from, to, faults);
                }
            }
            Self::AtMost(most) => {
                let count = value.items().count();
                if count > most {
                    faults.too_many(value, count, most);
                }
            }
            Self::Fields(check) => check(value, faults),
        }
    }
}

fn one_of(value: &Cursor<'_>, text: &str, known: &[&str], faults: &mut Faults) {
    if !known.contains(&text) {
        faults.unsupported(value, text, known);
    }
}

fn in_range(value: &Cursor<'_>, number: i64, from: i64, to: i64, faults: &mut Faults) {
    if !(from..=to).contains(&number) {
        let problem = format!("must be between {from} and {to}, inclusive");
        faults.invalid(value, problem);
    }
}

/// A port number, or the name of a port.
pub(crate) fn port(value: &Cursor<'_>, faults: &mut Faults) {
    if let Some(number) = value.number() {
        in_range(value, number, 1, 65535, faults);
    } else if let Some(text) = value.text() {
        faults.problems(value, super::name::port_name(text));
    }
}

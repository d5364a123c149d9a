//! The words of Kubernetes' field errors.

use std::fmt::Write;

use elbow_yaml::{Key, Value};

use super::name::Problems;
use crate::{Cursor, Faults};

/// At most this much of a value is quoted.
const QUOTED: usize = 80;

/// Reports in the words of Kubernetes: the field, the kind of error, the value, and why.
pub(crate) trait Report {
    /// A value is missing.
    fn required(&mut self, value: &Cursor<'_>, why: &str);
    /// A value is not allowed, for this reason.
    fn invalid(&mut self, value: &Cursor<'_>, why: impl AsRef<str>);
    /// A key of a mapping is not allowed; Kubernetes names the mapping, and the place is the key.
    fn invalid_key(&mut self, mapping: &Cursor<'_>, key: &Key, problems: Problems);
    /// A value has these problems.
    fn problems(&mut self, value: &Cursor<'_>, problems: Problems) {
        for problem in problems {
            self.invalid(value, problem);
        }
    }
    /// A value is none of the known ones.
    fn unsupported(&mut self, value: &Cursor<'_>, text: &str, known: &[&str]);
    /// A value is given twice.
    fn duplicate(&mut self, value: &Cursor<'_>, what: &str);
    /// A field may not be set.
    fn forbidden(&mut self, value: &Cursor<'_>, why: &str);
    /// More bytes than allowed.
    fn too_long(&mut self, value: &Cursor<'_>, most: usize);
    /// More items than allowed.
    fn too_many(&mut self, value: &Cursor<'_>, count: usize, most: usize);
}

impl Report for Faults {
    fn required(&mut self, value: &Cursor<'_>, why: &str) {
        let colon = if why.is_empty() { "" } else { ": " };
        let message = format!("{}: Required value{colon}{why}", value.path());
        let hint = format!("write `{}` here", last(&value.path()));
        self.add_with_hint(value, "missing-field", message, hint);
    }

    fn invalid(&mut self, value: &Cursor<'_>, why: impl AsRef<str>) {
        let why = why.as_ref();
        let message = format!("{}: Invalid value: {}: {why}", value.path(), quoted(value));
        self.add(value, "invalid-value", message);
    }

    fn invalid_key(&mut self, mapping: &Cursor<'_>, key: &Key, problems: Problems) {
        for problem in problems {
            let message = format!(
                "{}: Invalid value: {:?}: {problem}",
                mapping.path(),
                key.name
            );
            self.add_at(mapping, key.at, "invalid-value", message, None);
        }
    }

    fn unsupported(&mut self, value: &Cursor<'_>, text: &str, known: &[&str]) {
        let mut list = String::new();
        for (index, name) in known.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(list, "{comma}\"{name}\"");
        }
        let message = format!(
            "{}: Unsupported value: {}: supported values: {list}",
            value.path(),
            quoted(value)
        );
        match known.iter().find(|name| name.eq_ignore_ascii_case(text)) {
            Some(near) => {
                self.add_with_hint(value, "unknown-value", message, format!("write {near}"));
            }
            None => self.add(value, "unknown-value", message),
        }
    }

    fn duplicate(&mut self, value: &Cursor<'_>, what: &str) {
        let message = format!("{}: Duplicate value: {what}", value.path());
        self.add_with_hint(value, "duplicate-value", message, "keep one of the two");
    }

    fn forbidden(&mut self, value: &Cursor<'_>, why: &str) {
        let message = format!("{}: Forbidden: {why}", value.path());
        self.add_with_hint(value, "forbidden-field", message, "remove the field");
    }

    fn too_long(&mut self, value: &Cursor<'_>, most: usize) {
        let message = format!(
            "{}: Too long: may not be more than {most} bytes",
            value.path()
        );
        self.add(value, "too-long", message);
    }

    fn too_many(&mut self, value: &Cursor<'_>, count: usize, most: usize) {
        let message = format!(
            "{}: Too many: {count}: must have at most {most} items",
            value.path()
        );
        self.add(value, "too-many", message);
    }
}

/// The name at the end of a path: `tls.key` of `data[tls.key]`, `ports[0]` of `spec.ports[0]`.
fn last(path: &str) -> &str {
    let key = path
        .strip_suffix(']')
        .and_then(|path| path.rsplit_once('['));
    match key {
        Some((_, key)) if key.parse::<usize>().is_err() => key,
        _ => path.rsplit('.').next().unwrap_or(path),
    }
}

/// The value as a message shows it.
fn quoted(value: &Cursor<'_>) -> String {
    match value.node().map(|node| (&node.value, node.plain)) {
        None | Some((Value::Null, _)) => "\"\"".to_owned(),
        Some((Value::Scalar(text), true)) if text.parse::<f64>().is_ok() => text.clone(),
        Some((Value::Scalar(text), _)) => match text.char_indices().nth(QUOTED) {
            Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
            None => format!("{text:?}"),
        },
        Some((Value::Sequence(_), _)) => "the list".to_owned(),
        Some((Value::Mapping(_), _)) => "the mapping".to_owned(),
    }
}

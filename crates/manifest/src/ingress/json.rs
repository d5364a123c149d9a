//! JSON as Go's encoding/json reads it: field names in any case, unknown fields ignored, `null` as absent, wrong types
//! refused.

use serde_json::{Map, Value};

use super::shape::Shape;
pub(super) use super::shape::Wrong;
use crate::Refusal;
use crate::annotations::Key;
use crate::lookup::Lookup;

/// Reads a JSON annotation of a Go type; an error refuses the stack and points at the annotation.
pub(super) fn read_json<T>(
    annotations: &Lookup<'_>,
    key: impl Into<Key>,
    shape: &Shape,
    read: impl FnOnce(&Value) -> Result<T, Wrong>,
) -> Result<Option<T>, Refusal> {
    let key = key.into();
    let Some((found, value)) = annotations.json(&key)? else {
        return Ok(None);
    };
    let read = shape.check(&value).and_then(|()| read(&value));
    read.map(Some)
        .map_err(|wrong| found.refuse("invalid-annotation", format!("{key}: {wrong}")))
}

/// A JSON object whose fields are asked for by name; `None` for `null`, which Go reads as an object without fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(Option<&'a Map<String, Value>>);

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value, what: &str) -> Result<Self, Wrong> {
        match value {
            Value::Null => Ok(Self(None)),
            Value::Object(map) => Ok(Self(Some(map))),
            _ => Err(format!("{what} is not a JSON object")),
        }
    }

    fn get(self, name: &str) -> Option<&'a Value> {
        let same = |(key, _): &(&String, &Value)| key.eq_ignore_ascii_case(name);
        let found = self.0?.iter().rfind(same);
        found
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    }

    /// A value of any type.
    pub(super) fn value(self, name: &str) -> Option<&'a Value> {
        self.get(name)
    }

    pub(super) fn text(self, name: &str) -> Result<Option<String>, Wrong> {
        self.typed(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn integer(self, name: &str) -> Result<Option<i32>, Wrong> {
        self.typed(name, "a whole number", |value| {
            i32::try_from(value.as_i64()?).ok()
        })
    }

    pub(super) fn boolean(self, name: &str) -> Result<Option<bool>, Wrong> {
        self.typed(name, "true or false", Value::as_bool)
    }

    pub(super) fn object(self, name: &str) -> Result<Option<Self>, Wrong> {
        self.typed(name, "an object", |value| {
            value.as_object().map(|map| Self(Some(map)))
        })
    }

    /// A list; empty when it is absent.
    pub(super) fn list(self, name: &str) -> Result<&'a [Value], Wrong> {
        let list = self.typed(name, "a list", |value| value.as_array().map(Vec::as_slice))?;
        Ok(list.unwrap_or_default())
    }

    /// A list of texts; empty when it is absent.
    pub(super) fn texts(self, name: &str) -> Result<Vec<String>, Wrong> {
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Null => Ok(String::new()),
            _ => Err(format!("{name}: expected a list of strings")),
        };
        self.list(name)?.iter().map(text).collect()
    }

    fn typed<T>(
        self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(format!("{name}: expected {expected}")),
        }
    }
}

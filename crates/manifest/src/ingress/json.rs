//! JSON as Go's encoding/json takes it: names of fields in any case, unknown fields ignored, `null` like
//! nothing, other types refused.

use serde_json::{Map, Value};

/// What is wrong, in one line.
pub(super) type Wrong = String;

/// A JSON object whose fields are asked for by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value, what: &str) -> Result<Self, Wrong> {
        let map = value.as_object();
        map.map(Self)
            .ok_or_else(|| format!("{what} is no JSON object"))
    }

    fn get(self, name: &str) -> Option<&'a Value> {
        let same = |(key, _): &(&String, &Value)| key.eq_ignore_ascii_case(name);
        let found = self.0.iter().rfind(same);
        found
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    }

    /// A value of any type.
    pub(super) fn value(self, name: &str) -> Option<&'a Value> {
        self.get(name)
    }

    pub(super) fn text(self, name: &str) -> Result<Option<String>, Wrong> {
        self.typed(name, "text", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn integer(self, name: &str) -> Result<Option<i32>, Wrong> {
        self.typed(name, "whole number", |value| {
            i32::try_from(value.as_i64()?).ok()
        })
    }

    pub(super) fn boolean(self, name: &str) -> Result<Option<bool>, Wrong> {
        self.typed(name, "truth value", Value::as_bool)
    }

    pub(super) fn object(self, name: &str) -> Result<Option<Self>, Wrong> {
        self.typed(name, "object", |value| value.as_object().map(Self))
    }

    /// A list; empty when it is absent.
    pub(super) fn list(self, name: &str) -> Result<&'a [Value], Wrong> {
        let list = self.typed(name, "list", |value| value.as_array().map(Vec::as_slice))?;
        Ok(list.unwrap_or_default())
    }

    /// A list of texts; empty when it is absent.
    pub(super) fn texts(self, name: &str) -> Result<Vec<String>, Wrong> {
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Null => Ok(String::new()),
            _ => Err(format!("{name} holds something else than texts")),
        };
        self.list(name)?.iter().map(text).collect()
    }

    fn typed<T>(
        self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Wrong> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(format!("{name} is no {wanted}")),
        }
    }
}

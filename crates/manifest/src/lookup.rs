//! Looking annotations up, on one object or on a Service before its Ingress.

use std::collections::BTreeMap;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{At, Origin};
use serde_json::Value;

use crate::Refusal;
use crate::annotations::{Annotation, Key, Syntax, parse_bool, parse_list, parse_map};
use crate::auto_mode;
use crate::objects::Meta;
use crate::stack::Attributes;

pub mod service;

/// The annotations of an Ingress, or of a Service before those of its Ingress: the first that has the key wins.
#[derive(Clone, Debug)]
pub struct Lookup<'a> {
    layers: Vec<&'a Meta>,
    /// Whether annotations that EKS Auto Mode ignores count as absent.
    in_auto_mode: bool,
}

/// An annotation.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    meta: &'a Meta,
    key: Key,
    /// Its value.
    pub value: &'a str,
    annotation: &'a Annotation,
}

impl Found<'_> {
    /// The error that refuses the stack, placed at this annotation.
    pub fn refuse(&self, code: &'static str, message: impl Into<String>) -> Refusal {
        Box::new(self.origin().place(Diagnostic::error(code, message)))
    }

    /// The origin of the value.
    pub fn origin(&self) -> Origin {
        self.meta.origin_of(self.key.as_str(), self.annotation)
    }

    fn wrong(&self, expected: &str) -> Refusal {
        let message = format!(
            "{}: expected {expected}, found \"{}\"",
            self.key.as_str(),
            self.value
        );
        self.refuse("invalid-annotation", message)
    }
}

impl<'a> Lookup<'a> {
    /// A lookup in `layers`, in this order.
    pub fn new(layers: Vec<&'a Meta>) -> Self {
        Self {
            layers,
            in_auto_mode: false,
        }
    }

    /// The lookup, without the annotations that EKS Auto Mode ignores if `is_auto`.
    #[must_use]
    pub(crate) fn in_auto_mode(mut self, is_auto: bool) -> Self {
        self.in_auto_mode = is_auto;
        self
    }

    /// The annotation as it is written.
    pub fn find(&self, key: impl Into<Key>) -> Option<Found<'a>> {
        let key = key.into();
        if self.in_auto_mode && auto_mode::ignores_of_ingress(key.as_str()) {
            return None;
        }
        let mut layers = self.layers.iter();
        let (meta, annotation) = layers.find_map(|meta| {
            let annotation = meta.annotations.get(key.as_str())?;
            Some((*meta, annotation))
        })?;
        Some(Found {
            meta,
            key,
            value: &annotation.value,
            annotation,
        })
    }

    /// [`find`](Self::find), of an annotation with this syntax.
    fn find_as(&self, syntax: Syntax, key: impl Into<Key>) -> Option<Found<'a>> {
        let key = key.into();
        debug_assert_eq!(key.row().syntax, syntax, "{}", key.as_str());
        self.find(key)
    }

    /// Text.
    pub fn text(&self, key: impl Into<Key>) -> Option<&'a str> {
        self.find(key).map(|found| found.value)
    }

    /// The origin of the annotation; `otherwise` when it is absent.
    pub fn origin(&self, key: impl Into<Key>, otherwise: &Origin) -> Origin {
        self.find(key)
            .map_or_else(|| otherwise.clone(), |found| found.origin())
    }

    /// A truth value as Go's `ParseBool` takes it.
    pub fn boolean(&self, key: impl Into<Key>) -> Result<Option<bool>, Refusal> {
        let Some(found) = self.find_as(Syntax::Boolean, key) else {
            return Ok(None);
        };
        parse_bool(found.value)
            .map(Some)
            .ok_or_else(|| found.wrong("true or false"))
    }

    /// A whole number to base ten.
    pub fn integer(&self, key: impl Into<Key>) -> Result<Option<i64>, Refusal> {
        let Some(found) = self.find_as(Syntax::Integer, key) else {
            return Ok(None);
        };
        let number = found.value.parse();
        number.map(Some).map_err(|_| found.wrong("a whole number"))
    }

    /// A whole number of 32 bits.
    pub fn int32(&self, key: impl Into<Key>) -> Result<Option<i32>, Refusal> {
        let Some(found) = self.find_as(Syntax::Integer, key) else {
            return Ok(None);
        };
        let number = found.value.parse();
        number
            .map(Some)
            .map_err(|_| found.wrong("a whole number of 32 bits"))
    }

    /// A list; `None` when the annotation is absent, which differs from an empty one.
    pub fn list(&self, key: impl Into<Key>) -> Option<Vec<String>> {
        let found = self.find_as(Syntax::List, key)?;
        Some(parse_list(found.value))
    }

    /// A map of texts, `key=value,...`.
    pub fn map(&self, key: impl Into<Key>) -> Result<Option<BTreeMap<String, String>>, Refusal> {
        let Some(found) = self.find_as(Syntax::Map, key) else {
            return Ok(None);
        };
        parse_map(found.value)
            .map(Some)
            .ok_or_else(|| found.wrong("key=value pairs between commas"))
    }

    /// A map of texts, each with the origin of the annotation.
    pub fn attributes(&self, key: impl Into<Key>) -> Result<Option<Attributes>, Refusal> {
        let key = key.into();
        let (Some(map), Some(found)) = (self.map(&key)?, self.find(&key)) else {
            return Ok(None);
        };
        Ok(Some(at_origin(map, &found.origin())))
    }

    /// JSON, with the annotation, which errors about its content name.
    pub fn json(&self, key: impl Into<Key>) -> Result<Option<(Found<'a>, Value)>, Refusal> {
        let Some(found) = self.find_as(Syntax::Json, key) else {
            return Ok(None);
        };
        match serde_json::from_str(found.value) {
            Ok(value) => Ok(Some((found, value))),
            Err(error) => {
                let message = format!("{} is not valid JSON: {error}", found.key.as_str());
                Err(found.refuse("invalid-annotation", message))
            }
        }
    }
}

/// The attributes of `map`, all written at `origin`.
pub(crate) fn at_origin(map: BTreeMap<String, String>, origin: &Origin) -> Attributes {
    map.into_iter()
        .map(|(key, value)| (key, At::new(value, origin.clone())))
        .collect()
}

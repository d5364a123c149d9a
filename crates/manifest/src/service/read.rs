//! Reading the annotations of a Service, and saying what is wrong with them.

use std::collections::BTreeMap;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::yaml::{Node, Position, Value};

use crate::annotations::{Annotations, parse_bool, parse_list, parse_map};
use crate::bounds::TooMuch;
use crate::object::Object;
use crate::objects::Meta;

/// What the annotations of Services start with.
pub const PREFIX: &str = "service.beta.kubernetes.io/";

/// Why a Service is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The annotation's whole key, or the field's path.
    pub field: String,
    /// Whether the field is an annotation.
    pub annotation: bool,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Refused {
    /// For the value of an annotation, by its key without the prefix.
    pub fn annotation(key: &str, message: impl Into<String>) -> Self {
        Self {
            field: format!("{PREFIX}{key}"),
            annotation: true,
            message: message.into(),
            hint: None,
        }
    }

    /// For another field of the Service.
    pub fn field(path: &str, message: impl Into<String>) -> Self {
        Self {
            field: path.to_owned(),
            annotation: false,
            message: message.into(),
            hint: None,
        }
    }

    /// For too much of something that the ports of the Service make.
    pub(crate) fn too_much(bound: TooMuch) -> Self {
        Self::field("spec.ports", bound.message).hint(bound.hint)
    }

    /// The diagnostic, at the place of the annotation or the field, else of the object.
    pub fn diagnose(self, meta: &Meta, object: Option<&Object>) -> Diagnostic {
        let written = meta
            .annotations
            .get(&self.field)
            .filter(|_| self.annotation);
        let at = match written {
            Some(annotation) => annotation.at,
            None => object.map_or(meta.place.at, |object| place_of(&object.node, &self.field)),
        };
        let (code, field) = if self.annotation {
            (
                "invalid-annotation",
                format!("metadata.annotations.{}", self.field),
            )
        } else {
            ("invalid-service", self.field)
        };
        let mut found = Diagnostic::error(code, self.message)
            .at(&*meta.place.file, at.line, at.column)
            .object(meta.path())
            .field(field);
        found.hint = self.hint;
        found
    }

    /// With advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Where the field stands, or the nearest one above it that is written.
fn place_of(node: &Node, path: &str) -> Position {
    let mut at = node;
    for name in path.split('.') {
        let Value::Mapping(entries) = &at.value else {
            break;
        };
        let Some((_, field)) = entries.iter().find(|(key, _)| key.name == name) else {
            break;
        };
        at = field;
    }
    at.at
}

/// The annotations of one Service, by their keys without the prefix.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    annotations: &'a Annotations,
}

impl<'a> Reader<'a> {
    /// Over all annotations of the Service.
    pub const fn new(annotations: &'a Annotations) -> Self {
        Self { annotations }
    }

    /// The value as it is written.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.annotations
            .get(&format!("{PREFIX}{key}"))
            .map(|annotation| &*annotation.value)
    }

    /// A boolean, as Go reads it.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, Refused> {
        self.parsed(key, "neither true nor false", parse_bool)
    }

    /// A whole number.
    pub fn int(&self, key: &str) -> Result<Option<i32>, Refused> {
        self.parsed(key, "not a whole number", |text| text.parse().ok())
    }

    /// A list; absent is empty.
    pub fn list(&self, key: &str) -> Vec<String> {
        self.text(key).map(parse_list).unwrap_or_default()
    }

    /// A map; absent is empty.
    pub fn map(&self, key: &str) -> Result<BTreeMap<String, String>, Refused> {
        let Some(text) = self.text(key) else {
            return Ok(BTreeMap::new());
        };
        parse_map(text).ok_or_else(|| {
            Refused::annotation(key, format!("{text:?} is no list of key=value"))
                .hint("key=value,key=value")
        })
    }

    fn parsed<T>(
        &self,
        key: &str,
        why: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Refused> {
        self.text(key)
            .map(|text| {
                parse(text).ok_or_else(|| Refused::annotation(key, format!("{text:?} is {why}")))
            })
            .transpose()
    }
}

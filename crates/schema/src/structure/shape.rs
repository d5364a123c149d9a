//! What a value may be: a schema, decoded.

use serde_json::{Map, Value};

use super::bounds::Bounds;

/// Who reads a value: they differ in what they refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A built-in kind, decoded by Go: `null` stands for a missing value everywhere, and validation comes later.
    BuiltIn,
    /// A custom resource, held against the schema of its definition.
    Custom,
}

/// What a value may be.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) reader: Reader,
    /// What the schema of a custom resource says beyond the type.
    pub(super) bounds: Option<Box<Bounds>>,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Anything at all.
    Any,
    /// The definition of this name.
    Definition(Box<str>),
    Text(Format),
    Integer {
        bits: u32,
    },
    Number,
    Boolean,
    IntegerOrText,
    Quantity,
    List(Box<Shape>),
    /// Fields of any name.
    Map(Box<Shape>),
    Object {
        /// Sorted by name.
        fields: Vec<(Box<str>, Shape)>,
        /// Whether other fields are kept.
        open: bool,
    },
}

/// The syntax of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Any,
    /// RFC 3339.
    DateTime,
    /// RFC 3339 with microseconds.
    MicroTime,
    /// Base64.
    Bytes,
}

impl Shape {
    /// Decodes a schema; what it does not say is anything.
    pub(super) fn decode(schema: &Value, reader: Reader) -> Self {
        let kind = schema
            .as_object()
            .map_or(Kind::Any, |schema| kind(schema, reader));
        let bounds = match reader {
            Reader::BuiltIn => None,
            Reader::Custom => Bounds::decode(schema).map(Box::new),
        };
        Self {
            kind,
            reader,
            bounds,
        }
    }

    /// The shape of the field `name` of an object with the `fields`.
    pub(super) fn field<'a>(fields: &'a [(Box<str>, Self)], name: &str) -> Option<&'a Self> {
        let found = fields.binary_search_by(|(known, _)| (**known).cmp(name));
        found.ok().map(|index| &fields[index].1)
    }
}

fn kind(schema: &Map<String, Value>, reader: Reader) -> Kind {
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    let is_set = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    let format = text("format").unwrap_or_default();
    if let Some(name) = text("$ref") {
        return Kind::Definition(name.into());
    }
    if format == "int-or-string" || is_set("x-kubernetes-int-or-string") {
        return Kind::IntegerOrText;
    }
    if format == "quantity" {
        return Kind::Quantity;
    }
    match text("type").unwrap_or_default() {
        "string" => Kind::Text(match format {
            "date-time" => Format::DateTime,
            "micro-time" => Format::MicroTime,
            "byte" => Format::Bytes,
            _ => Format::Any,
        }),
        "integer" => Kind::Integer {
            bits: if format == "int32" { 32 } else { 64 },
        },
        "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        "array" => {
            let items = schema.get("items").unwrap_or(&Value::Null);
            Kind::List(Box::new(Shape::decode(items, reader)))
        }
        "object" => object(
            schema,
            reader,
            is_set("x-kubernetes-preserve-unknown-fields"),
        ),
        _ => Kind::Any,
    }
}

fn object(schema: &Map<String, Value>, reader: Reader, open: bool) -> Kind {
    if let Some(values) = schema.get("additionalProperties") {
        return Kind::Map(Box::new(Shape::decode(values, reader)));
    }
    let fields = schema.get("properties").and_then(Value::as_object);
    let fields = fields.into_iter().flatten();
    let mut fields: Vec<(Box<str>, Shape)> = fields
        .map(|(name, schema)| (name.as_str().into(), Shape::decode(schema, reader)))
        .collect();
    fields.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    Kind::Object { fields, open }
}

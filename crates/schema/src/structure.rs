//! Decoding by a schema: fields, types, formats.

use elbow_model::suggest::did_you_mean;
use elbow_yaml::{Key, Meaning, Node, Value};

use crate::{Cursor, Faults};
use format::{is_base64, is_quantity, is_time};
use shape::{Format, Kind, Reader, Shape};

mod bounds;
mod format;
mod misplaced;
mod shape;
mod table;

/// Whether there is a schema for a kind.
pub(crate) fn knows(api_version: &str, kind: &str) -> bool {
    table::definition(&format!("{api_version}/{kind}")).is_some()
}

/// Reports what cannot be decoded in an object. A kind without a schema is not decoded.
pub(crate) fn check(api_version: &str, kind: &str, root: &Cursor<'_>, faults: &mut Faults) {
    if let Some(shape) = table::definition(&format!("{api_version}/{kind}")) {
        Walk {
            kind: shape,
            faults,
            is_status: false,
        }
        .value(shape, root);
    }
}

struct Walk<'a> {
    /// The shape of the whole object.
    kind: &'static Shape,
    faults: &'a mut Faults,
    /// Whether the walk is in the status of a custom resource. An API server drops it from what is applied, after it looked
    /// for unknown fields and before it looks at anything else.
    is_status: bool,
}

impl Walk<'_> {
    fn value(&mut self, shape: &'static Shape, cursor: &Cursor<'_>) {
        let shape = table::resolved(shape);
        let Some(node) = cursor.node() else { return };
        if matches!(node.value, Value::Null) {
            return;
        }
        let fits = match &shape.kind {
            Kind::Any | Kind::Definition(_) => true,
            Kind::Object { fields, open } => self.object(fields, *open, cursor, node),
            Kind::Map(values) => self.map(values, cursor, node),
            Kind::List(items) => self.list(items, cursor, node),
            Kind::Text(Format::Bytes)
                if shape.reader == Reader::BuiltIn && matches!(node.value, Value::Sequence(_)) =>
            {
                self.bytes(cursor)
            }
            scalar => self.scalar(scalar, shape.reader, cursor, node),
        };
        let is_held = fits && !self.is_status;
        if let Some(bounds) = shape.bounds.as_ref().filter(|_| is_held) {
            bounds.check(cursor, node, self.faults);
        }
    }

    fn object(
        &mut self,
        fields: &'static [(Box<str>, Shape)],
        open: bool,
        cursor: &Cursor<'_>,
        node: &Node,
    ) -> bool {
        let Value::Mapping(_) = node.value else {
            return self.wrong_type("a mapping", cursor, node);
        };
        for (key, field) in cursor.fields() {
            match Shape::field(fields, &key.name) {
                Some(shape)
                    if shape.reader == Reader::Custom
                        && key.name == "status"
                        && field.path() == "status" =>
                {
                    self.is_status = true;
                    self.value(shape, &field);
                    self.is_status = false;
                }
                Some(shape) => self.value(shape, &field),
                None if open => {}
                None => self.unknown(fields, key, &field),
            }
        }
        true
    }

    fn map(&mut self, values: &'static Shape, cursor: &Cursor<'_>, node: &Node) -> bool {
        let Value::Mapping(_) = node.value else {
            return self.wrong_type("a mapping", cursor, node);
        };
        for (_, field) in cursor.fields() {
            self.value(values, &field);
        }
        true
    }

    fn list(&mut self, items: &'static Shape, cursor: &Cursor<'_>, node: &Node) -> bool {
        let Value::Sequence(_) = node.value else {
            return self.wrong_type("a list", cursor, node);
        };
        let nullable = |shape: &Shape| {
            shape
                .bounds
                .as_ref()
                .is_some_and(|bounds| bounds.is_nullable())
        };
        for item in cursor.items() {
            // The item of a custom resource is dropped nowhere, unlike a field.
            let is_custom = items.reader == Reader::Custom && !self.is_status;
            if item.is_absent() && is_custom && !nullable(items) {
                self.faults
                    .add(&item, "wrong-type", "expected a value, found null");
            }
            self.value(items, &item);
        }
        true
    }

    /// Bytes as numbers, which Go takes for base64.
    fn bytes(&mut self, cursor: &Cursor<'_>) -> bool {
        let is_byte = |item: &Cursor<'_>| {
            let meaning = item.node().and_then(Node::meaning);
            item.is_absent() || matches!(meaning, Some(Meaning::Integer(0..=255)))
        };
        let wrong = cursor.items().find(|item| !is_byte(item));
        wrong.is_none_or(|item| {
            let message = "expected a number from 0 to 255, or base64 in place of the list";
            self.faults.add(&item, "wrong-type", message);
            false
        })
    }

    fn scalar(&mut self, kind: &Kind, reader: Reader, cursor: &Cursor<'_>, node: &Node) -> bool {
        let meaning = node.meaning();
        let is_whole = |number: f64| number.is_finite() && number.fract() == 0.0;
        let in_bits = |number: i128, bits: u32| {
            let most = (1_i128 << (bits - 1)) - 1;
            (-most - 1..=most).contains(&number)
        };
        let port_bits = if reader == Reader::BuiltIn { 32 } else { 64 };
        match (kind, meaning) {
            (Kind::Text(format), Some(Meaning::Text(text))) => {
                return reader == Reader::Custom || self.format(*format, text, cursor);
            }
            (Kind::Text(_), _) => {
                let is_reported = !self.faults.is_full();
                self.wrong_type("a string", cursor, node);
                if is_reported && is_letter(node) && cursor.is_below(&["metadata", "labels"]) {
                    self.faults.soften();
                }
                return false;
            }
            (Kind::Boolean, Some(Meaning::Boolean(_)))
            | (Kind::Number, Some(Meaning::Integer(_))) => {}
            (Kind::Number, Some(Meaning::Float(number))) if number.is_finite() => {}
            (Kind::Boolean, _) => return self.wrong_type("true or false", cursor, node),
            (Kind::Number, _) => return self.wrong_type("a number", cursor, node),
            (Kind::Integer { bits }, Some(Meaning::Integer(number))) if !in_bits(number, *bits) => {
                return self.too_large(number, *bits, cursor);
            }
            (Kind::IntegerOrText, Some(Meaning::Integer(number)))
                if !in_bits(number, port_bits) =>
            {
                return self.too_large(number, port_bits, cursor);
            }
            (Kind::Integer { .. } | Kind::IntegerOrText, Some(Meaning::Integer(_))) => {}
            (Kind::Integer { bits }, Some(Meaning::Float(number)))
                if is_whole(number) && in_bits(number as i128, *bits) => {}
            (Kind::IntegerOrText, Some(Meaning::Float(number)))
                if is_whole(number) && in_bits(number as i128, port_bits) => {}
            (Kind::IntegerOrText, Some(Meaning::Text(_))) => {}
            (Kind::Integer { .. }, _) => return self.wrong_type("a whole number", cursor, node),
            (Kind::IntegerOrText, _) => {
                return self.wrong_type("a whole number or a string", cursor, node);
            }
            (Kind::Quantity, Some(Meaning::Integer(_))) => {}
            (Kind::Quantity, Some(Meaning::Float(number))) if number.is_finite() => {}
            (Kind::Quantity, Some(Meaning::Text(text))) if is_quantity(text) => {}
            (Kind::Quantity, Some(Meaning::Text(text))) => {
                let message = format!("{text:?} is no quantity");
                let hint = "write for example 500m, 2 or 1.5Gi";
                self.faults
                    .add_with_hint(cursor, "invalid-value", message, hint);
                return false;
            }
            (Kind::Quantity, _) => return self.wrong_type("a quantity", cursor, node),
            _ => {}
        }
        true
    }

    fn format(&mut self, format: Format, text: &str, cursor: &Cursor<'_>) -> bool {
        let (fits, message, hint) = match format {
            Format::Any => return true,
            Format::DateTime | Format::MicroTime => {
                let micro = format == Format::MicroTime;
                let hint = if micro {
                    "write for example 2026-01-31T12:00:00.000000Z"
                } else {
                    "write for example 2026-01-31T12:00:00Z"
                };
                (is_time(text, micro), format!("{text:?} is no time"), hint)
            }
            Format::Bytes => (
                is_base64(text),
                "expected base64".to_owned(),
                "encode the value, or put it under stringData as it is",
            ),
        };
        if !fits {
            self.faults
                .add_with_hint(cursor, "invalid-value", message, hint);
        }
        fits
    }

    fn too_large(&mut self, number: i128, bits: u32, cursor: &Cursor<'_>) -> bool {
        if self.is_status {
            return false;
        }
        let message = format!("{number} is no whole number of {bits} bits");
        self.faults.add(cursor, "out-of-range", message);
        false
    }

    fn unknown(&mut self, fields: &[(Box<str>, Shape)], key: &Key, field: &Cursor<'_>) {
        if self.faults.is_full() {
            return;
        }
        let known = fields.iter().map(|(name, _)| &**name);
        let hint = did_you_mean(&key.name, known).or_else(|| {
            let home = misplaced::home(self.kind, &key.name)?;
            let place = if home.is_empty() {
                "at the top of the object".to_owned()
            } else {
                format!("under {home}")
            };
            Some(format!("this field belongs {place}"))
        });
        let message = format!("unknown field \"{}\"", key.name);
        self.faults
            .add_at(field, key.at, "unknown-field", message, hint);
    }

    /// Reports a value of the wrong type; false.
    fn wrong_type(&mut self, expected: &str, cursor: &Cursor<'_>, node: &Node) -> bool {
        if self.is_status {
            return false;
        }
        let (found, written) = match (&node.value, node.meaning()) {
            (Value::Sequence(_), _) => ("a list".to_owned(), None),
            (Value::Mapping(_), _) => ("a mapping".to_owned(), None),
            (Value::Scalar(text), Some(Meaning::Text(_))) => (format!("the string {text:?}"), None),
            (Value::Scalar(text), _) => (text.clone(), Some(text)),
            (Value::Null, _) => ("null".to_owned(), None),
        };
        let hint = match (expected, written, &node.value) {
            ("a string", Some(text), _) => Some(format!("put it in quotes: \"{text}\"")),
            ("a whole number" | "true or false" | "a number", None, Value::Scalar(_))
                if !node.plain =>
            {
                Some("write it without quotes".to_owned())
            }
            ("a list", ..) => Some("begin each item with \"- \"".to_owned()),
            _ => None,
        };
        let message = format!("expected {expected}, found {found}");
        self.faults
            .add_at(cursor, cursor.at(), "wrong-type", message, hint);
        false
    }
}

/// `y` and `n`, which only old YAML takes for truth values. Common programs write them without quotes, and no load balancer
/// depends on the label.
fn is_letter(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar(text) if matches!(&**text, "y" | "Y" | "n" | "N"))
}

#[cfg(test)]
mod tests;

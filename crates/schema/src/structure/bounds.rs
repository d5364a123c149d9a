//! What the schema of a custom resource says beyond types.

use std::collections::HashSet;

use elbow_model::suggest::did_you_mean;
use regex::Regex;
use serde_json::Value;

use elbow_yaml::{Meaning, Node, Value as Written};

use crate::{Cursor, Faults};

/// The bounds of a value.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    nullable: bool,
    required: Vec<Box<str>>,
    one_of: Vec<Value>,
    pattern: Option<Regex>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    length: Range,
    items: Range,
    /// The fields that tell the items of a list apart; `Some([])`: the items themselves.
    keys: Option<Vec<Box<str>>>,
}

/// At least and at most so many.
#[derive(Debug, Default)]
struct Range {
    least: Option<u64>,
    most: Option<u64>,
}

impl Range {
    fn decode(schema: &Value, least: &str, most: &str) -> Self {
        Self {
            least: schema[least].as_u64(),
            most: schema[most].as_u64(),
        }
    }

    fn check(&self, count: usize, of: &str, cursor: &Cursor<'_>, faults: &mut Faults) {
        let count = count as u64;
        if let Some(least) = self.least.filter(|least| count < *least) {
            let message = format!("expected at least {least} {of}, found {count}");
            faults.add(cursor, "out-of-range", message);
        }
        if let Some(most) = self.most.filter(|most| count > *most) {
            let message = format!("expected at most {most} {of}, found {count}");
            faults.add(cursor, "out-of-range", message);
        }
    }
}

impl Bounds {
    /// The bounds in a schema; `None`: there are none.
    pub(super) fn decode(schema: &Value) -> Option<Self> {
        const KEYS: &[&str] = &[
            "nullable",
            "required",
            "enum",
            "pattern",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "x-kubernetes-list-type",
        ];
        if !KEYS.iter().any(|key| schema.get(key).is_some()) {
            return None;
        }
        let list = |value: &Value| -> Vec<Box<str>> {
            let items = value.as_array().into_iter().flatten();
            items
                .filter_map(|item| Some(item.as_str()?.into()))
                .collect()
        };
        // A default fills in what is missing.
        let has_default = |name: &str| schema["properties"][name].get("default").is_some();
        let required = list(&schema["required"]).into_iter();
        let required = required.filter(|name| !has_default(name));
        Some(Self {
            nullable: schema["nullable"] == true,
            required: required.collect(),
            one_of: schema["enum"].as_array().cloned().unwrap_or_default(),
            pattern: schema["pattern"]
                .as_str()
                .and_then(|pattern| Regex::new(pattern).ok()),
            minimum: schema["minimum"].as_f64(),
            maximum: schema["maximum"].as_f64(),
            length: Range::decode(schema, "minLength", "maxLength"),
            items: Range::decode(schema, "minItems", "maxItems"),
            keys: match schema["x-kubernetes-list-type"].as_str() {
                Some("map") => Some(list(&schema["x-kubernetes-list-map-keys"])),
                Some("set") => Some(Vec::new()),
                _ => None,
            },
        })
    }

    /// Whether `null` is a value of its own; it stands for a missing field otherwise.
    pub(super) fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// Reports what is out of bounds in a value of the right type.
    pub(super) fn check(&self, cursor: &Cursor<'_>, node: &Node, faults: &mut Faults) {
        match &node.value {
            Written::Mapping(_) => self.check_required(cursor, faults),
            Written::Sequence(items) => {
                self.items.check(items.len(), "items", cursor, faults);
                self.check_keys(cursor, faults);
            }
            _ => match node.meaning() {
                Some(Meaning::Text(text)) => self.check_text(text, cursor, faults),
                Some(Meaning::Integer(number)) => self.check_number(number as f64, cursor, faults),
                Some(Meaning::Float(number)) => self.check_number(number, cursor, faults),
                _ => {}
            },
        }
    }

    fn check_required(&self, cursor: &Cursor<'_>, faults: &mut Faults) {
        for name in &self.required {
            let field = cursor.get(name);
            let is_null = field.node().is_some() && field.is_absent();
            // A null for a field that is not nullable is dropped before validation.
            if field.node().is_none() || is_null {
                faults.add_missing(&field, name);
            }
        }
    }

    fn check_text(&self, text: &str, cursor: &Cursor<'_>, faults: &mut Faults) {
        let known = || self.one_of.iter().filter_map(Value::as_str);
        if !self.one_of.is_empty() && !known().any(|one| one == text) {
            let names: Vec<&str> = known().collect();
            let message = format!("{text:?} is not one of {}", names.join(", "));
            faults.add_at(
                cursor,
                cursor.at(),
                "unknown-value",
                message,
                did_you_mean(text, known()),
            );
        }
        if let Some(pattern) = &self.pattern
            && !pattern.is_match(text)
        {
            let message = format!("{text:?} does not match {}", pattern.as_str());
            faults.add(cursor, "invalid-value", message);
        }
        self.length
            .check(text.chars().count(), "characters", cursor, faults);
    }

    fn check_number(&self, number: f64, cursor: &Cursor<'_>, faults: &mut Faults) {
        if let Some(least) = self.minimum.filter(|least| number < *least) {
            faults.add(
                cursor,
                "out-of-range",
                format!("{number} is less than {least}"),
            );
        }
        if let Some(most) = self.maximum.filter(|most| number > *most) {
            faults.add(
                cursor,
                "out-of-range",
                format!("{number} is more than {most}"),
            );
        }
    }

    /// Items that should differ.
    fn check_keys(&self, cursor: &Cursor<'_>, faults: &mut Faults) {
        let Some(keys) = &self.keys else { return };
        let mut seen = HashSet::new();
        for item in cursor.items() {
            let identity: Vec<Option<String>> = if keys.is_empty() {
                vec![item.node().and_then(scalar)]
            } else {
                keys.iter()
                    .map(|key| item.get(key).node().and_then(scalar))
                    .collect()
            };
            if !seen.insert(identity) {
                let message = match &keys[..] {
                    [] => "this item is given twice".to_owned(),
                    keys => format!("two items have the same {}", keys.join(" and ")),
                };
                faults.add(&item, "duplicate-item", message);
            }
        }
    }
}

fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Written::Scalar(text) => Some(text.clone()),
        _ => None,
    }
}

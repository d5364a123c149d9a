//! Reading a tree by hand, so that everything wrong with it is found, each thing with its place.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use super::document::{Document, Origin};
use crate::diagnostic::{Diagnostic, Severity};
use crate::suggest::did_you_mean;
use crate::yaml::{Node, Position, Value};

/// Collects what is wrong with one file.
pub(super) struct Log {
    pub(super) file: Arc<str>,
    /// Of a document that a program made.
    origins: Option<Arc<[Origin]>>,
    diagnostics: RefCell<Vec<Diagnostic>>,
}

impl Log {
    pub(super) fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            origins: None,
            diagnostics: RefCell::default(),
        }
    }

    /// For a document whose positions stand for `origins`.
    pub(super) fn of_document(origins: Arc<[Origin]>) -> Self {
        Self {
            origins: Some(origins),
            ..Self::new("")
        }
    }

    /// The file, line and column of a position.
    pub(super) fn place(&self, at: Position) -> (Arc<str>, u32, u32) {
        match &self.origins {
            None => (self.file.clone(), at.line, at.column),
            Some(origins) => match origins.get(Document::index(at.line)) {
                Some(origin) => (origin.file.clone(), origin.line, origin.column),
                None => ("".into(), 0, 0),
            },
        }
    }

    /// Where a position is, in words.
    fn words(&self, at: Position) -> String {
        let (file, line, column) = self.place(at);
        match self.origins {
            None => format!("in line {line}"),
            Some(_) => format!("at {file}:{line}:{column}"),
        }
    }

    pub(super) fn push(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.diagnostics.borrow().is_empty()
    }

    /// In the order of the text; what is said twice (through an alias) is kept once.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics.into_inner();
        diagnostics.sort_by_key(|d| (d.line, d.column));
        diagnostics.dedup_by(|a, b| {
            (a.line, a.column, a.code, &a.message) == (b.line, b.column, b.code, &b.message)
        });
        diagnostics
    }
}

/// A value of the tree, with its path and the object it belongs to.
#[derive(Clone)]
pub(super) struct Item<'a> {
    node: &'a Node,
    log: &'a Log,
    path: String,
    object: Arc<str>,
}

impl<'a> Item<'a> {
    pub(super) fn root(node: &'a Node, log: &'a Log) -> Self {
        Self {
            node,
            log,
            path: String::new(),
            object: "".into(),
        }
    }

    /// The same value as part of `object`.
    pub(super) fn of(&self, object: String) -> Self {
        Self {
            object: object.into(),
            ..self.clone()
        }
    }

    pub(super) fn at(&self) -> Position {
        self.node.at
    }

    /// The file, line and column of this value.
    pub(super) fn place(&self) -> (Arc<str>, u32, u32) {
        self.log.place(self.at())
    }

    /// The file, that paths in it are relative to.
    pub(super) fn file(&self) -> &'a Arc<str> {
        &self.log.file
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    /// Reports an error here.
    pub(super) fn error(&self, code: &'static str, message: impl Into<String>) {
        self.report(Severity::Error, code, message.into(), None);
    }

    /// Reports an error here, with what to do about it if that is known.
    pub(super) fn error_with(
        &self,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.report(Severity::Error, code, message.into(), hint.into());
    }

    /// Reports a warning here.
    pub(super) fn warn(&self, code: &'static str, message: impl Into<String>) {
        self.report(Severity::Warning, code, message.into(), None);
    }

    /// Reports something that AWS has and elbow does not serve.
    pub(super) fn not_supported(&self, what: impl Display) {
        self.error("not-supported", format!("{what} not supported"));
    }

    fn report(
        &self,
        severity: Severity,
        code: &'static str,
        message: String,
        hint: Option<String>,
    ) {
        let at = self.node.at;
        let mut diagnostic = Diagnostic::new(severity, code, message)
            .at(&*self.log.file, at.line, at.column)
            .object(&*self.object)
            .field(&self.path[..]);
        diagnostic.hint = hint;
        self.log.push(diagnostic);
    }

    fn wrong_type(&self, expected: &str) {
        let is = match self.node.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        };
        self.error("wrong-type", format!("{expected} is due here, not {is}"));
    }

    /// The fields of a mapping. Fields that are not `known` are reported.
    pub(super) fn fields(&self, known: &'static [&'static str]) -> Option<Fields<'a>> {
        self.fields_but(known, &[])
    }

    /// As [`Self::fields`]; those `unserved` exist in AWS, and are refused as such.
    pub(super) fn fields_but(
        &self,
        known: &'static [&'static str],
        unserved: &[&str],
    ) -> Option<Fields<'a>> {
        let Value::Mapping(entries) = &self.node.value else {
            self.wrong_type("a mapping");
            return None;
        };
        for (key, node) in entries {
            let name = &key.name[..];
            if known.contains(&name) {
                continue;
            }
            let place = self.child(node, name);
            if unserved.contains(&name) {
                if !place.is_null() {
                    place.error_at(
                        key.at,
                        "not-supported",
                        format!("{name} is not supported"),
                        None,
                    );
                }
                continue;
            }
            let hint = did_you_mean(name, known.iter().copied())
                .unwrap_or_else(|| format!("known are: {}", known.join(", ")));
            // The name is what is wrong, so the name is where it is reported.
            place.error_at(
                key.at,
                "unknown-field",
                format!("there is no field \"{name}\" here"),
                Some(hint),
            );
        }
        Some(Fields {
            item: self.clone(),
            entries,
        })
    }

    /// The text of a field, when it is there; nothing is reported.
    pub(super) fn peek(&self, name: &str) -> Option<&'a str> {
        let Value::Mapping(entries) = &self.node.value else {
            return None;
        };
        let (_, node) = entries.iter().find(|(key, _)| key.name == name)?;
        match &node.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// Every key and value of a mapping whose keys are free.
    pub(super) fn pairs(&self) -> Vec<(&'a str, Position, Self)> {
        let Value::Mapping(entries) = &self.node.value else {
            self.wrong_type("a mapping");
            return Vec::new();
        };
        entries
            .iter()
            .map(|(key, node)| (&key.name[..], key.at, self.child(node, &key.name)))
            .collect()
    }

    /// Reports an error on this value at another position: that of its key.
    pub(super) fn error_at(
        &self,
        at: Position,
        code: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let node = Node {
            plain: false,
            at,
            value: Value::Null,
        };
        let place = Item {
            node: &node,
            log: self.log,
            path: self.path.clone(),
            object: self.object.clone(),
        };
        place.error_with(code, message, hint);
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Vec<Self> {
        let Value::Sequence(nodes) = &self.node.value else {
            self.wrong_type("a list");
            return Vec::new();
        };
        let item = |(i, node)| Self {
            node,
            log: self.log,
            path: format!("{}[{i}]", self.path),
            object: self.object.clone(),
        };
        nodes.iter().enumerate().map(item).collect()
    }

    /// A single value as text.
    pub(super) fn text(&self) -> Option<&'a str> {
        let Value::Scalar(text) = &self.node.value else {
            self.wrong_type("a single value");
            return None;
        };
        Some(text)
    }

    /// A number of `range`, quoted or not.
    pub(super) fn number<T>(&self, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        let text = self.text()?;
        let (from, to) = (range.start(), range.end());
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits {
            self.error(
                "wrong-type",
                format!("{text:?} is not a number from {from} to {to}"),
            );
            return None;
        }
        let number = text.parse().ok().filter(|n| range.contains(n));
        if number.is_none() {
            self.error("out-of-range", format!("{text} is not from {from} to {to}"));
        }
        number
    }

    /// One of the names of `table`, spelt exactly.
    pub(super) fn one_of<T: Copy>(&self, table: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, value)) = table.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names = || table.iter().map(|(name, _)| *name);
        let all = names().collect::<Vec<_>>().join(", ");
        self.error_with(
            "unknown-value",
            format!("{text:?} is none of {all}"),
            did_you_mean(text, names()),
        );
        None
    }

    fn child(&self, node: &'a Node, name: &str) -> Self {
        // A key with a dot of its own (an attribute) is one step of the path.
        let path = match (self.path.is_empty(), name.contains('.')) {
            (true, _) => name.to_owned(),
            (false, true) => format!("{}[{name}]", self.path),
            (false, false) => format!("{}.{name}", self.path),
        };
        Self {
            node,
            log: self.log,
            path,
            object: self.object.clone(),
        }
    }
}

/// The fields of a mapping; one without a value counts as not given.
pub(super) struct Fields<'a> {
    item: Item<'a>,
    entries: &'a [(crate::yaml::Key, Node)],
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, name: &str) -> Option<Item<'a>> {
        self.entries
            .iter()
            .find(|(key, node)| key.name == name && !matches!(node.value, Value::Null))
            .map(|(_, node)| self.item.child(node, name))
    }

    /// As [`Self::get`]; reported when missing.
    pub(super) fn required(&self, name: &str) -> Option<Item<'a>> {
        let found = self.get(name);
        if found.is_none() {
            self.item
                .error("missing-field", format!("the field \"{name}\" is missing"));
        }
        found
    }

    /// The items of a list; none when it is not given.
    pub(super) fn items(&self, name: &str) -> Vec<Item<'a>> {
        self.get(name).map(|item| item.items()).unwrap_or_default()
    }
}

/// Finds what may be there once only.
pub(super) struct Seen<T> {
    what: &'static str,
    places: HashMap<T, Position>,
}

impl<T: Eq + Hash + Display> Seen<T> {
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            places: HashMap::new(),
        }
    }

    /// Reports `key` when it was there before; whether it is new.
    pub(super) fn check(&mut self, key: T, item: &Item<'_>, code: &'static str) -> bool {
        if let Some(first) = self.places.get(&key) {
            item.error(
                code,
                format!(
                    "{} {key} is already given {}",
                    self.what,
                    item.log.words(*first)
                ),
            );
            return false;
        }
        self.places.insert(key, item.at());
        true
    }
}

/// A name that AWS would take for a load balancer or a target group.
pub(super) fn resource_name(item: &Item<'_>) -> Option<Arc<str>> {
    let text = item.text()?;
    let valid = !text.is_empty()
        && text.len() <= 32
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if !valid {
        item.error_with(
            "invalid-name",
            format!("{text:?} cannot be a name"),
            "1 to 32 letters, digits and hyphens, with no hyphen at either end".to_owned(),
        );
        return None;
    }
    Some(text.into())
}

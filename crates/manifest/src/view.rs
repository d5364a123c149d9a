//! Reading a tree with positions. Each value knows its path, and a value of the wrong type becomes a diagnostic with
//! file, line and column.

use std::cell::RefCell;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::suggest::did_you_mean;
use elbow_yaml::{Key, Meaning, Node, Position, Value};

/// The findings of one document.
#[derive(Debug)]
pub struct Log {
    file: Arc<str>,
    object: String,
    found: RefCell<Vec<Diagnostic>>,
}

impl Log {
    /// A log for one object of `file`; `object` is its `kind/namespace/name`, or empty.
    pub fn new(file: Arc<str>, object: impl Into<String>) -> Self {
        Self {
            file,
            object: object.into(),
            found: RefCell::default(),
        }
    }

    /// All findings, in the order of reading.
    pub fn into_found(self) -> Vec<Diagnostic> {
        self.found.into_inner()
    }

    /// Whether there is an error, so that the result is unreliable.
    pub fn is_refused(&self) -> bool {
        self.found.borrow().iter().any(Diagnostic::is_error)
    }

    /// Adds a finding, with the file and the object of this log.
    pub fn push(&self, at: Position, diagnostic: Diagnostic) {
        let diagnostic = diagnostic.at(&*self.file, at.line, at.column);
        let diagnostic = if diagnostic.object.is_empty() {
            diagnostic.object(self.object.clone())
        } else {
            diagnostic
        };
        self.found.borrow_mut().push(diagnostic);
    }
}

/// A value of the tree, or a missing one.
#[derive(Clone, Debug)]
pub struct View<'a> {
    log: &'a Log,
    node: Option<&'a Node>,
    path: String,
}

impl<'a> View<'a> {
    /// The top of a document.
    pub fn root(node: &'a Node, log: &'a Log) -> Self {
        Self {
            log,
            node: Some(node),
            path: String::new(),
        }
    }

    fn child(&self, node: Option<&'a Node>, name: &str) -> Self {
        let path = if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        };
        Self {
            log: self.log,
            node,
            path,
        }
    }

    /// The value, unless it is absent or null.
    fn value(&self) -> Option<(&'a Node, &'a Value)> {
        let node = self.node?;
        match &node.value {
            Value::Null => None,
            value => Some((node, value)),
        }
    }

    /// What a scalar means to Kubernetes.
    fn meaning(&self) -> Option<Meaning<'a>> {
        self.node?.meaning()
    }

    /// Whether the value is missing or null.
    pub fn is_absent(&self) -> bool {
        self.value().is_none()
    }

    /// Where the value starts; the top of the file when it is absent.
    pub fn at(&self) -> Position {
        self.node
            .map_or(Position { line: 1, column: 1 }, |node| node.at)
    }

    fn entries(&self) -> &'a [(Key, Node)] {
        match self.value() {
            None => &[],
            Some((_, Value::Mapping(entries))) => entries,
            Some(_) => {
                self.wrong_type("a mapping");
                &[]
            }
        }
    }

    /// A field of a mapping; absent when the mapping is.
    pub fn get(&self, name: &str) -> Self {
        let node = self
            .entries()
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node);
        self.child(node, name)
    }

    /// The fields of a mapping with their keys, in the order of the text.
    pub fn fields(&self) -> Vec<(&'a Key, Self)> {
        let field = |(key, node): &'a (Key, Node)| (key, self.child(Some(node), &key.name));
        self.entries().iter().map(field).collect()
    }

    /// The items of a list; none when it is absent.
    pub fn items(&self) -> Vec<Self> {
        let items = match self.value() {
            None => return Vec::new(),
            Some((_, Value::Sequence(items))) => items,
            Some(_) => {
                self.wrong_type("a list");
                return Vec::new();
            }
        };
        let item = |(index, node)| Self {
            log: self.log,
            node: Some(node),
            path: format!("{}[{index}]", self.path),
        };
        items.iter().enumerate().map(item).collect()
    }

    /// Text, as it is written.
    pub fn text(&self) -> Option<&'a str> {
        match self.value()? {
            (_, Value::Scalar(text)) => Some(text),
            _ => {
                self.wrong_type("a string");
                None
            }
        }
    }

    /// A string, for fields where Kubernetes refuses `true` and `1` without quotes.
    pub fn strict_text(&self) -> Option<&'a str> {
        let text = self.text()?;
        if !matches!(self.meaning(), Some(Meaning::Text(_))) {
            let found = Diagnostic::error("wrong-type", format!("expected a string, found {text}"))
                .field(self.path.clone())
                .hint(format!("put it in quotes: \"{text}\""));
            self.log.push(self.at(), found);
            return None;
        }
        Some(text)
    }

    /// A list of texts.
    pub fn texts(&self) -> Vec<String> {
        let items = self.items();
        let text = |item: &Self| item.text().map(str::to_owned);
        items.iter().filter_map(text).collect()
    }

    /// A whole number in the range of `T`.
    pub fn number<T: std::str::FromStr>(&self) -> Option<T> {
        let text = self.text()?;
        let number = match self.meaning() {
            // As Kubernetes writes it: `0x1bb` is 443.
            Some(Meaning::Integer(number)) => number.to_string().parse().ok(),
            Some(Meaning::Float(number)) => number.to_string().parse().ok(),
            _ => text.parse().ok(),
        };
        if number.is_none() {
            self.wrong_type("a whole number in range");
        }
        number
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        match (self.meaning(), self.text()?) {
            (Some(Meaning::Boolean(value)), _) => Some(value),
            (_, "true" | "True" | "TRUE") => Some(true),
            (_, "false" | "False" | "FALSE") => Some(false),
            _ => {
                self.wrong_type("true or false");
                None
            }
        }
    }

    /// Reports unknown fields, with the nearest known one as a hint.
    pub fn only(&self, known: &[&str]) {
        for (key, field) in self.fields() {
            if known.contains(&&*key.name) {
                continue;
            }
            let message = format!("unknown field \"{}\"", key.name);
            let mut found = Diagnostic::error("unknown-field", message).field(field.path);
            found.hint = did_you_mean(&key.name, known.iter().copied());
            self.log.push(key.at, found);
        }
    }

    /// Reports a finding about this value, at the place of its key.
    pub fn key_found(&self, key: &Key, found: Diagnostic) {
        self.log.push(key.at, found.field(self.path.clone()));
    }

    /// Reports an error on this value.
    pub fn error(&self, code: &'static str, message: impl Into<String>) {
        let found = Diagnostic::error(code, message).field(self.path.clone());
        self.log.push(self.at(), found);
    }

    /// The text of the field `name`, which `what` needs and which is not empty.
    pub fn required(&self, name: &str, what: &str) -> Option<String> {
        let field = self.get(name);
        let text = field.text().filter(|text| !text.is_empty());
        if text.is_none() {
            // A field that is missing has no place of its own.
            let place = if field.is_absent() { self } else { &field };
            place.error("missing-field", format!("{what} needs {name}"));
        }
        text.map(str::to_owned)
    }

    fn wrong_type(&self, expected: &str) {
        self.error("wrong-type", format!("expected {expected}"));
    }
}

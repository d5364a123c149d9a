//! Reading a positioned tree: each value knows its field path, and a value of the wrong type becomes a
//! diagnostic with file, line and column instead of a guess.

use std::cell::RefCell;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::suggest::did_you_mean;
use elbow_model::yaml::{Key, Node, Position, Value};

/// Where the findings of one document go.
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

    /// Everything found, in the order of the reading.
    pub fn into_found(self) -> Vec<Diagnostic> {
        self.found.into_inner()
    }

    /// Whether an error was found, so that what was read cannot be relied on.
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

/// A value of the tree, or the absence of one.
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

    /// Whether nothing stands here.
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
                self.wrong_type("text");
                None
            }
        }
    }

    /// Text where Kubernetes takes nothing else: `true` and `1` without quotes are no text there.
    pub fn strict_text(&self) -> Option<&'a str> {
        let text = self.text()?;
        let plain = self.node.is_some_and(|node| node.plain);
        if plain && (is_boolean(text) || is_number(text)) {
            let found = Diagnostic::error("wrong-type", format!("{text} is no text here"))
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

    /// A whole number that fits.
    pub fn number<T: std::str::FromStr>(&self) -> Option<T> {
        let text = self.text()?;
        let number = text.parse().ok();
        if number.is_none() {
            self.wrong_type("a whole number in range");
        }
        number
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        match self.text()? {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => {
                self.wrong_type("true or false");
                None
            }
        }
    }

    /// Reports the fields that are none of `known`, with the nearest of them as a hint.
    pub fn only(&self, known: &[&str]) {
        for (key, field) in self.fields() {
            if known.contains(&&*key.name) {
                continue;
            }
            let message = format!("there is no field \"{}\" here", key.name);
            let mut found = Diagnostic::error("unknown-field", message).field(field.path);
            found.hint = did_you_mean(&key.name, known.iter().copied());
            self.log.push(key.at, found);
        }
    }

    /// Reports an error on this value.
    pub fn error(&self, code: &'static str, message: impl Into<String>) {
        let found = Diagnostic::error(code, message).field(self.path.clone());
        self.log.push(self.at(), found);
    }

    fn wrong_type(&self, wanted: &str) {
        self.error("wrong-type", format!("{wanted} is wanted here"));
    }
}

fn is_boolean(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.parse::<f64>().is_ok()
}

//! Reading a tree by hand, so that everything that cannot be read is found, each thing with its place.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elbow_model::AttributesSpec;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::suggest::did_you_mean;
use elbow_yaml::{Key, Node, Position, Value};

/// Collects what is wrong with one file.
pub(super) struct Log {
    pub(super) file: Arc<str>,
    diagnostics: RefCell<Vec<Diagnostic>>,
    /// Paths of values that could not be read. What stands in for them is not checked.
    unreadable: RefCell<HashSet<String>>,
}

impl Log {
    pub(super) fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            diagnostics: RefCell::default(),
            unreadable: RefCell::default(),
        }
    }

    pub(super) fn push(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.diagnostics.borrow().is_empty()
    }

    /// Whether the value at `path` could not be read.
    pub(super) fn is_unreadable(&self, path: &str) -> bool {
        self.unreadable.borrow().contains(path)
    }

    /// Whether every value could be read.
    pub(super) fn is_readable(&self) -> bool {
        self.unreadable.borrow().is_empty()
    }

    /// In the order of the text; a diagnostic that an alias repeats is kept once.
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

    /// The same value as part of an object of this kind, called by its field `name`.
    pub(super) fn object(&self, kind: &str) -> Self {
        Self {
            object: format!("{kind}/{}", self.peek("name")).into(),
            ..self.clone()
        }
    }

    /// The text of a field; empty when it has none. Nothing is reported.
    pub(super) fn peek(&self, name: &str) -> &'a str {
        match &self.node.value {
            Value::Mapping(entries) => text_of(entries, name),
            _ => "",
        }
    }

    /// The file, line and column of this value.
    pub(super) fn place(&self) -> (Arc<str>, u32, u32) {
        let at = self.node.at;
        (self.log.file.clone(), at.line, at.column)
    }

    /// The file called `path`, relative to the folder of this one. A path that is empty stays so, for the model to refuse.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        let folder = Path::new(&*self.log.file).parent();
        match folder {
            Some(folder) if !path.is_empty() => folder.join(path),
            _ => path.into(),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    /// Reports that this cannot be read.
    fn wrong_type(&self, expected: &str) {
        let found = match &self.node.value {
            Value::Null => "nothing".to_owned(),
            Value::Scalar(text) => format!("{text:?}"),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
        };
        self.refuse("wrong-type", format!("expected {expected}, found {found}"));
    }

    fn refuse(&self, code: &'static str, message: String) {
        let mut unreadable = self.log.unreadable.borrow_mut();
        unreadable.insert(self.path.clone());
        self.error_at(self.node.at, code, message, None);
    }

    fn error_at(&self, at: Position, code: &'static str, message: String, hint: Option<String>) {
        let mut diagnostic = Diagnostic::error(code, message)
            .at(&*self.log.file, at.line, at.column)
            .object(&*self.object)
            .field(&self.path[..]);
        diagnostic.hint = hint;
        self.log.push(diagnostic);
    }

    /// What `read` makes of the fields of a mapping. Fields that it does not ask for are reported.
    pub(super) fn mapping<T: Default>(&self, read: impl FnOnce(&Fields<'a>) -> T) -> T {
        let Value::Mapping(entries) = &self.node.value else {
            self.wrong_type("a mapping");
            return T::default();
        };
        let fields = Fields {
            item: self.clone(),
            entries,
            known: RefCell::default(),
            unserved: RefCell::default(),
        };
        let value = read(&fields);
        fields.report_others();
        value
    }

    /// Every entry of a mapping whose keys are free.
    pub(super) fn entries(&self) -> Vec<(&'a str, Self)> {
        let Value::Mapping(entries) = &self.node.value else {
            self.wrong_type("a mapping");
            return Vec::new();
        };
        entries
            .iter()
            .map(|(key, node)| (&key.name[..], self.child(node, &key.name)))
            .collect()
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

    /// A number, quoted or not. One that does not fit is out of the range of any field: it counts as the largest.
    pub(super) fn number(&self) -> Option<u32> {
        match &self.node.value {
            Value::Scalar(text) if is_digits(text) => Some(text.parse().unwrap_or(u32::MAX)),
            _ => {
                self.wrong_type("a number");
                None
            }
        }
    }

    /// `true` or `false`, quoted or not.
    pub(super) fn flag(&self) -> Option<bool> {
        match self.text()? {
            "true" => Some(true),
            "false" => Some(false),
            text => {
                let message = format!("expected true or false, found {text:?}");
                self.refuse("unknown-value", message);
                None
            }
        }
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

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The text of the entry `name`; empty when it has none.
pub(super) fn text_of<'a>(entries: &'a [(Key, Node)], name: &str) -> &'a str {
    let mut named = entries.iter().filter(|(key, _)| key.name == name);
    match named.next().map(|(_, node)| &node.value) {
        Some(Value::Scalar(text)) => text,
        _ => "",
    }
}

/// The fields of a mapping; one without a value counts as not given.
pub(super) struct Fields<'a> {
    item: Item<'a>,
    entries: &'a [(Key, Node)],
    /// Names that were asked for.
    known: RefCell<Vec<&'static str>>,
    /// Names that AWS has and elbow does not accept here.
    unserved: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, name: &'static str) -> Option<Item<'a>> {
        self.known.borrow_mut().push(name);
        self.entries
            .iter()
            .find(|(key, node)| key.name == name && !matches!(node.value, Value::Null))
            .map(|(_, node)| self.item.child(node, name))
    }

    /// The field `name` exists in AWS and is refused as such.
    pub(super) fn refuse(&self, name: &'static str) {
        self.unserved.borrow_mut().push(name);
    }

    pub(super) fn text(&self, name: &'static str) -> Option<String> {
        self.get(name)?.text().map(str::to_owned)
    }

    pub(super) fn number(&self, name: &'static str) -> Option<u32> {
        self.get(name)?.number()
    }

    pub(super) fn flag(&self, name: &'static str) -> Option<bool> {
        self.get(name)?.flag()
    }

    /// What `read` makes of the items of a list. An item that cannot be read is there as well, so that the others
    /// keep their places.
    pub(super) fn list<T>(
        &self,
        name: &'static str,
        read: impl Fn(&Item<'a>) -> T,
    ) -> Option<Vec<T>> {
        let items = self.get(name)?.items();
        Some(items.iter().map(read).collect())
    }

    pub(super) fn texts(&self, name: &'static str) -> Option<Vec<String>> {
        self.list(name, |item| item.text().unwrap_or_default().to_owned())
    }

    /// The path of a file, relative to the folder of this one.
    pub(super) fn file(&self, name: &'static str) -> Option<PathBuf> {
        Some(self.item.beside(&self.text(name)?))
    }

    /// Paths of files, relative to the folder of this one.
    pub(super) fn files(&self, name: &'static str) -> Option<Vec<PathBuf>> {
        let texts = self.texts(name)?.into_iter();
        Some(texts.map(|text| self.item.beside(&text)).collect())
    }

    /// `attributes` by key; one whose value cannot be read is left out.
    pub(super) fn attributes(&self) -> Option<AttributesSpec> {
        let entries = self.get("attributes")?.entries();
        let text = |(key, item): (&str, Item<'_>)| Some((key.to_owned(), item.text()?.to_owned()));
        Some(entries.into_iter().filter_map(text).collect())
    }

    fn report_others(&self) {
        let known = self.known.borrow();
        let unserved = self.unserved.borrow();
        for (key, node) in self.entries {
            let name = &key.name[..];
            if known.contains(&name) {
                continue;
            }
            // The name is what is wrong, so it is reported where the name is.
            let place = self.item.child(node, name);
            if !unserved.contains(&name) {
                let hint = did_you_mean(name, known.iter().copied())
                    .unwrap_or_else(|| format!("known are: {}", known.join(", ")));
                let message = format!("there is no field \"{name}\" here");
                place.error_at(key.at, "unknown-field", message, Some(hint));
            } else if !place.is_null() {
                let message = format!("{name} is not supported");
                place.error_at(key.at, "not-supported", message, None);
            }
        }
    }
}

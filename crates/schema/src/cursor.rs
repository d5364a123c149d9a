//! A value of an object, or a missing one, with its path.

use elbow_yaml::{Key, Meaning, Node, Position, Value};

/// A value of an object, or a missing one, that knows its path. The path is written only for a fault, so a step costs
/// nothing; a cursor borrows the one above it.
///
/// ```
/// use elbow_schema::Cursor;
/// use elbow_yaml::{Limits, parse};
///
/// let (root, _) = parse("spec: {ports: [{port: 80}]}", Limits::OBJECTS);
/// let root = root.unwrap();
/// let root = Cursor::root(&root);
/// let spec = root.get("spec");
/// let ports = spec.get("ports");
/// let port = ports.item(0);
/// let number = port.get("port");
/// assert_eq!((number.number(), number.path().as_str()), (Some(80), "spec.ports[0].port"));
/// assert_eq!(port.get("name").text(), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    node: Option<&'a Node>,
    above: Option<&'a Self>,
    step: Step<'a>,
}

/// How a value is reached from the one above it.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Field(&'a str),
    /// A key that the user chose, as of a label.
    Key(&'a str),
    Item(usize),
}

impl<'a> Cursor<'a> {
    /// The whole object.
    pub fn root(node: &'a Node) -> Self {
        Self {
            node: Some(node),
            above: None,
            step: Step::Root,
        }
    }

    /// The field `name` of a mapping; absent if this is not a mapping.
    pub fn get<'b>(&'b self, name: &'b str) -> Cursor<'b> {
        let entry = self.entries().iter().find(|(key, _)| key.name == name);
        self.below(entry.map(|(_, node)| node), Step::Field(name))
    }

    /// The value of a key that the user chose: a label, an entry of `data`; absent if this is no mapping. The path shows it in
    /// brackets, `data[tls.crt]`.
    pub fn key<'b>(&'b self, name: &'b str) -> Cursor<'b> {
        let entry = self.entries().iter().find(|(key, _)| key.name == name);
        self.below(entry.map(|(_, node)| node), Step::Key(name))
    }

    /// The item `index` of a list, from 0; absent if this is not a list.
    pub fn item(&self, index: usize) -> Cursor<'_> {
        self.below(self.list().get(index), Step::Item(index))
    }

    /// The items of a list; none if this is no list.
    pub fn items(&self) -> impl Iterator<Item = Cursor<'_>> {
        let item = |(index, node)| self.below(Some(node), Step::Item(index));
        self.list().iter().enumerate().map(item)
    }

    /// The fields of a mapping with their names, in the order of the text; none if this is no mapping.
    pub fn fields(&self) -> impl Iterator<Item = (&Key, Cursor<'_>)> {
        let field = |(key, node): &'a (Key, Node)| {
            let cursor = self.below(Some(node), Step::Field(&key.name));
            (key, cursor)
        };
        self.entries().iter().map(field)
    }

    /// As [`Self::fields`], for keys that the user chose.
    pub fn keys(&self) -> impl Iterator<Item = (&'a Key, Cursor<'_>)> {
        let entry = |(key, node): &'a (Key, Node)| {
            let cursor = self.below(Some(node), Step::Key(&key.name));
            (key, cursor)
        };
        self.entries().iter().map(entry)
    }

    fn below<'b>(&'b self, node: Option<&'b Node>, step: Step<'b>) -> Cursor<'b> {
        Cursor {
            node,
            above: Some(self),
            step,
        }
    }

    /// The value, if it is written.
    pub fn node(&self) -> Option<&'a Node> {
        self.node
    }

    /// Whether the value is missing or null.
    pub fn is_absent(&self) -> bool {
        self.node
            .is_none_or(|node| matches!(node.value, Value::Null))
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.node.map(|node| &node.value), Some(Value::Sequence(_)))
    }

    /// Whether it is a mapping.
    pub fn is_mapping(&self) -> bool {
        matches!(self.node.map(|node| &node.value), Some(Value::Mapping(_)))
    }

    /// Whether it is an object: a mapping, or a null in a list, which is decoded as an object without fields.
    pub fn is_object(&self) -> bool {
        self.is_mapping() || self.is_null_item()
    }

    /// Whether it is a null in a list: it is decoded as an empty value.
    pub fn is_null_item(&self) -> bool {
        let is_item = matches!(self.step, Step::Item(_));
        is_item && self.node.is_some() && self.is_absent()
    }

    /// The text that is decoded: that of a string, and the empty one of a null in a list.
    pub fn decoded_text(&self) -> Option<&'a str> {
        if self.is_null_item() {
            return Some("");
        }
        self.text()
    }

    /// A string; `None` for anything else, also for a number or a truth value that lacks its quotes.
    pub fn text(&self) -> Option<&'a str> {
        match self.node?.meaning()? {
            Meaning::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The string of the field `name`, which lives as long as the object.
    pub fn text_of(&self, name: &str) -> Option<&'a str> {
        let entry = self.entries().iter().find(|(key, _)| key.name == name);
        match entry?.1.meaning()? {
            Meaning::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number, also one that is written as `80.0`; `None` for anything else, also for a number in quotes.
    pub fn number(&self) -> Option<i64> {
        match self.node?.meaning()? {
            Meaning::Integer(number) => number.try_into().ok(),
            Meaning::Float(number) if number.fract() == 0.0 => (number as i128).try_into().ok(),
            _ => None,
        }
    }

    /// A truth value; `None` for anything else, also for one in quotes.
    pub fn boolean(&self) -> Option<bool> {
        match self.node?.meaning()? {
            Meaning::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// Whether this is an entry of the mapping at `path`, a field of the whole object and so on.
    pub(crate) fn is_below(&self, path: &[&str]) -> bool {
        let mut above = self.above;
        for name in path.iter().rev() {
            match above {
                Some(cursor) if matches!(cursor.step, Step::Field(step) if step == *name) => {
                    above = cursor.above;
                }
                _ => return false,
            }
        }
        above.is_some_and(|cursor| matches!(cursor.step, Step::Root))
    }

    fn list(&self) -> &'a [Node] {
        match self.node.map(|node| &node.value) {
            Some(Value::Sequence(items)) => items,
            _ => &[],
        }
    }

    fn entries(&self) -> &'a [(Key, Node)] {
        match self.node.map(|node| &node.value) {
            Some(Value::Mapping(entries)) => entries,
            _ => &[],
        }
    }

    /// Where the value stands; where the nearest one above it stands if it is absent.
    pub fn at(&self) -> Position {
        match (self.node, self.above) {
            (Some(node), _) => node.at,
            (None, Some(above)) => above.at(),
            (None, None) => Position { line: 0, column: 0 },
        }
    }

    /// The path, for example `spec.ports[0].port`; empty for the whole object.
    pub fn path(&self) -> String {
        let mut path = self.above.map(Cursor::path).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Field(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Step::Key(name) => path += &format!("[{name}]"),
            Step::Item(index) => path += &format!("[{index}]"),
        }
        path
    }
}

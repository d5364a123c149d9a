//! A manifest that can be changed anywhere, and its YAML.

use std::fmt::Write;

use elbow_yaml::{Limits, Node, Value, parse_all};

/// A value of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// Written as it is: a number, `true`, `null`, a tag and its value.
    Plain(String),
    /// A string, in quotes.
    Quoted(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// A step from a value to one below it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Field(String),
    Item(usize),
}

/// The way from the whole manifest to a value.
pub(crate) type Path = Vec<Step>;

/// A path as Kubernetes writes it.
pub(crate) fn text_of(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => write!(text, ".{name}").unwrap(),
            Step::Item(index) => write!(text, "[{index}]").unwrap(),
        }
    }
    text
}

pub(crate) fn plain(text: &str) -> Tree {
    Tree::Plain(text.to_owned())
}

pub(crate) fn quoted(text: &str) -> Tree {
    Tree::Quoted(text.to_owned())
}

impl Tree {
    /// Every manifest of a text.
    pub(crate) fn read(text: &str) -> Vec<Self> {
        let (documents, problems) = parse_all(text, Limits::OBJECTS);
        assert!(problems.is_empty(), "{problems:?}");
        documents.iter().map(Self::of).collect()
    }

    fn of(node: &Node) -> Self {
        match &node.value {
            Value::Null => plain("null"),
            Value::Scalar(text) if node.plain => plain(text),
            Value::Scalar(text) => quoted(text),
            Value::Sequence(items) => Self::List(items.iter().map(Self::of).collect()),
            Value::Mapping(entries) => {
                let entry =
                    |(key, node): &(elbow_yaml::Key, Node)| (key.name.clone(), Self::of(node));
                Self::Map(entries.iter().map(entry).collect())
            }
        }
    }

    /// The value of a field.
    pub(crate) fn get(&self, field: &str) -> Option<&Self> {
        let Self::Map(entries) = self else {
            return None;
        };
        entries
            .iter()
            .find(|(key, _)| key == field)
            .map(|(_, value)| value)
    }

    /// The text of a scalar that is a string for YAML.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Plain(text) | Self::Quoted(text) => Some(text),
            _ => None,
        }
    }

    /// The value at a path.
    pub(crate) fn at_mut(&mut self, path: &[Step]) -> Option<&mut Self> {
        let Some((step, rest)) = path.split_first() else {
            return Some(self);
        };
        let below = match (self, step) {
            (Self::Map(entries), Step::Field(name)) => entries
                .iter_mut()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            (Self::List(items), Step::Item(index)) => items.get_mut(*index),
            _ => None,
        };
        below?.at_mut(rest)
    }

    /// Sets the value at a path; the mappings on the way are made.
    pub(crate) fn set(&mut self, path: &[Step], to: Self) {
        let Some((step, rest)) = path.split_first() else {
            *self = to;
            return;
        };
        match (self, step) {
            (Self::Map(entries), Step::Field(name)) => {
                let found = entries.iter().position(|(key, _)| key == name);
                let index = found.unwrap_or_else(|| {
                    entries.push((name.clone(), Self::Map(Vec::new())));
                    entries.len() - 1
                });
                entries[index].1.set(rest, to);
            }
            (Self::List(items), Step::Item(index)) => {
                if *index == items.len() {
                    items.push(Self::Map(Vec::new()));
                }
                items[*index].set(rest, to);
            }
            (other, _) => panic!("no {step:?} in {other:?}"),
        }
    }

    /// Takes the value at a path out.
    pub(crate) fn remove(&mut self, path: &[Step]) -> Option<Self> {
        let (step, above) = path.split_last()?;
        match (self.at_mut(above)?, step) {
            (Self::Map(entries), Step::Field(name)) => {
                let index = entries.iter().position(|(key, _)| key == name)?;
                Some(entries.remove(index).1)
            }
            (Self::List(items), Step::Item(index)) => Some(items.remove(*index)),
            _ => None,
        }
    }

    /// Every path below this value, with the value.
    pub(crate) fn paths(&self) -> Vec<(Path, &Self)> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect<'a>(&'a self, path: &mut Path, found: &mut Vec<(Path, &'a Self)>) {
        let mut below = |step: Step, value: &'a Self| {
            path.push(step);
            found.push((path.clone(), value));
            value.collect(path, found);
            path.pop();
        };
        match self {
            Self::Map(entries) => {
                for (key, value) in entries {
                    below(Step::Field(key.clone()), value);
                }
            }
            Self::List(items) => {
                for (index, value) in items.iter().enumerate() {
                    below(Step::Item(index), value);
                }
            }
            _ => {}
        }
    }

    /// The manifest as YAML.
    pub(crate) fn yaml(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text
    }

    fn write(&self, text: &mut String, indent: usize) {
        let start = "  ".repeat(indent);
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    write!(text, "{start}{}:", key_text(key)).unwrap();
                    value.write_below(text, indent);
                }
            }
            Self::List(items) if !items.is_empty() => {
                for item in items {
                    write!(text, "{start}-").unwrap();
                    item.write_below(text, indent);
                }
            }
            other => writeln!(text, "{start}{}", other.word()).unwrap(),
        }
    }

    fn write_below(&self, text: &mut String, indent: usize) {
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                text.push('\n');
                self.write(text, indent + 1);
            }
            Self::List(items) if !items.is_empty() => {
                text.push('\n');
                self.write(text, indent + 1);
            }
            other => writeln!(text, " {}", other.word()).unwrap(),
        }
    }

    fn word(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Quoted(text) => serde_json::to_string(text).unwrap(),
            Self::List(_) => "[]".to_owned(),
            Self::Map(_) => "{}".to_owned(),
        }
    }
}

fn key_text(key: &str) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    let starts = key.starts_with(|c: char| c.is_ascii_alphabetic());
    if starts && key.chars().all(simple) {
        key.to_owned()
    } else {
        serde_json::to_string(key).unwrap()
    }
}

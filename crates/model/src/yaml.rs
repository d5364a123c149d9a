//! YAML text to a tree that knows where everything stands. The only user of the YAML parser: the
//! rest of the crate sees [`Node`].
//!
//! Scalars stay text, quoted or not; what they mean is decided by the field that holds them, so `no`
//! is a name where a name is due. Aliases are taken (the copy keeps the position of the original),
//! within a budget for the whole document; tags and merge keys are not read.

use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span};

/// Nodes of a document, aliases written out: some 20 for each rule or target, so far beyond any
/// configuration, and little enough that a "billion laughs" document costs nothing.
const MAX_NODES: usize = 500_000;

/// Nesting; the model needs 9.
const MAX_DEPTH: usize = 32;

/// Line and column in characters, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A value and where it starts.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(String),
    Sequence(Vec<Node>),
    /// In the order of the text; keys are unique.
    Mapping(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) at: Position,
    pub(crate) name: String,
}

/// What is wrong with the text as YAML.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) at: Position,
    pub(crate) message: String,
}

/// The first document of `text` as a tree, with everything that is wrong with it as YAML. `None`:
/// the text cannot be read at all, or is empty.
pub(crate) fn parse(text: &str) -> (Option<Node>, Vec<Problem>) {
    let mut options = Options::default();
    options.emit_comments = false;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => {
                if let Err(problem) = builder.event(event, &span) {
                    builder.problems.push(problem);
                    return (None, builder.problems);
                }
            }
            Err(error) => {
                let mark = error.marker();
                builder.problems.push(Problem {
                    code: "yaml-syntax",
                    at: position(mark.line(), mark.col()),
                    message: error.info(),
                });
                return (None, builder.problems);
            }
        }
    }
    (builder.root, builder.problems)
}

fn position(line: usize, column: usize) -> Position {
    Position {
        line: u32::try_from(line).unwrap_or(u32::MAX).max(1),
        column: u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1),
    }
}

/// A collection that is still open.
struct Open {
    at: Position,
    anchor: usize,
    nodes_before: usize,
    kind: OpenKind,
}

enum OpenKind {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<(Key, Node)>,
        names: HashSet<String>,
        key: Option<Pending>,
    },
}

/// What stands before the value that comes next.
enum Pending {
    Key(Key),
    /// Reported already; its value is dropped.
    Refused,
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    /// By anchor id: the node, and how many nodes it is made of.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    documents: usize,
    problems: Vec<Problem>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let at = position(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(..) => self.document(at),
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain
                    && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if null {
                    Value::Null
                } else {
                    Value::Scalar(text.into_owned())
                };
                self.grow(1, at)?;
                self.complete(Node { at, value }, anchor, 1);
                Ok(())
            }
            Event::SequenceStart(_, anchor, _) => {
                self.start(at, anchor, OpenKind::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => {
                let kind = OpenKind::Mapping {
                    entries: Vec::new(),
                    names: HashSet::new(),
                    key: None,
                };
                self.start(at, anchor, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.end();
                Ok(())
            }
            Event::Alias(id) => self.alias(id, at),
            _ => Ok(()),
        }
    }

    fn document(&mut self, at: Position) -> Result<(), Problem> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(Problem {
                code: "several-documents",
                at,
                message: "a second document starts here; a file holds one".into(),
            });
        }
        Ok(())
    }

    fn start(&mut self, at: Position, anchor: usize, kind: OpenKind) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Problem {
                code: "too-deep",
                at,
                message: format!("nested deeper than {MAX_DEPTH} levels"),
            });
        }
        self.open.push(Open {
            at,
            anchor,
            nodes_before: self.nodes,
            kind,
        });
        self.grow(1, at)
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let value = match open.kind {
            OpenKind::Sequence(items) => Value::Sequence(items),
            OpenKind::Mapping { entries, .. } => Value::Mapping(entries),
        };
        let node = Node { at: open.at, value };
        self.complete(node, open.anchor, self.nodes - open.nodes_before);
    }

    fn alias(&mut self, id: usize, at: Position) -> Result<(), Problem> {
        let Some((_, size)) = self.anchors.get(&id) else {
            return Err(Problem {
                code: "yaml-syntax",
                at,
                message: "this alias stands inside what it names".into(),
            });
        };
        // Before the copy is made: this is what stops a document that doubles itself.
        let size = *size;
        self.grow(size, at)?;
        if let Some((node, _)) = self.anchors.get(&id) {
            let node = node.clone();
            self.complete(node, 0, size);
        }
        Ok(())
    }

    fn grow(&mut self, by: usize, at: Position) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(by);
        if self.nodes > MAX_NODES {
            return Err(Problem {
                code: "too-large",
                at,
                message: format!("more than {MAX_NODES} values, aliases written out"),
            });
        }
        Ok(())
    }

    /// A node is whole: it goes to the collection around it.
    fn complete(&mut self, node: Node, anchor: usize, size: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::Sequence(items)) => items.push(node),
            Some(OpenKind::Mapping {
                entries,
                names,
                key,
            }) => match key.take() {
                Some(Pending::Key(key)) => entries.push((key, node)),
                Some(Pending::Refused) => {}
                None => *key = Some(accept_key(node, names, &mut self.problems)),
            },
        }
    }
}

fn accept_key(node: Node, names: &mut HashSet<String>, problems: &mut Vec<Problem>) -> Pending {
    let at = node.at;
    let Value::Scalar(name) = node.value else {
        problems.push(Problem {
            code: "yaml-syntax",
            at,
            message: "a field's name must be text".into(),
        });
        return Pending::Refused;
    };
    if !names.insert(name.clone()) {
        problems.push(Problem {
            code: "duplicate-field",
            at,
            message: format!("\"{name}\" is given twice in the same place"),
        });
        return Pending::Refused;
    }
    Pending::Key(Key { at, name })
}

#[cfg(test)]
mod tests;

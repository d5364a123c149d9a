//! The tree of a text, built from the events of the parser.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, ScalarStyle, Span};

use crate::json::too_large;
use crate::meaning::{Meaning, meaning};
use crate::merge::Fields;
use crate::node::{PROBLEMS, position};
use crate::tag::tagged;
use crate::{COPIED_BYTES, Key, Limits, NODE_BYTES, Node, Position, Problem, Value};

/// A collection that is still open.
struct Open {
    at: Position,
    anchor: usize,
    /// Bytes taken before it.
    before: usize,
    kind: OpenKind,
}

enum OpenKind {
    Sequence(Vec<Node>),
    Mapping {
        fields: Fields,
        key: Option<Pending>,
    },
}

/// The key of the next value.
enum Pending {
    Key(Key),
    /// `<<`: the value's fields are added.
    Merge,
    /// Reported already; its value is dropped.
    Refused,
}

/// The documents of a text, while its events arrive.
pub(crate) struct Builder {
    limits: Limits,
    /// Whether merge keys, tags and the names of fields are those of Kubernetes.
    kubernetes: bool,
    pub(crate) documents: Vec<Node>,
    /// Where each document starts, empty ones too.
    pub(crate) starts: Vec<Position>,
    open: Vec<Open>,
    /// By anchor id: the node, and the bytes that it takes.
    anchors: HashMap<usize, (Node, usize)>,
    /// Bytes that the tree takes.
    bytes: usize,
    /// Bytes of copies: aliases in the tree, and anchors.
    copied: usize,
    pub(crate) problems: Vec<Problem>,
}

impl Builder {
    pub(crate) fn new(limits: Limits, kubernetes: bool) -> Self {
        Self {
            limits,
            kubernetes,
            documents: Vec::new(),
            starts: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            bytes: 0,
            copied: 0,
            problems: Vec::new(),
        }
    }

    pub(crate) fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let at = position(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.starts.push(at);
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let mut text = text;
                let mut plain = style == ScalarStyle::Plain;
                if let Some(tag) = tag.filter(|_| self.kubernetes) {
                    (text, plain) = tagged(text, &tag, at)?;
                }
                let null = plain && meaning(&text) == Meaning::Null;
                let value = if null {
                    Value::Null
                } else {
                    Value::Scalar(text.into_owned())
                };
                let size = NODE_BYTES
                    + match &value {
                        Value::Scalar(text) => text.len(),
                        _ => 0,
                    };
                self.grow(size, at)?;
                self.complete(Node { at, plain, value }, anchor, size)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.start(at, anchor, OpenKind::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => {
                let kind = OpenKind::Mapping {
                    fields: Fields::default(),
                    key: None,
                };
                self.start(at, anchor, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(id) => self.alias(id, at),
            _ => Ok(()),
        }
    }

    fn start(&mut self, at: Position, anchor: usize, kind: OpenKind) -> Result<(), Problem> {
        if self.open.len() >= self.limits.depth {
            return Err(Problem {
                code: "too-deep",
                at,
                message: format!("nested deeper than {} levels", self.limits.depth),
            });
        }
        self.open.push(Open {
            at,
            anchor,
            before: self.bytes,
            kind,
        });
        self.grow(NODE_BYTES, at)
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.kind {
            OpenKind::Sequence(items) => Value::Sequence(items),
            OpenKind::Mapping { fields, .. } => Value::Mapping(fields.into_entries()),
        };
        let node = Node {
            at: open.at,
            plain: false,
            value,
        };
        self.complete(node, open.anchor, self.bytes - open.before)
    }

    fn alias(&mut self, id: usize, at: Position) -> Result<(), Problem> {
        let Some((_, size)) = self.anchors.get(&id) else {
            return Err(Problem {
                code: "yaml-syntax",
                at,
                message: "this alias is inside its own anchor".into(),
            });
        };
        let size = *size;
        self.copy(size, at)?;
        self.grow(size, at)?;
        match self.anchors.get(&id) {
            Some((node, _)) => self.complete(node.clone(), 0, size),
            None => Ok(()),
        }
    }

    /// Counts bytes that are added to the tree.
    fn grow(&mut self, by: usize, at: Position) -> Result<(), Problem> {
        self.bytes = self.bytes.saturating_add(by);
        if self.bytes > self.limits.bytes {
            return Err(Problem {
                code: "too-large",
                at,
                message: too_large(self.limits),
            });
        }
        Ok(())
    }

    /// Counts the bytes of a copy before it is made.
    fn copy(&mut self, by: usize, at: Position) -> Result<(), Problem> {
        self.copied = self.copied.saturating_add(by);
        if self.copied > COPIED_BYTES {
            return Err(Problem {
                code: "too-large",
                at,
                message: format!(
                    "anchors and aliases copy more than {} MiB",
                    COPIED_BYTES >> 20
                ),
            });
        }
        Ok(())
    }

    /// Adds a complete node to the collection around it.
    fn complete(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Problem> {
        if anchor != 0 {
            self.copy(size, node.at)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            // An empty document, for example after a last `---`, is left out.
            None if matches!(node.value, Value::Null) => {}
            None => self.documents.push(node),
            Some(OpenKind::Sequence(items)) => items.push(node),
            Some(OpenKind::Mapping { fields, key }) => match key.take() {
                Some(Pending::Key(key)) => fields.put(key, node),
                Some(Pending::Merge) => {
                    if let Err(at) = fields.merge(node)
                        && self.problems.len() < PROBLEMS
                    {
                        self.problems.push(Problem {
                            code: "yaml-syntax",
                            at,
                            message: "\"<<\" takes a mapping or a list of mappings".into(),
                        });
                    }
                }
                Some(Pending::Refused) => {}
                None => {
                    let accepted = accept_key(node, fields, self.kubernetes);
                    *key = Some(accepted.unwrap_or_else(|problem| {
                        if self.problems.len() < PROBLEMS {
                            self.problems.push(problem);
                        }
                        Pending::Refused
                    }));
                }
            },
        }
        Ok(())
    }
}

/// The name of a field, or the merge key.
fn accept_key(node: Node, fields: &mut Fields, kubernetes: bool) -> Result<Pending, Problem> {
    let at = node.at;
    let problem = |code, message| Problem { code, at, message };
    let plain = node.plain;
    let Value::Scalar(mut name) = node.value else {
        return Err(problem("yaml-syntax", "a field's name must be text".into()));
    };
    if kubernetes && plain {
        match meaning(&name) {
            Meaning::Boolean(value) => name = value.to_string(),
            Meaning::Integer(number) => name = number.to_string(),
            Meaning::Float(number) => name = number.to_string(),
            Meaning::Text("<<") => return Ok(Pending::Merge),
            Meaning::Text(_) | Meaning::Null => {}
        }
    }
    if !fields.write(&name) {
        let message = format!("\"{name}\" is given twice in the same place");
        return Err(problem("duplicate-field", message));
    }
    Ok(Pending::Key(Key { at, name }))
}

//! YAML text to a tree that knows where everything stands. The only user of the YAML parser: the
//! rest of the house sees [`Node`]. JSON is YAML.
//!
//! Scalars stay text, quoted or not; what they mean is decided by the field that holds them, so `no`
//! is a name where a name is due. Aliases are taken (the copy keeps the position of the original);
//! what they copy has a budget in bytes for the whole text. Tags and merge keys are not read.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;
use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span};

use crate::diagnostic::Diagnostic;

/// How much a text may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that the tree of the whole text takes, aliases written out: [`NODE_BYTES`] for each node and each
    /// name of a field, and their texts.
    pub bytes: usize,
    /// Levels of nesting.
    pub depth: usize,
}

impl Limits {
    /// For the native file: some 3 KB for each rule or target and 9 levels, so far beyond any.
    pub const FILE: Self = Self {
        bytes: 64 << 20,
        depth: 32,
    };
    /// For Kubernetes objects: the dump of a large cluster, with the schemas of its custom resources.
    pub const OBJECTS: Self = Self {
        bytes: 1 << 30,
        depth: 100,
    };
}

/// What a node or the name of a field takes in memory beside its text, the spare room of the list around it included.
pub const NODE_BYTES: usize = 80;

/// Bytes that the anchors and aliases of one text may copy, counted as [`Limits::bytes`] counts: many times what a file
/// written by hand shares, and little enough that a "billion laughs" document costs nothing.
pub const COPIED_BYTES: usize = 8 << 20;

/// Problems that are told of one text. The reading goes on after them, so that a text without an end of mistakes costs
/// no more than one without any.
const PROBLEMS: usize = 100;

/// Line and column in characters, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// A value and where it starts.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it starts.
    pub at: Position,
    /// Written without quotes, so that Kubernetes reads `true` and `1` as no text.
    pub plain: bool,
    /// What stands there.
    pub value: Value,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Text, a number, a truth value: one word or line.
    Scalar(String),
    /// A list.
    Sequence(Vec<Node>),
    /// In the order of the text; keys are unique.
    Mapping(Vec<(Key, Node)>),
}

/// The name of a field and where it stands.
#[derive(Clone, Debug)]
pub struct Key {
    /// Where it starts.
    pub at: Position,
    /// The name.
    pub name: String,
}

/// What is wrong with the text as YAML.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Stable, kebab-case: the code of the diagnostic.
    pub code: &'static str,
    /// Where it is.
    pub at: Position,
    /// What is wrong, in one line.
    pub message: String,
}

impl Problem {
    /// The error it is, in `file`, with what to do where that can be told.
    pub fn diagnostic(&self, file: &str) -> Diagnostic {
        let mut error =
            Diagnostic::error(self.code, &*self.message).at(file, self.at.line, self.at.column);
        let advice = ADVICE.iter().find(|(said, _)| self.message.contains(said));
        error.hint = advice.map(|(_, hint)| (*hint).to_owned());
        error
    }
}

/// What the parser says, and what its reader does about it.
const ADVICE: &[(&str, &str)] = &[
    (
        "mapping values are not allowed",
        "a line that is indented deeper than the one above belongs to its value: align the two; a text with a colon \
         and a blank in it needs quotes",
    ),
    (
        "did not find expected key",
        "the indentation of this line is that of no line above: align it with its neighbours",
    ),
    (
        "did not find expected '-' indicator",
        "a list and fields cannot stand at one level: indent one of them",
    ),
    ("tabs disallowed", "indent with blanks"),
    ("unclosed quote", "close the quote that opens here"),
    ("unexpected character", "put the text in quotes"),
    (
        "found unknown anchor",
        "an alias follows its anchor, &name, in the same document",
    ),
    (
        "anchors and aliases copy",
        "split the file, or write out what the alias names with the parts that are needed",
    ),
    (
        "name must be text",
        "a template of Helm must be rendered first: helm template",
    ),
    ("is given twice", "keep one of the two"),
];

/// The one document of `text` as a tree, with everything that is wrong with it as YAML; a second
/// document is wrong. `None`: the text cannot be read at all, or is empty.
pub fn parse(text: &str, limits: Limits) -> (Option<Node>, Vec<Problem>) {
    let mut builder = build(text, limits);
    if let Some(&at) = builder.starts.get(1) {
        let second = Problem {
            code: "several-documents",
            at,
            message: "a second document starts here; a file holds one".into(),
        };
        return (None, vec![second]);
    }
    (builder.documents.pop(), builder.problems)
}

/// Every document of `text`, empty ones left out, with everything that is wrong with it as YAML. Text that
/// is no YAML ends the reading: the documents before it are given, those after it are not.
///
/// ```
/// use elbow_model::yaml::{Limits, parse_all};
///
/// let (documents, problems) = parse_all("a: 1\n---\nb: 2\n", Limits::OBJECTS);
/// assert_eq!((documents.len(), problems.len()), (2, 0));
/// assert_eq!(documents[1].at.line, 3);
/// ```
pub fn parse_all(text: &str, limits: Limits) -> (Vec<Node>, Vec<Problem>) {
    let builder = build(text, limits);
    (builder.documents, builder.problems)
}

/// JSON as a tree, within the same limits; it stands in no text, so all positions are 0.
///
/// ```
/// use elbow_model::yaml::{Limits, Value, from_json};
///
/// let node = from_json(serde_json::json!(["true", true]), Limits::OBJECTS).map_err(|problem| problem.message)?;
/// let Value::Sequence(items) = node.value else { unreachable!() };
/// assert_eq!((items[0].plain, items[1].plain), (false, true));
/// # Ok::<(), String>(())
/// ```
pub fn from_json(json: Json, limits: Limits) -> Result<Node, Problem> {
    let mut left = limits.bytes;
    node_of(json, limits.depth, &mut left).map_err(|code| Problem {
        code,
        at: NOWHERE,
        message: match code {
            "too-deep" => format!("nested deeper than {} levels", limits.depth),
            _ => too_large(limits),
        },
    })
}

fn too_large(limits: Limits) -> String {
    format!(
        "the values take more than {} MiB of memory",
        limits.bytes >> 20
    )
}

const NOWHERE: Position = Position { line: 0, column: 0 };

/// The node, or the code of what is wrong with it; `left` counts the bytes that are still allowed.
fn node_of(json: Json, depth: usize, left: &mut usize) -> Result<Node, &'static str> {
    let mut spend = |text: &str| -> Result<(), &'static str> {
        let rest = left.checked_sub(NODE_BYTES + text.len());
        *left = rest.ok_or("too-large")?;
        Ok(())
    };
    match &json {
        Json::String(text) => spend(text)?,
        Json::Object(fields) => {
            spend("")?;
            fields.keys().try_for_each(|name| spend(name))?;
        }
        _ => spend("")?,
    }
    let deeper = depth.checked_sub(1).ok_or("too-deep");
    let plain = !matches!(json, Json::String(_) | Json::Array(_) | Json::Object(_));
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Scalar(value.to_string()),
        Json::Number(number) => Value::Scalar(number.to_string()),
        Json::String(text) => Value::Scalar(text),
        Json::Array(items) => {
            let deeper = deeper?;
            let items = items.into_iter();
            let items = items.map(|item| node_of(item, deeper, left));
            Value::Sequence(items.collect::<Result<_, _>>()?)
        }
        Json::Object(fields) => {
            let deeper = deeper?;
            let mut entries = Vec::with_capacity(fields.len());
            for (name, field) in fields {
                let key = Key { at: NOWHERE, name };
                entries.push((key, node_of(field, deeper, left)?));
            }
            Value::Mapping(entries)
        }
    };
    Ok(Node {
        at: NOWHERE,
        plain,
        value,
    })
}

fn build(text: &str, limits: Limits) -> Builder {
    let mut options = Options::default();
    options.emit_comments = false;
    options.flow_nesting_limit = limits.depth;
    options.block_nesting_limit = limits.depth;
    let mut builder = Builder::new(limits);
    for event in Parser::new_from_str_with_options(text, options) {
        let ended = match event {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => {
                let mark = error.marker();
                Err(Problem {
                    code: "yaml-syntax",
                    at: position(mark.line(), mark.col()),
                    message: error.info(),
                })
            }
        };
        if let Err(problem) = ended {
            builder.problems.push(problem);
            break;
        }
    }
    builder
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
    /// Bytes taken before it.
    before: usize,
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

struct Builder {
    limits: Limits,
    documents: Vec<Node>,
    /// Where each document starts, empty ones too.
    starts: Vec<Position>,
    open: Vec<Open>,
    /// By anchor id: the node, and the bytes that it takes.
    anchors: HashMap<usize, (Node, usize)>,
    /// Bytes that the tree takes.
    bytes: usize,
    /// Bytes of it, and of the anchors, that are copies.
    copied: usize,
    problems: Vec<Problem>,
}

impl Builder {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            documents: Vec::new(),
            starts: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            bytes: 0,
            copied: 0,
            problems: Vec::new(),
        }
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let at = position(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.starts.push(at);
                Ok(())
            }
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain
                    && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
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
                let plain = style == ScalarStyle::Plain;
                self.complete(Node { at, plain, value }, anchor, size)
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
            OpenKind::Mapping { entries, .. } => Value::Mapping(entries),
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
                message: "this alias stands inside what it names".into(),
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

    /// Counts what goes into the tree.
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

    /// Counts what an anchor or an alias copies, before the copy is made.
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

    /// A node is whole: it goes to the collection around it.
    fn complete(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Problem> {
        if anchor != 0 {
            self.copy(size, node.at)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            // An empty document, as after a last `---`, says nothing.
            None if matches!(node.value, Value::Null) => {}
            None => self.documents.push(node),
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
        Ok(())
    }
}

fn accept_key(node: Node, names: &mut HashSet<String>, problems: &mut Vec<Problem>) -> Pending {
    let at = node.at;
    let mut tell = |code, message: &dyn Fn() -> String| {
        if problems.len() < PROBLEMS {
            let message = message();
            problems.push(Problem { code, at, message });
        }
        Pending::Refused
    };
    let Value::Scalar(name) = node.value else {
        return tell("yaml-syntax", &|| "a field's name must be text".to_owned());
    };
    if !names.insert(name.clone()) {
        return tell("duplicate-field", &|| {
            format!("\"{name}\" is given twice in the same place")
        });
    }
    Pending::Key(Key { at, name })
}

#[cfg(test)]
mod tests;

//! The tree that a text becomes, its bounds and its problems.

use elbow_model::diagnostic::Diagnostic;

/// How much a text may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the tree of the whole text with its aliases expanded: [`NODE_BYTES`] for each node and each name of a
    /// field, and their texts.
    pub bytes: usize,
    /// Levels of nesting.
    pub depth: usize,
}

impl Limits {
    /// For the native file. A rule or a target takes about 3 KB, and a file has 9 levels, so no real file comes near.
    pub const FILE: Self = Self {
        bytes: 64 << 20,
        depth: 32,
    };
    /// For Kubernetes objects: enough for a dump of a large cluster with the schemas of its custom resources.
    pub const OBJECTS: Self = Self {
        bytes: 1 << 30,
        depth: 100,
    };
}

/// Memory of a node, or of the name of a field, without its text; includes the spare capacity of the list around it.
pub const NODE_BYTES: usize = 80;

/// Bytes that the anchors and aliases of one text may copy, counted like [`Limits::bytes`]: far more than a file written
/// by hand needs, and too little for a "billion laughs" document to do harm.
pub const COPIED_BYTES: usize = 8 << 20;

/// At most this many problems are reported for one text; parsing continues, and further ones are dropped.
pub(crate) const PROBLEMS: usize = 100;

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
    /// Written without quotes: for Kubernetes, `true` and `1` are no strings then.
    pub plain: bool,
    /// The value.
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

/// A YAML problem of a text.
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
    /// The problem as an error in `file`, with a hint if there is one.
    pub fn diagnostic(&self, file: &str) -> Diagnostic {
        let mut error =
            Diagnostic::error(self.code, &*self.message).at(file, self.at.line, self.at.column);
        let advice = ADVICE.iter().find(|(part, _)| self.message.contains(part));
        error.hint = advice.map(|(_, hint)| (*hint).to_owned());
        error
    }
}

/// A part of the parser's message, and its hint.
const ADVICE: &[(&str, &str)] = &[
    (
        "mapping values are not allowed",
        "a line that is indented deeper than the one above belongs to its value: align the two; a text with a colon \
         and a space in it needs quotes",
    ),
    (
        "did not find expected key",
        "the indentation of this line matches no line above it: align it with its neighbours",
    ),
    (
        "did not find expected '-' indicator",
        "a list and fields cannot stand at one level: indent one of them",
    ),
    ("tabs disallowed", "indent with spaces"),
    ("unclosed quote", "close the quote that opens here"),
    ("unexpected character", "put the text in quotes"),
    (
        "found unknown anchor",
        "define the anchor, &name, before its alias in the same document",
    ),
    (
        "anchors and aliases copy",
        "split the file, or replace aliases with the parts that you need",
    ),
    (
        "name must be text",
        "render a Helm template first: helm template",
    ),
    ("is given twice", "keep one of the two"),
];

/// Line and column of the parser, which counts columns from 0.
pub(crate) fn position(line: usize, column: usize) -> Position {
    Position {
        line: u32::try_from(line).unwrap_or(u32::MAX).max(1),
        column: u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1),
    }
}

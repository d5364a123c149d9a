//! The native file as a program makes it: a tree whose parts came from elsewhere.

use std::sync::Arc;

use crate::Model;
use crate::diagnostic::Diagnostic;
use crate::yaml::{Node, Position};

use super::item::{Item, Log};

/// The native file as a tree that a program made of other files. What is wrong with it is reported at the
/// places that its parts came from.
#[derive(Clone, Debug)]
pub struct Document {
    /// The tree. Positions in it are those of [`Document::position`].
    pub root: Node,
    /// Where its parts came from.
    pub origins: Arc<[Origin]>,
}

/// Where a part of a [`Document`] came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// From 1; 0: not known.
    pub line: u32,
    /// From 1; 0: not known.
    pub column: u32,
    /// `kind/namespace/name`.
    pub object: Arc<str>,
    /// The field of the object; empty: diagnostics name the field of the tree.
    pub field: Arc<str>,
}

impl Origin {
    /// Gives a finding this place.
    pub fn place(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        diagnostic = diagnostic.at(&*self.file, self.line, self.column);
        if !self.object.is_empty() {
            diagnostic.object = self.object.to_string();
        }
        if !self.field.is_empty() {
            diagnostic.field = self.field.to_string();
        }
        diagnostic
    }
}

/// What is wrong with a [`Document`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The index of the origin of the part that is meant.
    pub origin: usize,
    /// What is wrong, with the place of that origin.
    pub diagnostic: Diagnostic,
}

impl Document {
    /// How a node of the tree says which origin it has, by its index.
    pub fn position(origin: usize) -> Position {
        Position {
            line: u32::try_from(origin).unwrap_or(u32::MAX).saturating_add(1),
            column: 1,
        }
    }

    /// The index that [`Document::position`] stands for.
    pub(super) fn index(line: u32) -> usize {
        line.saturating_sub(1) as usize
    }
}

/// Reads a made document as [`super::parse`] reads a text: the model is there when no finding is an
/// error.
///
/// ```
/// use elbow_model::file::{Document, Origin, read_document};
/// use elbow_model::yaml::{Node, Value};
///
/// let origin = Origin { file: "web.yaml".into(), line: 7, column: 3, ..Origin::default() };
/// let root = Node { at: Document::position(0), plain: false, value: Value::Sequence(Vec::new()) };
/// let (model, found) = read_document(&Document { root, origins: [origin].into() });
/// assert!(model.is_none());
/// assert_eq!(found[0].diagnostic.to_string(), "error[wrong-type] web.yaml:7:3: a mapping is due here, not a list");
/// ```
pub fn read_document(document: &Document) -> (Option<Model>, Vec<Finding>) {
    let log = Log::of_document(document.origins.clone());
    let model = super::read_root(&Item::root(&document.root, &log));
    let finding = |diagnostic: Diagnostic| {
        let origin = Document::index(diagnostic.line);
        let diagnostic = match document.origins.get(origin) {
            Some(place) => place.place(diagnostic),
            None => diagnostic,
        };
        Finding { origin, diagnostic }
    };
    let found: Vec<Finding> = log.into_diagnostics().into_iter().map(finding).collect();
    let refused = found.iter().any(|finding| finding.diagnostic.is_error());
    (model.filter(|_| !refused), found)
}

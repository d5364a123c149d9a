//! Parses YAML text into a tree of [`Node`]s with positions. Only this crate uses the YAML parser. JSON is YAML.
//!
//! Scalars stay text, quoted or not: the field that holds one decides what it means, so `no` can be a name in the native
//! file. [`Node::meaning`] says what Kubernetes takes it for.
//! Aliases are expanded, and a copy keeps the position of the original; the copies of one text share a budget in bytes.
//! Merge keys, tags and names of fields that are no text are those of go-yaml in Kubernetes objects ([`parse_all`]), and are
//! not interpreted elsewhere.

use serde_saphyr::granit_parser::{Options, Parser};

mod json;
mod meaning;
mod merge;
mod node;
mod tag;
mod tree;

pub use json::from_json;
pub use meaning::Meaning;
use node::position;
pub use node::{COPIED_BYTES, Key, Limits, NODE_BYTES, Node, Position, Problem, Value};
use tree::Builder;

/// The only document of `text` as a tree, with all of its YAML problems; a second document is one. `None`: the text
/// cannot be parsed at all, or is empty.
pub fn parse(text: &str, limits: Limits) -> (Option<Node>, Vec<Problem>) {
    let mut builder = build(text, limits, false);
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

/// Every document of `text` that is not empty, read as Kubernetes reads YAML, with all YAML problems. A syntax error ends the parsing: only the documents
/// before it are returned.
///
/// ```
/// use elbow_yaml::{Limits, parse_all};
///
/// let (documents, problems) = parse_all("a: 1\n---\nb: 2\n", Limits::OBJECTS);
/// assert_eq!((documents.len(), problems.len()), (2, 0));
/// assert_eq!(documents[1].at.line, 3);
/// ```
pub fn parse_all(text: &str, limits: Limits) -> (Vec<Node>, Vec<Problem>) {
    let builder = build(text, limits, true);
    (builder.documents, builder.problems)
}

fn build(text: &str, limits: Limits, kubernetes: bool) -> Builder {
    let mut options = Options::default();
    options.emit_comments = false;
    options.flow_nesting_limit = limits.depth;
    options.block_nesting_limit = limits.depth;
    let mut builder = Builder::new(limits, kubernetes);
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

#[cfg(test)]
mod tests;

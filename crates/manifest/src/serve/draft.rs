//! A native document in the making: nodes that know where they come from, and what may be done without.

use std::collections::BTreeSet;

use elbow_model::file::{Document, Origin};
use elbow_model::yaml::{Key, Node, Position, Value};
use serde_json::Value as Json;

/// What a part of the document is for, so that what is not served can be left out in a way that
/// lets nobody in who was to stay out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Cannot be left out: a fault in it refuses the load balancer.
    Fixed,
    /// A field or an attribute of a resource, by the resource and the name.
    Field(String, String),
    /// A condition of a rule, by its index: without it the rule forwards nothing.
    Condition(String, usize),
    /// A whole rule, which forwards nothing then.
    Rule(String),
    /// What a listener does unless a rule says otherwise.
    Default(String),
    /// A whole listener.
    Listener(String),
    /// A whole target group, and what leads to it.
    Group(String),
}

/// The roles that are left out.
pub(super) type Cuts = BTreeSet<Role>;

/// The places of a document's nodes.
#[derive(Debug, Default)]
pub(super) struct Draft {
    origins: Vec<Origin>,
    roles: Vec<Role>,
}

impl Draft {
    /// A place for nodes.
    pub(super) fn spot(&mut self, origin: Origin, role: Role) -> Position {
        self.origins.push(origin);
        self.roles.push(role);
        Document::position(self.origins.len() - 1)
    }

    /// The origin of a place.
    pub(super) fn origin(&self, at: Position) -> Origin {
        let index = at.line.saturating_sub(1) as usize;
        self.origins.get(index).cloned().unwrap_or_default()
    }

    /// The document with this root, and the roles of its origins.
    pub(super) fn finish(self, root: Node) -> (Document, Vec<Role>) {
        let origins = self.origins.into();
        (Document { root, origins }, self.roles)
    }
}

fn node(at: Position, value: Value) -> Node {
    Node {
        at,
        plain: false,
        value,
    }
}

pub(super) fn text(at: Position, text: impl ToString) -> Node {
    node(at, Value::Scalar(text.to_string()))
}

pub(super) fn list(at: Position, items: Vec<Node>) -> Node {
    node(at, Value::Sequence(items))
}

/// A mapping; each name stands where its value does.
pub(super) fn map<N: Into<String>>(at: Position, fields: Vec<(N, Node)>) -> Node {
    let field = |(name, node): (N, Node)| {
        let key = Key {
            at: node.at,
            name: name.into(),
        };
        (key, node)
    };
    node(at, Value::Mapping(fields.into_iter().map(field).collect()))
}

/// JSON as nodes of one place.
pub(super) fn json(at: Position, value: &Json) -> Node {
    match value {
        Json::Null => node(at, Value::Null),
        Json::Bool(value) => text(at, value),
        Json::Number(value) => text(at, value),
        Json::String(value) => text(at, value),
        Json::Array(items) => list(at, items.iter().map(|item| json(at, item)).collect()),
        Json::Object(fields) => {
            let field = |(name, value): (&String, &Json)| (name.clone(), json(at, value));
            map(at, fields.iter().map(field).collect())
        }
    }
}

/// A tree as JSON; every single value is text, as in the document.
pub(super) fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(text) => Json::String(text.clone()),
        Value::Sequence(items) => items.iter().map(to_json).collect(),
        Value::Mapping(fields) => {
            let field = |(key, value): &(Key, Node)| (key.name.clone(), to_json(value));
            Json::Object(fields.iter().map(field).collect())
        }
    }
}

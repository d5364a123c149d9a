//! Rules of listeners and their transforms.

use elbow_model::{self as model, Protocol, RewriteSpec, RewritesSpec, RuleSpec, TransformSpec};
use schemars::JsonSchema;
use serde::Serialize;

use super::action::{self, Action};
use super::condition::{self, Condition};
use super::item::Item;
use super::values::transform_types;

/// The actions for requests that meet all conditions.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Rule {
    /// Unique in the listener.
    #[schemars(range(min = 1, max = 50000))]
    pub(super) priority: u32,
    #[schemars(length(min = 1))]
    pub(super) conditions: Vec<Condition>,
    #[schemars(length(min = 1, max = 1))]
    pub(super) actions: Vec<Action>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, length(max = 2))]
    pub(super) transforms: Vec<Transform>,
}

/// Rewrites a request before it goes to a target.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Transform {
    #[serde(rename = "type")]
    #[schemars(schema_with = "transform_types")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host_header_rewrite_config: Option<Rewrites>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url_rewrite_config: Option<Rewrites>,
}

/// Rewrites of the Host header without its port, or of the path with the query.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Rewrites {
    #[schemars(length(min = 1, max = 1))]
    pub(super) rewrites: Vec<Rewrite>,
}

/// A regular expression and the replacement of its match, which may contain $1 and so on.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Rewrite {
    #[schemars(length(max = 1024))]
    pub(super) regex: String,
    #[schemars(length(max = 1024))]
    pub(super) replace: String,
}

/// What a file says of a rule.
pub(super) fn read(item: &Item<'_>) -> RuleSpec {
    item.mapping(|fields| RuleSpec {
        priority: fields.number("priority"),
        conditions: fields.list("conditions", condition::read),
        actions: fields.list("actions", action::read),
        transforms: fields.list("transforms", transform).unwrap_or_default(),
    })
}

fn transform(item: &Item<'_>) -> TransformSpec {
    let rewrite = |item: &Item<'_>| {
        item.mapping(|fields| RewriteSpec {
            regex: fields.text("regex"),
            replace: fields.text("replace"),
        })
    };
    let rewrites = |item: Item<'_>| {
        item.mapping(|fields| RewritesSpec {
            rewrites: fields.list("rewrites", rewrite),
        })
    };
    item.mapping(|fields| TransformSpec {
        kind: fields.text("type"),
        host_header_rewrite_config: fields.get("hostHeaderRewriteConfig").map(rewrites),
        url_rewrite_config: fields.get("urlRewriteConfig").map(rewrites),
    })
}

/// A rule of a listener of `protocol` as a file has it.
pub(super) fn render(from: &model::Rule, protocol: Protocol) -> Rule {
    let conditions = from.conditions.iter();
    Rule {
        priority: from.priority,
        conditions: conditions
            .map(|condition| condition::render(condition, protocol))
            .collect(),
        actions: from.actions.iter().map(action::render).collect(),
        transforms: transforms(&from.transforms),
    }
}

fn transforms(from: &model::Transforms) -> Vec<Transform> {
    let rewrites = |rewrite: &model::Rewrite| Rewrites {
        rewrites: vec![Rewrite {
            regex: rewrite.regex.to_string(),
            replace: rewrite.replace.to_string(),
        }],
    };
    let host_header = from.host_header.as_ref().map(|rewrite| Transform {
        kind: "host-header-rewrite".to_owned(),
        host_header_rewrite_config: Some(rewrites(rewrite)),
        ..Transform::default()
    });
    let url = from.url.as_ref().map(|rewrite| Transform {
        kind: "url-rewrite".to_owned(),
        url_rewrite_config: Some(rewrites(rewrite)),
        ..Transform::default()
    });
    host_header.into_iter().chain(url).collect()
}

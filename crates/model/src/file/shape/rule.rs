//! Rules, their conditions and transforms.

use schemars::JsonSchema;
use serde::Serialize;

use super::Action;

/// What is done with requests that meet all conditions.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Rule {
    /// Unique in the listener.
    #[schemars(range(min = 1, max = 50000))]
    pub(in super::super) priority: u32,
    #[schemars(length(min = 1))]
    pub(in super::super) conditions: Vec<Condition>,
    #[schemars(length(min = 1, max = 1))]
    pub(in super::super) actions: Vec<Action>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, length(max = 2))]
    pub(in super::super) transforms: Vec<Transform>,
}

/// What targets get to see instead of what the client sent.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Transform {
    #[serde(rename = "type")]
    #[schemars(schema_with = "super::transform_types")]
    pub(in super::super) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) host_header_rewrite_config: Option<Rewrites>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) url_rewrite_config: Option<Rewrites>,
}

/// Of Host without its port, or of the path with the query.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Rewrites {
    #[schemars(length(min = 1, max = 1))]
    pub(in super::super) rewrites: Vec<Rewrite>,
}

/// A regular expression and what its match is replaced with, which may hold $1 and so on.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Rewrite {
    #[schemars(length(max = 1024))]
    pub(in super::super) regex: String,
    #[schemars(length(max = 1024))]
    pub(in super::super) replace: String,
}

/// One of the values must match.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Condition {
    #[schemars(schema_with = "super::condition_fields")]
    pub(in super::super) field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) host_header_config: Option<Patterns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) path_pattern_config: Option<Patterns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) http_header_config: Option<HttpHeader>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) http_request_method_config: Option<Values>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) query_string_config: Option<QueryString>,
    #[serde(rename = "sourceIPConfig", skip_serializing_if = "Option::is_none")]
    pub(in super::super) source_ip_config: Option<Values>,
}

/// Patterns with `*` and `?`, or regular expressions.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Patterns {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 5))]
    pub(in super::super) values: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 5))]
    pub(in super::super) regex_values: Option<Vec<String>>,
}

/// A header, and patterns with `*` and `?` or regular expressions for its value.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct HttpHeader {
    #[schemars(length(min = 1, max = 40))]
    pub(in super::super) http_header_name: String,
    #[serde(flatten)]
    pub(in super::super) patterns: Patterns,
}

/// Methods or CIDR blocks.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Values {
    #[schemars(length(min = 1, max = 5))]
    pub(in super::super) values: Vec<String>,
}

/// Keys and what they are set to, with `*` and `?`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct QueryString {
    #[schemars(length(min = 1, max = 5))]
    pub(in super::super) values: Vec<QueryPair>,
}

/// Any key without one.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct QueryPair {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub(in super::super) key: Option<String>,
    #[schemars(length(max = 128))]
    pub(in super::super) value: String,
}

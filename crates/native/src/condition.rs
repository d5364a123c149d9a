//! Conditions of rules.

use elbow_model::{
    self as model, ConditionSpec, HttpHeaderSpec, PatternsSpec, Protocol, QueryPairSpec,
    QueryStringSpec, SourceIpSpec, ValuesSpec,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::item::{Fields, Item};
use super::values::{condition_fields, source_ip_address_types, texts};

/// One of the values must match.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Condition {
    #[schemars(schema_with = "condition_fields")]
    pub(super) field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host_header_config: Option<Patterns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path_pattern_config: Option<Patterns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) http_header_config: Option<HttpHeader>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) http_request_method_config: Option<Values>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) query_string_config: Option<QueryString>,
    #[serde(rename = "sourceIPConfig", skip_serializing_if = "Option::is_none")]
    pub(super) source_ip_config: Option<SourceIp>,
}

/// Patterns with `*` and `?`, or regular expressions.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Patterns {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    pub(super) values: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    pub(super) regex_values: Option<Vec<String>>,
}

/// A header, and patterns with `*` and `?` or regular expressions for its value.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct HttpHeader {
    #[schemars(length(min = 1, max = 40))]
    pub(super) http_header_name: String,
    #[serde(flatten)]
    pub(super) patterns: Patterns,
}

/// Up to 3 methods.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Values {
    #[schemars(length(min = 1, max = 3))]
    pub(super) values: Vec<String>,
}

/// CIDR blocks of clients, or the type of their addresses in a rule of a network load balancer.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct SourceIp {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 5))]
    pub(super) values: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "source_ip_address_types")]
    pub(super) ip_address_type: Option<String>,
}

/// Keys and values of the query; both may contain `*` and `?`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct QueryString {
    #[schemars(length(min = 1, max = 3))]
    pub(super) values: Vec<QueryPair>,
}

/// A value and its key; without a key, any key matches.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct QueryPair {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub(super) key: Option<String>,
    #[schemars(length(max = 128))]
    pub(super) value: String,
}

/// What a file says of a condition.
pub(super) fn read(item: &Item<'_>) -> ConditionSpec {
    let patterns = |item: Item<'_>| item.mapping(read_patterns);
    let values = |item: Item<'_>| {
        item.mapping(|fields| ValuesSpec {
            values: fields.texts("values"),
        })
    };
    let source_ip = |item: Item<'_>| {
        item.mapping(|fields| SourceIpSpec {
            values: fields.texts("values"),
            ip_address_type: fields.text("ipAddressType"),
        })
    };
    item.mapping(|fields| ConditionSpec {
        field: fields.text("field"),
        host_header_config: fields.get("hostHeaderConfig").map(patterns),
        path_pattern_config: fields.get("pathPatternConfig").map(patterns),
        http_header_config: fields.get("httpHeaderConfig").map(|item| {
            item.mapping(|fields| HttpHeaderSpec {
                http_header_name: fields.text("httpHeaderName"),
                patterns: read_patterns(fields),
            })
        }),
        http_request_method_config: fields.get("httpRequestMethodConfig").map(values),
        query_string_config: fields.get("queryStringConfig").map(|item| {
            item.mapping(|fields| QueryStringSpec {
                values: fields.list("values", query_pair),
            })
        }),
        source_ip_config: fields.get("sourceIPConfig").map(source_ip),
    })
}

fn read_patterns(fields: &Fields<'_>) -> PatternsSpec {
    PatternsSpec {
        values: fields.texts("values"),
        regex_values: fields.texts("regexValues"),
    }
}

fn query_pair(item: &Item<'_>) -> QueryPairSpec {
    item.mapping(|fields| QueryPairSpec {
        key: fields.text("key"),
        value: fields.text("value"),
    })
}

/// A condition as a file has it, in a rule of a listener of `protocol`.
pub(super) fn render(from: &model::Condition, protocol: Protocol) -> Condition {
    let mut to = Condition::default();
    to.field = match from {
        model::Condition::HostHeader(values) => {
            to.host_header_config = Some(patterns(values));
            "host-header"
        }
        model::Condition::PathPattern(values) => {
            to.path_pattern_config = Some(patterns(values));
            "path-pattern"
        }
        model::Condition::HttpHeader { name, values } => {
            to.http_header_config = Some(HttpHeader {
                http_header_name: name.to_string(),
                patterns: patterns(values),
            });
            "http-header"
        }
        model::Condition::HttpRequestMethod(methods) => {
            to.http_request_method_config = Some(values(methods));
            "http-request-method"
        }
        model::Condition::QueryString(pairs) => {
            let pair = |pair: &model::QueryPair| QueryPair {
                key: pair.key.as_deref().map(str::to_owned),
                value: pair.value.to_string(),
            };
            to.query_string_config = Some(QueryString {
                values: pairs.iter().map(pair).collect(),
            });
            "query-string"
        }
        model::Condition::SourceIp(networks) => {
            let is_ipv6 = networks.iter().any(|network| network.addr().is_ipv6());
            let name = if is_ipv6 { "ipv6" } else { "ipv4" };
            to.source_ip_config = Some(SourceIp {
                values: protocol.is_http().then(|| texts(networks)),
                ip_address_type: (!protocol.is_http()).then(|| name.to_owned()),
            });
            "source-ip"
        }
    }
    .to_owned();
    to
}

fn patterns(from: &model::Patterns) -> Patterns {
    let mut to = Patterns::default();
    match from {
        model::Patterns::Wildcards(values) => to.values = Some(texts(values)),
        model::Patterns::Regexes(values) => to.regex_values = Some(texts(values)),
    }
    to
}

fn values(from: &[impl ToString]) -> Values {
    Values {
        values: texts(from),
    }
}

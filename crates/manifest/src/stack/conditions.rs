//! Conditions and transforms of a rule, from the shape in which the controller prints them.

use elbow_model::{
    ConditionSpec, HttpHeaderSpec, PatternsSpec, QueryPairSpec, QueryStringSpec, RewriteSpec,
    RewritesSpec, SourceIpSpec, TransformSpec, ValuesSpec,
};
use serde_json::Value;

/// A condition.
pub(crate) fn condition(value: &Value) -> ConditionSpec {
    let config = |name: &str| value.get(name);
    let header = |config: &Value| HttpHeaderSpec {
        http_header_name: text(config, "httpHeaderName"),
        patterns: patterns(config),
    };
    let values = |config: &Value| ValuesSpec {
        values: texts(config, "values"),
    };
    let source_ip = |config: &Value| SourceIpSpec {
        values: texts(config, "values"),
        ip_address_type: text(config, "ipAddressType"),
    };
    ConditionSpec {
        field: text(value, "field"),
        host_header_config: config("hostHeaderConfig").map(patterns),
        path_pattern_config: config("pathPatternConfig").map(patterns),
        http_header_config: config("httpHeaderConfig").map(header),
        http_request_method_config: config("httpRequestMethodConfig").map(values),
        query_string_config: config("queryStringConfig").map(query_string),
        source_ip_config: config("sourceIPConfig").map(source_ip),
    }
}

fn patterns(config: &Value) -> PatternsSpec {
    PatternsSpec {
        values: texts(config, "values"),
        regex_values: texts(config, "regexValues"),
    }
}

fn query_string(config: &Value) -> QueryStringSpec {
    let pair = |pair: &Value| QueryPairSpec {
        key: text(pair, "key"),
        value: text(pair, "value"),
    };
    let pairs = config.get("values").and_then(Value::as_array);
    QueryStringSpec {
        values: pairs.map(|pairs| pairs.iter().map(pair).collect()),
    }
}

/// A transform.
pub(crate) fn transform(value: &Value) -> TransformSpec {
    let rewrite = |one: &Value| RewriteSpec {
        regex: text(one, "regex"),
        replace: text(one, "replace"),
    };
    let rewrites = |name: &str| {
        let list = value.get(name)?.get("rewrites")?.as_array()?;
        Some(RewritesSpec {
            rewrites: Some(list.iter().map(rewrite).collect()),
        })
    };
    TransformSpec {
        kind: text(value, "type"),
        host_header_rewrite_config: rewrites("hostHeaderRewriteConfig"),
        url_rewrite_config: rewrites("urlRewriteConfig"),
    }
}

/// A text, where there is one.
pub(crate) fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

fn texts(value: &Value, name: &str) -> Option<Vec<String>> {
    let list = value.get(name)?.as_array()?.iter();
    Some(list.filter_map(Value::as_str).map(str::to_owned).collect())
}

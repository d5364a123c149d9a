//! Conditions: those of annotations, read and checked, and what they make with the rule's own.

use serde_json::{Value, json};

use super::json::{Fields, Wrong};

/// A condition of a rule.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// Hosts and expressions for hosts.
    Host(Vec<String>, Vec<String>),
    /// Paths and expressions for paths.
    Path(Vec<String>, Vec<String>),
    /// Any other, as the model has it.
    Other(Value),
}

impl Condition {
    pub(super) fn host(values: Vec<String>, patterns: Vec<String>) -> Self {
        Self::Host(values, patterns)
    }

    pub(super) fn path(values: Vec<String>, patterns: Vec<String>) -> Self {
        Self::Path(values, patterns)
    }
}

/// The conditions of `conditions.{service}`.
pub(super) fn read(value: &Value) -> Result<Vec<Condition>, Wrong> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let conditions = value.as_array().ok_or("conditions are no list")?;
    let conditions = conditions.iter().map(|condition| {
        let fields = Fields::of(condition, "a condition")?;
        read_one(fields)
    });
    let conditions: Result<Vec<_>, _> = conditions.collect();
    Ok(conditions?.into_iter().flatten().collect())
}

/// `None` for a field that does not exist, which the controller passes over.
fn read_one(fields: Fields<'_>) -> Result<Option<Condition>, Wrong> {
    let field = fields.text("field")?.unwrap_or_default();
    let config = |name: &str| {
        let config = fields.object(name)?;
        config.ok_or_else(|| format!("condition {field} lacks {name}"))
    };
    Ok(Some(match &field[..] {
        "host-header" => {
            let (values, patterns) = one_of(config("hostHeaderConfig")?)?;
            Condition::Host(values, patterns)
        }
        "path-pattern" => {
            let (values, patterns) = one_of(config("pathPatternConfig")?)?;
            Condition::Path(values, patterns)
        }
        "http-header" => {
            let config = config("httpHeaderConfig")?;
            let name = config.text("httpHeaderName")?.unwrap_or_default();
            let (values, patterns) = one_of(config)?;
            let (key, list) = if patterns.is_empty() {
                ("values", values)
            } else {
                ("regexValues", patterns)
            };
            Condition::Other(json!({
                "field": field, "httpHeaderConfig": {"httpHeaderName": name, (key): list},
            }))
        }
        "http-request-method" => {
            let values = some(config("httpRequestMethodConfig")?.texts("values")?)?;
            Condition::Other(json!({"field": field, "httpRequestMethodConfig": {"values": values}}))
        }
        "query-string" => {
            let values = config("queryStringConfig")?.list("values")?;
            let values = values
                .iter()
                .map(query_pair)
                .collect::<Result<Vec<_>, _>>()?;
            let values = some(values)?;
            Condition::Other(json!({"field": field, "queryStringConfig": {"values": values}}))
        }
        "source-ip" => {
            let values = some(config("sourceIPConfig")?.texts("values")?)?;
            Condition::Other(json!({"field": field, "sourceIPConfig": {"values": values}}))
        }
        _ => return Ok(None),
    }))
}

fn query_pair(value: &Value) -> Result<Value, Wrong> {
    let fields = Fields::of(value, "a value of query-string")?;
    let value = fields.text("value")?.unwrap_or_default();
    if value.is_empty() {
        return Err("a value of query-string is empty".into());
    }
    Ok(match fields.text("key")? {
        Some(key) => json!({"key": key, "value": value}),
        None => json!({"value": value}),
    })
}

fn some<T>(values: Vec<T>) -> Result<Vec<T>, Wrong> {
    if values.is_empty() {
        return Err("values is empty".into());
    }
    Ok(values)
}

/// `values` or `regexValues`, and only one of them.
fn one_of(config: Fields<'_>) -> Result<(Vec<String>, Vec<String>), Wrong> {
    let (values, patterns) = (config.texts("values")?, config.texts("regexValues")?);
    if values.is_empty() == patterns.is_empty() {
        return Err("a condition has values or regexValues, one of them".into());
    }
    Ok((values, patterns))
}

/// The conditions of a rule as the model has them: others first, then hosts, then paths; values of
/// the rule before those of annotations.
pub(super) fn join(own: Vec<Condition>, annotated: &[Condition]) -> Result<Vec<Value>, Wrong> {
    let mut others = Vec::new();
    let (mut hosts, mut host_patterns) = (Vec::new(), Vec::new());
    let (mut paths, mut path_patterns) = (Vec::new(), Vec::new());
    for condition in own.iter().chain(annotated) {
        match condition {
            Condition::Host(values, patterns) => {
                hosts.extend(values.iter().cloned());
                host_patterns.extend(patterns.iter().cloned());
            }
            Condition::Path(values, patterns) => {
                paths.extend(values.iter().cloned());
                path_patterns.extend(patterns.iter().cloned());
            }
            Condition::Other(value) => others.push(value.clone()),
        }
    }
    others.extend(values_condition(
        "host-header",
        "hostHeaderConfig",
        hosts,
        host_patterns,
    )?);
    others.extend(values_condition(
        "path-pattern",
        "pathPatternConfig",
        paths,
        path_patterns,
    )?);
    if others.is_empty() {
        others.push(json!({"field": "path-pattern", "pathPatternConfig": {"values": ["/*"]}}));
    }
    Ok(others)
}

fn values_condition(
    field: &str,
    config: &str,
    values: Vec<String>,
    patterns: Vec<String>,
) -> Result<Option<Value>, Wrong> {
    match (values.is_empty(), patterns.is_empty()) {
        (true, true) => Ok(None),
        (false, true) => Ok(Some(json!({"field": field, (config): {"values": values}}))),
        (true, false) => Ok(Some(
            json!({"field": field, (config): {"regexValues": patterns}}),
        )),
        (false, false) => Err(format!(
            "the rule and its annotations give {field} both values {values:?} and regexValues {patterns:?}"
        )),
    }
}

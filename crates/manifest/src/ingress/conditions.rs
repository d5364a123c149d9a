//! The conditions of a rule: those of its host and path, and those that annotations add.

use elbow_model::{At, Origin};
use serde_json::{Value, json};

use super::json::{Fields, Wrong};

/// A condition of a rule.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// Hosts, and regular expressions for hosts.
    Host(Vec<String>, Vec<String>),
    /// Paths, and regular expressions for paths.
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
    let conditions = value.as_array().ok_or("expected a list of conditions")?;
    let conditions = conditions.iter().map(|condition| {
        let fields = Fields::of(condition, "a condition")?;
        read_one(fields)
    });
    let conditions: Result<Vec<_>, _> = conditions.collect();
    Ok(conditions?.into_iter().flatten().collect())
}

/// `None` for an unknown field, which the controller ignores.
fn read_one(fields: Fields<'_>) -> Result<Option<Condition>, Wrong> {
    let field = fields.text("field")?.unwrap_or_default();
    let config = |name: &str| {
        let config = fields.object(name)?;
        config.ok_or_else(|| format!("condition {field} needs {name}"))
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

/// Either `values` or `regexValues`.
fn one_of(config: Fields<'_>) -> Result<(Vec<String>, Vec<String>), Wrong> {
    let (values, patterns) = (config.texts("values")?, config.texts("regexValues")?);
    if values.is_empty() == patterns.is_empty() {
        return Err("a condition needs either values or regexValues".into());
    }
    Ok((values, patterns))
}

/// The conditions of a rule as the model has them: others first, then hosts, then paths; values of
/// the rule before those of annotations. `origin` is where the rule is written. A condition to which the annotation
/// adds is the annotation's, and so are all of them together.
pub(super) fn join(
    own: Vec<Condition>,
    annotated: &At<Vec<Condition>>,
    origin: &Origin,
) -> Result<At<Vec<At<Value>>>, Wrong> {
    let mut others = Vec::new();
    let mut hosts = Texts::new(origin);
    let mut paths = Texts::new(origin);
    let own = own.iter().map(|one| (one, origin));
    let added = annotated.iter().map(|one| (one, &annotated.origin));
    for (condition, origin) in own.chain(added) {
        match condition {
            Condition::Host(values, patterns) => hosts.add(values, patterns, origin),
            Condition::Path(values, patterns) => paths.add(values, patterns, origin),
            Condition::Other(value) => others.push(At::new(value.clone(), origin.clone())),
        }
    }
    others.extend(hosts.condition("host-header", "hostHeaderConfig")?);
    others.extend(paths.condition("path-pattern", "pathPatternConfig")?);
    if others.is_empty() {
        let all = json!({"field": "path-pattern", "pathPatternConfig": {"values": ["/*"]}});
        others.push(At::new(all, origin.clone()));
    }
    let whole = if annotated.is_empty() {
        origin
    } else {
        &annotated.origin
    };
    Ok(At::new(others, whole.clone()))
}

/// The hosts or paths of a rule and its annotations.
struct Texts {
    values: Vec<String>,
    patterns: Vec<String>,
    origin: Origin,
}

impl Texts {
    fn new(origin: &Origin) -> Self {
        Self {
            values: Vec::new(),
            patterns: Vec::new(),
            origin: origin.clone(),
        }
    }

    fn add(&mut self, values: &[String], patterns: &[String], origin: &Origin) {
        self.values.extend(values.iter().cloned());
        self.patterns.extend(patterns.iter().cloned());
        self.origin = origin.clone();
    }

    fn condition(self, field: &str, config: &str) -> Result<Option<At<Value>>, Wrong> {
        let value = values_condition(field, config, self.values, self.patterns)?;
        Ok(value.map(|value| At::new(value, self.origin)))
    }
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
            "{field} has both values {values:?} and regexValues {patterns:?}, counting the rule and its annotations"
        )),
    }
}

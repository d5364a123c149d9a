//! `actions.{Protocol}-{Port}`: a listener that shares its connections among Services.

use serde_json::{Map, Value};

use super::read::{Reader, Refused};

/// What a listener forwards to, besides its own Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forward {
    /// The share of the Service itself.
    pub(super) base_weight: Option<i32>,
    /// The others.
    pub(super) backends: Vec<Backend>,
    /// Whether a client stays with its target group.
    pub(super) sticky: Option<bool>,
}

/// One of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    /// Who it is.
    pub(super) to: To,
    /// Its share.
    pub(super) weight: Option<i32>,
    /// Whether it gets plain text from a TLS listener.
    pub(super) decrypt: bool,
}

/// Where a share goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// A target group that exists.
    Arn(String),
    /// A Service of the same namespace, and the number or the name of its port.
    Service(String, String),
}

/// Reads the annotation, if it is there.
pub(super) fn forward(read: &Reader<'_>, key: &str) -> Result<Option<Forward>, Refused> {
    let Some(text) = read.text(key) else {
        return Ok(None);
    };
    let wrong = |message: String| Refused::annotation(key, message);
    let value: Value =
        serde_json::from_str(text).map_err(|error| wrong(format!("is no JSON: {error}")))?;
    let Value::Object(action) = value else {
        return Err(wrong("is no JSON object".to_owned()));
    };
    match get(&action, "type") {
        Some(Value::String(kind)) if kind == "forward" => {}
        other => {
            let written = other.map(Value::to_string).unwrap_or_default();
            return Err(
                wrong(format!("unknown action type: {written}")).hint("the only type is forward")
            );
        }
    }
    let Some(Value::Object(config)) = get(&action, "forwardConfig") else {
        return Err(wrong("missing forwardConfig".to_owned()));
    };
    let base_weight = weight(get(config, "baseServiceWeight")).map_err(wrong)?;
    let mut backends = Vec::new();
    if let Some(Value::Array(items)) = get(config, "targetGroups") {
        for item in items {
            let Value::Object(item) = item else {
                return Err(wrong("a target group is no object".to_owned()));
            };
            backends.push(backend(item).map_err(wrong)?);
        }
    }
    if backends.len() > 1 && backends.iter().any(|backend| backend.weight.is_none()) {
        return Err(wrong(
            "weight must be set when routing to multiple target groups".to_owned(),
        ));
    }
    let sticky = match get(config, "targetGroupStickinessConfig") {
        Some(Value::Object(config)) => get(config, "enabled").and_then(Value::as_bool),
        _ => None,
    };
    Ok(Some(Forward {
        base_weight,
        backends,
        sticky,
    }))
}

fn backend(item: &Map<String, Value>) -> Result<Backend, String> {
    let text = |name: &str| get(item, name).and_then(Value::as_str).map(str::to_owned);
    let port = match get(item, "servicePort") {
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::String(name)) => Some(name.clone()),
        _ => None,
    };
    let to = match (text("targetGroupARN"), text("serviceName")) {
        (Some(arn), None) => To::Arn(arn),
        (None, Some(name)) => To::Service(name, port.ok_or("missing servicePort")?),
        _ => {
            return Err(
                "precisely one of targetGroupARN and serviceName can be specified".to_owned(),
            );
        }
    };
    let decrypt = get(item, "decrypt")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    Ok(Backend {
        to,
        weight: weight(get(item, "weight"))?,
        decrypt,
    })
}

fn weight(value: Option<&Value>) -> Result<Option<i32>, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
    match number {
        Some(number @ 0..=999) => Ok(Some(number)),
        _ => Err("target group weight must be between 0 and 999".to_owned()),
    }
}

/// A field by its name; as Go reads JSON, capitals do not matter.
fn get<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).or_else(|| {
        map.iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use elbow_model::yaml::Position;

    use super::*;
    use crate::annotations::Annotation;

    fn read(text: &str) -> Result<Option<Forward>, Refused> {
        let at = Position { line: 1, column: 1 };
        let annotation = Annotation {
            value: text.to_owned(),
            at,
            key_at: at,
        };
        let annotations = BTreeMap::from([(
            format!("{}actions.TCP-80", super::super::read::PREFIX),
            annotation,
        )]);
        forward(&Reader::new(&annotations), "actions.TCP-80")
    }

    /// Section 3.1, `actions.{Protocol}-{Port}`; section 0.5: field names in any case.
    #[test]
    fn shares_are_read() {
        let text = r#"{"Type":"x","type":"forward","ForwardConfig":{"baseServiceWeight":90,"targetGroups":
            [{"serviceName":"canary","servicePort":8080,"weight":10}]}}"#;
        let to = To::Service("canary".to_owned(), "8080".to_owned());
        let expected = Forward {
            base_weight: Some(90),
            backends: vec![Backend {
                to,
                weight: Some(10),
                decrypt: false,
            }],
            sticky: None,
        };
        assert_eq!(read(text), Ok(Some(expected)));
    }

    /// Section 3.1: what is refused.
    #[test]
    fn shares_are_refused() {
        for (targets, message) in [
            (
                r#"[{"weight":1}]"#,
                "precisely one of targetGroupARN and serviceName can be specified",
            ),
            (r#"[{"serviceName":"a"}]"#, "missing servicePort"),
            (
                r#"[{"targetGroupARN":"a","weight":1000}]"#,
                "target group weight must be between 0 and 999",
            ),
            (
                r#"[{"targetGroupARN":"a"},{"targetGroupARN":"b"}]"#,
                "weight must be set when routing to multiple target groups",
            ),
        ] {
            let text =
                format!(r#"{{"type":"forward","forwardConfig":{{"targetGroups":{targets}}}}}"#);
            assert_eq!(
                read(&text).map_err(|refused| refused.message),
                Err(message.to_owned())
            );
        }
    }
}

//! `actions.{Protocol}-{Port}`: a listener that shares its connections among Services.

use serde_json::{Map, Value};

use crate::annotations::Key;
use crate::lookup::service::{Reader, Refused};
use crate::objects::Port;

/// The backends of a listener beside its own Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forward {
    /// The weight of the Service itself.
    pub(super) base_weight: Option<i32>,
    /// The other backends.
    pub(super) backends: Vec<Backend>,
    /// The stickiness, if it is written: whether a client stays with its target group, if it says so.
    pub(super) sticky: Option<Option<bool>>,
}

/// Another backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    /// Its target group.
    pub(super) to: To,
    /// Its weight.
    pub(super) weight: Option<i32>,
    /// Whether a TLS listener sends it decrypted traffic.
    pub(super) decrypt: bool,
}

/// The target group of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// An existing one.
    Arn(String),
    /// That of a Service of the same namespace, with the number or name of its port.
    Service(String, Port),
}

/// Reads the annotation, if it is there, as `pkg/service/config_types.go` of the controller does.
pub(super) fn forward(read: &Reader<'_>, key: &Key) -> Result<Option<Forward>, Refused> {
    let Some(text) = read.text(key) else {
        return Ok(None);
    };
    let wrong = |message: String| Refused::annotation(key, message);
    let value: Value =
        serde_json::from_str(text).map_err(|error| wrong(format!("is not valid JSON: {error}")))?;
    let action = object(&value, "the action").map_err(wrong)?;
    match string(action, "type").map_err(wrong)? {
        Some("forward") => {}
        other => {
            let written = other.unwrap_or_default();
            return Err(
                wrong(format!("unknown action type: {written}")).hint("the only type is forward")
            );
        }
    }
    let Some(config) = get(action, "forwardConfig") else {
        return Err(wrong("missing forwardConfig".to_owned()));
    };
    shares(config).map(Some).map_err(wrong)
}

fn shares(config: &Value) -> Result<Forward, String> {
    let config = object(config, "forwardConfig")?;
    // The controller does not check its range.
    let base_weight = number(config, "baseServiceWeight")?;
    let backends = match get(config, "targetGroups") {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(backend).collect::<Result<_, _>>()?,
        Some(other) => return Err(unexpected("a list for targetGroups", other)),
    };
    if backends.len() > 1 && backends.iter().any(|backend| backend.weight.is_none()) {
        return Err("weight must be set when routing to multiple target groups".to_owned());
    }
    let sticky = match get(config, "targetGroupStickinessConfig") {
        Some(config) => Some(boolean(object(config, "the stickiness")?, "enabled")?),
        None => None,
    };
    Ok(Forward {
        base_weight,
        backends,
        sticky,
    })
}

fn backend(item: &Value) -> Result<Backend, String> {
    let item = object(item, "a target group")?;
    let port = match get(item, "servicePort") {
        None => None,
        Some(Value::String(name)) => Some(Port::Name(name.clone())),
        Some(other) => {
            let number = other.as_i64().and_then(|number| i32::try_from(number).ok());
            let number = number.ok_or_else(|| unexpected("a port for servicePort", other))?;
            let number = u16::try_from(number).map_err(|_| format!("there is no port {number}"))?;
            Some(Port::Number(number))
        }
    };
    let to = match (
        string(item, "targetGroupARN")?,
        string(item, "serviceName")?,
    ) {
        (Some(arn), None) => To::Arn(arn.to_owned()),
        (None, Some(name)) => To::Service(name.to_owned(), port.ok_or("missing servicePort")?),
        _ => {
            return Err(
                "precisely one of targetGroupARN and serviceName can be specified".to_owned(),
            );
        }
    };
    let weight = number(item, "weight")?;
    if weight.is_some_and(|weight| !(0..=999).contains(&weight)) {
        return Err("target group weight must be between 0 and 999".to_owned());
    }
    Ok(Backend {
        to,
        weight,
        decrypt: boolean(item, "decrypt")?.unwrap_or(false),
    })
}

/// An object; `None` for `null`, which Go reads as an object without fields.
fn object<'a>(value: &'a Value, what: &str) -> Result<Option<&'a Map<String, Value>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Object(map) => Ok(Some(map)),
        _ => Err(unexpected(&format!("a JSON object for {what}"), value)),
    }
}

fn string<'a>(map: Option<&'a Map<String, Value>>, name: &str) -> Result<Option<&'a str>, String> {
    typed(map, name, "a string", Value::as_str)
}

fn boolean(map: Option<&Map<String, Value>>, name: &str) -> Result<Option<bool>, String> {
    typed(map, name, "true or false", Value::as_bool)
}

fn number(map: Option<&Map<String, Value>>, name: &str) -> Result<Option<i32>, String> {
    let read = |value: &Value| value.as_i64().and_then(|number| i32::try_from(number).ok());
    typed(map, name, "a whole number", read)
}

/// A field of a type; `null` is as good as absent.
fn typed<'a, T>(
    map: Option<&'a Map<String, Value>>,
    name: &str,
    kind: &str,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>, String> {
    let field = get(map, name);
    let read = |value| read(value).ok_or_else(|| unexpected(&format!("{kind} for {name}"), value));
    field.map(read).transpose()
}

fn unexpected(expected: &str, found: &Value) -> String {
    format!("expected {expected}, found {found}")
}

/// A field by its name in any case; the last one counts, as Go reads JSON.
fn get<'a>(map: Option<&'a Map<String, Value>>, name: &str) -> Option<&'a Value> {
    let mut fields = map?.iter().rev();
    let found = fields.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value));
    found.filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use elbow_yaml::Position;

    use super::*;
    use crate::annotations::{Annotation, service as keys};
    use crate::object::Object;
    use crate::objects::Meta;

    fn read(text: &str) -> Result<Option<Forward>, Refused> {
        let at = Position { line: 1, column: 1 };
        let annotation = Annotation {
            value: text.to_owned(),
            at,
            key_at: at,
        };
        let object = Object::from_json(serde_json::json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        }));
        let object = object.unwrap();
        let log = object.log();
        let mut meta = Meta::read(&object, &object.view(&log));
        meta.annotations =
            BTreeMap::from([(keys::ACTIONS.of("TCP-80").as_str().to_owned(), annotation)]);
        forward(&Reader::new(&meta), &keys::ACTIONS.of("TCP-80"))
    }

    /// Section 3.1, `actions.{Protocol}-{Port}`; section 0.5: field names in any case.
    #[test]
    fn shares_are_read() {
        let text = r#"{"Type":"x","type":"forward","ForwardConfig":{"baseServiceWeight":90,"targetGroups":
            [{"serviceName":"canary","servicePort":8080,"weight":10}]}}"#;
        let to = To::Service("canary".to_owned(), Port::Number(8080));
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
            (
                r#"[{"serviceName":"a","servicePort":80,"weight":"10"}]"#,
                "expected a whole number for weight, found \"10\"",
            ),
            (
                "[null]",
                "precisely one of targetGroupARN and serviceName can be specified",
            ),
            ("[7]", "expected a JSON object for a target group, found 7"),
            ("{}", "expected a list for targetGroups, found {}"),
        ] {
            let text =
                format!(r#"{{"type":"forward","forwardConfig":{{"targetGroups":{targets}}}}}"#);
            assert_eq!(
                read(&text).map_err(|refused| refused.message),
                Err(message.to_owned())
            );
        }
    }

    /// `config_types.go`: the controller checks neither the weight of the Service itself nor the content of a stickiness.
    #[test]
    fn unchecked_fields_are_taken() {
        let text = r#"{"type":"redirect","TYPE":"forward","forwardConfig":{"baseServiceWeight":1000,
            "targetGroups":null,"targetGroupStickinessConfig":{}}}"#;
        let expected = Forward {
            base_weight: Some(1000),
            backends: Vec::new(),
            sticky: Some(None),
        };
        assert_eq!(read(text), Ok(Some(expected)));
    }
}

//! CRDs of AWS Load Balancer Controller, generated from our own types: IngressClassParams and
//! TargetGroupBinding (`elbv2.k8s.aws`), with AWS's versions, fields, columns and validations. Those of EKS Auto Mode
//! follow from them.

mod auto_mode;
mod binding;
mod params;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use kube::core::crd::merge_crds;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Whose definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// AWS Load Balancer Controller, `elbv2.k8s.aws`.
    Lbc,
    /// EKS Auto Mode, `eks.amazonaws.com`. A cluster of EKS has its own.
    EksAutoMode,
}

/// The definitions to apply, sorted by name.
pub fn definitions(family: Family) -> Result<Vec<Value>, serde_json::Error> {
    // Merging refuses only different kinds, groups or scopes, and both versions have the same.
    let bindings = merge_crds(
        vec![
            binding::beta::TargetGroupBinding::crd(),
            binding::alpha::TargetGroupBinding::crd(),
        ],
        "v1beta1",
    )
    .map_err(serde::ser::Error::custom)?;
    let all = [params::IngressClassParams::crd(), bindings];
    let all = all.iter().map(definition);
    match family {
        Family::Lbc => all.collect(),
        Family::EksAutoMode => all.map(|one| one.map(auto_mode::of)).collect(),
    }
}

/// The definitions as YAML documents, ready for `kubectl apply -f -`.
pub fn yaml(family: Family) -> Result<String, Error> {
    let mut text = String::new();
    for definition in definitions(family)? {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&definition)?);
    }
    Ok(text)
}

/// A definition cannot be serialized.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// As JSON.
    #[error("cannot serialize a definition: {0}")]
    Json(#[from] serde_json::Error),
    /// As YAML.
    #[error("cannot serialize a definition: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

fn definition(definition: &CustomResourceDefinition) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(definition)?;
    let versions = value["spec"]["versions"].as_array_mut();
    for version in versions.into_iter().flatten() {
        let schema = &mut version["schema"]["openAPIV3Schema"];
        // AWS's definitions accept an object without a spec.
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("required");
            schema.remove("title");
        }
        refuse_null(schema);
    }
    if let Some(names) = value["spec"]["names"].as_object_mut() {
        names.retain(|_, names| names.as_array().is_none_or(|names| !names.is_empty()));
    }
    Ok(value)
}

/// Makes no field nullable: AWS's definitions allow a field to be absent but not null.
fn refuse_null(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("nullable");
            if let Some(Value::Array(values)) = fields.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            fields.values_mut().for_each(refuse_null);
        }
        Value::Array(items) => items.iter_mut().for_each(refuse_null),
        _ => {}
    }
}

/// A key-value pair: a tag or an attribute.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct KeyValue {
    /// The key.
    key: String,
    /// The value.
    value: String,
}

/// Selects objects by their labels.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub(crate) struct LabelSelector {
    /// Labels with their required values.
    match_labels: Option<BTreeMap<String, String>>,
    /// Further requirements; all must hold.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    match_expressions: Option<Vec<Requirement>>,
}

/// A requirement for one label.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Requirement {
    /// The label's key.
    key: String,
    /// In, NotIn, Exists or DoesNotExist.
    operator: String,
    /// The values for In and NotIn; empty for the others.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    values: Option<Vec<String>>,
}

/// A condition of an object, as all kinds of Kubernetes have it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Condition(Value);

impl JsonSchema for Condition {
    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "One aspect of the object's state.",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "type": "string", "description": "The aspect.", "maxLength": 316,
                    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
                "status": {"type": "string", "description": "Whether it holds.", "enum": ["True", "False", "Unknown"]},
                "lastTransitionTime": {"type": "string", "description": "When the status last changed.", "format": "date-time"},
                "observedGeneration": {
                    "type": "integer", "description": "The generation that it is about.", "format": "int64", "minimum": 0,
                },
                "reason": {
                    "type": "string", "description": "The reason in one word.", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {"type": "string", "description": "The reason in words.", "maxLength": 32768},
            },
        })
    }
}

/// A number or a name.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum NumberOrName {
    /// A number.
    Number(i32),
    /// A name.
    Name(String),
}

impl JsonSchema for NumberOrName {
    fn schema_name() -> Cow<'static, str> {
        "NumberOrName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true})
    }
}

#[cfg(test)]
mod tests;

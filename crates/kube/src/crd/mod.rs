//! The kinds that AWS's controller brings to a cluster, as definitions of our own types: IngressClassParams and
//! TargetGroupBinding (`elbv2.k8s.aws`), with the versions, fields, columns and validations that its definitions have.

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

/// The definitions as they are applied, in order of their names.
pub fn definitions() -> Result<Vec<Value>, serde_json::Error> {
    // Both versions are of one kind, group and scope, which is all that merging can refuse.
    let bindings = merge_crds(
        vec![
            binding::beta::TargetGroupBinding::crd(),
            binding::alpha::TargetGroupBinding::crd(),
        ],
        "v1beta1",
    )
    .map_err(serde::ser::Error::custom)?;
    [params::IngressClassParams::crd(), bindings]
        .iter()
        .map(definition)
        .collect()
}

/// The definitions as YAML documents, ready for `kubectl apply -f -`.
pub fn yaml() -> Result<String, Error> {
    let mut text = String::new();
    for definition in definitions()? {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&definition)?);
    }
    Ok(text)
}

/// Definitions that could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// As JSON.
    #[error("a definition cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    /// As YAML.
    #[error("a definition cannot be written: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

fn definition(definition: &CustomResourceDefinition) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(definition)?;
    let versions = value["spec"]["versions"].as_array_mut();
    for version in versions.into_iter().flatten() {
        let schema = &mut version["schema"]["openAPIV3Schema"];
        // AWS's take an object without a spec.
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

/// A field that may be left out is not one that may be null: AWS's definitions refuse null, and so do these.
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

/// A key with its value: a tag or an attribute.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct KeyValue {
    /// The key.
    key: String,
    /// The value.
    value: String,
}

/// Labels that an object must have.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub(crate) struct LabelSelector {
    /// Labels and the value that each must have.
    match_labels: Option<BTreeMap<String, String>>,
    /// What else must hold, all of it.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    match_expressions: Option<Vec<Requirement>>,
}

/// What must hold for one label.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Requirement {
    /// The label's key.
    key: String,
    /// In, NotIn, Exists or DoesNotExist.
    operator: String,
    /// The values of In and NotIn; none for the others.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    values: Option<Vec<String>>,
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

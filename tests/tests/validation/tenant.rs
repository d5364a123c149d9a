//! The definition of Tenant in the API server of the tests: what MinIO publishes, as `crates/schema` has it.

use std::collections::BTreeMap;
use std::fs;

use elbow_tests::TempDir;
use elbow_tests::cluster::Access;
use elbow_tests::tools::repository;
use elbow_tests::wait::until;
use serde_json::{Value, json};

const KIND: &str = "minio.min.io/v2/Tenant";

/// Replaces the definition of [`Access`], which holds anything, and waits until the API server decodes by the new one.
pub(crate) fn define(access: &Access) {
    let dir = TempDir::new();
    let file = dir.write("tenant.json", definition().to_string());
    access.ask(&["replace", "--filename", file.to_str().unwrap()]);
    let wrong = "apiVersion: minio.min.io/v2\nkind: Tenant\nmetadata: {name: probe}\nspec: {pools: [], unknown: 1}\n";
    let wrong = dir.write("probe.yaml", wrong);
    until("the definition of Tenant", || {
        let mut apply = access.kubectl();
        apply
            .args(["apply", "--dry-run=server", "--filename"])
            .arg(&wrong);
        let output = elbow_tests::command::output(&mut apply);
        (!output.status.success()).then_some(())
    });
}

fn definition() -> Value {
    let path = repository().join("crates/schema/data/minio.schemas");
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once('\t'));
    let parts: BTreeMap<&str, Value> = lines
        .map(|(name, schema)| (name, serde_json::from_str(schema).unwrap()))
        .collect();
    let mut schema = resolved(&parts[KIND], &parts);
    schema["properties"]["metadata"] = json!({"type": "object"});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "tenants.minio.min.io"},
        "spec": {
            "group": "minio.min.io",
            "scope": "Namespaced",
            "names": {"kind": "Tenant", "listKind": "TenantList", "plural": "tenants", "singular": "tenant"},
            "versions": [{
                "name": "v2",
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

/// A schema with its parts in place of their names. The metadata is that of every object.
fn resolved(schema: &Value, parts: &BTreeMap<&str, Value>) -> Value {
    match schema {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
                let part = parts.get(name);
                return part.map_or(json!({}), |part| resolved(part, parts));
            }
            let field = |(name, value): (&String, &Value)| (name.clone(), resolved(value, parts));
            let mut schema: serde_json::Map<_, _> = fields.iter().map(field).collect();
            require_keys(&mut schema);
            schema.into()
        }
        Value::Array(items) => items.iter().map(|item| resolved(item, parts)).collect(),
        other => other.clone(),
    }
}

/// Requires the fields that tell the items of a list apart, as the API server asks for: the data leaves out what only the
/// newer of two definitions requires.
fn require_keys(list: &mut serde_json::Map<String, Value>) {
    let keys = list.get("x-kubernetes-list-map-keys").cloned();
    let (Some(Value::Array(keys)), Some(items)) = (keys, list.get_mut("items")) else {
        return;
    };
    for key in keys {
        let name = key.as_str().unwrap();
        let has_default = items["properties"][name].get("default").is_some();
        let required = items["required"].as_array().cloned().unwrap_or_default();
        if !has_default && !required.contains(&key) {
            items["required"] = required.into_iter().chain([key]).collect();
        }
    }
}

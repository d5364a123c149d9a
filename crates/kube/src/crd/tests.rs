//! Compares the definitions with facts of AWS's own (config/crd/bases of its controller).

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Family, definitions, yaml};

/// One line per field: path, type and constraints.
fn fields(path: &str, schema: &Value, lines: &mut Vec<String>) {
    let kind = match &schema["x-kubernetes-int-or-string"] {
        Value::Bool(true) => "int-or-string",
        _ => schema["type"].as_str().unwrap(),
    };
    let mut line = format!("{path}: {kind}");
    for name in ["enum", "pattern", "minItems", "format"] {
        if !schema[name].is_null() {
            line += &format!(" {name}={}", schema[name].to_string().replace('"', ""));
        }
    }
    if let Some(required) = schema["required"].as_array() {
        let mut required: Vec<&str> = required.iter().filter_map(Value::as_str).collect();
        required.sort_unstable();
        line += &format!(" required={}", required.join(","));
    }
    if !path.is_empty() {
        lines.push(line);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if !schema[key].is_null() {
            fields(&format!("{path}{mark}"), &schema[key], lines);
        }
    }
    let properties = schema["properties"].as_object();
    let mut properties: Vec<_> = properties.into_iter().flatten().collect();
    properties.sort_by_key(|(name, _)| *name);
    for (name, schema) in properties {
        fields(&format!("{path}.{name}"), schema, lines);
    }
}

// control-plane.md 2.9 and 3.7.
#[test]
fn fields_types_and_enums_are_those_of_aws() {
    let mut lines = Vec::new();
    for definition in definitions(Family::Lbc).unwrap() {
        for version in definition["spec"]["versions"].as_array().unwrap() {
            let name = definition["metadata"]["name"].as_str().unwrap();
            lines.push(format!("{name} {}", version["name"].as_str().unwrap()));
            fields("", &version["schema"]["openAPIV3Schema"], &mut lines);
        }
    }
    for (line, expected) in lines.iter().zip(include_str!("fields.txt").lines()) {
        assert_eq!(line, expected);
    }
    assert_eq!(lines.len(), include_str!("fields.txt").lines().count());
}

#[test]
fn versions_names_and_subresources_are_those_of_aws() {
    let facts = |definition: &Value| {
        let version = |v: &Value| json!([v["name"], v["served"], v["storage"], v["subresources"]]);
        let versions = definition["spec"]["versions"].as_array().unwrap();
        json!([
            definition["spec"]["scope"],
            definition["spec"]["names"],
            versions.iter().map(version).collect::<Vec<_>>()
        ])
    };
    let definitions = definitions(Family::Lbc).unwrap();
    assert_eq!(
        facts(&definitions[0]),
        json!([
            "Cluster",
            {"kind": "IngressClassParams", "plural": "ingressclassparams", "singular": "ingressclassparam"},
            [["v1beta1", true, true, null]]
        ])
    );
    assert_eq!(
        facts(&definitions[1]),
        json!([
            "Namespaced",
            {"kind": "TargetGroupBinding", "plural": "targetgroupbindings", "singular": "targetgroupbinding"},
            [
                ["v1beta1", true, true, {"status": {}}],
                ["v1alpha1", true, false, {"status": {}}]
            ]
        ])
    );
}

#[test]
fn columns_are_those_of_aws() {
    let columns = |definition: &Value| -> Vec<Value> {
        let columns = &definition["spec"]["versions"][0]["additionalPrinterColumns"];
        let column = |c: &Value| json!([c["name"], c["type"], c["jsonPath"], c["priority"]]);
        columns.as_array().unwrap().iter().map(column).collect()
    };
    let definitions = definitions(Family::Lbc).unwrap();
    let age = json!(["AGE", "date", ".metadata.creationTimestamp", null]);
    assert_eq!(
        columns(&definitions[0]),
        [
            json!(["GROUP-NAME", "string", ".spec.group.name", null]),
            json!(["SCHEME", "string", ".spec.scheme", null]),
            json!(["IP-ADDRESS-TYPE", "string", ".spec.ipAddressType", null]),
            age.clone(),
        ]
    );
    assert_eq!(
        columns(&definitions[1]),
        [
            json!(["SERVICE-NAME", "string", ".spec.serviceRef.name", null]),
            json!(["SERVICE-PORT", "string", ".spec.serviceRef.port", null]),
            json!(["TARGET-TYPE", "string", ".spec.targetType", null]),
            json!(["ARN", "string", ".spec.targetGroupARN", 1]),
            json!(["NAME", "string", ".spec.targetGroupName", 2]),
            age,
        ]
    );
}

#[test]
fn installed_files_match_the_printed_definitions() {
    let printed = yaml(Family::Lbc).unwrap();
    for file in ["kube/crds.yaml", "helm/elbow/crds/crds.yaml"] {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(config.join(file), &printed).unwrap();
        }
        let kept = fs::read_to_string(config.join(file)).unwrap();
        assert!(
            kept == printed,
            "config/{file} is out of date; run UPDATE_SNAPSHOTS=1 cargo test -p elbow-kube crd"
        );
    }
}

#[test]
fn definitions_of_auto_mode_differ_where_its_guide_says_so() {
    let lines = |family: Family| {
        let mut lines = Vec::new();
        for definition in definitions(family).unwrap() {
            let version = &definition["spec"]["versions"][0];
            fields("", &version["schema"]["openAPIV3Schema"], &mut lines);
        }
        lines
    };
    let (lbc, auto_mode) = (lines(Family::Lbc), lines(Family::EksAutoMode));
    let only = |these: &[String], others: &[String]| -> Vec<String> {
        let these = these.iter().filter(|line| !others.contains(line));
        these.cloned().collect()
    };
    assert_eq!(
        only(&lbc, &auto_mode),
        [
            ".spec.certificateArn: array",
            ".spec.certificateArn[]: string",
            ".spec.subnets.tags: object",
            ".spec.subnets.tags{}: array",
            ".spec.subnets.tags{}[]: string",
            ".spec: object required=serviceRef",
        ]
    );
    assert_eq!(
        only(&auto_mode, &lbc),
        [
            ".spec.certificateARNs: array",
            ".spec.certificateARNs[]: string",
            ".spec.subnets.matchTags: array",
            ".spec.subnets.matchTags[]: object required=key,values",
            ".spec.subnets.matchTags[].key: string",
            ".spec.subnets.matchTags[].values: array",
            ".spec.subnets.matchTags[].values[]: string",
            ".spec: object required=serviceRef,targetType",
        ]
    );
    let names = definitions(Family::EksAutoMode).unwrap();
    let names = names.iter().map(|one| {
        let versions = one["spec"]["versions"].as_array().unwrap();
        let versions: Vec<_> = versions.iter().map(|version| &version["name"]).collect();
        json!([one["metadata"]["name"], one["spec"]["group"], versions])
    });
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            json!([
                "ingressclassparams.eks.amazonaws.com",
                "eks.amazonaws.com",
                ["v1"]
            ]),
            json!([
                "targetgroupbindings.eks.amazonaws.com",
                "eks.amazonaws.com",
                ["v1"]
            ]),
        ]
    );
}

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{
    FIELDS, action, certificate, classic, condition, health_check, listener, load_balancer, rule,
    schema, security_group, target_group, transform,
};

/// `UPDATE_SCHEMA=1 cargo test -p elbow-model schema` writes the file.
#[test]
fn the_published_schema_is_up_to_date() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../config/native.schema.json"
    );
    let now = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap();
    assert!(
        published == now,
        "config/native.schema.json is old: UPDATE_SCHEMA=1 cargo test -p elbow-model schema"
    );
}

#[test]
fn the_schema_has_the_fields_that_are_read() {
    let schema = schema();
    let definitions = schema["$defs"].as_object().unwrap();
    let expected = [
        ("Action", action::FIELDS),
        ("Certificate", certificate::FIELDS),
        ("ClassicHealthCheck", classic::CHECK_FIELDS),
        ("Condition", condition::FIELDS),
        ("FixedResponse", action::FIXED_RESPONSE_FIELDS),
        ("Forward", action::FORWARD_FIELDS),
        ("HealthCheck", health_check::FIELDS),
        ("HttpHeader", condition::HEADER_FIELDS),
        ("Instance", classic::INSTANCE_FIELDS),
        ("Listener", listener::FIELDS),
        ("LoadBalancer", load_balancer::FIELDS),
        ("Matcher", health_check::MATCHER_FIELDS),
        ("IpRange", security_group::RANGE_FIELDS),
        ("Ipv6Range", security_group::RANGE_V6_FIELDS),
        ("Patterns", condition::PATTERNS_FIELDS),
        ("Permission", security_group::PERMISSION_FIELDS),
        ("QueryPair", condition::PAIR_FIELDS),
        ("QueryString", condition::VALUES_FIELDS),
        ("Redirect", action::REDIRECT_FIELDS),
        ("Rewrite", transform::REWRITE_FIELDS),
        ("Rewrites", transform::CONFIG_FIELDS),
        ("Rule", rule::FIELDS),
        ("SecurityGroup", security_group::FIELDS),
        ("Stickiness", action::STICKINESS_FIELDS),
        ("Target", target_group::TARGET_FIELDS),
        ("TargetGroup", target_group::FIELDS),
        ("Transform", transform::FIELDS),
        ("Values", condition::VALUES_FIELDS),
        ("WeightedTargetGroup", action::TARGET_GROUP_FIELDS),
    ];
    assert_eq!(fields(&schema), FIELDS.iter().copied().collect());
    for (name, known) in expected {
        assert_eq!(
            fields(&definitions[name]),
            known.iter().copied().collect(),
            "{name}"
        );
    }
    assert_eq!(definitions.len(), expected.len());
}

#[test]
fn the_schema_requires_what_the_reader_requires() {
    let schema = schema();
    for (name, expected) in [
        ("Action", &["type"][..]),
        ("Certificate", &["name"]),
        ("ClassicHealthCheck", &["target"]),
        ("Condition", &["field"]),
        ("FixedResponse", &["statusCode"]),
        ("Forward", &["targetGroups"]),
        ("HealthCheck", &[]),
        ("HttpHeader", &["httpHeaderName"]),
        ("Instance", &["id"]),
        ("Listener", &["port", "protocol"]),
        ("LoadBalancer", &["name", "type"]),
        ("Matcher", &["httpCode"]),
        ("Patterns", &[]),
        ("QueryPair", &["value"]),
        ("QueryString", &["values"]),
        ("Redirect", &["statusCode"]),
        ("Rewrite", &["regex", "replace"]),
        ("Rewrites", &["rewrites"]),
        ("Rule", &["actions", "conditions", "priority"]),
        ("Stickiness", &[]),
        ("Target", &["id"]),
        ("Transform", &["type"]),
        ("TargetGroup", &["name", "port", "protocol"]),
        ("Values", &["values"]),
        ("WeightedTargetGroup", &["targetGroup"]),
    ] {
        let required = schema["$defs"][name]["required"].as_array();
        let required: BTreeSet<_> = required
            .into_iter()
            .flatten()
            .flat_map(Value::as_str)
            .collect();
        assert_eq!(required, expected.iter().copied().collect(), "{name}");
    }
    assert_eq!(schema.get("required"), None);
}

fn fields(definition: &Value) -> BTreeSet<&str> {
    assert_eq!(definition["additionalProperties"], Value::Bool(false));
    let properties = definition["properties"].as_object().unwrap();
    properties.keys().map(String::as_str).collect()
}

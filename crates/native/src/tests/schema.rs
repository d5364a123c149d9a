use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{parse, schema};

/// `UPDATE_SCHEMA=1 cargo test -p elbow-native schema` writes the file.
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
        "config/native.schema.json is old: UPDATE_SCHEMA=1 cargo test -p elbow-native schema"
    );
}

/// The diagnostic of an unknown field lists the fields that are known there.
#[test]
fn the_schema_has_the_fields_of_the_reader() {
    let schema = schema();
    let definitions = schema["$defs"].as_object().unwrap();
    let balancer = |text: &str| format!("loadBalancers: [{text}]");
    let listener = |text: &str| balancer(&format!("{{listeners: [{text}]}}"));
    let rule = |text: &str| listener(&format!("{{rules: [{text}]}}"));
    let condition = |text: &str| rule(&format!("{{conditions: [{text}]}}"));
    let transform = |text: &str| rule(&format!("{{transforms: [{text}]}}"));
    let action = |text: &str| listener(&format!("{{defaultActions: [{text}]}}"));
    let group = |text: &str| format!("targetGroups: [{text}]");
    let x = "{zzzzzzzzzzzz: 1}";
    let expected = [
        ("Action", action(x)),
        (
            "AdditionalClaim",
            action(&format!(
                "{{jwtValidationConfig: {{additionalClaims: [{x}]}}}}"
            )),
        ),
        ("Certificate", format!("certificates: [{x}]")),
        (
            "ClassicHealthCheck",
            balancer(&format!("{{healthCheck: {x}}}")),
        ),
        ("Condition", condition(x)),
        (
            "FixedResponse",
            action(&format!("{{fixedResponseConfig: {x}}}")),
        ),
        ("Forward", action(&format!("{{forwardConfig: {x}}}"))),
        ("HealthCheck", group(&format!("{{healthCheckConfig: {x}}}"))),
        (
            "HttpHeader",
            condition(&format!("{{httpHeaderConfig: {x}}}")),
        ),
        ("Instance", balancer(&format!("{{instances: [{x}]}}"))),
        (
            "IpRange",
            balancer(&format!(
                "{{securityGroups: [{{ingress: [{{ipRanges: [{x}]}}]}}]}}"
            )),
        ),
        (
            "Ipv6Range",
            balancer(&format!(
                "{{securityGroups: [{{ingress: [{{ipv6Ranges: [{x}]}}]}}]}}"
            )),
        ),
        (
            "AuthenticateOidc",
            action(&format!("{{authenticateOIDCConfig: {x}}}")),
        ),
        (
            "AuthenticateCognito",
            action(&format!("{{authenticateCognitoConfig: {x}}}")),
        ),
        (
            "JwtValidation",
            action(&format!("{{jwtValidationConfig: {x}}}")),
        ),
        ("Listener", listener(x)),
        ("LoadBalancer", balancer(x)),
        (
            "LoadBalancerAddress",
            balancer(&format!(
                "{{availabilityZones: [{{loadBalancerAddresses: [{x}]}}]}}"
            )),
        ),
        (
            "Matcher",
            group(&format!("{{healthCheckConfig: {{matcher: {x}}}}}")),
        ),
        ("Patterns", condition(&format!("{{hostHeaderConfig: {x}}}"))),
        (
            "Patterns",
            condition(&format!("{{pathPatternConfig: {x}}}")),
        ),
        (
            "Permission",
            balancer(&format!("{{securityGroups: [{{ingress: [{x}]}}]}}")),
        ),
        (
            "QueryPair",
            condition(&format!("{{queryStringConfig: {{values: [{x}]}}}}")),
        ),
        (
            "QueryString",
            condition(&format!("{{queryStringConfig: {x}}}")),
        ),
        ("Redirect", action(&format!("{{redirectConfig: {x}}}"))),
        (
            "Rewrite",
            transform(&format!("{{urlRewriteConfig: {{rewrites: [{x}]}}}}")),
        ),
        (
            "Rewrites",
            transform(&format!("{{hostHeaderRewriteConfig: {x}}}")),
        ),
        ("Rule", rule(x)),
        (
            "SecurityGroup",
            balancer(&format!("{{securityGroups: [{x}]}}")),
        ),
        (
            "Stickiness",
            action(&format!(
                "{{forwardConfig: {{targetGroupStickinessConfig: {x}}}}}"
            )),
        ),
        (
            "MutualAuthentication",
            listener(&format!("{{mutualAuthentication: {x}}}")),
        ),
        (
            "IdentityFilter",
            listener(&format!(
                "{{mutualAuthentication: {{clientCertificateIdentityFilters: [{x}]}}}}"
            )),
        ),
        ("Target", group(&format!("{{targets: [{x}]}}"))),
        ("TargetGroup", group(x)),
        ("Transform", transform(x)),
        ("TrustStore", format!("trustStores: [{x}]")),
        (
            "BackendServerAuthentication",
            balancer(&format!("{{backendServerAuthentication: {{'1': {x}}}}}")),
        ),
        ("SourceIp", condition(&format!("{{sourceIPConfig: {x}}}"))),
        (
            "Values",
            condition(&format!("{{httpRequestMethodConfig: {x}}}")),
        ),
        (
            "WeightedTargetGroup",
            action(&format!("{{forwardConfig: {{targetGroups: [{x}]}}}}")),
        ),
        (
            "LbCookieStickinessPolicy",
            listener(&format!("{{lbCookieStickinessPolicy: {x}}}")),
        ),
        (
            "AppCookieStickinessPolicy",
            listener(&format!("{{appCookieStickinessPolicy: {x}}}")),
        ),
        ("Zone", balancer(&format!("{{availabilityZones: [{x}]}}"))),
    ];
    assert_eq!(fields(&schema), known(x));
    let mut seen = BTreeSet::new();
    for (name, text) in &expected {
        let mut known = known(text);
        // Not served, so that an editor does not offer it.
        known.remove("targetControlPort");
        assert_eq!(fields(&definitions[*name]), known, "{name}");
        seen.insert(*name);
    }
    let definitions: BTreeSet<&str> = definitions.keys().map(String::as_str).collect();
    assert_eq!(definitions, seen);
}

/// The fields that are known where `text` has the field `zzzzzzzzzzzz`.
fn known(text: &str) -> BTreeSet<String> {
    let (_, diagnostics) = parse(text, "a.yaml");
    let mut unknown = diagnostics.iter().filter(|d| d.code == "unknown-field");
    let hint = unknown.next().and_then(|d| d.hint.clone());
    let hint = hint.unwrap_or_else(|| panic!("{text}: {diagnostics:#?}"));
    let names = hint.strip_prefix("known are: ").unwrap();
    names.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_schema_requires_what_the_reader_requires() {
    let schema = schema();
    for (name, expected) in [
        ("Action", &["type"][..]),
        ("BackendServerAuthentication", &["publicKeyFiles"]),
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
        ("Matcher", &[]),
        ("MutualAuthentication", &["mode"]),
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
        ("TrustStore", &["caCertificatesBundleFile", "name"]),
        ("LoadBalancerAddress", &["ipAddress"]),
        ("Values", &["values"]),
        ("WeightedTargetGroup", &["targetGroup"]),
        ("Zone", &["zoneName"]),
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

fn fields(definition: &Value) -> BTreeSet<String> {
    assert_eq!(definition["additionalProperties"], Value::Bool(false));
    let properties = definition["properties"].as_object().unwrap();
    properties.keys().cloned().collect()
}

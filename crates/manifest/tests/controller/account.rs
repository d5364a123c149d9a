//! What an Ingress names and the account has.

use elbow_manifest::Context;
use serde_json::{Value, json};

use super::{
    BALANCERS, GROUPS, LISTENERS, PREFIX, RULES, context, errors, ingress, only, planned, resources,
};

/// model_build_load_balancer_addons.go.
#[test]
fn web_acls_and_shield_are_in_the_plan() {
    let waf = "AWS::WAFv2::WebACLAssociation";
    let of = |annotations: Value, kind: &str| {
        resources(&[annotations])[kind]["LoadBalancer"]["spec"].clone()
    };
    assert_eq!(
        of(json!({"wafv2-acl-arn": "arn:acl"}), waf)["webACLARN"],
        "arn:acl"
    );
    assert_eq!(of(json!({"wafv2-acl-arn": "none"}), waf)["webACLARN"], "");
    assert_eq!(
        of(
            json!({"wafv2-acl-name": "none", "wafv2-acl-arn": "arn:acl"}),
            waf
        )["webACLARN"],
        ""
    );
    let classic = "AWS::WAFRegional::WebACLAssociation";
    assert_eq!(of(json!({"web-acl-id": "a"}), classic)["webACLID"], "a");
    assert_eq!(
        of(json!({"waf-acl-id": "none", "web-acl-id": "a"}), classic)["webACLID"],
        ""
    );
    let shield = "AWS::Shield::Protection";
    assert_eq!(
        of(json!({"shield-advanced-protection": "false"}), shield)["enabled"],
        false
    );
    let reference = format!("#/resources/{BALANCERS}/LoadBalancer/status/loadBalancerARN");
    assert_eq!(
        of(json!({"shield-advanced-protection": "1"}), shield),
        json!({"enabled": true, "resourceARN": {"$ref": reference}})
    );
    for (key, a, b) in [
        ("wafv2-acl-arn", "arn:a", "arn:b"),
        ("wafv2-acl-name", "none", "b"),
        ("waf-acl-id", "a", "b"),
        ("shield-advanced-protection", "true", "false"),
    ] {
        assert_eq!(
            errors(&[json!({(key): a}), json!({(key): b})]),
            ["conflict"],
            "{key}"
        );
    }
    assert_eq!(
        errors(&[json!({"wafv2-acl-name": "nobody"})]),
        ["unknown-web-acl"]
    );
    assert_eq!(
        errors(&[json!({"shield-advanced-protection": "yes"})]),
        ["invalid-annotation"]
    );
}

/// networking/security_group_resolver.go: ids before names, each in the order of the account.
#[test]
fn security_groups_are_in_the_order_of_the_account() {
    let groups = |list: &str| {
        let resources = resources(&[json!({"security-groups": list})]);
        resources[BALANCERS]["LoadBalancer"]["spec"]["securityGroups"].clone()
    };
    assert_eq!(groups("sg-3, sg-1"), json!(["sg-1", "sg-3"]));
    assert_eq!(groups("db, sg-1"), json!(["sg-1", "sg-3"]));
    assert_eq!(groups("web"), json!(["sg-1", "sg-2"]));
    for list in ["sg-9", "nobody", "sg-1,sg-1"] {
        assert_eq!(
            errors(&[json!({"security-groups": list})]),
            ["unknown-security-group"],
            "{list}"
        );
    }
    assert_eq!(
        errors(&[
            json!({"security-groups": "sg-1,sg-3"}),
            json!({"security-groups": "sg-3,sg-1"})
        ]),
        ["conflict"]
    );
}

/// networking/subnet_resolver.go.
#[test]
fn subnets_keep_the_order_in_which_they_are_named() {
    let subnets = |list: &str| {
        let resources = resources(&[json!({"subnets": list})]);
        let mappings = &resources[BALANCERS]["LoadBalancer"]["spec"]["subnetMapping"];
        let mappings = mappings.as_array().unwrap().iter();
        mappings
            .map(|one| one["subnetID"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(subnets("internal-b, subnet-1"), ["subnet-2", "subnet-1"]);
    for (list, expected) in [
        ("subnet-1,subnet-1", "unknown-subnet"),
        ("internal-a,internal-a", "unknown-subnet"),
        ("subnet-1,subnet-3", "subnets-share-a-zone"),
        ("subnet-1", "too-few-subnets"),
        ("", "no-subnet"),
    ] {
        assert_eq!(errors(&[json!({"subnets": list})]), [expected], "{list}");
    }
}

/// shared_utils/target_group_arn_mapper.go, trust stores: what the account has by name.
#[test]
fn names_of_the_account_become_arns() {
    let forward = |name: &str| {
        let action = format!(r#"{{"type":"forward","targetGroupName":"{name}"}}"#);
        let mut one = ingress("a", &json!({"actions.web": action}));
        one["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] =
            json!({"name": "use-annotation"});
        one
    };
    let mutual = |name: &str| {
        let mutual = format!(r#"[{{"port":443,"mode":"verify","trustStore":"{name}"}}]"#);
        ingress(
            "a",
            &json!({"listen-ports": r#"[{"HTTPS":443}]"#, "certificate-arn": "arn:a", "mutual-authentication": mutual}),
        )
    };
    let mut context = context();
    let code = |one: Value, context: &Context| {
        planned(&[one], context)
            .diagnostics
            .iter()
            .find(|one| one.is_error())
            .map(|one| one.code)
    };
    assert_eq!(code(forward("old"), &context), Some("unknown-target-group"));
    assert_eq!(
        code(mutual("clients"), &context),
        Some("unknown-trust-store")
    );
    context.resources = [
        "arn:a:targetgroup/old/1",
        "arn:a:truststore/clients/1",
        "shop",
    ]
    .map(str::to_owned)
    .into();
    let resources = only(&planned(&[forward("old")], &context));
    let forwarded =
        &resources[RULES]["80:1"]["spec"]["actions"][0]["forwardConfig"]["targetGroups"];
    assert_eq!(
        forwarded,
        &json!([{"targetGroupARN": "arn:a:targetgroup/old/1"}])
    );
    let resources = only(&planned(&[mutual("clients")], &context));
    assert_eq!(
        resources[LISTENERS]["443"]["spec"]["mutualAuthentication"]["trustStoreArn"],
        "arn:a:truststore/clients/1"
    );
    let resources = only(&planned(
        &[ingress("a", &json!({"wafv2-acl-name": "shop"}))],
        &context,
    ));
    let acl = &resources["AWS::WAFv2::WebACLAssociation"]["LoadBalancer"]["spec"]["webACLARN"];
    assert!(acl.as_str().unwrap().contains(":regional/webacl/shop/"));
    // A group of another stack is known as soon as that is planned, whichever is first.
    let mut other = ingress("z", &json!({"group.name": "other"}));
    other["metadata"]["annotations"][format!("{PREFIX}group.name")] = "other".into();
    let alone = only(&planned(std::slice::from_ref(&other), &context));
    let name = alone[GROUPS]["default/z-web:80"]["spec"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let both = planned(&[forward(&name), other], &context);
    assert_eq!(both.stacks.len(), 2, "{:?}", both.diagnostics);
}

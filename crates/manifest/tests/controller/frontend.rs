//! The Network Load Balancer in front of an Application Load Balancer.

use serde_json::{Value, json};

use super::{BALANCERS, BINDINGS, GROUPS, LISTENERS, errors, keys, resources};

/// model_build_frontend_nlb.go, buildFrontendNlbModel.
#[test]
fn a_network_load_balancer_stands_in_front() {
    let on = json!({
        "enable-frontend-nlb": "true", "frontend-nlb-scheme": "internet-facing", "frontend-nlb-tags": "a=b",
        "frontend-nlb-eip-allocations": "eip-1, eip-2", "load-balancer-name": "a-name-of-more-than-28-letters",
        "frontend-nlb-listener-port-mapping": "8080=80,9000=81", "frontend-nlb-healthcheck-port": "99999",
        "frontend-nlb-healthcheck-protocol": "HTTPS", "frontend-nlb-attributes": "a.b=c",
    });
    let resources = resources(&[on]);
    assert_eq!(keys(&resources, BALANCERS), ["FrontendNlb", "LoadBalancer"]);
    let front = &resources[BALANCERS]["FrontendNlb"]["spec"];
    assert_eq!(front["name"], "a-name-of-more-than-28-lette-nlb");
    assert_eq!(front["scheme"], "internet-facing");
    assert_eq!(front["tags"], json!({"a": "b"}));
    assert_eq!(
        front["subnetMapping"],
        json!([
            {"subnetID": "subnet-3", "allocationID": "eip-1"}, {"subnetID": "subnet-4", "allocationID": "eip-2"},
        ])
    );
    assert_eq!(
        front["loadBalancerAttributes"],
        json!([{"key": "a.b", "value": "c"}])
    );
    let alb = &resources[BALANCERS]["LoadBalancer"]["spec"];
    assert_eq!(front["securityGroups"], alb["securityGroups"]);
    // Port 81 is no listener of the Ingress, so that no listener leads to it.
    assert_eq!(
        keys(&resources, LISTENERS),
        ["80", "FrontendNlb-ls-TCP-8080"]
    );
    let group = &resources[GROUPS]["FrontendNlb-tg-TCP-8080"]["spec"];
    assert_eq!(
        (&group["port"], &group["targetType"]),
        (&json!(8080), &json!("alb"))
    );
    assert_eq!(group["healthCheckConfig"]["port"], 99999);
    assert_eq!(group["healthCheckConfig"]["protocol"], "HTTPS");
    let targets = &resources["FrontendNLBTargetGroup"]["FrontendNLBTargetGroup"]["TargetGroups"];
    assert_eq!(targets[group["name"].as_str().unwrap()]["TargetPort"], 80);
    assert_eq!(keys(&resources, BINDINGS), ["default/m0-web:80"]);
}

/// model_build_frontend_nlb.go: what members set together.
#[test]
fn members_agree_on_the_load_balancer_in_front() {
    let with = |more: Value| {
        let mut all = json!({"enable-frontend-nlb": "true"});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    let check = "frontend-nlb-healthcheck-path";
    for (members, expected) in [
        (
            vec![with(json!({})), json!({"enable-frontend-nlb": "false"})],
            "conflict",
        ),
        (
            vec![
                with(json!({"frontend-nlb-scheme": "internal"})),
                json!({"frontend-nlb-scheme": "internet-facing"}),
            ],
            "conflict",
        ),
        (
            vec![with(json!({"frontend-nlb-scheme": "public"}))],
            "unknown-value",
        ),
        (
            vec![with(json!({"frontend-nlb-eip-allocations": "eip-1,eip-2"}))],
            "conflict",
        ),
        (
            vec![with(
                json!({"frontend-nlb-eip-allocations": "eip-1", "frontend-nlb-scheme": "internet-facing"}),
            )],
            "invalid-annotation",
        ),
        // A member without the annotation differs from one before it that has it.
        (
            vec![with(json!({"frontend-nlb-attributes": "a=b"})), json!({})],
            "conflict",
        ),
        (
            vec![with(
                json!({"frontend-nlb-attributes": "dns_record.client_routing_policy=bad"}),
            )],
            "unknown-value",
        ),
        (
            vec![
                with(json!({"frontend-nlb-tags": "a=b"})),
                json!({"frontend-nlb-tags": "a=c"}),
            ],
            "conflict",
        ),
        (
            vec![with(json!({"frontend-nlb-security-groups": "sg-9"}))],
            "unknown-security-group",
        ),
        (
            vec![with(json!({"frontend-nlb-subnets": "subnet-9"}))],
            "unknown-subnet",
        ),
        (
            vec![with(json!({"frontend-nlb-listener-port-mapping": "a=80"}))],
            "invalid-annotation",
        ),
        (
            vec![with(json!({"frontend-nlb-healthcheck-protocol": "TCP"}))],
            "unknown-value",
        ),
        (
            vec![with(json!({"frontend-nlb-healthcheck-port": "http"}))],
            "invalid-annotation",
        ),
        (
            vec![with(
                json!({"frontend-nlb-healthcheck-interval-seconds": "9999999999"}),
            )],
            "invalid-annotation",
        ),
        (
            vec![with(json!({check: "/a"})), json!({check: "/b"})],
            "conflict",
        ),
        (
            vec![
                with(
                    json!({"listen-ports": r#"[{"HTTP":80},{"HTTP":81}]"#, "frontend-nlb-listener-port-mapping": "1=80"}),
                ),
                json!({"listen-ports": r#"[{"HTTP":81}]"#, "frontend-nlb-listener-port-mapping": "1=81"}),
            ],
            "conflict",
        ),
    ] {
        assert_eq!(errors(&members), [expected], "{members:?}");
    }
    // The first that sets a field decides, also after one with the default.
    let resources = resources(&[with(json!({})), json!({check: "/b"}), json!({check: "/b"})]);
    let group = &resources[GROUPS]["FrontendNlb-tg-TCP-80"]["spec"];
    assert_eq!(group["healthCheckConfig"]["path"], "/b");
    // Attributes of a later member count when those before it set none.
    let late = self::resources(&[with(json!({})), json!({"frontend-nlb-attributes": "a=b"})]);
    assert_eq!(
        late[BALANCERS]["FrontendNlb"]["spec"]["loadBalancerAttributes"],
        json!([{"key": "a", "value": "b"}])
    );
}

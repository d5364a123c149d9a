//! Rules of listeners of Network Load Balancers.

use elbow_model::*;

use crate::kit::{balancer, built, listener, listener_faults, scope, texts, warnings};

/// ELBv2 API, `SourceIpConditionConfig`: a rule of a Network Load Balancer tells addresses of IPv4 and IPv6 apart, and one of
/// an Application Load Balancer CIDR blocks.
#[test]
fn rules_of_network_load_balancers_have_a_type_of_addresses() {
    let of_type = |kind: Option<&str>, blocks: Option<&[&str]>| ConditionSpec {
        field: Some("source-ip".to_owned()),
        source_ip_config: Some(SourceIpSpec {
            values: blocks.map(texts),
            ip_address_type: kind.map(str::to_owned),
        }),
        ..ConditionSpec::default()
    };
    let rule = |priority, condition, group: &str| RuleSpec {
        priority: Some(priority),
        conditions: Some(vec![condition]),
        actions: Some(vec![ActionSpec::forward(group)]),
        transforms: Vec::new(),
    };
    let with = |rules| ListenerSpec {
        rules: Some(rules),
        ..listener(80, "TCP", ActionSpec::forward("tcp"))
    };
    let built = built(
        "network",
        with(vec![
            rule(2, of_type(Some("ipv6"), None), "both"),
            rule(3, of_type(Some("ipv4"), None), "both"),
            rule(1, of_type(Some("ipv6"), None), "source-ip"),
        ]),
    );
    let group_for = |client: &str| match built.action_for(client.parse().unwrap()) {
        Some(Action::Forward(forward)) => forward.target_groups[0].target_group.to_string(),
        other => panic!("{other:?}"),
    };
    let clients = ["::1", "2001:db8::1", "192.0.2.1"];
    assert_eq!(clients.map(group_for), ["source-ip", "source-ip", "both"]);

    let refused = |kind, condition| {
        let found = listener_faults(kind, with(vec![rule(1, condition, "tcp")]));
        found
            .into_iter()
            .map(|line| line.replace("rules[0].", ""))
            .collect::<Vec<_>>()
    };
    let source_ip = "conditions[0].sourceIPConfig";
    for (condition, fault) in [
        (of_type(None, None), "ipAddressType missing-field"),
        (
            of_type(Some("dualstack"), None),
            "ipAddressType unknown-value",
        ),
        (
            of_type(Some("ipv4"), Some(&["10.0.0.0/8"])),
            "values invalid-combination",
        ),
    ] {
        assert_eq!(
            refused("network", condition),
            [format!("{source_ip}.{fault}")]
        );
    }
    assert_eq!(
        refused("network", ConditionSpec::path_pattern(["/*"])),
        ["conditions[0].field invalid-combination"]
    );
    let of_alb = RuleSpec {
        actions: Some(vec![ActionSpec::fixed_response(404)]),
        ..rule(1, of_type(Some("ipv4"), None), "http")
    };
    let of_alb = ListenerSpec {
        rules: Some(vec![of_alb]),
        ..listener(80, "HTTP", ActionSpec::fixed_response(404))
    };
    assert_eq!(
        listener_faults("application", of_alb),
        [format!(
            "rules[0].{source_ip}.ipAddressType invalid-combination"
        )]
    );
    let mut rewriting = rule(1, of_type(Some("ipv6"), None), "tcp");
    rewriting.transforms = vec![TransformSpec {
        kind: Some("url-rewrite".to_owned()),
        url_rewrite_config: Some(RewritesSpec {
            rewrites: Some(vec![RewriteSpec {
                regex: Some("a".to_owned()),
                replace: Some("b".to_owned()),
            }]),
        }),
        ..TransformSpec::default()
    }];
    assert_eq!(
        listener_faults("network", with(vec![rewriting])),
        ["rules[0].transforms invalid-combination"]
    );
    let mut answering = rule(1, of_type(Some("ipv6"), None), "tcp");
    answering.actions = Some(vec![ActionSpec::fixed_response(404)]);
    assert_eq!(
        listener_faults("network", with(vec![answering])),
        ["rules[0].actions[0].type invalid-combination"]
    );
}

/// Clients with IPv6 addresses reach dualstack load balancers alone, and the first rule that matches counts.
#[test]
fn rules_that_no_client_meets_are_told() {
    let rule = |priority, kind: &str| RuleSpec {
        priority: Some(priority),
        conditions: Some(vec![ConditionSpec {
            field: Some("source-ip".to_owned()),
            source_ip_config: Some(SourceIpSpec {
                values: None,
                ip_address_type: Some(kind.to_owned()),
            }),
            ..ConditionSpec::default()
        }]),
        actions: Some(vec![ActionSpec::forward("tcp")]),
        transforms: Vec::new(),
    };
    let rules = vec![rule(1, "ipv4"), rule(2, "ipv6"), rule(3, "ipv4")];
    let listener = ListenerSpec {
        rules: Some(rules),
        ..listener(80, "TCP", ActionSpec::forward("tcp"))
    };
    let mut spec = balancer("network", vec![listener]);
    let told = |spec: &LoadBalancerSpec| warnings(LoadBalancer::new(spec, &scope()));
    let third = "listeners[0].rules[2] hidden-rule";
    assert_eq!(told(&spec), [third, "listeners[0].rules[1] hidden-rule"]);
    spec.ip_address_type = Some("dualstack".to_owned());
    assert_eq!(told(&spec), [third]);
}

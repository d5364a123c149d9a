//! What the AWS Load Balancer Controller does with Ingresses beyond the recordings. Each test names the source file of
//! the controller (v3.5.0) that decides.

#![allow(clippy::unwrap_used)] // what cannot be planned fails the test

use elbow_manifest::{Context, Translation, plan, read};
use serde_json::{Value, json};

mod account;
mod certificates;
mod frontend;

const PREFIX: &str = "alb.ingress.kubernetes.io/";
const BALANCERS: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";
const LISTENERS: &str = "AWS::ElasticLoadBalancingV2::Listener";
const RULES: &str = "AWS::ElasticLoadBalancingV2::ListenerRule";
const GROUPS: &str = "AWS::ElasticLoadBalancingV2::TargetGroup";
const BINDINGS: &str = "K8S::ElasticLoadBalancingV2::TargetGroupBinding";

const SERVICE: &str = r#"
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "annotations": {}},
 "spec": {"type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]}}
"#;

/// An account with IPv6, in which nothing else exists.
fn context() -> Context {
    let subnet = |zone: &str, number: u32, scheme: &str| {
        json!({
            "id": format!("subnet-{number}"), "availabilityZone": format!("us-east-1{zone}"),
            "cidrBlock": format!("192.168.{number}.0/24"), "ipv6CidrBlock": format!("2001:db8:{number}::/64"),
            "scheme": scheme, "name": format!("{scheme}-{zone}"), "tags": {},
        })
    };
    let environment = json!({
        "subnets": [
            subnet("a", 1, "internal"), subnet("b", 2, "internal"),
            subnet("a", 3, "internet-facing"), subnet("b", 4, "internet-facing"),
        ],
        "securityGroups": [{"id": "sg-1", "name": "web"}, {"id": "sg-2", "name": "web"}, {"id": "sg-3", "name": "db"}],
    });
    let (context, found) = Context::parse(&environment.to_string(), "environment.yaml");
    assert!(found.is_empty(), "{found:?}");
    context
}

/// An Ingress of the group `g`, with annotations that get the prefix.
fn ingress(name: &str, annotations: &Value) -> Value {
    let mut prefixed = serde_json::Map::new();
    prefixed.insert(format!("{PREFIX}group.name"), "g".into());
    for (key, value) in annotations.as_object().unwrap() {
        prefixed.insert(format!("{PREFIX}{key}"), value.clone());
    }
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "annotations": prefixed},
        "spec": {"ingressClassName": "alb", "rules": [{"http": {"paths": [{
            "path": format!("/{name}"), "pathType": "Exact",
            "backend": {"service": {"name": "web", "port": {"number": 80}}},
        }]}}]},
    })
}

fn planned(documents: &[Value], context: &Context) -> Translation {
    let documents: Vec<String> = documents.iter().map(Value::to_string).collect();
    let text = format!("{}\n---\n{SERVICE}", documents.join("\n---\n"));
    let (objects, found) = read(&text, "a.yaml");
    assert!(found.is_empty(), "{found:?}");
    plan(&objects, context)
}

/// The resources of the only stack that Ingresses with these annotations become.
fn resources(members: &[Value]) -> Value {
    let members = members.iter().enumerate();
    let members: Vec<Value> = members
        .map(|(index, annotations)| ingress(&format!("m{index}"), annotations))
        .collect();
    only(&planned(&members, &context()))
}

fn only(planned: &Translation) -> Value {
    let errors = planned.diagnostics.iter().filter(|found| found.is_error());
    assert_eq!(errors.map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    planned.stacks[0].to_json()["resources"].clone()
}

/// The codes of the errors about Ingresses with these annotations.
fn errors(members: &[Value]) -> Vec<&'static str> {
    let members = members.iter().enumerate();
    let members: Vec<Value> = members
        .map(|(index, annotations)| ingress(&format!("m{index}"), annotations))
        .collect();
    let planned = planned(&members, &context());
    assert!(planned.stacks.is_empty());
    let errors = planned.diagnostics.iter().filter(|found| found.is_error());
    errors.map(|found| found.code).collect()
}

fn keys(resources: &Value, kind: &str) -> Vec<String> {
    resources[kind]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

/// rule_optimizer.go: regular expressions for paths are compared as texts, those for hosts not at all, and a redirect of
/// such paths is never taken for endless.
#[test]
fn regular_expressions_in_the_rule_optimizer() {
    let go = |more: &str| {
        format!(
            r#"{{"type":"redirect","redirectConfig":{{"protocol":"HTTP"{more},"statusCode":"HTTP_301"}}}}"#
        )
    };
    let rules = |conditions: Value, action: &str| {
        let path = |path: &str, service: &str, port: Value| json!({"path": path, "pathType": "ImplementationSpecific", "backend": {"service": {"name": service, "port": port}}});
        let mut one = ingress(
            "a",
            &json!({"actions.go": action, "conditions.go": conditions.to_string(), "use-regex-path-match": "true"}),
        );
        one["spec"]["rules"] = json!([{"http": {"paths": [
            path("/^/x", "go", json!({"name": "use-annotation"})),
            path("/^/x", "web", json!({"number": 80})),
            path("/^/y", "web", json!({"number": 80})),
        ]}}]);
        keys(&only(&planned(&[one], &context())), RULES).len()
    };
    assert_eq!(rules(json!([]), &go("")), 2, "the second rule is hidden");
    let hosts = json!([{"field": "host-header", "hostHeaderConfig": {"regexValues": ["^a"]}}]);
    assert_eq!(rules(hosts, &go(r#","host":"a""#)), 2, "hosts do not count");
    let header = json!([{"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "a", "values": ["b"]}}]);
    assert_eq!(rules(header, &go("")), 3, "another condition hides nothing");
}

/// model_build_load_balancer_attributes.go, model_build_listener.go, ..._capacity_reservation.go, model_build_ipam.go:
/// the class of the first member decides.
#[test]
fn the_class_of_the_first_member_settles_conflicts() {
    let a = json!({"load-balancer-attributes": "a=1,b=1", "listener-attributes.HTTP-80": "c=1"});
    let b = json!({"load-balancer-attributes": "a=2", "listener-attributes.HTTP-80": "c=2"});
    assert_eq!(errors(&[a.clone(), b.clone()]), ["conflict", "conflict"]);
    let class = |name: &str, params: &str| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name},
            "spec": {"controller": "ingress.k8s.aws/alb",
                     "parameters": {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": params}},
        })
    };
    let params = |name: &str, value: &str, units: u32| {
        json!({
            "apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "IngressClassParams", "metadata": {"name": name},
            "spec": {
                "loadBalancerAttributes": [{"key": "a", "value": value}],
                "minimumLoadBalancerCapacity": {"capacityUnits": units},
                "ipamConfiguration": {"ipv4IPAMPoolId": format!("pool-{value}")},
                "listeners": [{"protocol": "HTTP", "port": 80, "listenerAttributes": [{"key": "c", "value": value}]}],
            },
        })
    };
    let mut members = [ingress("m0", &a), ingress("m1", &b)];
    members[0]["spec"]["ingressClassName"] = "one".into();
    members[1]["spec"]["ingressClassName"] = "two".into();
    let [first, second] = members;
    let objects = [
        first,
        second,
        class("one", "p1"),
        class("two", "p2"),
        params("p1", "3", 300),
        params("p2", "4", 400),
    ];
    let resources = only(&planned(&objects, &context()));
    let balancer = &resources[BALANCERS]["LoadBalancer"]["spec"];
    assert_eq!(
        balancer["loadBalancerAttributes"],
        json!([{"key": "a", "value": "3"}, {"key": "b", "value": "1"}])
    );
    assert_eq!(
        balancer["minimumLoadBalancerCapacity"]["capacityUnits"],
        300
    );
    assert_eq!(balancer["ipv4IPAMPool"], "pool-3");
    assert_eq!(
        resources[LISTENERS]["80"]["spec"]["listenerAttributes"],
        json!([{"Key": "c", "Value": "3"}])
    );
}

/// Values that the controller takes, although they look wrong.
#[test]
fn odd_values_are_planned() {
    let spec = |annotations: Value| {
        let resources = resources(&[annotations]);
        let id = keys(&resources, GROUPS).remove(0);
        (
            resources[BALANCERS]["LoadBalancer"]["spec"].clone(),
            resources[GROUPS][&id]["spec"].clone(),
            resources,
        )
    };
    // model_build_load_balancer.go: any name of at most 32 characters. ..._capacity_reservation.go, model_build_ipam.go.
    let (balancer, ..) = spec(json!({
        "load-balancer-name": "", "minimum-load-balancer-capacity": "", "ipam-ipv4-pool-id": "",
        "use-regex-path-match": "maybe",
    }));
    assert_eq!(balancer["name"], "");
    assert_eq!(
        (
            &balancer["minimumLoadBalancerCapacity"],
            &balancer["ipv4IPAMPool"]
        ),
        (&Value::Null, &Value::Null)
    );
    // model_build_target_group.go: intstr.Parse, ParseInt32Annotation, and labels of instances only.
    let (_, group, _) = spec(json!({"healthcheck-port": "70000"}));
    assert_eq!(group["healthCheckConfig"]["port"], 70000);
    let (_, group, _) = spec(
        json!({"target-type": "ip", "target-control-port.web.80": "70000", "target-node-labels": "broken"}),
    );
    assert_eq!(group["targetControlPort"], 70000);
    let (.., resources) = spec(json!({"target-node-labels": ""}));
    let binding = &resources[BINDINGS]["default/m0-web:80"]["spec"]["template"]["spec"];
    assert_eq!(binding["nodeSelector"], Value::Null);
    // enhanced_backend_builder.go, model_build_actions.go: a claim of any format; both kinds of authentication where
    // no listener is for HTTPS.
    let jwt = r#"{"jwksEndpoint":"https://a","issuer":"b","additionalClaims":[{"format":"odd","name":"n","values":["v"]}]}"#;
    spec(json!({"jwt-validation": jwt, "auth-type": "cognito", "auth-idp-cognito": "{}"}));
    let both = json!({"jwt-validation": jwt, "auth-type": "cognito", "auth-idp-cognito": "{}",
        "listen-ports": r#"[{"HTTPS":443}]"#, "certificate-arn": "arn:a"});
    assert_eq!(errors(&[both]), ["conflict"]);
    for (key, value) in [
        ("customer-owned-ipv4-pool", ""),
        ("minimum-load-balancer-capacity", "CapacityUnits=1,x=2"),
        ("minimum-load-balancer-capacity", "CapacityUnits=9999999999"),
        ("scheme", ""),
    ] {
        assert_eq!(errors(&[json!({(key): value})]).len(), 1, "{key}: {value}");
    }
}

/// model_build_target_group.go, getMultiClusterTgFlag: the Ingress precedes the Service.
#[test]
fn an_ingress_shares_target_groups_of_a_service_that_does_not() {
    let mut service: Value = serde_json::from_str(SERVICE).unwrap();
    service["metadata"]["annotations"][format!("{PREFIX}multi-cluster-target-group")] =
        "false".into();
    let text = format!(
        "{}\n---\n{service}",
        ingress("a", &json!({"multi-cluster-target-group": "true"}))
    );
    let (objects, _) = read(&text, "a.yaml");
    let resources = only(&plan(&objects, &context()));
    let binding = &resources[BINDINGS]["default/a-web:80"]["spec"]["template"]["spec"];
    assert_eq!(binding["multiClusterTargetGroup"], true);
}

/// config_types.go: Go refuses a wrong type in every field that it knows, also in one that is not used.
#[test]
fn json_is_of_the_types_of_the_controller() {
    let fixed = r#""type":"fixed-response","fixedResponseConfig":{"statusCode":"200"}"#;
    for (key, value) in [
        ("conditions.web", r#"[{"field":"source-ip","sourceIPConfig":{"values":["1.2.3.4/32"]},"hostHeaderConfig":[]}]"#.to_owned()),
        ("transforms.web", r#"[{"type":"url-rewrite","urlRewriteConfig":{"rewrites":[{"regex":1,"replace":"b"}]}}]"#.to_owned()),
        ("auth-idp-cognito", r#"{"authenticationRequestExtraParams":{"a":1}}"#.to_owned()),
        ("jwt-validation", r#"{"jwksEndpoint":"a","issuer":"b","additionalClaims":{}}"#.to_owned()),
    ] {
        assert_eq!(errors(&[json!({(key): value})]), ["invalid-annotation"], "{key}");
    }
    let mut one = ingress(
        "a",
        &json!({"actions.web": format!("{{{fixed},\"redirectConfig\":\"no\"}}")}),
    );
    one["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] =
        json!({"name": "use-annotation"});
    let found = planned(&[one.clone()], &context()).diagnostics;
    assert_eq!(
        found.iter().find(|one| one.is_error()).unwrap().code,
        "invalid-annotation"
    );
    one["metadata"]["annotations"][format!("{PREFIX}actions.web")] =
        format!("{{{fixed},\"unknown\":1,\"redirectConfig\":null}}").into();
    only(&planned(&[one], &context()));
}

/// encoding/json: `null` is a zero value, also as the item of a list; the validation that follows refuses most of those.
#[test]
fn null_items_of_json_are_zero_values() {
    let ports = json!({"listen-ports": r#"[null, {"HTTP": 8080}]"#});
    let stack = only(&planned(&[ingress("a", &ports)], &context()));
    assert_eq!(keys(&stack, LISTENERS), ["8080"]);
    let rewrite = r#"[{"type": "url-rewrite", "urlRewriteConfig": {"rewrites": [null]}}]"#;
    let stack = only(&planned(
        &[ingress("a", &json!({"transforms.web": rewrite}))],
        &context(),
    ));
    assert_eq!(keys(&stack, RULES).len(), 1);
    // webhooks/networking/ingress_validator.go refuses what is invalid after that.
    for conditions in [
        r#"[{"field": "query-string", "queryStringConfig": {"values": [null]}}]"#,
        r#"[{"field": "query-string", "queryStringConfig": {"values": [{"key": "a"}]}}]"#,
        r#"[{"field": "path-pattern", "pathPatternConfig": null}]"#,
        r#"[{"field": "source-ip", "sourceIPConfig": {"values": []}}]"#,
        r#"[{"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "a"}}]"#,
        r#"{"field": "host-header"}"#,
    ] {
        let found = errors(&[json!({"conditions.web": conditions})]);
        assert_eq!(found, ["invalid-annotation"], "{conditions}");
    }
}

/// rule_optimizer.go leaves rules out: it is told if no listener has them.
#[test]
fn rules_that_are_left_out_are_told() {
    let go = r#"{"type":"redirect","redirectConfig":{"protocol":"HTTPS","port":"443","statusCode":"HTTP_301"}}"#;
    let told = |ports: &str| {
        let annotations = json!({
            "listen-ports": ports, "actions.go": go, "certificate-arn": "arn:aws:acm:us-east-1:1:certificate/a",
        });
        let mut one = ingress("a", &annotations);
        let path = |path: &str, service: &str, port: Value| json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": service, "port": port}}});
        one["spec"]["rules"] = json!([
            {"http": {"paths": [path("/", "go", json!({"name": "use-annotation"}))]}},
            {"http": {"paths": [path("/a", "web", json!({"number": 80}))]}},
        ]);
        let made = planned(&[one], &context());
        let codes = made.diagnostics.iter().map(|one| one.code);
        codes
            .filter(|code| *code != "no-effect")
            .collect::<Vec<_>>()
    };
    // The redirect to HTTPS: each listener leaves out what the other has.
    assert_eq!(told(r#"[{"HTTP": 80}, {"HTTPS": 443}]"#), [""; 0]);
    assert_eq!(told(r#"[{"HTTP": 80}]"#), ["hidden-rule"]);
    assert_eq!(told(r#"[{"HTTPS": 443}]"#), ["redirect-loop"]);
}

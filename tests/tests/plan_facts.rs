//! The plans of the folders of `config/eks`, fact by fact as in section 1 of the specification of manifests.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;

use elbow_tests::command::{output, texts};
use elbow_tests::plan::{
    Plan, balancer, check, checks, classic, default_check, forwards_to, listeners, network,
    node_port, plan, plan_of, resources, subnets, tcp_check, text,
};
use elbow_tests::{TempDir, eks, elbow};
use serde_json::{Value, json};

#[test]
fn s1_tenant_on_classic_load_balancers() {
    let plan = plan("s01-tenant-clb");
    let ids: Vec<&String> = plan.stacks.keys().collect();
    assert_eq!(
        ids,
        [
            "tenant-ns/minio",
            "tenant-ns/tenant-1",
            "tenant-ns/tenant-1-console"
        ]
    );
    for (id, port) in [
        ("tenant-ns/minio", 443),
        ("tenant-ns/tenant-1-console", 9443),
    ] {
        let classic = classic(&plan, id);
        let node_port = node_port(&classic);
        assert_eq!(
            listeners(&classic),
            [format!("{port} TCP -> {node_port} TCP")]
        );
        assert_eq!(check(&classic), default_check(&format!("TCP:{node_port}")));
        assert_eq!(classic["scheme"], "internet-facing");
    }
    let services = &plan.stacks["tenant-ns/tenant-1"]["K8S::Service"];
    assert_eq!(services["minio"]["spec"]["ports"][0]["targetPort"], 9000);
    assert_eq!(
        services["tenant-1-console"]["spec"]["ports"][0]["targetPort"],
        9443
    );
    assert_eq!(plan.stderr, "");
}

/// Section 1, S1: a Tenant without TLS has 80 to 9000 and 9090 to 9090.
#[test]
fn s1_without_tls_uses_other_ports() {
    let dir = TempDir::new();
    let (_, tenant) = &eks::manifests("s01-tenant-clb")[0];
    dir.write(
        "tenant.yaml",
        tenant.replace("requestAutoCert: true", "requestAutoCert: false"),
    );
    dir.write("environment.yaml", "personality: intree\n");
    let plan = plan_of(dir.path());
    for (id, port) in [
        ("tenant-ns/minio", 80),
        ("tenant-ns/tenant-1-console", 9090),
    ] {
        let classic = classic(&plan, id);
        let node_port = node_port(&classic);
        assert_eq!(
            listeners(&classic),
            [format!("{port} TCP -> {node_port} TCP")]
        );
    }
    let services = &plan.stacks["tenant-ns/tenant-1"]["K8S::Service"];
    assert_eq!(services["minio"]["spec"]["ports"][0]["targetPort"], 9000);
    assert_eq!(
        services["tenant-1-console"]["spec"]["ports"][0]["targetPort"],
        9090
    );
}

#[test]
fn s2_operator_console() {
    let plan = plan("s02-operator-console-clb");
    let classic = classic(&plan, "minio-operator/console");
    assert_eq!(
        listeners(&classic),
        ["9090 TCP -> 31090 TCP", "9443 TCP -> 31443 TCP"]
    );
    assert_eq!(check(&classic), default_check("TCP:31090"));
    // Section 0.3: derived from the UID; AWS gave this name.
    assert_eq!(
        classic["loadBalancerName"],
        "ad824df7648d74e209bb960970b55be5"
    );
    assert_eq!(classic["scheme"], "internet-facing");
    assert_eq!(plan.stacks.len(), 1);
    assert_eq!(plan.stderr, "");
}

#[test]
fn s3_internal_tenant() {
    let (public, plan) = (plan("s01-tenant-clb"), plan("s03-tenant-internal-clb"));
    for id in ["tenant-ns/minio", "tenant-ns/tenant-1-console"] {
        let (before, now) = (classic(&public, id), classic(&plan, id));
        assert_eq!(now["scheme"], "internal");
        assert_eq!(
            now["subnets"],
            json!(["subnet-private-a", "subnet-private-b", "subnet-private-c"])
        );
        assert_eq!(listeners(&now), listeners(&before));
        assert_eq!(check(&now), check(&before));
    }
    let key = "service.beta.kubernetes.io/aws-load-balancer-internal";
    for service in ["minio", "tenant-1-console"] {
        let services = &plan.stacks["tenant-ns/tenant-1"]["K8S::Service"];
        assert_eq!(
            services[service]["metadata"]["annotations"],
            json!({key: "true"})
        );
    }
}

/// `backend-protocol: http` is meant for the port with the certificate, but makes the other one plain HTTP.
#[test]
fn s4_tls_on_one_port_breaks_the_other() {
    let plan = plan("s04-clb-tls-termination");
    let classic = classic(&plan, "minio-operator/console");
    assert_eq!(
        listeners(&classic),
        ["9090 HTTPS -> 30904 HTTP", "9443 HTTP -> 30905 HTTP"]
    );
    assert_eq!(check(&classic), default_check("TCP:30904"));
    let arn = "arn:aws:acm:us-east-1:111122223333:certificate/6fa5e6e4-6e4b-4c4f-8a7c-3f0c5f8f2c11";
    assert_eq!(classic["listeners"][0]["sSLCertificateId"], arn);
    assert_eq!(classic["listeners"][1].get("sSLCertificateId"), None);
    let warned = "s04-clb-tls-termination/console.yaml:5:68: port 9443 is not in ssl-ports and becomes plain HTTP";
    assert!(
        plan.stderr.contains("warning[plain-listener] "),
        "{}",
        plan.stderr
    );
    assert!(plan.stderr.contains(warned), "{}", plan.stderr);
}

#[test]
fn s5_internal_classic_load_balancer() {
    let plan = plan("s05-clb-internal");
    let classic = classic(&plan, "minio-operator/console");
    assert_eq!(classic["scheme"], "internal");
    assert_eq!(
        listeners(&classic),
        ["9090 TCP -> 30905 TCP", "9443 TCP -> 30906 TCP"]
    );
    assert_eq!(plan.stderr, "");
}

/// The policy applies to TLS listeners only.
#[test]
fn s6_policy_applies_to_tls_listeners() {
    let classic = classic(&plan("s06-clb-cipher-policy"), "minio-operator/console");
    assert_eq!(
        listeners(&classic),
        ["9090 HTTPS -> 30906 HTTP", "9443 HTTP -> 30907 HTTP"]
    );
    let policies = |n: usize| classic["listeners"][n]["policyNames"].clone();
    assert_eq!(
        policies(0),
        json!(["k8s-SSLNegotiationPolicy-ELBSecurityPolicy-TLS-1-2-2017-01"])
    );
    assert_eq!(policies(1), json!([]));
}

#[test]
fn s7_access_logs() {
    let classic = classic(&plan("s07-clb-access-logs"), "minio-operator/console");
    assert_eq!(
        classic["attributes"]["accessLog"],
        json!({"enabled": true, "emitInterval": 60, "s3BucketName": "elb-logs", "s3BucketPrefix": "operator/console"})
    );
}

/// `security-groups` replaces the created group; `extra-security-groups` are added to it.
#[test]
fn s8_security_groups() {
    let plan = plan("s08-clb-security-groups");
    let names = |id: &str| -> Vec<String> {
        let groups = classic(&plan, id)["securityGroups"].clone();
        let groups = groups.as_array().unwrap().iter();
        groups.map(|group| text(&group["groupName"])).collect()
    };
    assert_eq!(names("minio-operator/console"), ["operator-only"]);
    assert_eq!(
        names("tenant-ns/minio"),
        [
            "k8s-elb-a8e50c1a731524e70a29b5fae6d30418",
            "office",
            "backup-hosts",
        ]
    );
}

#[test]
fn s9_cross_zone() {
    let on = |row| {
        classic(&plan(row), "minio-operator/console")["attributes"]["crossZoneLoadBalancing"]
            .clone()
    };
    assert_eq!(on("s09-clb-cross-zone"), json!({"enabled": true}));
    assert_eq!(on("s02-operator-console-clb"), json!({"enabled": false}));
}

#[test]
fn s10_end_to_end_tls() {
    let plan = plan("s10-clb-end-to-end-tls");
    let (https, ssl) = (
        classic(&plan, "tenant-ns/minio"),
        classic(&plan, "tenant-ns/minio-ssl"),
    );
    assert_eq!(listeners(&https), ["443 HTTPS -> 31010 HTTPS"]);
    assert_eq!(listeners(&ssl), ["443 SSL -> 31011 SSL"]);
    assert_eq!(check(&https), default_check("SSL:31010"));
    assert_eq!(check(&ssl), default_check("SSL:31011"));
    // No annotation creates a policy for backend authentication.
    assert_eq!(https["backendServerPolicies"], json!([]));
}

/// The rules of an ALB by priority: conditions and target group.
fn rules(plan: &Plan, id: &str) -> Vec<Value> {
    let mut rules: Vec<(u64, Value)> = Vec::new();
    for (key, rule) in resources(plan, id, "AWS::ElasticLoadBalancingV2::ListenerRule") {
        let priority = rule["priority"].as_u64().unwrap();
        assert_eq!(*key, format!("443:{priority}"));
        let conditions = &rule["conditions"];
        assert_eq!(conditions[0]["field"], "host-header");
        assert_eq!(conditions[1]["field"], "path-pattern");
        assert_eq!(conditions.as_array().unwrap().len(), 2);
        let found = json!([
            conditions[0]["hostHeaderConfig"]["values"],
            conditions[1]["pathPatternConfig"]["values"],
            forwards_to(&rule["actions"][0])
        ]);
        rules.push((priority, found));
    }
    rules.sort_by_key(|(priority, _)| *priority);
    rules.into_iter().map(|(_, rule)| rule).collect()
}

fn group(plan: &Plan, id: &str, group: &str) -> Value {
    let group = &plan.stacks[id]["AWS::ElasticLoadBalancingV2::TargetGroup"][group]["spec"];
    json!([
        group["targetType"],
        group["protocol"],
        group["port"],
        group["protocolVersion"]
    ])
}

/// Asserts one HTTPS listener with this certificate and 404 as its default.
fn assert_only_https(plan: &Plan, id: &str, arn: &str) {
    let listeners = resources(plan, id, "AWS::ElasticLoadBalancingV2::Listener");
    let [(_, listener)] = &listeners[..] else {
        panic!("{listeners:?}")
    };
    assert_eq!(
        (&listener["port"], &listener["protocol"]),
        (&json!(443), &json!("HTTPS"))
    );
    assert_eq!(listener["certificates"], json!([{"certificateARN": arn}]));
    assert_eq!(listener["sslPolicy"], "ELBSecurityPolicy-2016-08");
    let nothing = json!([{"type": "fixed-response", "fixedResponseConfig": {"contentType": "text/plain", "statusCode": "404"}}]);
    assert_eq!(listener["defaultActions"], nothing);
}

#[test]
fn s11_alb_for_a_tenant() {
    let plan = plan("s11-alb-tenant");
    let id = "tenant-ns/tenant-ingress";
    let alb = balancer(&plan, id);
    assert_eq!(
        (&alb["type"], &alb["scheme"]),
        (&json!("application"), &json!("internet-facing"))
    );
    assert_eq!(
        subnets(&alb),
        ["subnet-a", "subnet-b", "subnet-c", "subnet-d"]
    );
    assert_only_https(
        &plan,
        id,
        "arn:aws:acm:us-east-1:111122223333:certificate/6fa5e6e4-6e4b-4c4f-8a7c-3f0c5f8f2c11",
    );
    let (console, minio) = (
        "tenant-ns/tenant-ingress-tenant-1-console:9443",
        "tenant-ns/tenant-ingress-minio:443",
    );
    assert_eq!(
        rules(&plan, id),
        [
            json!([["tenant-console.example.com"], ["/*"], console]),
            json!([["minio.example.com"], ["/*"], minio]),
        ]
    );
    assert_eq!(
        group(&plan, id, console),
        json!(["ip", "HTTPS", 9443, "HTTP1"])
    );
    assert_eq!(
        group(&plan, id, minio),
        json!(["ip", "HTTPS", 9000, "HTTP1"])
    );
    let check = json!(["HTTPS", "traffic-port", "/", "200,403", 15, 5, 2, 2]);
    assert_eq!(checks(&plan, id), [check.clone(), check]);
}

#[test]
fn s12_alb_for_the_operator_console() {
    let plan = plan("s12-alb-operator-console");
    let id = "minio-operator/operator-ingress";
    let alb = balancer(&plan, id);
    assert_eq!(
        (&alb["type"], &alb["scheme"]),
        (&json!("application"), &json!("internet-facing"))
    );
    assert_eq!(subnets(&alb), ["subnet-a", "subnet-b"]);
    assert_only_https(
        &plan,
        id,
        "arn:aws:acm:us-east-1:111122223333:certificate/0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9",
    );
    let console = "minio-operator/operator-ingress-console:9090";
    assert_eq!(
        rules(&plan, id),
        [json!([["operator.example.com"], ["/*"], console])]
    );
    assert_eq!(
        group(&plan, id, console),
        json!(["ip", "HTTP", 9090, "HTTP1"])
    );
    assert_eq!(
        checks(&plan, id),
        [json!(["HTTP", "traffic-port", "/", "200", 15, 5, 2, 2])]
    );
}

#[test]
fn s13_nlbs_for_a_tenant() {
    let plan = plan("s13-nlb-tenant");
    let node_ports = self::plan("s01-tenant-clb");
    for (id, port) in [
        ("tenant-ns/minio", 443),
        ("tenant-ns/tenant-1-console", 9443),
    ] {
        // A Service has the same node port for every type of load balancer.
        let node_port = node_port(&classic(&node_ports, id));
        assert_eq!(
            network(&plan, id),
            [format!("{port} TCP -> instance TCP {node_port}")]
        );
        assert_eq!(checks(&plan, id), [tcp_check()]);
        let nlb = balancer(&plan, id);
        assert_eq!(
            (&nlb["type"], &nlb["scheme"]),
            (&json!("network"), &json!("internet-facing"))
        );
    }
}

#[test]
fn s14_nlb_terminates_tls() {
    let plan = plan("s14-nlb-tls-termination");
    let id = "minio-operator/console";
    assert_eq!(
        network(&plan, id),
        [
            "9090 TLS -> instance TCP 30914",
            "9443 TCP -> instance TCP 31914"
        ]
    );
    assert_eq!(checks(&plan, id), [tcp_check(), tcp_check()]);
    let listeners = &plan.stacks[id]["AWS::ElasticLoadBalancingV2::Listener"];
    let arn = "arn:aws:acm:us-east-1:111122223333:certificate/0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9";
    assert_eq!(
        listeners["9090"]["spec"]["certificates"],
        json!([{"certificateARN": arn}])
    );
    assert_eq!(
        listeners["9090"]["spec"]["sslPolicy"],
        "ELBSecurityPolicy-2016-08"
    );
    assert_eq!(listeners["9443"]["spec"].get("certificates"), None);
}

#[test]
fn s15_default_scheme_is_internal() {
    let plan = plan("s15-nlb-scheme");
    assert_eq!(
        balancer(&plan, "tenant-ns/minio")["scheme"],
        "internet-facing"
    );
    assert_eq!(
        balancer(&plan, "tenant-ns/minio-internal")["scheme"],
        "internal"
    );
}

#[test]
fn s16_subnets_by_id_and_by_name() {
    let nlb = balancer(&plan("s16-nlb-subnets"), "tenant-ns/minio");
    assert_eq!(
        subnets(&nlb),
        ["subnet-0f1e2d3c4b5a69788", "subnet-0a9b8c7d6e5f40312"]
    );
}

#[test]
fn s17_access_logs_of_an_nlb() {
    let plan = plan("s17-nlb-access-logs");
    assert_eq!(
        balancer(&plan, "tenant-ns/minio")["loadBalancerAttributes"],
        json!([
            {"key": "access_logs.s3.bucket", "value": "elb-logs"},
            {"key": "access_logs.s3.enabled", "value": "true"},
            {"key": "access_logs.s3.prefix", "value": "tenant-1"},
        ])
    );
    assert_eq!(
        network(&plan, "tenant-ns/minio"),
        ["443 TLS -> ip TLS 9000"]
    );
}

#[test]
fn s18_target_types() {
    let plan = plan("s18-nlb-target-type");
    assert_eq!(
        network(&plan, "tenant-ns/minio-instance"),
        ["443 TCP -> instance TCP 31028"]
    );
    assert_eq!(
        network(&plan, "tenant-ns/minio-ip"),
        ["443 TCP -> ip TCP 9000"]
    );
}

#[test]
fn s19_ipv6_targets_need_a_dualstack_load_balancer() {
    let plan = plan("s19-nlb-dualstack");
    assert_eq!(
        balancer(&plan, "tenant-ns/minio")["ipAddressType"],
        "dualstack"
    );
    let groups = resources(
        &plan,
        "tenant-ns/minio",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
    );
    assert_eq!(groups[0].1["ipAddressType"], "ipv6");
    let dir = TempDir::new();
    let (_, service) = &eks::manifests("s19-nlb-dualstack")[0];
    dir.write("minio.yaml", service.replace("dualstack", "ipv4"));
    let environment = eks::folder("s19-nlb-dualstack").join("environment.yaml");
    fs::copy(environment, dir.join("environment.yaml")).unwrap();
    let folder = dir.path().to_str().unwrap();
    let output = output(&mut elbow::command(&["plan", "-o", "stack", "-f", folder]));
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stdout.trim()), (Some(1), "[]"));
    assert!(
        stderr.contains("unsupported IPv6 configuration, lb not dual-stack"),
        "{stderr}"
    );
    assert!(stderr.contains("minio.yaml:"), "{stderr}");
}

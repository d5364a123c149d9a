//! Parity section 4: mistakes in Classic load balancers.

use super::*;

/// A Classic load balancer with `listener` and `rest`.
#[track_caller]
fn check_classic(listener: &str, rest: &str) -> Vec<Diagnostic> {
    check(&format!(
        "loadBalancers:\n- name: web\n  type: classic\n  listeners:\n  - {{{listener}}}\n{rest}\
         certificates: [{{name: c, certificateFile: c, privateKeyFile: k}}, {{name: d, certificateFile: c, privateKeyFile: k}}]\n"
    ))
}

const HTTP: &str = "port: 80, protocol: HTTP, instancePort: 30080";

#[test]
fn listeners() {
    for listener in [
        "port: 80, protocol: «invalid-combination»TLS, instancePort: 1",
        "port: 80, protocol: TCP, instanceProtocol: «invalid-combination»HTTP, instancePort: 1",
        "port: 80, protocol: HTTP, instanceProtocol: «invalid-combination»SSL, instancePort: 1",
        "port: 80, protocol: TCP, instanceProtocol: «unknown-value»TLS, instancePort: 1",
        "port: 80, protocol: TCP, instancePort: «out-of-range»65536",
        "port: 80, protocol: TCP, instancePort: 1, defaultActions: «invalid-combination»[]",
        "port: 80, protocol: TCP, instancePort: 1, rules: «invalid-combination»[]",
        "port: 80, protocol: TCP, instancePort: 1, attributes: «invalid-combination»{}",
        "port: 80, protocol: TCP, instancePort: 1, alpnPolicy: «invalid-combination»None",
        "port: 80, protocol: TCP, instancePort: 1, sslPolicy: «invalid-combination»x",
        "port: 443, protocol: SSL, instancePort: 1, certificates: [c, «too-many»d]",
    ] {
        check_classic(listener, "");
    }
    check(
        "loadBalancers: [{name: a, type: classic, listeners: [«missing-field»{port: 1, protocol: TCP}]}]\n",
    );
    // `Listener`, InstanceProtocol: listeners of one instance port all use TLS, or none does.
    check_classic(
        "port: 80, protocol: HTTP, instancePort: 1}\n  - «invalid-combination»{port: 81, protocol: HTTP, \
         instanceProtocol: HTTPS, instancePort: 1",
        "",
    );
}

/// CLB guide, SSL policies: Classic load balancers have their own set.
#[test]
fn ssl_policies() {
    let tls = |policy: &str| {
        format!(
            "port: 443, protocol: HTTPS, certificates: [c], instancePort: 1, sslPolicy: {policy}"
        )
    };
    let found = check_classic(
        &tls("«unknown-ssl-policy»ELBSecurityPolicy-TLS13-1-2-2021-06"),
        "",
    );
    assert_eq!(
        found[0].hint.as_deref(),
        Some("did you mean \"ELBSecurityPolicy-TLS-1-2-2017-01\"?")
    );
    let found = check_classic(&tls("«unknown-ssl-policy»ELBSecurityPolicy-2015-06"), "");
    assert_eq!(
        found[0].hint.as_deref(),
        Some("did you mean \"ELBSecurityPolicy-2015-05\"?")
    );
    // The other types do not have these policies.
    check_listener(
        "network",
        "port: 443, protocol: TLS, sslPolicy: «unknown-ssl-policy»ELBSecurityPolicy-2015-03, certificates: [demo], \
         defaultActions: [{type: forward, forwardConfig: {targetGroups: [{targetGroup: tls}]}}]",
    );
}

/// `ConfigureHealthCheck`.
#[test]
fn health_checks() {
    for target in [
        "HTTP:80",
        "HTTPS:80",
        "TCP:80/x",
        "SSL:80/",
        "UDP:80",
        "HTTP:0/",
        "TCP:+80",
        "TCP:65536",
        "TCP:",
        "80",
        "tcp:80",
    ] {
        check_classic(
            HTTP,
            &format!("  healthCheck: {{target: «invalid-target»'{target}'}}\n"),
        );
    }
    let long = format!("HTTP:80/{}", "x".repeat(1017));
    check_classic(
        HTTP,
        &format!("  healthCheck: {{target: «invalid-target»'{long}'}}\n"),
    );
    for rest in [
        "interval: «out-of-range»4",
        "interval: «out-of-range»301",
        "timeout: «out-of-range»1",
        "timeout: «out-of-range»61",
        "interval: 10, timeout: «invalid-combination»10",
        "healthyThreshold: «out-of-range»1",
        "unhealthyThreshold: «out-of-range»11",
        "«unknown-field»intervalSeconds: 10",
    ] {
        check_classic(
            HTTP,
            &format!("  healthCheck: {{target: 'TCP:1', {rest}}}\n"),
        );
    }
    check_classic(HTTP, "  healthCheck: «missing-field»{interval: 10}\n");
}

#[test]
fn instances() {
    for instances in [
        "[«missing-field»{ports: {1: 2}}]",
        "[{id: «invalid-target»'127.0.0.1:80'}]",
        "[{id: 127.0.0.1, «unknown-field»port: 80}]",
        "[{id: 127.0.0.1, ports: {«out-of-range»http: 80}}]",
        "[{id: 127.0.0.1, ports: {80: «out-of-range»0}}]",
        "[{id: 127.0.0.1}, «duplicate-instance»{id: 127.0.0.1}]",
        // The same port of the same host twice, even if they differ otherwise.
        "[{id: 127.0.0.1, ports: {30080: 1, 5: 5}}, «duplicate-instance»{id: 127.0.0.1, ports: {30080: 1}}]",
    ] {
        check_classic(HTTP, &format!("  instances: {instances}\n"));
    }
}

#[test]
fn policies_towards_instances() {
    let found = check_classic(
        "port: 80, protocol: TCP, instancePort: 30080",
        "  backendServerPolicies: {30080: [«unknown-value»k8s-proxyprotocol-enable], «unknown-instance-port»30081: []}\n",
    );
    assert_eq!(
        found[0].hint.as_deref(),
        Some("did you mean \"k8s-proxyprotocol-enabled\"?")
    );
    assert_eq!(found[1].hint.as_deref(), Some("did you mean \"30080\"?"));
    // CLB guide, proxy protocol: TCP and SSL.
    let text = "
loadBalancers:
- name: web
  type: classic
  listeners: [{port: 80, protocol: HTTP, instancePort: 30080}]
  backendServerPolicies: {30080: [ProxyProtocolPolicyType]}
";
    let (model, diagnostics) = parse(text, "a.yaml");
    assert!(model.is_some());
    assert_eq!(
        diagnostics[0].to_string(),
        "warning[no-effect] a.yaml:6:34: only TCP and SSL listeners speak the proxy protocol to instances"
    );
}

/// CLB guide, HTTPS load balancers.
#[test]
fn authentication_of_instances() {
    for policies in [
        "«unknown-instance-port»30444: {publicKeyFiles: [a]}",
        "«out-of-range»https: {publicKeyFiles: [a]}",
        "30443: «missing-field»{}",
        "30443: {publicKeyFiles: «missing-field»[]}",
        "30443: {publicKeyFiles: [a, «missing-field»'']}",
        "30443: {publicKeyFiles: «wrong-type»a}",
        "30443: {publicKeyFiles: [a], «unknown-field»publicKeys: [a]}",
        "30443: «wrong-type»[a]",
    ] {
        check_classic(
            "port: 80, protocol: HTTP, instanceProtocol: HTTPS, instancePort: 30443",
            &format!("  backendServerAuthentication: {{{policies}}}\n"),
        );
    }
    let policies =
        "  backendServerAuthentication: {«invalid-combination»30080: {publicKeyFiles: [a]}}\n";
    let found = check_classic(HTTP, policies);
    assert_eq!(
        (&*found[0].message, found[0].hint.as_deref()),
        (
            "listeners speak HTTP to instance port 30080, so that instances show no public key",
            Some("set instanceProtocol: HTTPS or SSL on its listeners")
        )
    );
}

#[test]
fn attributes() {
    for (attribute, code) in [
        ("idle_timeout.timeout_seconds: ", "out-of-range»3601"),
        ("connection_draining.timeout_seconds: ", "out-of-range»0"),
        ("connection_draining.enabled: ", "unknown-value»yes"),
        ("access_logs.s3.emit_interval_minutes: ", "unknown-value»10"),
        ("elb.http.desyncmitigationmode: ", "unknown-value»off"),
    ] {
        check_classic(HTTP, &format!("  attributes: {{{attribute}«{code}}}\n"));
    }
    check_classic(
        HTTP,
        "  attributes: {«attribute-not-applicable»routing.http2.enabled: true}\n",
    );
    check_classic(HTTP, "  attributes: {«unknown-attribute»idle_timeout: 1}\n");
}

#[test]
fn other_types_have_no_classic_fields() {
    for field in [
        "healthCheck: «invalid-combination»{target: 'TCP:1'}",
        "instances: «invalid-combination»[]",
        "backendServerPolicies: «invalid-combination»{}",
        "backendServerAuthentication: «invalid-combination»{}",
    ] {
        check(&format!(
            "loadBalancers: [{{name: a, type: network, {field}}}]\n"
        ));
    }
}

//! Target groups, their health checks, and attributes of all kinds.

use super::super::accepted;
use super::{check, check_all, check_errors, check_group, check_group_errors};

#[test]
fn target_groups() {
    check_all(&[
        "targetGroups: [«missing-field»{name: g, protocol: TCP}]\n",
        "targetGroups: [{name: g, port: 1, protocol: «unknown-value»tcp}]\n",
        "targetGroups: [{name: g, port: 1, protocol: TCP}, {name: «duplicate-name»g, port: 1, protocol: TCP}]\n",
        "targetGroups: [{name: g, targetType: «not-supported»lambda, targets: [{id: 'arn:aws:lambda:us-east-1:1:function:f'}]}]\n",
        "targetGroups: [{name: g, port: 1, protocol: TCP, «not-supported»targetControlPort: 3000}]\n",
        "targetGroups: [{name: g, port: 1, targetType: alb, protocol: «invalid-combination»TLS}]\n",
        "targetGroups: [{name: g, port: 1, targetType: alb, protocol: TCP, targets: [{id: a}, «too-many-targets»{id: b}]}]\n",
        "targetGroups: [{name: g, port: 1, targetType: alb, protocol: TCP, targets: [{id: «unknown-load-balancer»a}]}]\n",
        "certificates: [{name: «invalid-name»'a b', certificateFile: a, privateKeyFile: b}]\n",
        "certificates: [{name: a, certificateFile: «missing-field»'', privateKeyFile: b}]\n",
        "certificates: [«missing-field»{name: a, certificateFile: a}]\n",
        "certificates: [«missing-field»{name: a, privateKey: a}]\n",
        "certificates: [«missing-field»{name: a}]\n",
        "certificates: [{name: a, certificateFile: a, privateKeyFile: b, privateKey: «invalid-combination»b}]\n",
        "certificates: [{name: a, certificate: a, privateKey: b, selfSigned: «invalid-combination»[a]}]\n",
        "certificates: [{name: a, selfSigned: «out-of-range»[]}]\n",
        "certificates: [{name: a, selfSigned: [a, «invalid-host»'a:443']}]\n",
    ]);
    for (protocol, fields) in [
        ("HTTP", "protocolVersion: «unknown-value»HTTP3"),
        ("TCP", "protocolVersion: «invalid-combination»GRPC"),
        ("TCP", "protocolVersion: «invalid-combination»HTTP1"),
        ("TCP", "targets: [«missing-field»{port: 1}]"),
        ("TCP", "targets: [{id: «invalid-target»10.0.0.256}]"),
        ("TCP", "targets: [{id: «invalid-target»'10.0.0.1:80'}]"),
        ("TCP", "targets: [{id: «invalid-target»'-a'}]"),
        ("TCP", "targets: [{id: a, port: «out-of-range»0}]"),
        (
            "TCP",
            "targets: [{id: a}, «duplicate-target»{id: a, port: 80}]",
        ),
    ] {
        check_group(protocol, fields);
    }
}

/// ALB guide and NLB guide, health checks: ranges.
#[test]
fn health_checks() {
    for (protocol, config) in [
        ("HTTP", "{protocol: «invalid-combination»TCP}"),
        ("TCP", "{protocol: «unknown-value»SSL}"),
        ("TCP", "{path: «invalid-combination»/}"),
        ("TCP", "{matcher: «invalid-combination»{httpCode: 200}}"),
        ("HTTP", "{port: «wrong-type»traffic}"),
        ("HTTP", "{port: «out-of-range»65536}"),
        ("HTTP", "{path: «invalid-path»health}"),
        ("HTTP", "{path: «invalid-path»'/a b'}"),
        ("HTTP", "{intervalSeconds: «out-of-range»4}"),
        ("HTTP", "{intervalSeconds: «out-of-range»301}"),
        ("HTTP", "{timeoutSeconds: «out-of-range»1}"),
        ("HTTP", "{timeoutSeconds: «out-of-range»121}"),
        (
            "HTTP",
            "{intervalSeconds: 5, timeoutSeconds: «invalid-combination»6}",
        ),
        ("HTTP", "{healthyThresholdCount: «out-of-range»1}"),
        ("HTTP", "{unhealthyThresholdCount: «out-of-range»11}"),
        ("HTTP", "{matcher: {httpCode: «out-of-range»'500'}}"),
        ("HTTP", "{matcher: {httpCode: «out-of-range»'199-299'}}"),
        ("HTTP", "{matcher: {httpCode: «invalid-matcher»'200,'}}"),
        ("HTTP", "{matcher: {httpCode: «invalid-matcher»'299-200'}}"),
        ("HTTP", "{matcher: {httpCode: «invalid-matcher»'2xx'}}"),
        ("HTTP", "{matcher: «missing-field»{}}"),
        ("HTTP", "{matcher: {grpcCode: «invalid-combination»12}}"),
        (
            "TCP",
            "{protocol: HTTP, matcher: {httpCode: «out-of-range»'600'}}",
        ),
    ] {
        check_group(protocol, &format!("healthCheckConfig: {config}"));
    }
    for matcher in [
        "{httpCode: «invalid-combination»200}",
        "{grpcCode: «invalid-matcher»'100'}",
        "«missing-field»{}",
    ] {
        let fields = format!("protocolVersion: GRPC\n  healthCheckConfig: {{matcher: {matcher}}}");
        check_group("HTTP", &fields);
    }
    accepted(
        "targetGroups: [{name: g, port: 1, protocol: TCP, healthCheckConfig: {protocol: HTTP, matcher: \
         {httpCode: '200-399, 503,599'}}}]",
    );
}

/// ALB guide and NLB guide, attributes.
#[test]
fn attributes() {
    for (kind, attributes) in [
        (
            "application",
            "idle_timeout.timeout_seconds: «out-of-range»4001",
        ),
        (
            "application",
            "idle_timeout.timeout_seconds: «wrong-type»1m",
        ),
        ("application", "client_keep_alive.seconds: «out-of-range»59"),
        (
            "application",
            "elbow.request_header_timeout.seconds: «out-of-range»0",
        ),
        (
            "network",
            "elbow.tls_handshake_timeout.seconds: «out-of-range»601",
        ),
        (
            "network",
            "«attribute-not-applicable»elbow.request_header_timeout.seconds: 5",
        ),
        ("application", "routing.http2.enabled: «unknown-value»'yes'"),
        (
            "application",
            "routing.http.desync_mitigation_mode: «unknown-value»strict",
        ),
        (
            "application",
            "«unknown-attribute»idle_timeout.timeout_second: 60",
        ),
        (
            "application",
            "«attribute-not-applicable»tcp.idle_timeout.seconds: 350",
        ),
        ("network", "tcp.idle_timeout.seconds: «out-of-range»59"),
        (
            "network",
            "«attribute-not-applicable»routing.http2.enabled: true",
        ),
        ("network", "tcp.idle_timeout.seconds: «wrong-type»[1]"),
    ] {
        let text =
            format!("loadBalancers: [{{name: a, type: {kind}, attributes: {{{attributes}}}}}]\n");
        check(&text);
    }
    for (protocol, attributes) in [
        (
            "HTTP",
            "deregistration_delay.timeout_seconds: «out-of-range»3601",
        ),
        ("HTTP", "slow_start.duration_seconds: «out-of-range»29"),
        ("HTTP", "stickiness.type: «unknown-value»source_ip"),
        ("TCP", "stickiness.type: «unknown-value»lb_cookie"),
        (
            "HTTP",
            "«attribute-not-applicable»proxy_protocol_v2.enabled: true",
        ),
        (
            "TCP",
            "«attribute-not-applicable»load_balancing.algorithm.type: round_robin",
        ),
        ("TCP", "«unknown-attribute»proxy_protocol.enabled: true"),
        (
            "HTTP",
            "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage: \
             «out-of-range»101",
        ),
    ] {
        check_group(protocol, &format!("attributes: {{{attributes}}}"));
    }
    for attributes in [
        "«missing-field»{stickiness.enabled: true, stickiness.type: app_cookie}",
        "{stickiness.enabled: true, stickiness.type: app_cookie, \
         stickiness.app_cookie.cookie_name: «invalid-cookie»AWSALBX}",
        "{stickiness.enabled: «invalid-combination»true, load_balancing.algorithm.type: \
         weighted_random}",
    ] {
        check_group("HTTP", &format!("attributes: {attributes}"));
    }
    let found = check_group(
        "HTTP",
        "attributes: {«unknown-attribute»load_balancing.algorithm.typ: a}",
    );
    assert_eq!(
        found[0].to_string(),
        "error[unknown-attribute] a.yaml:5:16: groups of protocol HTTP and HTTPS have no attribute \
         \"load_balancing.algorithm.typ\"\n  hint: did you mean \"load_balancing.algorithm.type\"?"
    );
    assert_eq!(
        found[0].field,
        "targetGroups[0].attributes[load_balancing.algorithm.typ]"
    );
}

/// ALB guide, edit target group attributes; API, TargetGroupAttribute: combinations that AWS refuses.
#[test]
fn attributes_that_cannot_be_combined() {
    let dns = "target_group_health.dns_failover.minimum_healthy_targets";
    let routing = "target_group_health.unhealthy_state_routing.minimum_healthy_targets";
    let refused = "«invalid-combination»";
    for (protocol, attributes) in [
        (
            "HTTP",
            format!(
                "slow_start.duration_seconds: {refused}30, load_balancing.algorithm.type: least_outstanding_requests"
            ),
        ),
        (
            "HTTP",
            format!(
                "slow_start.duration_seconds: {refused}30, load_balancing.algorithm.type: weighted_random"
            ),
        ),
        (
            "HTTP",
            format!("load_balancing.algorithm.anomaly_mitigation: {refused}'on'"),
        ),
        (
            "HTTP",
            format!("stickiness.enabled: {refused}true, load_balancing.cross_zone.enabled: false"),
        ),
        (
            "TCP",
            format!("{dns}.count: {refused}1, {routing}.count: 2"),
        ),
        // The default of the other attribute is too low.
        ("HTTP", format!("{routing}.count: {refused}2")),
        (
            "HTTP",
            format!("{dns}.percentage: {refused}49, {routing}.percentage: 50"),
        ),
        (
            "TCP",
            format!("target_health_state.unhealthy.draining_interval_seconds: {refused}1"),
        ),
    ] {
        check_group_errors(protocol, &format!("attributes: {{{attributes}}}"));
    }
    for (kind, attributes) in [
        ("network", "access_logs.s3.prefix: «invalid-path»a/AWSLogs"),
        (
            "application",
            "connection_logs.s3.prefix: «invalid-path»AWSLogs",
        ),
        ("classic", "access_logs.s3.prefix: «invalid-path»xAWSLogsx"),
        (
            "application",
            "load_balancing.cross_zone.enabled: «invalid-combination»false",
        ),
    ] {
        check(&format!(
            "loadBalancers: [{{name: a, type: {kind}, attributes: {{{attributes}}}}}]\n"
        ));
    }
    check_errors(
        "loadBalancers: [{name: a, type: network, attributes: «missing-field»{access_logs.s3.enabled: true}}]\n",
    );
}

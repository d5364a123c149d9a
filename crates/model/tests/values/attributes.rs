//! Attributes of all kinds, row by row of the table.

use elbow_model::*;

use crate::kit::{attributes, faults};

fn check(of: Resource, pairs: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let given = attributes(pairs);
    let (value, found) = match of {
        Resource::Application => split(LoadBalancerAttributes::new(
            LoadBalancerType::Application,
            &given,
        )),
        Resource::Network => split(LoadBalancerAttributes::new(
            LoadBalancerType::Network,
            &given,
        )),
        Resource::Classic => split(LoadBalancerAttributes::new(
            LoadBalancerType::Classic,
            &given,
        )),
        Resource::HttpListener => split(ListenerAttributes::new(Protocol::Http, &given)),
        Resource::HttpsListener => split(ListenerAttributes::new(Protocol::Https, &given)),
        Resource::TcpListener => split(ListenerAttributes::new(Protocol::Tcp, &given)),
        Resource::TlsListener => split(ListenerAttributes::new(Protocol::Tls, &given)),
        Resource::OtherListener => split(ListenerAttributes::new(Protocol::TcpUdp, &given)),
        Resource::ApplicationGroup => split(TargetGroupAttributes::new(Protocol::Https, &given)),
        Resource::NetworkGroup => split(TargetGroupAttributes::new(Protocol::TcpUdp, &given)),
    };
    (value, found)
}

fn split<T: std::fmt::Debug>(checked: Checked<T>) -> (Vec<String>, Vec<String>) {
    let warned = checked.warnings.iter().map(|one| one.field.to_string());
    let warned = warned.collect();
    match checked.value {
        Ok(_) => (Vec::new(), warned),
        value => (
            faults(Checked {
                value,
                warnings: Vec::new(),
            }),
            warned,
        ),
    }
}

/// Texts just inside and just outside of what a row takes.
fn samples(values: Values) -> (Vec<String>, Vec<String>) {
    let long = |length| "a".repeat(length);
    let texts = |texts: &[&str]| texts.iter().map(|&t| t.to_owned()).collect::<Vec<_>>();
    let outside = |from: u32, to: u32| {
        let below = from.checked_sub(1).map(|n| n.to_string());
        let above = u64::from(to) + 1;
        below.into_iter().chain([
            above.to_string(),
            "x".into(),
            "".into(),
            "-1".into(),
            "+1".into(),
        ])
    };
    match values {
        Values::Flag => (texts(&["true", "false"]), texts(&["", "True", "yes", "1"])),
        Values::AlwaysOn => (texts(&["true"]), texts(&["false", ""])),
        Values::Number(from, to) => (
            vec![from.to_string(), to.to_string()],
            outside(from, to).collect(),
        ),
        Values::ZeroOr(from, to) => {
            let outside = outside(from, to).chain(["1".into(), "off".into()]);
            (
                vec!["0".into(), from.to_string(), to.to_string()],
                outside.collect(),
            )
        }
        Values::OffOr(from, to) => {
            let outside = outside(from, to).chain(["on".into()]);
            (
                vec!["off".into(), from.to_string(), to.to_string()],
                outside.collect(),
            )
        }
        Values::OneOf(names) => (texts(names), texts(&["", "none of them"])),
        Values::HeaderName => (
            vec![
                "X-A".into(),
                "a!#$%&'*+-.^_`|~".into(),
                long(MAX_HEADER_NAME),
            ],
            [
                texts(&[
                    "",
                    "a b",
                    "a:",
                    "\u{e9}",
                    "Host",
                    "content-length",
                    "TE",
                    "trailer",
                    "connection",
                    "transfer-encoding",
                    "Upgrade",
                ]),
                vec![long(MAX_HEADER_NAME + 1)],
            ]
            .concat(),
        ),
        Values::HeaderValue => (
            vec![String::new(), "max-age=1; a".into(), long(MAX_HEADER_VALUE)],
            vec![
                "a\n".into(),
                "\"a\"".into(),
                "\u{e9}".into(),
                long(MAX_HEADER_VALUE + 1),
            ],
        ),
        Values::CookieName => (
            texts(&["session", "awsalb"]),
            texts(&["AWSALB", "AWSALBX", "a b", "a=b"]),
        ),
        Values::S3Prefix => (
            texts(&["", "logs/web", "awslogs"]),
            texts(&["AWSLogs", "a/AWSLogs/b"]),
        ),
        Values::Cidrs => (
            texts(&["", "10.0.0.0/8", "192.0.2.1/32, 2001:db8::/32"]),
            texts(&["10.0.0.1", "10.0.0.0/33", "10.0.0.0/8,", "proxies"]),
        ),
        Values::Text => (texts(&["", "anything at all"]), Vec::new()),
    }
}

/// Every row of the table takes what it says and refuses what lies just beyond.
#[test]
fn every_attribute_has_its_range() {
    // Values that need another attribute beside them.
    let companions = |key: &str| -> &[(&str, &str)] {
        match key {
            "access_logs.s3.enabled" => &[("access_logs.s3.bucket", "b")],
            "connection_logs.s3.enabled" => &[("connection_logs.s3.bucket", "b")],
            "health_check_logs.s3.enabled" => &[("health_check_logs.s3.bucket", "b")],
            "load_balancing.algorithm.anomaly_mitigation" => {
                &[("load_balancing.algorithm.type", "weighted_random")]
            }
            "target_health_state.unhealthy.draining_interval_seconds" => &[(
                "target_health_state.unhealthy.connection_termination.enabled",
                "false",
            )],
            "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count" => &[(
                "target_group_health.dns_failover.minimum_healthy_targets.count",
                "off",
            )],
            _ => &[],
        }
    };
    for attribute in ATTRIBUTES {
        let (good, bad) = samples(attribute.values);
        for of in attribute.of {
            for text in &good {
                let mut pairs = companions(attribute.key).to_vec();
                pairs.push((attribute.key, text));
                let (found, _) = check(*of, &pairs);
                assert_eq!(found, [""; 0], "{of:?} {} {text:?}", attribute.key);
            }
            for text in &bad {
                let (found, _) = check(*of, &[(attribute.key, text)]);
                let expected = format!("{} ", attribute.key);
                let [one] = &found[..] else {
                    panic!("{of:?} {} {text:?}: {found:?}", attribute.key)
                };
                assert!(one.starts_with(&expected), "{one}");
            }
        }
    }
}

/// A default is one of the values, is served, and needs nothing beside it.
#[test]
fn every_default_is_valid() {
    for attribute in ATTRIBUTES.iter().filter(|a| !a.default.is_empty()) {
        for of in attribute.of {
            let (found, warned) = check(*of, &[(attribute.key, attribute.default)]);
            assert_eq!(found, [""; 0], "{of:?} {}", attribute.key);
            // AWS's CLB keeps to its zones by default; elbow's has one node.
            let expected =
                attribute.key == "load_balancing.cross_zone.enabled" && *of == Resource::Classic;
            assert_eq!(!warned.is_empty(), expected, "{of:?} {}", attribute.key);
        }
    }
}

#[test]
fn a_key_is_unique_for_each_kind() {
    for (i, attribute) in ATTRIBUTES.iter().enumerate() {
        for other in &ATTRIBUTES[i + 1..] {
            let both = attribute.of.iter().any(|of| other.of.contains(of));
            assert!(attribute.key != other.key || !both, "{}", attribute.key);
        }
    }
}

#[test]
fn a_value_without_effect_is_accepted_with_a_warning() {
    for (of, key, text, expected) in [
        (
            Resource::Classic,
            "load_balancing.cross_zone.enabled",
            "false",
            true,
        ),
        (
            Resource::Network,
            "load_balancing.cross_zone.enabled",
            "false",
            false,
        ),
        (
            Resource::Network,
            "ipv6.deny_all_igw_traffic",
            "false",
            true,
        ),
        (
            Resource::Network,
            "secondary_ips.auto_assigned.per_subnet",
            "1",
            true,
        ),
        (Resource::Application, "waf.fail_open.enabled", "true", true),
        (
            Resource::Application,
            "routing.http2.enabled",
            "false",
            false,
        ),
        (
            Resource::ApplicationGroup,
            "lambda.multi_value_headers.enabled",
            "true",
            true,
        ),
        (
            Resource::ApplicationGroup,
            "slow_start.duration_seconds",
            "30",
            false,
        ),
        (
            Resource::NetworkGroup,
            "preserve_client_ip.enabled",
            "true",
            false,
        ),
        (
            Resource::HttpsListener,
            "routing.http.request.x_amzn_mtls_clientcert.header_name",
            "X-C",
            false,
        ),
    ] {
        let (found, warned) = check(of, &[(key, text)]);
        assert_eq!(found, [""; 0]);
        assert_eq!(warned == [key], expected, "{key} {text}");
    }
}

/// API, TargetGroupAttribute and LoadBalancerAttribute; ALB guide, edit target group attributes.
#[test]
fn combinations_that_aws_refuses() {
    let algorithm = "load_balancing.algorithm.type";
    let dns = "target_group_health.dns_failover.minimum_healthy_targets";
    let routing = "target_group_health.unhealthy_state_routing.minimum_healthy_targets";
    let (dns_count, routing_count) = (&*format!("{dns}.count"), &*format!("{routing}.count"));
    let (dns_part, routing_part) = (
        &*format!("{dns}.percentage"),
        &*format!("{routing}.percentage"),
    );
    let cookie = [
        ("stickiness.enabled", "true"),
        ("stickiness.type", "app_cookie"),
    ];
    let group = Resource::ApplicationGroup;
    type Row<'a> = (Resource, &'a [(&'a str, &'a str)], &'a [&'a str]);
    let table: &[Row<'_>] = &[
        (
            group,
            &[
                ("slow_start.duration_seconds", "30"),
                (algorithm, "least_outstanding_requests"),
            ],
            &["slow_start.duration_seconds invalid-combination"],
        ),
        (
            group,
            &[
                ("slow_start.duration_seconds", "30"),
                (algorithm, "weighted_random"),
            ],
            &["slow_start.duration_seconds invalid-combination"],
        ),
        (
            group,
            &[
                ("slow_start.duration_seconds", "30"),
                (algorithm, "round_robin"),
            ],
            &[],
        ),
        (
            group,
            &[
                ("slow_start.duration_seconds", "0"),
                (algorithm, "weighted_random"),
            ],
            &[],
        ),
        (
            group,
            &[("load_balancing.algorithm.anomaly_mitigation", "on")],
            &["load_balancing.algorithm.anomaly_mitigation invalid-combination"],
        ),
        (
            group,
            &[
                ("load_balancing.algorithm.anomaly_mitigation", "on"),
                (algorithm, "least_outstanding_requests"),
            ],
            &["load_balancing.algorithm.anomaly_mitigation invalid-combination"],
        ),
        (
            group,
            &[
                ("load_balancing.algorithm.anomaly_mitigation", "on"),
                (algorithm, "weighted_random"),
            ],
            &[],
        ),
        (
            group,
            &[
                ("stickiness.enabled", "true"),
                ("load_balancing.cross_zone.enabled", "false"),
            ],
            &["stickiness.enabled invalid-combination"],
        ),
        (
            group,
            &[
                ("stickiness.enabled", "false"),
                ("load_balancing.cross_zone.enabled", "false"),
            ],
            &[],
        ),
        (
            group,
            &[
                ("stickiness.enabled", "true"),
                ("load_balancing.cross_zone.enabled", "true"),
            ],
            &[],
        ),
        (
            group,
            &[
                ("stickiness.enabled", "true"),
                (algorithm, "weighted_random"),
            ],
            &["stickiness.enabled invalid-combination"],
        ),
        (
            group,
            &[
                ("stickiness.enabled", "true"),
                (algorithm, "least_outstanding_requests"),
            ],
            &[],
        ),
        // NLB guide, health checks: no passive checks with stickiness.
        (
            Resource::NetworkGroup,
            &[
                ("elbow.passive_health_checks.failures", "3"),
                ("stickiness.enabled", "true"),
            ],
            &["elbow.passive_health_checks.failures invalid-combination"],
        ),
        // An NLB is sticky by address, whatever the zones.
        (
            Resource::NetworkGroup,
            &[
                ("stickiness.enabled", "true"),
                ("load_balancing.cross_zone.enabled", "false"),
            ],
            &[],
        ),
        (
            group,
            &cookie,
            &["stickiness.app_cookie.cookie_name missing-field"],
        ),
        (group, &[cookie[1]], &[]),
        (
            group,
            &[
                cookie[0],
                cookie[1],
                ("stickiness.app_cookie.cookie_name", "s"),
            ],
            &[],
        ),
        (
            group,
            &[(dns_count, "2"), (routing_count, "3")],
            &["DNS.count invalid-combination"],
        ),
        (group, &[(dns_count, "3"), (routing_count, "3")], &[]),
        (group, &[(dns_count, "off"), (routing_count, "3")], &[]),
        // The default of the one is too low for the other.
        (
            Resource::NetworkGroup,
            &[(routing_count, "2")],
            &["ROUTING.count invalid-combination"],
        ),
        (
            group,
            &[(dns_part, "9"), (routing_part, "10")],
            &["DNS.percentage invalid-combination"],
        ),
        (group, &[(dns_part, "10"), (routing_part, "10")], &[]),
        (group, &[(routing_part, "10")], &[]),
        // A value that is wrong itself is reported alone.
        (
            group,
            &[(dns_count, "x"), (routing_count, "3")],
            &["DNS.count wrong-type"],
        ),
        (
            Resource::NetworkGroup,
            &[(
                "target_health_state.unhealthy.draining_interval_seconds",
                "1",
            )],
            &["target_health_state.unhealthy.draining_interval_seconds invalid-combination"],
        ),
        (
            Resource::NetworkGroup,
            &[(
                "target_health_state.unhealthy.draining_interval_seconds",
                "0",
            )],
            &[],
        ),
        (
            Resource::Network,
            &[("access_logs.s3.enabled", "true")],
            &["access_logs.s3.bucket missing-field"],
        ),
        (
            Resource::Classic,
            &[
                ("access_logs.s3.enabled", "true"),
                ("access_logs.s3.bucket", ""),
            ],
            &["access_logs.s3.bucket missing-field"],
        ),
        (
            Resource::Application,
            &[
                ("access_logs.s3.enabled", "true"),
                ("access_logs.s3.bucket", "b"),
            ],
            &[],
        ),
        (
            Resource::Application,
            &[("access_logs.s3.enabled", "false")],
            &[],
        ),
        (
            Resource::Application,
            &[("connection_logs.s3.enabled", "true")],
            &["connection_logs.s3.bucket missing-field"],
        ),
        (
            Resource::Application,
            &[("load_balancing.cross_zone.enabled", "false")],
            &["load_balancing.cross_zone.enabled invalid-combination"],
        ),
    ];
    for (of, pairs, expected) in table {
        let expected: Vec<String> = expected
            .iter()
            .map(|e| e.replace("DNS", dns).replace("ROUTING", routing))
            .collect();
        assert_eq!(check(*of, pairs).0, expected, "{pairs:?}");
    }
}

#[test]
fn another_kinds_attribute_is_told_from_an_unknown_one() {
    for (of, key, code) in [
        (
            Resource::Network,
            "routing.http2.enabled",
            "attribute-not-applicable",
        ),
        (
            Resource::Application,
            "tcp.idle_timeout.seconds",
            "attribute-not-applicable",
        ),
        (
            Resource::Classic,
            "routing.http2.enabled",
            "attribute-not-applicable",
        ),
        (
            Resource::HttpListener,
            "routing.http.request.x_amzn_tls_version.header_name",
            "attribute-not-applicable",
        ),
        (
            Resource::TlsListener,
            "tcp.idle_timeout.seconds",
            "attribute-not-applicable",
        ),
        (
            Resource::OtherListener,
            "elbow.proxy_protocol.trusted_cidrs",
            "attribute-not-applicable",
        ),
        (
            Resource::NetworkGroup,
            "load_balancing.algorithm.type",
            "attribute-not-applicable",
        ),
        // One of a load balancer is none of a group.
        (
            Resource::ApplicationGroup,
            "routing.http2.enabled",
            "unknown-attribute",
        ),
        (
            Resource::TcpListener,
            "idle_timeout.timeout_seconds",
            "unknown-attribute",
        ),
        (
            Resource::Application,
            "idle_timeout.timeout_second",
            "unknown-attribute",
        ),
    ] {
        assert_eq!(
            check(of, &[(key, "1")]).0,
            [format!("{key} {code}")],
            "{of:?}"
        );
    }
    let given = attributes(&[("idle_timeout.timeout_second", "1")]);
    let checked = LoadBalancerAttributes::new(LoadBalancerType::Application, &given);
    let fault = checked.value.unwrap_err().remove(0);
    assert!(fault.is_name);
    assert_eq!(
        fault.hint.as_deref(),
        Some("did you mean \"idle_timeout.timeout_seconds\"?")
    );
}

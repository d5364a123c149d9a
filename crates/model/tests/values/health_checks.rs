//! Health checks.

use std::time::Duration;

use elbow_model::*;

use crate::kit::faults;

fn check(protocol: Protocol, spec: HealthCheckSpec) -> Checked<HealthCheck> {
    HealthCheck::new(&spec, protocol)
}

/// ALB guide and NLB guide, health checks: defaults.
#[test]
fn health_checks_have_the_defaults_of_their_kind() {
    use HealthCheckProtocol::{Http, Https, Tcp};
    let default = HealthCheckSpec::default;
    let of = |protocol, text: &str| {
        let spec = HealthCheckSpec {
            protocol: Some(text.to_owned()),
            ..default()
        };
        check(protocol, spec).value.unwrap()
    };
    let shown = |check: &HealthCheck| {
        (
            check.protocol,
            check.timeout.as_secs(),
            check.matcher.to_string(),
        )
    };
    for protocol in [Protocol::Http, Protocol::Https] {
        let check = check(protocol, default()).value.unwrap();
        assert_eq!(shown(&check), (Http, 5, "200".to_owned()));
        assert_eq!((check.healthy_threshold, check.unhealthy_threshold), (5, 2));
        assert_eq!((check.interval.as_secs(), &*check.path), (30, "/"));
        assert_eq!(check.port, HealthCheckPort::TrafficPort);
    }
    for protocol in [Protocol::Tcp, Protocol::Tls, Protocol::TcpUdp] {
        let check = check(protocol, default()).value.unwrap();
        assert_eq!(shown(&check), (Tcp, 10, "200-399".to_owned()));
    }
    assert_eq!(
        shown(&of(Protocol::Http, "HTTPS")),
        (Https, 5, "200".to_owned())
    );
    assert_eq!(
        shown(&of(Protocol::Tcp, "HTTP")),
        (Http, 6, "200-399".to_owned())
    );
    assert_eq!(
        shown(&of(Protocol::Tcp, "HTTPS")),
        (Https, 10, "200-399".to_owned())
    );
    // A default is never longer than an interval that somebody chose.
    let short = HealthCheckSpec {
        interval_seconds: Some(5),
        ..default()
    };
    assert_eq!(
        check(Protocol::Tcp, short).value.unwrap().timeout.as_secs(),
        5
    );
}

#[test]
fn health_checks_have_ranges() {
    let spec = HealthCheckSpec::default;
    let refused =
        |spec, expected: &str| assert_eq!(faults(check(Protocol::Http, spec)), [expected]);
    let accepted = |spec| check(Protocol::Http, spec).value.unwrap();
    for seconds in [4, 301] {
        refused(
            HealthCheckSpec {
                interval_seconds: Some(seconds),
                ..spec()
            },
            "intervalSeconds out-of-range",
        );
    }
    for seconds in [5, 300] {
        let check = accepted(HealthCheckSpec {
            interval_seconds: Some(seconds),
            ..spec()
        });
        assert_eq!(check.interval, Duration::from_secs(seconds.into()));
    }
    for seconds in [1, 121] {
        refused(
            HealthCheckSpec {
                timeout_seconds: Some(seconds),
                ..spec()
            },
            "timeoutSeconds out-of-range",
        );
    }
    for seconds in [2, 120] {
        let check = accepted(HealthCheckSpec {
            timeout_seconds: Some(seconds),
            interval_seconds: Some(300),
            ..spec()
        });
        assert_eq!(check.timeout, Duration::from_secs(seconds.into()));
    }
    refused(
        HealthCheckSpec {
            timeout_seconds: Some(6),
            interval_seconds: Some(5),
            ..spec()
        },
        "timeoutSeconds invalid-combination",
    );
    accepted(HealthCheckSpec {
        timeout_seconds: Some(5),
        interval_seconds: Some(5),
        ..spec()
    });
    for count in [1, 11] {
        refused(
            HealthCheckSpec {
                healthy_threshold_count: Some(count),
                ..spec()
            },
            "healthyThresholdCount out-of-range",
        );
        refused(
            HealthCheckSpec {
                unhealthy_threshold_count: Some(count),
                ..spec()
            },
            "unhealthyThresholdCount out-of-range",
        );
    }
    for count in [2, 10] {
        let check = accepted(HealthCheckSpec {
            healthy_threshold_count: Some(count),
            ..spec()
        });
        assert_eq!(check.healthy_threshold, count);
        let check = accepted(HealthCheckSpec {
            unhealthy_threshold_count: Some(count),
            ..spec()
        });
        assert_eq!(check.unhealthy_threshold, count);
    }
}

/// ALB guide, target groups: protocol version; health checks: path and matcher of gRPC.
#[test]
fn grpc_groups_check_a_method_for_its_code() {
    let of = |version: &str, code: Option<&str>| {
        let mut spec = TargetGroupSpec {
            name: Some("calls".to_owned()),
            protocol: Some("HTTP".to_owned()),
            protocol_version: Some(version.to_owned()),
            port: Some(50_051),
            ..TargetGroupSpec::default()
        };
        spec.health_check_config.matcher = code.map(|code| MatcherSpec {
            http_code: None,
            grpc_code: Some(code.to_owned()),
        });
        TargetGroup::new(&spec)
    };
    let group = of("GRPC", None).value.unwrap();
    let check = &group.health_check;
    assert_eq!(group.protocol_version, ProtocolVersion::Grpc);
    assert_eq!(check.version, ProtocolVersion::Grpc);
    assert_eq!(
        (&*check.path, check.matcher.to_string()),
        ("/AWS.ALB/healthcheck", "12".to_owned())
    );
    let group = of("HTTP2", None).value.unwrap();
    let check = &group.health_check;
    assert_eq!(check.version, ProtocolVersion::Http2);
    assert_eq!(
        (&*check.path, check.matcher.to_string()),
        ("/", "200".to_owned())
    );
    for codes in ["0", "12", "0,12", "0-99"] {
        let group = of("GRPC", Some(codes)).value.unwrap();
        assert_eq!(group.health_check.matcher.to_string(), codes);
    }
    for (codes, code) in [
        ("100", "invalid-matcher"),
        ("", "invalid-matcher"),
        ("5-1", "invalid-matcher"),
    ] {
        let found = faults(of("GRPC", Some(codes)));
        assert_eq!(
            found,
            [format!("healthCheckConfig.matcher.grpcCode {code}")]
        );
    }
    let found = faults(of("HTTP2", Some("0")));
    assert_eq!(
        found,
        ["healthCheckConfig.matcher.grpcCode invalid-combination"]
    );
}

#[test]
fn health_checks_have_ports_paths_and_codes() {
    let with = |port: &str, path: &str, codes: &str| HealthCheckSpec {
        port: Some(port.to_owned()),
        path: Some(path.to_owned()),
        matcher: Some(MatcherSpec {
            http_code: Some(codes.to_owned()),
            grpc_code: None,
        }),
        ..HealthCheckSpec::default()
    };
    let long = "/".repeat(1024);
    for (port, path, codes) in [
        ("1", "/a?b", "200"),
        ("65535", &long, "200,499"),
        ("traffic-port", "/", "200-299, 300 - 301"),
    ] {
        let check = check(Protocol::Http, with(port, path, codes))
            .value
            .unwrap();
        assert_eq!((&*check.port.to_string(), &*check.path), (port, path));
        assert_eq!(check.matcher.to_string(), codes.replace(' ', ""));
        assert!(check.matcher.matches(200) && !check.matcher.matches(302));
    }
    let fault = |port: &str, path: &str, codes: &str| {
        faults(check(Protocol::Http, with(port, path, codes)))
    };
    for (port, code) in [
        ("0", "out-of-range"),
        ("65536", "out-of-range"),
        ("99999999999", "out-of-range"),
        ("", "wrong-type"),
        ("traffic", "wrong-type"),
        ("+1", "wrong-type"),
    ] {
        assert_eq!(fault(port, "/", "200"), [format!("port {code}")]);
    }
    for path in ["", "a", "/a b", "/\u{e9}", &format!("{long}/")] {
        assert_eq!(fault("1", path, "200"), ["path invalid-path"]);
    }
    for (codes, code) in [
        ("", "invalid-matcher"),
        ("200,", "invalid-matcher"),
        ("299-200", "invalid-matcher"),
        ("2xx", "invalid-matcher"),
        ("0200", "invalid-matcher"),
        ("+20", "invalid-matcher"),
        ("199", "out-of-range"),
        ("500", "out-of-range"),
        ("199-300", "out-of-range"),
        ("400-500", "out-of-range"),
    ] {
        assert_eq!(
            fault("1", "/", codes),
            [format!("matcher.httpCode {code}")],
            "{codes}"
        );
    }
    let network = |codes: &str| {
        let spec = HealthCheckSpec {
            protocol: Some("HTTP".into()),
            ..with("1", "/", codes)
        };
        check(Protocol::Tcp, spec)
    };
    assert!(network("599").value.is_ok());
    assert_eq!(faults(network("600")), ["matcher.httpCode out-of-range"]);
    let spec = HealthCheckSpec {
        matcher: Some(MatcherSpec {
            http_code: None,
            grpc_code: Some("0".into()),
        }),
        ..HealthCheckSpec::default()
    };
    assert_eq!(
        faults(check(Protocol::Http, spec)),
        ["matcher.grpcCode invalid-combination"]
    );
    // A connection has neither.
    assert_eq!(
        faults(check(Protocol::Tcp, with("1", "/", "200"))),
        ["path invalid-combination", "matcher invalid-combination"]
    );
    let spec = HealthCheckSpec {
        protocol: Some("TCP".into()),
        ..HealthCheckSpec::default()
    };
    assert_eq!(
        faults(check(Protocol::Http, spec)),
        ["protocol invalid-combination"]
    );
    let spec = HealthCheckSpec {
        protocol: Some("SSL".into()),
        ..HealthCheckSpec::default()
    };
    assert_eq!(
        faults(check(Protocol::Tcp, spec)),
        ["protocol unknown-value"]
    );
}

//! What the texts of attributes mean.

use elbow_model::*;

use crate::kit::{attributes, warnings};

#[test]
fn texts_become_values() {
    let given = attributes(&[
        ("idle_timeout.timeout_seconds", "61"),
        ("client_keep_alive.seconds", "62"),
        ("elbow.request_header_timeout.seconds", "63"),
        ("elbow.tls_handshake_timeout.seconds", "64"),
        ("elbow.max_connections", "65"),
        ("routing.http.desync_mitigation_mode", "strictest"),
        ("routing.http.xff_header_processing.mode", "remove"),
        ("routing.http.drop_invalid_header_fields.enabled", "true"),
        ("routing.http.preserve_host_header.enabled", "true"),
        ("routing.http.xff_client_port.enabled", "true"),
        ("routing.http2.enabled", "false"),
        ("routing.http.x_amzn_tls_kx.enabled", "true"),
        (
            "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
            "true",
        ),
    ]);
    let checked = LoadBalancerAttributes::new(LoadBalancerType::Application, &given);
    let all = checked.value.unwrap();
    let seconds = [
        all.idle_timeout,
        all.client_keep_alive,
        all.request_header_timeout,
        all.tls_handshake_timeout,
    ];
    assert_eq!(seconds.map(|time| time.as_secs()), [61, 62, 63, 64]);
    assert_eq!(all.max_connections, Some(65));
    assert_eq!(all.desync_mitigation_mode, DesyncMitigationMode::Strictest);
    assert_eq!(
        all.xff_header_processing_mode,
        XffHeaderProcessingMode::Remove
    );
    assert!(all.drop_invalid_header_fields && all.preserve_host_header && all.xff_client_port);
    assert!(!all.http2_enabled && all.tls_version_and_cipher_headers);
    assert!(all.tls_key_exchange_header);
    assert_eq!(all.raw, given);

    let modes = |mode: &str, xff: &str| {
        let given = attributes(&[
            ("routing.http.desync_mitigation_mode", mode),
            ("routing.http.xff_header_processing.mode", xff),
        ]);
        let all = LoadBalancerAttributes::new(LoadBalancerType::Application, &given)
            .value
            .unwrap();
        (all.desync_mitigation_mode, all.xff_header_processing_mode)
    };
    assert_eq!(
        modes("monitor", "preserve"),
        (
            DesyncMitigationMode::Monitor,
            XffHeaderProcessingMode::Preserve
        )
    );
    assert_eq!(
        modes("defensive", "append"),
        (
            DesyncMitigationMode::Defensive,
            XffHeaderProcessingMode::Append
        )
    );

    let network = attributes(&[("tcp.idle_timeout.seconds", "66")]);
    let all = LoadBalancerAttributes::new(LoadBalancerType::Network, &network)
        .value
        .unwrap();
    assert_eq!(all.tcp_idle_timeout.as_secs(), 66);
    let classic = |pairs: &[(&str, &str)]| {
        LoadBalancerAttributes::new(LoadBalancerType::Classic, &attributes(pairs))
            .value
            .unwrap()
    };
    let draining = ("connection_draining.enabled", "true");
    let timeout = ("connection_draining.timeout_seconds", "5");
    let seconds = |pairs: &[(&str, &str)]| {
        classic(pairs)
            .connection_draining
            .map(|time| time.as_secs())
    };
    assert_eq!(seconds(&[draining]), Some(300));
    assert_eq!(seconds(&[draining, timeout]), Some(5));
    assert_eq!(seconds(&[timeout]), None);
    let mode = classic(&[("elb.http.desyncmitigationmode", "monitor")]).desync_mitigation_mode;
    assert_eq!(mode, DesyncMitigationMode::Monitor);
}

// NLB guide: edit target group attributes.
#[test]
fn drained_flows_of_udp_end_by_default() {
    let key = "deregistration_delay.connection_termination.enabled";
    let ends = |protocol, pairs: &[(&str, &str)]| {
        let built = TargetGroupAttributes::new(protocol, &attributes(pairs));
        built.value.unwrap().deregistration_connection_termination
    };
    for (protocol, by_default) in [
        (Protocol::Tcp, false),
        (Protocol::Tls, false),
        (Protocol::Udp, true),
        (Protocol::TcpUdp, true),
    ] {
        assert_eq!(ends(protocol, &[]), by_default);
        assert!(ends(protocol, &[(key, "true")]));
        assert!(!ends(protocol, &[(key, "false")]));
    }
}

#[test]
fn texts_of_groups_and_listeners_become_values() {
    let group = |protocol, pairs: &[(&str, &str)]| {
        TargetGroupAttributes::new(protocol, &attributes(pairs))
            .value
            .unwrap()
    };
    let all = group(
        Protocol::Tcp,
        &[
            ("deregistration_delay.timeout_seconds", "7"),
            (
                "deregistration_delay.connection_termination.enabled",
                "true",
            ),
            (
                "target_health_state.unhealthy.connection_termination.enabled",
                "false",
            ),
            (
                "target_health_state.unhealthy.draining_interval_seconds",
                "9",
            ),
            ("proxy_protocol_v2.enabled", "true"),
            ("stickiness.enabled", "true"),
            (
                "target_group_health.dns_failover.minimum_healthy_targets.count",
                "off",
            ),
            (
                "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
                "3",
            ),
            (
                "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
                "4",
            ),
        ],
    );
    assert_eq!(all.deregistration_delay.as_secs(), 7);
    assert!(all.deregistration_connection_termination && !all.unhealthy_connection_termination);
    let interval = all.unhealthy_draining_interval;
    assert_eq!(interval.map(|time| time.as_secs()), Some(9));
    assert_eq!(group(Protocol::Tcp, &[]).unhealthy_draining_interval, None);
    assert_eq!(all.proxy_protocol, Some(ProxyProtocol::V2));
    let placement = |pairs: &[(&str, &str)]| group(Protocol::Tcp, pairs).proxy_header_placement;
    let key = "proxy_protocol_v2.client_to_server.header_placement";
    for (text, expected) in [
        ("on_first_ack", ProxyHeaderPlacement::OnFirstAck),
        (
            "on_first_ack_with_payload",
            ProxyHeaderPlacement::OnFirstAckWithPayload,
        ),
    ] {
        assert_eq!(placement(&[(key, text)]), expected);
    }
    assert_eq!(placement(&[]), ProxyHeaderPlacement::OnFirstAck);
    assert_eq!(all.stickiness, Some(Stickiness::SourceIp));
    assert_eq!(
        all.minimum_healthy,
        MinimumHealthy {
            count: 3,
            percentage: 4
        }
    );

    let algorithm =
        |name| group(Protocol::Http, &[("load_balancing.algorithm.type", name)]).algorithm;
    assert_eq!(
        algorithm("least_outstanding_requests"),
        Algorithm::LeastOutstandingRequests
    );
    assert_eq!(algorithm("weighted_random"), Algorithm::WeightedRandom);
    let mitigates = |text| {
        let key = "load_balancing.algorithm.anomaly_mitigation";
        let algorithm = ("load_balancing.algorithm.type", "weighted_random");
        group(Protocol::Http, &[algorithm, (key, text)]).anomaly_mitigation
    };
    assert!(mitigates("on") && !mitigates("off"));
    let slow_start = |text| {
        let key = "slow_start.duration_seconds";
        group(Protocol::Http, &[(key, text)]).slow_start
    };
    assert_eq!(slow_start("0"), None);
    assert_eq!(slow_start("30").map(|time| time.as_secs()), Some(30));
    assert!(
        !group(
            Protocol::Http,
            &[("elbow.connect_failover.enabled", "false")]
        )
        .connect_failover
    );
    let sticky = group(
        Protocol::Http,
        &[
            ("stickiness.enabled", "true"),
            ("stickiness.lb_cookie.duration_seconds", "9"),
        ],
    );
    let Some(Stickiness::LoadBalancerCookie { duration }) = sticky.stickiness else {
        panic!("{sticky:?}")
    };
    assert_eq!(duration.as_secs(), 9);
    let sticky = group(
        Protocol::Http,
        &[
            ("stickiness.enabled", "true"),
            ("stickiness.type", "app_cookie"),
            ("stickiness.app_cookie.cookie_name", "s"),
            ("stickiness.app_cookie.duration_seconds", "8"),
        ],
    );
    let Some(Stickiness::ApplicationCookie { name, duration }) = sticky.stickiness else {
        panic!("{sticky:?}")
    };
    assert_eq!((&*name, duration.as_secs()), ("s", 8));

    let key = "elbow.health_check_tls13.enabled";
    let checks_tls13 = |text| group(Protocol::Tls, &[(key, text)]).health_check_tls13;
    assert!(checks_tls13("true") && !checks_tls13("false"));
    assert!(!group(Protocol::Tcp, &[]).health_check_tls13);
    assert!(group(Protocol::Https, &[]).health_check_tls13);

    let all = TargetGroupAttributes::default();
    assert_eq!(
        (all.deregistration_delay.as_secs(), all.algorithm),
        (300, Algorithm::RoundRobin)
    );
    assert_eq!((all.stickiness, all.proxy_protocol), (None, None));
    assert_eq!(all.minimum_healthy, MinimumHealthy::default());
    assert!(all.connect_failover && all.unhealthy_connection_termination);

    let https = ListenerAttributes::new(
        Protocol::Https,
        &attributes(&[
            ("routing.http.response.x_frame_options.header_value", "DENY"),
            (
                "routing.http.response.access_control_max_age.header_value",
                "",
            ),
            ("routing.http.response.server.enabled", "false"),
            (
                "routing.http.request.x_amzn_tls_cipher_suite.header_name",
                "X-Cipher",
            ),
            (
                "routing.http.request.x_amzn_tls_version.header_name",
                "X-Version",
            ),
        ]),
    );
    let https = https.value.unwrap();
    assert_eq!(https.response_headers, [("X-Frame-Options", "DENY".into())]);
    assert!(https.hides_server && !ListenerAttributes::default().hides_server);
    assert_eq!(https.tls_cipher_header.as_deref(), Some("X-Cipher"));
    assert_eq!(https.tls_version_header.as_deref(), Some("X-Version"));
    let tcp = attributes(&[("tcp.idle_timeout.seconds", "60")]);
    let tcp = ListenerAttributes::new(Protocol::Tcp, &tcp).value.unwrap();
    assert_eq!(tcp.tcp_idle_timeout.map(|time| time.as_secs()), Some(60));
    assert_eq!(ListenerAttributes::default().tcp_idle_timeout, None);
}

// The attribute `elbow.proxy_protocol.trusted_cidrs`.
#[test]
fn trusted_proxies_are_those_of_the_listed_blocks() {
    let given = attributes(&[(
        "elbow.proxy_protocol.trusted_cidrs",
        "10.0.0.0/8, 2001:db8::/32",
    )]);
    let tls = ListenerAttributes::new(Protocol::Tls, &given)
        .value
        .unwrap();
    let classic = LoadBalancerAttributes::new(LoadBalancerType::Classic, &given)
        .value
        .unwrap();
    for trusted in [tls.trusted_proxies, classic.trusted_proxies] {
        let trusted = trusted.unwrap();
        for (proxy, expected) in [
            ("10.1.2.3", true),
            ("11.0.0.1", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(trusted.contains(proxy.parse().unwrap()), expected);
        }
    }
    assert_eq!(ListenerAttributes::default().trusted_proxies, None);
    let none = attributes(&[("elbow.proxy_protocol.trusted_cidrs", "")]);
    let none = ListenerAttributes::new(Protocol::Tls, &none).value.unwrap();
    assert_eq!(none.trusted_proxies, None);
}

#[test]
fn warnings_come_with_a_value_that_is_right() {
    let given = attributes(&[("deletion_protection.enabled", "true")]);
    let checked = LoadBalancerAttributes::new(LoadBalancerType::Network, &given);
    assert_eq!(warnings(checked), ["deletion_protection.enabled no-effect"]);
}

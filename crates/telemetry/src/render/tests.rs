use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::*;
use crate::Kind;

fn row(target: &str, state: TargetState) -> TargetRow {
    TargetRow {
        target: target.to_owned(),
        state,
        state_name: state.as_str(),
        in_flight: 3,
        requests: 40,
        is_anomalous: state == TargetState::Unhealthy,
        is_mitigated: false,
        zone: None,
    }
}

fn rendered(
    telemetry: &Arc<Telemetry>,
    targets: Vec<TargetRow>,
    certificates: Vec<CertificateRow>,
) -> String {
    let name = "minio".into();
    let mut out = String::new();
    let groups = vec![GroupRow { name, targets }];
    let rows = Rows {
        groups,
        zones: Vec::new(),
        certificates,
    };
    telemetry.write(rows, &mut out).unwrap();
    out
}

#[track_caller]
fn assert_lines(text: &str, expected: &[&str]) {
    for line in expected {
        assert!(text.lines().any(|l| l == *line), "no {line} in\n{text}");
    }
}

const KINDS: [Kind; 2] = [
    Kind {
        kind: "early",
        side: "client",
    },
    Kind {
        kind: "late",
        side: "target",
    },
];

#[test]
fn workers_are_summed() {
    let telemetry = Telemetry::new(2);
    let listener = telemetry.listener("alb", "application", 443, "HTTPS");
    let cells = [listener.worker(0), listener.worker(1)];
    for (n, cells) in [2, 3].into_iter().zip(cells) {
        cells.connections.add(n);
        cells.connections_closed.increment();
        cells.received_bytes.add(1_000 * n);
        cells.elb_responses.increment(503);
        cells.target_responses.increment(200);
        cells.resets_by_target.add(n);
        cells.pool_reused.add(n);
        cells.latency.observe(Duration::from_millis(n));
        cells.fail_open.increment();
        cells.jwt_successes.add(n);
        cells.jwt_failures.increment();
        cells.rejected_without_target.add(n);
        cells.request_errors.increment(&KINDS, 1);
        cells.rule_evaluations.add(n);
        cells.invalid_headers_dropped.add(n);
        cells.ipv6_requests.increment();
        cells.ipv6_bytes.add(10 * n);
    }
    let of = r#"load_balancer="alb",type="application",listener="443",protocol="HTTPS""#;
    let line = |name: &str, more: &str, value: &str| format!("{name}{{{of}{more}}} {value}");
    let expected = [
        line("elbow_connections_total", "", "5"),
        line("elbow_active_connections", "", "3"),
        line(
            "elbow_rejected_connections_total",
            r#",reason="limit""#,
            "0",
        ),
        line(
            "elbow_rejected_connections_total",
            r#",reason="no_target""#,
            "5",
        ),
        line(
            "elbow_request_errors_total",
            r#",kind="late",side="target""#,
            "2",
        ),
        line("elbow_rule_evaluations_total", "", "5"),
        line(
            "elbow_invalid_header_requests_total",
            r#",fields="dropped""#,
            "5",
        ),
        line(
            "elbow_invalid_header_requests_total",
            r#",fields="forwarded""#,
            "0",
        ),
        line("elbow_ipv6_requests_total", "", "2"),
        line("elbow_ipv6_processed_bytes_total", "", "50"),
        line("elbow_received_bytes_total", "", "5000"),
        line("elbow_requests_total", r#",source="elb",code="503""#, "2"),
        line(
            "elbow_requests_total",
            r#",source="target",code="200""#,
            "2",
        ),
        line("elbow_resets_total", r#",by="target""#, "5"),
        line("elbow_target_connections_total", r#",pool="reused""#, "5"),
        line("elbow_unhealthy_routing_requests_total", "", "2"),
        line("elbow_jwt_validations_total", r#",result="success""#, "5"),
        line("elbow_jwt_validations_total", r#",result="failure""#, "2"),
        line("elbow_request_duration_seconds_count", "", "2"),
        line("elbow_request_duration_seconds_sum", "", "0.005"),
    ];
    let text = rendered(&telemetry, Vec::new(), Vec::new());
    assert_lines(&text, &expected.each_ref().map(String::as_str));
    let bucket =
        |le: &str, n| format!("elbow_request_duration_seconds_bucket{{le=\"{le}\",{of}}} {n}");
    assert_lines(
        &text,
        &[
            &bucket("0.001", 0),
            &bucket("0.0025", 1),
            &bucket("+Inf", 2),
        ],
    );
    // A code without responses has no line, and neither has an error that did not occur.
    assert!(!text.contains("kind=\"early\""));
    assert!(!text.contains("code=\"404\""));
}

#[test]
fn targets_and_groups_are_exposed() {
    let telemetry = Telemetry::new(1);
    let group = telemetry.group("minio");
    group.health_checks_passed.add(7);
    group.health_checks_failed.increment();
    let text = rendered(
        &telemetry,
        vec![
            row("127.0.0.1:9000", TargetState::Healthy),
            row("127.0.0.1:9001", TargetState::Unhealthy),
            row("127.0.0.1:9002", TargetState::Initial),
        ],
        Vec::new(),
    );
    assert_lines(
        &text,
        &[
            r#"elbow_target_health{target_group="minio",target="127.0.0.1:9000",state="healthy"} 1"#,
            r#"elbow_target_health{target_group="minio",target="127.0.0.1:9001",state="unhealthy"} 0"#,
            r#"elbow_target_health{target_group="minio",target="127.0.0.1:9002",state="initial"} 0"#,
            r#"elbow_target_in_flight{target_group="minio",target="127.0.0.1:9000"} 3"#,
            r#"elbow_target_requests_total{target_group="minio",target="127.0.0.1:9000"} 40"#,
            r#"elbow_healthy_hosts{target_group="minio"} 1"#,
            r#"elbow_anomalous_hosts{target_group="minio"} 1"#,
            r#"elbow_mitigated_hosts{target_group="minio"} 0"#,
            r#"elbow_unhealthy_hosts{target_group="minio"} 1"#,
            r#"elbow_health_checks_total{target_group="minio",result="passed"} 7"#,
            r#"elbow_health_checks_total{target_group="minio",result="failed"} 1"#,
        ],
    );
}

#[test]
fn requests_of_a_group_are_summed_from_the_first_on() {
    let telemetry = Telemetry::new(2);
    let groups = ["idle", "minio"].map(|name| telemetry.group(name));
    for (n, worker) in [(2, 0), (3, 1)] {
        let cells = groups[1].worker(worker);
        cells.requests.add(n);
        cells.responses.increment(200);
        cells.responses.increment(503);
        cells.response_time.observe(Duration::from_millis(n));
        cells.connect_errors.add(n);
        cells.tls_errors.increment();
    }
    let text = rendered(&telemetry, Vec::new(), Vec::new());
    assert_lines(
        &text,
        &[
            r#"elbow_group_requests_total{target_group="minio"} 5"#,
            r#"elbow_group_connect_errors_total{target_group="minio"} 5"#,
            r#"elbow_group_tls_errors_total{target_group="minio"} 2"#,
            r#"elbow_group_responses_total{target_group="minio",class="2xx"} 2"#,
            r#"elbow_group_responses_total{target_group="minio",class="3xx"} 0"#,
            r#"elbow_group_responses_total{target_group="minio",class="5xx"} 2"#,
            r#"elbow_group_response_time_seconds_count{target_group="minio"} 2"#,
            r#"elbow_group_response_time_seconds_sum{target_group="minio"} 0.005"#,
        ],
    );
    assert!(!text.contains(r#"elbow_group_requests_total{target_group="idle"}"#));
}

#[test]
fn capacity_units_have_a_series_for_each_dimension() {
    let telemetry = Telemetry::new(1);
    let listener = telemetry.listener("alb", "application", 443, "HTTPS");
    let start = Instant::now();
    telemetry.sample_lcus(start);
    listener.worker(0).connections.add(25 * 60);
    telemetry.sample_lcus(start + Duration::from_secs(60));
    let text = rendered(&telemetry, Vec::new(), Vec::new());
    let of = r#"load_balancer="alb",type="application",protocol="HTTP""#;
    assert_lines(
        &text,
        &[
            &format!("elbow_lcus{{{of},dimension=\"new_connections\"}} 1.0"),
            &format!("elbow_lcus{{{of},dimension=\"active_connections\"}} 0.5"),
            &format!("elbow_lcus{{{of},dimension=\"rule_evaluations\"}} 0.0"),
        ],
    );
}

#[test]
fn rejected_configuration_is_exposed() {
    let telemetry = Telemetry::new(4);
    telemetry.config_reload(true, 1);
    let good = rendered(&telemetry, Vec::new(), Vec::new());
    telemetry.config_reload(false, 1);
    let bad = rendered(&telemetry, Vec::new(), Vec::new());
    assert_lines(
        &good,
        &[
            "elbow_config_last_reload_success 1",
            "elbow_config_reloads_total{result=\"failed\"} 0",
        ],
    );
    assert_lines(
        &bad,
        &[
            "elbow_config_last_reload_success 0",
            "elbow_config_reloads_total{result=\"ok\"} 1",
            "elbow_config_reloads_total{result=\"failed\"} 1",
            "elbow_config_generation 1",
            "elbow_workers 4",
            "elbow_accept_errors_total 0",
        ],
    );
}

#[test]
fn shed_work_is_counted_by_reason() {
    let telemetry = Telemetry::new(2);
    let zero = rendered(&telemetry, Vec::new(), Vec::new());
    let listener = telemetry.listener("nlb", "network", 443, "TCP");
    listener.shed(ShedReason::OpenFiles);
    telemetry.shed.increment(ShedReason::OpenFiles);
    let two = rendered(&telemetry, Vec::new(), Vec::new());
    let line = |n| format!("elbow_shed_total{{reason=\"open_files\"}} {n}");
    assert_lines(&zero, &[&line(0)]);
    assert_lines(&two, &[&line(2)]);
}

#[test]
fn text_is_openmetrics() {
    let telemetry = Telemetry::new(1);
    telemetry.listener("a \"b\"\\\n", "network", 1, "TCP");
    let text = rendered(
        &telemetry,
        vec![row("[::1]:9000", TargetState::Draining)],
        Vec::new(),
    );
    assert!(text.contains(r#"load_balancer="a \"b\"\\\n""#));
    let version = env!("CARGO_PKG_VERSION");
    assert_lines(
        &text,
        &[&format!("elbow_build_info{{version=\"{version}\"}} 1")],
    );
    // Each family is declared once, directly before all its series.
    let mut families: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let name = family.split(' ').next().unwrap();
            assert!(!families.contains(&name), "{name} comes twice");
            families.push(name);
        } else if !line.starts_with('#') {
            assert!(
                line.starts_with(families.last().unwrap()),
                "{line} is astray"
            );
        }
    }
    assert!(families.len() > 30);
}

#[test]
fn listener_keeps_its_metrics_while_in_use() {
    let telemetry = Telemetry::new(1);
    let listener = || telemetry.listener("alb", "application", 80, "HTTP");
    let (held, group) = (listener(), telemetry.group("g"));
    held.worker(0).connections.increment();
    telemetry.prune();
    assert_eq!(listener().sum(|c| &c.connections), 1);
    assert!(Arc::ptr_eq(&group, &telemetry.group("g")));
    assert!(!Arc::ptr_eq(
        &held,
        &telemetry.listener("alb", "application", 81, "HTTP")
    ));
    drop((held, group));
    telemetry.prune();
    assert_eq!(
        (telemetry.listeners().len(), telemetry.groups().len()),
        (0, 0)
    );
}

#[test]
fn cells_of_workers_share_no_cache_line() {
    assert_eq!(align_of::<crate::ListenerCells>(), 128);
}

#[test]
fn certificate_expiry_is_exposed() {
    let certificate = CertificateRow {
        arn: "arn:aws:acm:us-east-1:000000000000:certificate/web".into(),
        not_after: 1_956_441_600,
    };
    assert_lines(
        &rendered(&Telemetry::new(1), Vec::new(), vec![certificate]),
        &[
            "# UNIT elbow_certificate_expiry_timestamp_seconds seconds",
            "elbow_certificate_expiry_timestamp_seconds{certificate=\
             \"arn:aws:acm:us-east-1:000000000000:certificate/web\"} 1956441600",
        ],
    );
}

#[test]
fn scrape_cost_does_not_depend_on_the_number_of_groups() {
    for groups in [1, 10, 100] {
        let telemetry = Telemetry::new(1);
        let names: Vec<String> = (0..groups).map(|n| format!("group-{n}")).collect();
        let held: Vec<_> = names.iter().map(|name| telemetry.group(name)).collect();
        let of = |metrics: &Arc<crate::GroupMetrics>| GroupRow {
            name: Arc::clone(metrics.name()),
            targets: vec![
                row("127.0.0.1:9000", TargetState::Healthy),
                row("127.0.0.1:9001", TargetState::Unhealthy),
            ],
        };
        let scrape = Scrape {
            telemetry: Arc::clone(&telemetry),
            targets: Targets::new(held.iter().map(of).collect()),
            zones: Vec::new(),
            certificates: Vec::new(),
        };
        let hosts = AllHosts::of(&scrape.targets).groups;
        assert_eq!(hosts.len(), groups);
        assert!(hosts.values().all(|h| (h.healthy, h.unhealthy) == (1, 1)));
        let before = scrape.targets.visits.swap(0, Ordering::Relaxed);
        assert_eq!(before, 2 * groups);
        let scrape = Arc::new(scrape);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Shared(Arc::clone(&scrape))));
        text::encode_registry(&mut String::new(), &registry).unwrap();
        // Three families of targets, and one count of healthy and unhealthy ones.
        assert_eq!(
            scrape.targets.visits.load(Ordering::Relaxed),
            4 * 2 * groups
        );
    }
}

#[derive(Debug)]
struct Shared(Arc<Scrape>);

impl Collector for Shared {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }
}

#[test]
fn hosts_are_counted_by_zone_where_zones_are_known() {
    let telemetry = Telemetry::new(1);
    let _group = telemetry.group("web");
    let zone = |name: &str| ZoneName::new(name).value.ok();
    let target = |target: &str, state, zone| TargetRow {
        zone,
        ..row(target, state)
    };
    let rows = Rows {
        groups: vec![GroupRow {
            name: "web".into(),
            targets: vec![
                target("a:1", TargetState::Healthy, zone("us-east-1a")),
                target("b:1", TargetState::Unhealthy, zone("us-east-1b")),
                target("c:1", TargetState::Unhealthy, zone("us-east-1b")),
                target("d:1", TargetState::Healthy, None),
            ],
        }],
        zones: vec![ZoneRow {
            load_balancer: "alb".into(),
            zone: "us-east-1b".to_owned(),
            healthy: false,
        }],
        certificates: Vec::new(),
    };
    let mut out = String::new();
    telemetry.write(rows, &mut out).unwrap();
    let a = r#"{target_group="web",availability_zone="us-east-1a"}"#;
    let b = r#"{target_group="web",availability_zone="us-east-1b"}"#;
    assert_lines(
        &out,
        &[
            &format!("elbow_zone_healthy_hosts{a} 1"),
            &format!("elbow_zone_unhealthy_hosts{a} 0"),
            &format!("elbow_zone_healthy_hosts{b} 0"),
            &format!("elbow_zone_unhealthy_hosts{b} 2"),
            r#"elbow_healthy_hosts{target_group="web"} 2"#,
            r#"elbow_zone_healthy{load_balancer="alb",availability_zone="us-east-1b"} 0"#,
        ],
    );
}

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use elbow_model::diagnostic::Severity;
use elbow_model::{
    Action, CertificateSource, Condition, Forward, HealthCheckPort, HealthCheckProtocol, Patterns,
    PrivateKey, Protocol, TargetId,
};

mod classic;
#[path = "../../../fuzz/src/places.rs"]
mod places;
mod refused;
mod rules;
mod schema;

use places::without_places;

/// The example file of the documentation: an ALB with all of its parts, and an NLB.
const EXAMPLE: &str = include_str!("../../../config/native/minio.yaml");

fn accepted(text: &str) -> Model {
    let (model, diagnostics) = parse(text, "conf/a.yaml");
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    model.unwrap()
}

#[test]
fn timeouts_of_handshakes_and_heads_are_configurable() {
    let seconds = |kind: &str, attributes: &str| {
        let text =
            format!("loadBalancers: [{{name: web, type: {kind}, attributes: {{{attributes}}}}}]");
        let attributes = &accepted(&text).load_balancers[0].attributes;
        let times = [
            attributes.tls_handshake_timeout,
            attributes.request_header_timeout,
        ];
        times.map(|time| time.as_secs())
    };
    let handshake = "elbow.tls_handshake_timeout.seconds: 3";
    let head = "elbow.request_header_timeout.seconds: '7'";
    for kind in ["application", "classic"] {
        assert_eq!(seconds(kind, ""), [10, 60]);
        assert_eq!(seconds(kind, &format!("{handshake}, {head}")), [3, 7]);
    }
    assert_eq!(seconds("network", handshake)[0], 3);
}

#[test]
fn every_field_is_read() {
    let model = accepted(EXAMPLE);
    let alb = &model.load_balancers[0];
    assert_eq!(&*alb.name, "minio-alb");
    assert_eq!(alb.addresses, ["127.0.10.4".parse::<IpAddr>().unwrap()]);
    assert_eq!(alb.attributes.idle_timeout, Duration::from_secs(60));
    let https = &alb.listeners[0];
    assert_eq!((https.port, https.protocol), (443, Protocol::Https));
    assert_eq!(
        https.ssl_policy.as_deref(),
        Some("ELBSecurityPolicy-TLS13-1-2-Res-2021-06")
    );
    let certificate = &https.certificates[0];
    assert_eq!(
        certificate.source,
        CertificateSource::Files {
            certificate: "conf/demo.pem".into(),
            private_key: "conf/demo.key".into(),
        }
    );
    let (file, line, column) = certificate.declared.clone().unwrap();
    assert_eq!((&*file, column), ("conf/a.yaml", 3));
    assert!(
        EXAMPLE
            .lines()
            .nth(line as usize - 1)
            .unwrap()
            .contains("name: demo")
    );
    let rule = &https.rules[0];
    assert_eq!(rule.priority, 10);
    assert_eq!(
        rule.conditions,
        [
            Condition::HostHeader(wildcards(&["minio.example.localhost"])),
            Condition::PathPattern(wildcards(&["/bucket/*"])),
        ]
    );
    let [
        Action::Forward(Forward {
            target_groups: groups,
            ..
        }),
    ] = &rule.actions[..]
    else {
        panic!("{:?}", rule.actions)
    };
    assert_eq!((&*groups[0].target_group, groups[0].weight), ("minio", 1));
    let [Action::FixedResponse(response)] = &https.default_actions[..] else {
        panic!("{:?}", https.default_actions)
    };
    assert_eq!((response.status, &*response.body), (404, "no such host"));
    let [Action::Redirect(redirect)] = &alb.listeners[1].default_actions[..] else {
        panic!("{:?}", alb.listeners[1])
    };
    assert_eq!((&*redirect.protocol, &*redirect.port), ("HTTPS", "443"));
    assert_eq!((&*redirect.host, &*redirect.path), ("#{host}", "/#{path}"));

    let group = model.target_group("minio").unwrap();
    let check = &group.health_check;
    assert_eq!(check.protocol, HealthCheckProtocol::Https);
    assert_eq!(check.port, HealthCheckPort::TrafficPort);
    assert_eq!(check.matcher.0, [200..=200, 403..=403]);
    assert_eq!(check.interval, Duration::from_secs(15));
    assert_eq!(
        group.targets[0].id,
        TargetId::Ip("127.0.0.1".parse().unwrap())
    );
    assert_eq!(
        group.targets[0].availability_zone.as_deref(),
        Some("us-east-1a")
    );
}

fn wildcards(values: &[&str]) -> Patterns {
    Patterns::Wildcards(values.iter().map(|&v| v.into()).collect())
}

/// ALB guide and NLB guide, health checks: defaults.
#[test]
fn defaults_are_those_of_aws() {
    let check = |protocol: &str, config: &str| {
        let text = format!(
            "targetGroups: [{{name: g, port: 1, protocol: {protocol}, healthCheckConfig: {config}}}]"
        );
        let check = accepted(&text).target_groups[0].health_check.clone();
        let codes = check.matcher.0[0].clone();
        (
            check.protocol,
            check.timeout.as_secs(),
            *codes.start(),
            *codes.end(),
        )
    };
    assert_eq!(
        check("HTTPS", "{}"),
        (HealthCheckProtocol::Http, 5, 200, 200)
    );
    assert_eq!(check("TCP", "~"), (HealthCheckProtocol::Tcp, 10, 200, 399));
    assert_eq!(
        check("TCP", "{protocol: HTTP}"),
        (HealthCheckProtocol::Http, 6, 200, 399)
    );
    assert_eq!(
        check("TLS", "{protocol: HTTPS}"),
        (HealthCheckProtocol::Https, 10, 200, 399)
    );
    // A default that is longer than the interval is shortened.
    assert_eq!(check("TCP", "{intervalSeconds: 5}").1, 5);
}

#[test]
fn rules_are_sorted_by_priority() {
    let text = "
loadBalancers:
- name: a
  type: application
  listeners:
  - port: 80
    protocol: HTTP
    defaultActions: &gone [{type: fixed-response, fixedResponseConfig: {statusCode: 404}}]
    rules:
    - {priority: 7, conditions: [{field: path-pattern, pathPatternConfig: {values: [/b]}}], actions: *gone}
    - {priority: 3, conditions: [{field: path-pattern, pathPatternConfig: {values: [/a]}}], actions: *gone}
";
    let model = accepted(text);
    let rules = &model.load_balancers[0].listeners[0].rules;
    assert_eq!(rules.iter().map(|r| r.priority).collect::<Vec<_>>(), [3, 7]);
}

#[test]
fn targets_are_addresses_or_names() {
    let text = "targetGroups: [{name: g, protocol: TCP, port: 9, targets: [{id: 10.0.0.1}, \
                {id: '::1', port: 8}, {id: pod-0.minio.svc}]}]";
    let targets = &accepted(text).target_groups[0].targets;
    let shown: Vec<_> = targets
        .iter()
        .map(|t| format!("{} {}", t.id, t.port))
        .collect();
    assert_eq!(shown, ["10.0.0.1 9", "::1 8", "pod-0.minio.svc 9"]);
    assert!(matches!(&targets[2].id, TargetId::Host(name) if &**name == "pod-0.minio.svc"));
}

#[test]
fn a_rendered_model_is_read_back_as_the_same_model() {
    for (text, name) in [
        (EXAMPLE, "minio.yaml"),
        (include_str!("../../../config/native/nlb.yaml"), "nlb.yaml"),
        (include_str!("../../../config/native/alb.yaml"), "alb.yaml"),
        (
            include_str!("../../../config/native/classic.yaml"),
            "classic.yaml",
        ),
        (
            include_str!("../../../fuzz/seeds/roundtrip/mtls.yaml"),
            "mtls.yaml",
        ),
    ] {
        let (model, diagnostics) = parse(text, name);
        assert!(diagnostics.is_empty(), "{diagnostics:#?}");
        let model = model.unwrap();
        let rendered = render(&model).to_string();
        let (again, diagnostics) = parse(&rendered, "rendered.json");
        assert!(diagnostics.is_empty(), "{diagnostics:#?}");
        assert_eq!(without_places(again.unwrap()), without_places(model));
    }
}

/// `DescribeLoadBalancers`, AvailabilityZones.
#[test]
fn zones_are_read_and_written_back() {
    let text = "
loadBalancers:
- name: a
  type: network
  availabilityZones:
  - {zoneName: us-east-1a, subnetId: subnet-a, loadBalancerAddresses: [{ipAddress: 10.0.0.1}]}
  - {zoneName: us-east-1b}
targetGroups:
- {name: g, protocol: TCP, port: 1, targets: [{id: 10.0.0.7, availabilityZone: us-east-1b}]}
";
    let model = accepted(text);
    let [first, second] = &model.load_balancers[0].zones[..] else {
        panic!("{model:?}")
    };
    assert_eq!(first.name, *"us-east-1a");
    assert_eq!(first.subnet.as_deref(), Some("subnet-a"));
    assert_eq!(first.addresses, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    assert_eq!((&second.subnet, second.addresses.len()), (&None, 0));
    let zone = model.target_groups[0].targets[0].availability_zone.clone();
    assert_eq!(zone.as_ref(), Some(&second.name));
    assert_eq!(accepted(&render(&model).to_string()), model);
}

#[test]
fn a_certificate_comes_from_files_text_or_a_local_authority() {
    let text = "
certificates:
- {name: files, certificateFile: a.pem, privateKeyFile: /b.key}
- {name: text, certificate: CHAIN, privateKey: KEY}
- {name: issued, selfSigned: [Minio.example.com, '*.example.com', 10.0.0.1, '::1', minio.example.com]}
";
    let model = accepted(text);
    let sources: Vec<_> = model.certificates.iter().map(|c| &c.source).collect();
    assert_eq!(
        sources,
        [
            &CertificateSource::Files {
                certificate: "conf/a.pem".into(),
                private_key: "/b.key".into(),
            },
            &CertificateSource::Pem {
                certificate: "CHAIN".into(),
                private_key: PrivateKey::new("KEY"),
            },
            &CertificateSource::SelfSigned {
                hosts: ["minio.example.com", "*.example.com", "10.0.0.1", "::1"]
                    .map(Into::into)
                    .into(),
            },
        ]
    );
}

/// Models are shown by `/config` and in logs.
#[test]
fn a_private_key_is_never_shown() {
    let model = accepted("certificates: [{name: a, certificate: CHAIN, privateKey: SECRET}]");
    let rendered = render(&model).to_string();
    assert!(rendered.contains("CHAIN"), "{rendered}");
    for shown in [&rendered, &format!("{model:?}")] {
        assert!(!shown.contains("SECRET"), "{shown}");
    }
    let (again, diagnostics) = parse(&rendered, "rendered.json");
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    assert_eq!(render(&again.unwrap()).to_string(), rendered);
}

#[test]
fn an_attribute_without_effect_is_accepted_with_a_warning() {
    let text = "
loadBalancers:
- name: a
  type: network
  attributes: {deletion_protection.enabled: 'true'}
targetGroups:
- name: g
  protocol: HTTP
  port: 80
  attributes:
    stickiness.enabled: 'false'
    elbow.connect_failover.enabled: false
";
    let (model, diagnostics) = parse(text, "a.yaml");
    let found: Vec<_> = diagnostics
        .iter()
        .map(|d| (d.severity, d.code, d.line, &d.message[..]))
        .collect();
    let no_effect = |line, message| (Severity::Warning, "no-effect", line, message);
    assert_eq!(
        found,
        [no_effect(
            5,
            "deletion_protection.enabled is accepted, but has no effect"
        ),]
    );
    let model = model.unwrap();
    let attributes = &model.target_groups[0].attributes;
    assert!(!attributes.connect_failover);
    assert_eq!(
        model.load_balancers[0].attributes.raw["deletion_protection.enabled"],
        "true"
    );
}

/// ALB guide, quotas: a target group serves one load balancer.
#[test]
fn a_shared_target_group_is_a_warning() {
    let balancer = |name: &str| {
        format!(
            "- {{name: {name}, type: network, listeners: [{{port: 80, protocol: TCP, defaultActions: \
             [{{type: forward, forwardConfig: {{targetGroups: [{{targetGroup: g}}]}}}}]}}]}}\n"
        )
    };
    let text = format!(
        "loadBalancers:\n{}{}targetGroups: [{{name: g, protocol: TCP, port: 1}}]",
        balancer("a"),
        balancer("b")
    );
    let (model, diagnostics) = parse(&text, "a.yaml");
    assert!(model.is_some());
    assert_eq!(
        diagnostics[0].to_string(),
        "warning[shared-target-group] a.yaml:3:3: target group \"g\" also serves a; on AWS a \
         target group serves one load balancer"
    );
    assert_eq!(diagnostics.len(), 1);
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let (model, diagnostics) = parse(&" ".repeat(MAX_BYTES + 1), "big.yaml");
    assert!(model.is_none());
    assert_eq!(
        diagnostics[0].to_string(),
        "error[too-large] big.yaml: the file has 4194305 bytes; 4194304 are allowed\n  hint: split \
         it, and let several processes serve the parts"
    );
    assert_eq!(too_large(MAX_BYTES as u64, "a"), None);
}

/// Words of the file in any order: they reach more of the parser than arbitrary characters.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(
        &[
            "loadBalancers:",
            "targetGroups:",
            "certificates:",
            "listeners:",
            "rules:",
            "\n",
            "\n  ",
            "- ",
            "name: a",
            "type: application",
            "port: 80",
            "protocol: HTTP",
            "{",
            "}",
            "[",
            "]",
            ", ",
            ": ",
            "&x ",
            "*x",
            "defaultActions:",
            "attributes:",
            "~",
            "\"",
            "'",
            "#",
            "---\n",
            "é",
            "\t",
            "|",
            "? ",
            "!!str ",
            "statusCode: \"404\"",
            "<<: ",
        ][..],
    );
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let (model, diagnostics) = parse(&text, "a.yaml");
        prop_assert_eq!(model.is_none(), diagnostics.iter().any(Diagnostic::is_error));
    }

    #[test]
    fn arbitrary_words_never_panic(text in words()) {
        let (model, diagnostics) = parse(&text, "a.yaml");
        prop_assert_eq!(model.is_none(), diagnostics.iter().any(Diagnostic::is_error));
    }

    #[test]
    fn a_damaged_file_never_panics(from in 0..EXAMPLE.len(), length in 0_usize..80, with in "\\PC{0,4}") {
        let mut text = EXAMPLE.to_owned();
        let to = (from + length).min(text.len());
        if text.is_char_boundary(from) && text.is_char_boundary(to) {
            text.replace_range(from..to, &with);
        }
        let (model, diagnostics) = parse(&text, "a.yaml");
        prop_assert_eq!(model.is_none(), diagnostics.iter().any(Diagnostic::is_error));
    }
}

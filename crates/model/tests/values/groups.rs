//! Target groups and targets.

use elbow_model::*;

use crate::kit::{attributes, faults, group};

fn group_faults(change: impl FnOnce(&mut TargetGroupSpec)) -> Vec<String> {
    let mut spec = group("pods", "HTTP");
    change(&mut spec);
    faults(TargetGroup::new(&spec))
}

#[test]
fn names_ports_and_kinds() {
    let long = "a".repeat(33);
    for name in ["", "a_b", "-a", "a-", "\u{e9}", &long] {
        let found = group_faults(|spec| spec.name = Some(name.to_owned()));
        assert_eq!(found, ["name invalid-name"], "{name}");
    }
    for name in ["a", "A-1", &long[..32]] {
        assert_eq!(
            &*TargetGroup::new(&group(name, "TCP")).value.unwrap().name,
            name
        );
    }
    for port in [0, 65_536, u32::MAX] {
        let found = group_faults(|spec| spec.port = Some(port));
        assert_eq!(found, ["port out-of-range"]);
    }
    for port in [1, 65_535] {
        let mut spec = group("a", "TCP");
        spec.port = Some(port);
        assert_eq!(u32::from(TargetGroup::new(&spec).value.unwrap().port), port);
    }
    assert_eq!(
        faults(TargetGroup::new(&TargetGroupSpec::default())),
        [
            "protocol missing-field",
            "port missing-field",
            "name missing-field"
        ]
    );
    type Row = (fn(&mut TargetGroupSpec), &'static str);
    let table: [Row; 6] = [
        (
            |s| s.protocol = Some("SSL".into()),
            "protocol unknown-value",
        ),
        (
            |s| {
                s.protocol = Some("TLS".into());
                s.target_type = Some("alb".into());
            },
            "protocol invalid-combination",
        ),
        (
            |s| s.target_type = Some("pod".into()),
            "targetType unknown-value",
        ),
        (
            |s| s.target_type = Some("lambda".into()),
            "targetType not-supported",
        ),
        (
            |s| s.protocol_version = Some("2".into()),
            "protocolVersion unknown-value",
        ),
        (
            |s| s.target_control_port = Some(1),
            "targetControlPort not-supported",
        ),
    ];
    for (change, expected) in table {
        assert_eq!(group_faults(change), [expected]);
    }
    let mut spec = group("a", "TCP");
    spec.protocol_version = Some("HTTP1".into());
    assert_eq!(
        faults(TargetGroup::new(&spec)),
        ["protocolVersion invalid-combination"]
    );
    let built = TargetGroup::new(&group("a", "HTTPS")).value.unwrap();
    assert_eq!(built.protocol, Protocol::Https);
    assert_eq!(built.protocol_version, ProtocolVersion::Http1);
    assert_eq!(built.target_type, TargetType::Instance);
}

#[test]
fn targets() {
    let target = |id: &str, port| TargetSpec {
        id: Some(id.to_owned()),
        port,
        ..TargetSpec::default()
    };
    let built = |targets: Vec<TargetSpec>| {
        let spec = TargetGroupSpec {
            targets,
            ..group("a", "TCP")
        };
        TargetGroup::new(&spec)
    };
    let shown = |checked: Checked<TargetGroup>| -> Vec<String> {
        let targets = checked.value.unwrap().targets;
        targets
            .iter()
            .map(|t| format!("{} {}", t.id, t.port))
            .collect()
    };
    let long = format!(
        "{}.{}.{}.{}",
        "a".repeat(63),
        "b".repeat(63),
        "c".repeat(63),
        "d".repeat(61)
    );
    assert_eq!(
        shown(built(vec![
            target("10.0.0.1", None),
            target("10.0.0.1", Some(81)),
            target("::1", None),
            target("a_b.example", None),
            target(&long, None)
        ])),
        [
            "10.0.0.1 80".to_owned(),
            "10.0.0.1 81".into(),
            "::1 80".into(),
            "a_b.example 80".into(),
            format!("{long} 80")
        ]
    );
    for id in [
        "",
        "10.0.0.256",
        "10.0.0.1:80",
        "[::1]",
        "-a",
        "a-",
        "a..b",
        "a b",
        &format!("{}e", long),
        &"a".repeat(64),
        "a.1",
    ] {
        assert_eq!(
            faults(built(vec![target(id, None)])),
            ["targets[0].id invalid-target"],
            "{id}"
        );
    }
    assert_eq!(
        faults(built(vec![
            target("a", None),
            target("b", Some(0)),
            target("a", Some(80)),
            TargetSpec::default()
        ])),
        [
            "targets[1].port out-of-range",
            "targets[2] duplicate-target",
            "targets[3].id missing-field"
        ]
    );
    assert_eq!(
        faults(built(vec![target("::1", None), target("::1", None)])),
        ["targets[1] duplicate-target"]
    );
    let fault = built(vec![target("10.0.0.1:80", None)])
        .value
        .unwrap_err()
        .remove(0);
    assert!(fault.hint.unwrap().contains("port"));
    let alone = Target::new(&target("10.0.0.7", None), 9000).value.unwrap();
    assert_eq!((alone.port, alone.availability_zone), (9000, None));
    let ids = ["10.0.0.7", "pod-0"].map(|id| Target::new(&target(id, None), 1).value.unwrap().id);
    assert_eq!(
        ids,
        [
            TargetId::Ip("10.0.0.7".parse().unwrap()),
            TargetId::Host("pod-0".into())
        ]
    );
}

#[test]
fn zones_of_targets() {
    let zone = |name: &str| {
        let spec = TargetSpec {
            id: Some("10.0.0.1".to_owned()),
            port: None,
            availability_zone: Some(name.to_owned()),
            ..TargetSpec::default()
        };
        Target::new(&spec, 1)
    };
    let long = "z".repeat(63);
    for name in ["us-east-1a", "rack_1.row-2", "7", &long] {
        let zone = zone(name).value.unwrap().availability_zone.unwrap();
        assert_eq!(zone, *name);
        assert_eq!(zone.to_string(), name);
        assert_ne!(zone, *"elsewhere");
    }
    for name in ["", "-a", "a-", "a b", "a/b", &format!("{long}z")] {
        assert_eq!(
            faults(zone(name)),
            ["availabilityZone invalid-name"],
            "{name}"
        );
    }
}

#[test]
fn arns_name_the_account_and_its_region() {
    let account = Account {
        region: "eu-central-1".to_owned(),
        id: "111122223333".to_owned(),
    };
    let group = TargetGroup::new(&group("pods", "TCP")).value.unwrap();
    assert_eq!(
        group.arn(&account),
        format!(
            "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/pods/{}",
            stable_id("pods")
        )
    );
    let certificate = |name| {
        Certificate::new(&crate::kit::certificate(name))
            .value
            .unwrap()
            .arn(&account)
    };
    assert_eq!(
        certificate("demo"),
        "arn:aws:acm:eu-central-1:111122223333:certificate/demo"
    );
    assert_eq!(certificate("arn:aws:acm:x"), "arn:aws:acm:x");
}

#[test]
fn states_are_spelt_as_aws_does() {
    use TargetState::{Draining, Healthy, Initial, Unavailable, Unhealthy, Unused};
    for (state, name, instance) in [
        (Unused, "unused", "Unknown"),
        (Initial, "initial", "OutOfService"),
        (Healthy, "healthy", "InService"),
        (Unhealthy, "unhealthy", "OutOfService"),
        (Draining, "draining", "InService"),
        (Unavailable, "unavailable", "Unknown"),
    ] {
        assert_eq!(
            (state.as_str(), state.as_instance_state()),
            (name, instance)
        );
    }
}

#[test]
fn a_group_with_wrong_attributes_is_refused() {
    let found =
        group_faults(|spec| spec.attributes = attributes(&[("slow_start.duration_seconds", "1")]));
    assert_eq!(
        found,
        ["attributes[slow_start.duration_seconds] out-of-range"]
    );
}

#[test]
fn quic_server_ids_of_targets() {
    let checked = |protocol: &str, ids: &[Option<&str>]| {
        let target = |(i, id): (usize, &Option<&str>)| TargetSpec {
            id: Some(format!("10.0.0.{i}")),
            quic_server_id: id.map(str::to_owned),
            ..TargetSpec::default()
        };
        TargetGroup::new(&TargetGroupSpec {
            targets: ids.iter().enumerate().map(target).collect(),
            ..group("a", protocol)
        })
    };
    let (a, b) = (Some("0x00000000000000a1"), Some("0xffffffffffffffff"));
    for protocol in ["QUIC", "TCP_QUIC"] {
        let built = checked(protocol, &[a, b]);
        assert!(built.warnings.is_empty());
        let targets = built.value.unwrap().targets;
        let ids: Vec<_> = targets.iter().map(|one| one.quic_server_id).collect();
        assert_eq!(
            ids,
            [Some(QuicServerId(0xa1)), Some(QuicServerId(u64::MAX))]
        );
        assert_eq!(ids[0].unwrap().to_string(), "0x00000000000000a1");
    }
    // AWS asks for an ID. The pods of a manifest have none that elbow knows.
    let without = checked("QUIC", &[a, None]);
    assert_eq!(without.warnings[0].code, "not-supported");
    assert!(without.value.is_ok());
    assert_eq!(
        faults(checked("QUIC", &[a, a])),
        ["targets[1].quicServerId duplicate-target"]
    );
    assert_eq!(
        faults(checked("UDP", &[a])),
        ["targets[0].quicServerId invalid-combination"]
    );
    for wrong in [
        "",
        "0x1",
        "00000000000000a1",
        "0x00000000000000A1",
        "0x+0000000000000a1",
    ] {
        assert_eq!(
            faults(checked("QUIC", &[Some(wrong)])),
            ["targets[0].quicServerId out-of-range"],
            "{wrong}"
        );
    }
}

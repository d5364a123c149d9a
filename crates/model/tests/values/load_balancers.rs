//! Load balancers, security groups, zones and whole models.

use std::sync::Arc;

use elbow_model::*;

use crate::kit::{
    attributes, balancer, certificate, faults, group, listener, scope, texts, tls_listener,
    warnings,
};

fn refused(change: impl FnOnce(&mut LoadBalancerSpec)) -> Vec<String> {
    let mut spec = balancer("network", Vec::new());
    change(&mut spec);
    faults(LoadBalancer::new(&spec, &scope()))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn names_kinds_and_addresses() {
    assert_eq!(
        faults(LoadBalancer::new(&LoadBalancerSpec::default(), &scope())),
        ["type missing-field", "name missing-field"]
    );
    assert_eq!(refused(|lb| lb.name = some("a_b")), ["name invalid-name"]);
    assert_eq!(
        refused(|lb| lb.kind = some("aplication")),
        ["type unknown-value"]
    );
    assert_eq!(
        refused(|lb| lb.scheme = some("public")),
        ["scheme unknown-value"]
    );
    assert_eq!(
        refused(|lb| lb.ip_address_type = some("ipv6")),
        ["ipAddressType unknown-value"]
    );
    assert_eq!(
        refused(|lb| lb.addresses = texts(&["localhost", "::1"])),
        [
            "addresses[0] invalid-address",
            "addresses[1] invalid-combination"
        ]
    );
    let mut spec = balancer("application", Vec::new());
    spec.ip_address_type = some("dualstack");
    spec.scheme = some("internal");
    spec.addresses = texts(&["::1", "127.0.0.1"]);
    let built = LoadBalancer::new(&spec, &scope()).value.unwrap();
    assert_eq!(
        (built.scheme, built.ip_address_type),
        (Scheme::Internal, IpAddressType::Dualstack)
    );
    assert_eq!(built.addresses.len(), 2);
    let default = LoadBalancer::new(&balancer("network", Vec::new()), &scope())
        .value
        .unwrap();
    assert_eq!(
        (default.scheme, default.ip_address_type),
        (Scheme::InternetFacing, IpAddressType::Ipv4)
    );
    assert_eq!(
        refused(|lb| lb.attributes = attributes(&[("tcp.idle_timeout.seconds", "1")])),
        ["attributes[tcp.idle_timeout.seconds] out-of-range"]
    );
}

/// Access logs and DNS names: shapes of the guides.
#[test]
fn identities_depend_on_the_name_alone() {
    let of = |kind: &str, scheme: &str| {
        let mut spec = balancer(kind, Vec::new());
        (spec.name, spec.scheme) = (some("Web"), some(scheme));
        LoadBalancer::new(&spec, &scope()).value.unwrap()
    };
    let id = stable_id("Web");
    assert_eq!(id.len(), 16);
    assert_ne!(id, stable_id("web"));
    assert_eq!(stable_id(""), "cbf29ce484222325", "FNV-1a");
    assert_eq!(
        of("application", "internal").resource_id(),
        format!("app/Web/{id}")
    );
    assert_eq!(
        of("network", "internal").resource_id(),
        format!("net/Web/{id}")
    );
    let zone = DnsZone {
        account: Account {
            region: "eu-central-1".to_owned(),
            ..Account::default()
        },
        suffix: "test".to_owned(),
        ..DnsZone::default()
    };
    assert_eq!(
        of("network", "internal").dns_name(&zone),
        format!("web-{id}.elb.eu-central-1.test")
    );
    let host = of("application", "internet-facing").dns_name(&zone);
    let digits = host
        .strip_prefix("web-")
        .and_then(|host| host.strip_suffix(".eu-central-1.elb.test"))
        .unwrap();
    assert!(
        digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit()),
        "{host}"
    );
    assert_eq!(
        of("classic", "internal").dns_name(&zone),
        format!("internal-{host}")
    );
}

#[test]
fn security_groups() {
    let permission =
        |protocol: &str, ports: Option<(u32, u32)>, v4: &[&str], v6: &[&str]| PermissionSpec {
            ip_protocol: some(protocol),
            from_port: ports.map(|(from, _)| from),
            to_port: ports.map(|(_, to)| to),
            ip_ranges: v4.iter().map(|block| some(block)).collect(),
            ipv6_ranges: v6.iter().map(|block| some(block)).collect(),
        };
    let of = |ingress: PermissionSpec| {
        SecurityGroup::new(&SecurityGroupSpec {
            group_name: some("web"),
            ingress: vec![ingress],
        })
    };
    let built = of(permission(
        "tcp",
        Some((0, 65_535)),
        &["10.0.0.0/8"],
        &["::/0"],
    ))
    .value
    .unwrap();
    assert_eq!(built.ingress[0].ports, 0..=65_535);
    assert_eq!(built.ingress[0].sources.len(), 2);
    let all = of(permission("-1", None, &["10.0.0.0/8"], &[]))
        .value
        .unwrap();
    assert_eq!(
        (all.ingress[0].protocol, all.ingress[0].ports.clone()),
        (IpProtocol::All, 0..=65_535)
    );
    for (spec, expected) in [
        (
            permission("gre", Some((1, 1)), &[], &[]),
            "ingress[0].ipProtocol unknown-value",
        ),
        (
            PermissionSpec::default(),
            "ingress[0].ipProtocol missing-field",
        ),
        (
            permission("udp", None, &[], &[]),
            "ingress[0].fromPort missing-field",
        ),
        (
            permission("tcp", Some((2, 1)), &[], &[]),
            "ingress[0].toPort out-of-range",
        ),
        (
            permission("tcp", Some((65_536, 65_536)), &[], &[]),
            "ingress[0].fromPort out-of-range",
        ),
        (
            permission("icmp", None, &["::/0"], &[]),
            "ingress[0].ipRanges[0].cidrIP invalid-cidr",
        ),
        (
            permission("icmp", None, &[], &["10.0.0.0/8"]),
            "ingress[0].ipv6Ranges[0].cidrIPv6 invalid-cidr",
        ),
        (
            permission("icmp", None, &["10.0.0.0"], &[]),
            "ingress[0].ipRanges[0].cidrIP invalid-cidr",
        ),
        (
            PermissionSpec {
                ip_ranges: vec![None],
                ..permission("icmp", None, &[], &[])
            },
            "ingress[0].ipRanges[0].cidrIP missing-field",
        ),
    ] {
        assert_eq!(faults(of(spec)), [expected]);
    }
    assert_eq!(
        faults(SecurityGroup::new(&SecurityGroupSpec::default())),
        ["groupName missing-field"]
    );
    let mut spec = balancer(
        "network",
        vec![listener(80, "TCP", ActionSpec::forward("tcp"))],
    );
    spec.security_groups = vec![SecurityGroupSpec {
        group_name: some("web"),
        ingress: vec![permission("tcp", Some((80, 80)), &["10.0.0.0/8"], &[])],
    }];
    let built = LoadBalancer::new(&spec, &scope()).value.unwrap();
    let sources = built.sources(Transport::Tcp, 80).unwrap();
    assert!(
        sources.contains("10.1.2.3".parse().unwrap())
            && !sources.contains("11.0.0.1".parse().unwrap())
    );
    assert_eq!(
        refused(|lb| lb.security_groups = vec![SecurityGroupSpec::default()]),
        ["securityGroups[0].groupName missing-field"]
    );
}

/// `DescribeLoadBalancers`, AvailabilityZones.
#[test]
fn zones_of_nodes() {
    let zone = |name: Option<&str>, addresses: &[&str]| ZoneSpec {
        zone_name: name.map(str::to_owned),
        subnet_id: some("subnet-a"),
        load_balancer_addresses: addresses
            .iter()
            .map(|ip| LoadBalancerAddressSpec {
                ip_address: some(ip),
            })
            .collect(),
    };
    let mut spec = balancer("network", Vec::new());
    spec.availability_zones = vec![
        zone(Some("us-east-1a"), &["10.0.0.1", "::1"]),
        zone(Some("us-east-1b"), &[]),
    ];
    let built = LoadBalancer::new(&spec, &scope()).value.unwrap();
    let shown: Vec<_> = built
        .zones
        .iter()
        .map(|z| (z.name.to_string(), z.subnet.as_deref(), z.addresses.len()))
        .collect();
    assert_eq!(
        shown,
        [
            ("us-east-1a".to_owned(), Some("subnet-a"), 2),
            ("us-east-1b".to_owned(), Some("subnet-a"), 0)
        ]
    );
    for (zones, expected) in [
        (
            vec![zone(None, &[])],
            "availabilityZones[0].zoneName missing-field",
        ),
        (
            vec![zone(Some(""), &[])],
            "availabilityZones[0].zoneName invalid-name",
        ),
        (
            vec![zone(Some("a"), &[]), zone(Some("a"), &[])],
            "availabilityZones[1].zoneName duplicate-zone",
        ),
        (
            vec![zone(Some("a"), &["x"])],
            "availabilityZones[0].loadBalancerAddresses[0].ipAddress invalid-address",
        ),
        (
            vec![
                zone(Some("a"), &["10.0.0.1"]),
                zone(Some("b"), &["10.0.0.1"]),
            ],
            "availabilityZones[1].loadBalancerAddresses[0] address-in-use",
        ),
        (
            vec![ZoneSpec {
                load_balancer_addresses: vec![LoadBalancerAddressSpec::default()],
                ..zone(Some("a"), &[])
            }],
            "availabilityZones[0].loadBalancerAddresses[0].ipAddress missing-field",
        ),
    ] {
        assert_eq!(refused(|lb| lb.availability_zones = zones), [expected]);
    }
}

fn named(name: &str, address: &str, action: ActionSpec) -> LoadBalancerSpec {
    let mut spec = balancer("application", vec![listener(80, "HTTP", action)]);
    spec.name = some(name);
    spec.addresses = texts(&[address]);
    spec
}

fn model() -> ModelSpec {
    ModelSpec {
        load_balancers: vec![
            named("a", "127.0.0.1", ActionSpec::forward("g")),
            named("b", "127.0.0.2", ActionSpec::forward("h")),
        ],
        target_groups: vec![group("g", "HTTP"), group("h", "HTTP")],
        certificates: vec![certificate("c")],
        ..ModelSpec::default()
    }
}

#[test]
fn names_of_a_model_are_unique() {
    let built = Model::new(&model()).value.unwrap();
    assert_eq!(built.target_group("h").map(|g| &*g.name), Some("h"));
    assert_eq!(built.certificate("c").map(|c| &*c.name), Some("c"));
    assert!(built.target_group("x").is_none() && built.certificate("x").is_none());
    let mut twice = model();
    twice.load_balancers[1].name = some("a");
    twice.target_groups.push(group("g", "TCP"));
    twice.certificates.push(certificate("c"));
    assert_eq!(
        faults(Model::new(&twice)),
        [
            "targetGroups[2].name duplicate-name",
            "certificates[1].name duplicate-name",
            "loadBalancers[1].name duplicate-name"
        ]
    );
}

#[test]
fn a_group_that_is_refused_is_no_unknown_one() {
    let mut spec = model();
    spec.target_groups[0].port = None;
    spec.certificates[0].self_signed = None;
    spec.load_balancers
        .push(named("c", "127.0.0.3", ActionSpec::forward("pots")));
    spec.load_balancers[1].listeners = vec![ListenerSpec {
        certificates: Some(texts(&["c"])),
        ..tls_listener("HTTPS", ActionSpec::forward("h"))
    }];
    assert_eq!(
        faults(Model::new(&spec)),
        [
            "targetGroups[0].port missing-field",
            "certificates[0].certificateFile missing-field",
            "loadBalancers[2].listeners[0].defaultActions[0].forwardConfig.targetGroups[0].targetGroup unknown-target-group"
        ]
    );
}

#[test]
fn a_socket_belongs_to_one_load_balancer() {
    let mut spec = model();
    spec.load_balancers[1].addresses = texts(&["127.0.0.1"]);
    let fault = Model::new(&spec).value.unwrap_err().remove(0);
    assert_eq!(
        fault.to_string(),
        "loadBalancers[1].addresses[0]: socket 127.0.0.1:80 is already given by loadBalancers[0].addresses[0]"
    );
    spec.load_balancers[1].listeners[0].port = Some(81);
    assert!(Model::new(&spec).value.is_ok());
    for lb in &mut spec.load_balancers {
        (lb.addresses, lb.ip_address_type) = (texts(&["::1"]), some("dualstack"));
        lb.listeners[0].port = Some(80);
    }
    assert!(
        Model::new(&spec).value.unwrap_err()[0]
            .reason
            .contains("[::1]:80")
    );
}

/// ALB guide, quotas: a target group serves one load balancer.
#[test]
fn a_shared_group_is_warned_of() {
    let mut spec = model();
    spec.load_balancers[1].listeners[0].default_actions = Some(vec![ActionSpec::forward("g")]);
    assert_eq!(
        warnings(Model::new(&spec)),
        ["loadBalancers[1] shared-target-group"]
    );
    assert!(warnings(Model::new(&model())).is_empty());
}

#[test]
fn values_that_were_built_apart_make_a_model() {
    let built = Model::new(&model()).value.unwrap();
    let Model {
        load_balancers: balancers,
        target_groups: groups,
        certificates,
        ..
    } = built.clone();
    let again = Model::of(balancers.clone(), groups.clone(), certificates.clone());
    assert_eq!(again.value.unwrap(), built);
    let lost = Model::of(
        balancers.clone(),
        vec![Arc::clone(&groups[0])],
        certificates.clone(),
    );
    assert_eq!(faults(lost), ["loadBalancers[1] unknown-target-group"]);
    let twice = Model::of(
        vec![Arc::clone(&balancers[0]); 2],
        [&groups[..], &groups[..1]].concat(),
        [&certificates[..], &certificates[..]].concat(),
    );
    assert_eq!(
        faults(twice),
        [
            "loadBalancers[1].name duplicate-name",
            "targetGroups[2].name duplicate-name",
            "certificates[1].name duplicate-name",
            "loadBalancers[1].addresses[0] address-in-use"
        ]
    );
    // The groups that instances of a Classic one form are declared nowhere.
    let mut classic = balancer("classic", Vec::new());
    classic.listeners = vec![ListenerSpec {
        port: Some(80),
        protocol: some("TCP"),
        instance_port: Some(1),
        ..ListenerSpec::default()
    }];
    let classic = LoadBalancer::new(&classic, &scope()).value.unwrap();
    assert!(
        Model::of(vec![Arc::new(classic)], Vec::new(), Vec::new())
            .value
            .is_ok()
    );
}

#[test]
fn other_certificates_take_the_place_of_those_of_their_name() {
    let spec = balancer(
        "application",
        vec![
            tls_listener("HTTPS", ActionSpec::fixed_response(404)),
            listener(80, "HTTP", ActionSpec::fixed_response(404)),
        ],
    );
    let mut built = Arc::new(LoadBalancer::new(&spec, &scope()).value.unwrap());
    let before = Arc::clone(&built);
    built.replace_certificates(|_| None);
    assert!(Arc::ptr_eq(&before, &built));
    let same = Arc::clone(&built.listeners[0].certificates[0]);
    built.replace_certificates(|_| Some(&same));
    assert!(Arc::ptr_eq(&before, &built));
    let other = Arc::new(Certificate::new(&certificate("demo")).value.unwrap());
    built.replace_certificates(|name| (name == "demo").then_some(&other));
    assert!(Arc::ptr_eq(&built.listeners[0].certificates[0], &other));
    assert!(!Arc::ptr_eq(&before, &built));
}

#[test]
fn every_name_is_spelt_as_it_is_read() {
    fn check<T: Copy + PartialEq + std::fmt::Debug>(
        names: &[(&'static str, T)],
        spelling: fn(T) -> &'static str,
    ) {
        for (name, value) in names {
            assert_eq!(spelling(*value), *name);
        }
    }
    check(LoadBalancerType::NAMES, LoadBalancerType::as_str);
    check(Scheme::NAMES, Scheme::as_str);
    check(IpAddressType::NAMES, IpAddressType::as_str);
    check(Protocol::NAMES, Protocol::as_str);
    check(AlpnPolicy::NAMES, AlpnPolicy::as_str);
    check(TargetType::NAMES, TargetType::as_str);
    check(ProtocolVersion::NAMES, ProtocolVersion::as_str);
    check(HealthCheckProtocol::NAMES, HealthCheckProtocol::as_str);
    check(IpProtocol::NAMES, IpProtocol::as_str);
    check(RedirectStatus::NAMES, RedirectStatus::as_str);
    assert_eq!(
        BackendServerPolicy::ProxyProtocol.as_str(),
        "k8s-proxyprotocol-enabled"
    );
    let tls: Vec<_> = Protocol::NAMES
        .iter()
        .filter(|(_, p)| p.is_tls())
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(tls, ["HTTPS", "TLS", "SSL"]);
}

// Parity 3.1.
#[test]
fn quic_listeners_stand_alone() {
    let quic = |port| listener(port, "QUIC", ActionSpec::forward("quic"));
    let with = |others: Vec<ListenerSpec>, change: fn(&mut LoadBalancerSpec)| {
        let listeners = std::iter::once(quic(443)).chain(others).collect();
        let mut spec = balancer("network", listeners);
        change(&mut spec);
        faults(LoadBalancer::new(&spec, &scope()))
    };
    let tcp = || listener(443, "TCP", ActionSpec::forward("tcp"));
    let udp = listener(53, "UDP", ActionSpec::forward("both"));
    assert!(with(vec![tcp()], |_| {}).is_empty());
    let refused = ["listeners invalid-combination"];
    assert_eq!(with(vec![quic(444)], |_| {}), refused);
    assert_eq!(with(vec![udp], |_| {}), refused);
    let dualstack = with(Vec::new(), |lb| lb.ip_address_type = some("dualstack"));
    assert_eq!(dualstack, refused);
    let guarded = with(Vec::new(), |lb| {
        lb.security_groups = vec![SecurityGroupSpec {
            group_name: some("web"),
            ..SecurityGroupSpec::default()
        }];
    });
    assert_eq!(guarded, refused);
    assert_eq!(
        faults(LoadBalancer::new(
            &balancer(
                "network",
                vec![listener(443, "QUIC", ActionSpec::forward("both"))]
            ),
            &scope()
        )),
        [
            "listeners[0].defaultActions[0].forwardConfig.targetGroups[0].targetGroup invalid-combination"
        ]
    );
}

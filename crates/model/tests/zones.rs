//! Nodes of load balancers in zones.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use elbow_model::addresses::{Addresses, Ipv4Net, PoolFull, Preferred, assign};
use elbow_model::{
    DnsZone, LoadBalancer, LoadBalancerAddressSpec, LoadBalancerSpec, LoadBalancerType, Model,
    Protocol, TargetGroup, TargetGroupAttributes, TargetGroupSpec, Zone, ZoneName, ZoneSpec,
};

const POOL: &str = "127.0.10.0/28";

/// A load balancer in these zones; `zone=address` gives its node an address.
fn balancer(
    name: &str,
    kind: LoadBalancerType,
    zones: &[&str],
    addresses: &[&str],
) -> Arc<LoadBalancer> {
    let zone = |zone: &&str| {
        let (name, address) = zone.split_once('=').unwrap_or((zone, ""));
        let address = (!address.is_empty()).then(|| LoadBalancerAddressSpec {
            ip_address: Some(address.to_owned()),
        });
        ZoneSpec {
            zone_name: Some(name.to_owned()),
            load_balancer_addresses: address.into_iter().collect(),
            ..ZoneSpec::default()
        }
    };
    let spec = LoadBalancerSpec {
        name: Some(name.to_owned()),
        kind: Some(kind.as_str().to_owned()),
        ip_address_type: Some("dualstack".to_owned()),
        addresses: addresses.iter().map(|ip| (*ip).to_owned()).collect(),
        availability_zones: zones.iter().map(zone).collect(),
        ..LoadBalancerSpec::default()
    };
    Arc::new(
        LoadBalancer::new(&spec, &elbow_model::Scope::default())
            .value
            .unwrap(),
    )
}

fn nlb(name: &str, zones: &[&str]) -> Arc<LoadBalancer> {
    balancer(name, LoadBalancerType::Network, zones, &[])
}

fn assigned(
    balancers: &[&Arc<LoadBalancer>],
    pool: &str,
    before: &Addresses,
) -> Result<Addresses, PoolFull> {
    let mut model = Model::default();
    model.load_balancers = balancers.iter().map(|one| Arc::clone(one)).collect();
    let held = |name: &str| before.get(name).map(Vec::as_slice);
    assign(&model, pool.parse().unwrap(), &Preferred::default(), held)
}

fn zones_of(balancer: &LoadBalancer, all: &[IpAddr]) -> Vec<Option<String>> {
    let name = |zone: &Zone| zone.name.to_string();
    all.iter()
        .map(|ip| balancer.zone_at(*ip, all).map(name))
        .collect()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn each_zone_has_an_address_of_its_own() {
    let none = Addresses::new();
    let (one, three) = (nlb("web", &[]), nlb("web", &["a", "b", "c"]));
    let classic = balancer("old", LoadBalancerType::Classic, &["a", "b"], &[]);
    let counts = [&one, &three, &classic].map(|balancer| balancer.pool_addresses());
    assert_eq!(counts, [1, 3, 1]);
    let all = assigned(&[&three, &classic], POOL, &none).unwrap();
    assert_eq!((all["web"].len(), all["old"].len()), (3, 1));
    assert_eq!(all["web"].iter().collect::<HashSet<_>>().len(), 3);
    assert_eq!(
        zones_of(&three, &all["web"]),
        ["a", "b", "c"].map(|zone| Some(zone.to_owned()))
    );
    assert_eq!(zones_of(&classic, &all["old"]), [None]);
    // The first address is the one that a load balancer without zones has.
    let alone = assigned(&[&one], POOL, &none).unwrap();
    assert_eq!(alone["web"], all["web"][..1]);
    assert_eq!(
        assigned(&[&three, &classic], POOL, &none),
        Ok(all),
        "a restart keeps them"
    );
}

#[test]
fn addresses_of_zones_are_kept() {
    let pool = "127.0.10.0/29";
    let three = nlb("web", &["a", "b", "c"]);
    let before = assigned(&[&three], pool, &Addresses::new()).unwrap();
    // Of six addresses three are taken; each of these names would lead to one of the six.
    for name in ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"] {
        let all = assigned(&[&nlb(name, &[]), &three], pool, &before).unwrap();
        assert_eq!(all["web"], before["web"], "{name}");
    }
    let two = assigned(&[&nlb("web", &["a", "b"])], pool, &before).unwrap();
    assert_eq!(two["web"], before["web"][..2]);
    let elsewhere = assigned(&[&three], "127.0.11.0/28", &before).unwrap();
    let range: Ipv4Net = "127.0.11.0/28".parse().unwrap();
    assert!(
        elsewhere["web"]
            .iter()
            .all(|ip| elbow_model::addresses::is_host(range, *ip))
    );
}

#[test]
fn further_zones_get_what_others_leave_over() {
    let pool = "127.0.10.0/29";
    let web = nlb("web", &["a", "b", "c"]);
    let before = assigned(&[&web], pool, &Addresses::new()).unwrap();
    let others: Vec<_> = (0..5).map(|n| nlb(&format!("n{n}"), &[])).collect();
    let mut balancers: Vec<_> = others.iter().collect();
    balancers.push(&web);
    let all = assigned(&balancers, pool, &before).unwrap();
    assert_eq!(all["web"], before["web"][..1], "the node of zone a stays");
    let first: HashSet<_> = all.values().map(|addresses| addresses[0]).collect();
    assert_eq!(first.len(), 6);
    let four = assigned(&balancers[1..], pool, &before).unwrap();
    assert_eq!(four["web"].len(), 2);
}

#[test]
fn explicit_addresses_belong_to_zones() {
    let network = LoadBalancerType::Network;
    let some = |zone: &str| Some(zone.to_owned());
    // Those of zones are listened on.
    let own = balancer("web", network, &["a=127.0.0.5", "b=127.0.0.6"], &[]);
    assert_eq!(own.addresses, ips(&["127.0.0.5", "127.0.0.6"]));
    assert_eq!(own.pool_addresses(), 0);
    assert_eq!(zones_of(&own, &own.addresses), [some("a"), some("b")]);
    // Others fill the zones without one, in order; IPv6 is of no zone.
    let mixed = balancer(
        "web",
        network,
        &["a", "b=127.0.0.6", "c"],
        &["::1", "127.0.0.7", "127.0.0.8", "127.0.0.9"],
    );
    assert_eq!(
        mixed.addresses,
        ips(&["::1", "127.0.0.7", "127.0.0.8", "127.0.0.9", "127.0.0.6"])
    );
    assert_eq!(
        zones_of(&mixed, &mixed.addresses),
        [None, some("a"), some("c"), None, some("b")]
    );
    let classic = balancer(
        "old",
        LoadBalancerType::Classic,
        &["a=127.0.0.5"],
        &["127.0.0.6"],
    );
    assert_eq!(classic.addresses, ips(&["127.0.0.6"]));
    assert_eq!(zones_of(&classic, &classic.addresses), [None]);
}

/// ELB guide, how it works: an ALB crosses zones, an NLB does not; a target group can say otherwise.
#[test]
fn group_or_load_balancer_says_whether_zones_are_crossed() {
    let crosses = |kind, of_balancer: &str, of_group: &str| {
        let mut balancer = LoadBalancer::clone(&balancer("web", kind, &["a"], &[]));
        let key = "load_balancing.cross_zone.enabled";
        let attributes = |text: &str| {
            let pair = (key.to_owned(), text.to_owned());
            Some(pair)
                .filter(|_| !text.is_empty())
                .into_iter()
                .collect()
        };
        let given = attributes(of_balancer);
        balancer.attributes = elbow_model::LoadBalancerAttributes::new(kind, &given)
            .value
            .unwrap();
        let spec = TargetGroupSpec {
            name: Some("g".to_owned()),
            protocol: Some("HTTP".to_owned()),
            port: Some(80),
            attributes: attributes(of_group),
            ..TargetGroupSpec::default()
        };
        balancer.crosses_zones(&TargetGroup::new(&spec).value.unwrap())
    };
    let (alb, nlb) = (LoadBalancerType::Application, LoadBalancerType::Network);
    for (kind, of_balancer, of_group, expected) in [
        (alb, "", "", true),
        (alb, "true", "use_load_balancer_configuration", true),
        (alb, "", "false", false),
        (nlb, "", "", false),
        (nlb, "", "use_load_balancer_configuration", false),
        (nlb, "true", "", true),
        (nlb, "true", "false", false),
        (nlb, "", "true", true),
        (nlb, "false", "true", true),
    ] {
        let found = crosses(kind, of_balancer, of_group);
        assert_eq!(found, expected, "{kind:?} {of_balancer} {of_group}");
    }
}

#[test]
fn zonal_names_begin_with_the_zone() {
    let zone = ZoneName::new("Rack-1").value.unwrap();
    let web = nlb("web", &["Rack-1"]);
    let (whole, zonal) = (
        web.dns_name(&DnsZone::default()),
        web.zonal_dns_name(&zone, &DnsZone::default()),
    );
    assert_eq!(zonal, format!("rack-1.{whole}"));
}

#[test]
fn thresholds_of_dns_and_routing_differ() {
    let key =
        |of: &str, part: &str| format!("target_group_health.{of}.minimum_healthy_targets.{part}");
    let given = [
        (key("dns_failover", "count"), "3".to_owned()),
        (key("dns_failover", "percentage"), "60".to_owned()),
        (key("unhealthy_state_routing", "count"), "2".to_owned()),
    ];
    let found = TargetGroupAttributes::new(Protocol::Tcp, &given.into())
        .value
        .unwrap();
    let limits = |minimum: elbow_model::MinimumHealthy| (minimum.count, minimum.percentage);
    assert_eq!(limits(found.dns_failover), (3, 60));
    assert_eq!(limits(found.minimum_healthy), (2, 0));
    let off = [(key("dns_failover", "count"), "off".to_owned())];
    let found = TargetGroupAttributes::new(Protocol::Tcp, &off.into())
        .value
        .unwrap();
    assert_eq!(
        (limits(found.dns_failover), limits(found.minimum_healthy)),
        ((0, 0), (1, 0))
    );
    assert!(found.dns_failover.is_met(0, 7));
}

//! Where load balancers listen that say nothing of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use elbow_model::addresses::*;
use elbow_model::{ActionSpec, ListenerSpec, LoadBalancerSpec, Model, ModelSpec};
use proptest::prelude::*;

/// A model of load balancers with these names, which listen on port 80; `name=address` has an address of its own,
/// `name:port` listens on another port.
fn model(names: &[impl AsRef<str>]) -> Model {
    let balancer = |name: &str| {
        let (name, address) = name.split_once('=').unwrap_or((name, ""));
        let (name, port) = name.split_once(':').unwrap_or((name, "80"));
        LoadBalancerSpec {
            name: Some(name.to_owned()),
            kind: Some("application".to_owned()),
            addresses: (!address.is_empty())
                .then(|| address.to_owned())
                .into_iter()
                .collect(),
            listeners: vec![ListenerSpec {
                port: port.parse().ok(),
                protocol: Some("HTTP".to_owned()),
                default_actions: Some(vec![ActionSpec::fixed_response(200)]),
                ..ListenerSpec::default()
            }],
            ..LoadBalancerSpec::default()
        }
    };
    let spec = ModelSpec {
        load_balancers: names.iter().map(|name| balancer(name.as_ref())).collect(),
        ..ModelSpec::default()
    };
    Model::new(&spec).value.unwrap()
}

fn assigned(names: &[&str], pool: &str) -> Result<Addresses, PoolFull> {
    assign(
        &model(names),
        pool.parse().unwrap(),
        &Preferred::default(),
        |_| None,
    )
}

#[test]
fn the_name_decides() {
    let alone = assigned(&["minio-nlb"], "127.0.10.0/24").unwrap();
    let among = assigned(&["console", "minio-alb", "minio-nlb"], "127.0.10.0/24").unwrap();
    assert_eq!(alone["minio-nlb"], among["minio-nlb"]);
    assert_eq!(alone["minio-nlb"].len(), 1);
}

#[test]
fn given_addresses_stay_and_are_not_given_twice() {
    let all = assigned(&["a", "b", "c=127.0.10.1", "d=10.0.0.1"], "127.0.10.0/30");
    let error = all.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the address pool 127.0.10.0/30 has no address left for load balancer b, and its ports are taken on every address"
    );
    let error = assigned(&["a", "d", "c", "b"], "127.0.10.0/30").unwrap_err();
    assert_eq!(
        error.load_balancers,
        ["c".into(), "d".into()] as [Arc<str>; 2]
    );
    assert!(error.to_string().contains("load balancer c and 1 more, "));
    let all = assigned(&["a", "c=127.0.10.1", "d=10.0.0.1"], "127.0.10.0/30").unwrap();
    let shown: Vec<_> = all.iter().map(|(n, a)| format!("{n} {a:?}")).collect();
    assert_eq!(shown, ["a [127.0.10.2]", "c [127.0.10.1]", "d [10.0.0.1]"]);
}

#[test]
fn small_pools_have_no_network_or_broadcast_to_leave_out() {
    for (pool, room) in [
        ("127.0.0.7/32", 1),
        ("127.0.0.6/31", 2),
        ("127.0.0.4/30", 2),
    ] {
        let names = ["a", "b", "c"];
        assert!(assigned(&names[..room], pool).is_ok(), "{pool}");
        assert!(assigned(&names[..room + 1], pool).is_err(), "{pool}");
    }
}

#[test]
fn an_address_is_kept_when_a_name_comes_that_would_take_it() {
    let pool = "127.0.10.0/30".parse().unwrap();
    let before = assign(&model(&["z"]), pool, &Preferred::default(), |_| None).unwrap();
    for other in ["a", "b", "c", "d", "e"] {
        let after = assign(&model(&[other, "z"]), pool, &Preferred::default(), |name| {
            before.get(name).map(Vec::as_slice)
        })
        .unwrap();
        assert_eq!(after["z"], before["z"]);
    }
    let elsewhere = "127.0.11.0/30".parse().unwrap();
    let after = assign(&model(&["z"]), elsewhere, &Preferred::default(), |name| {
        before.get(name).map(Vec::as_slice)
    })
    .unwrap();
    assert_ne!(after["z"], before["z"], "it is not of the pool");
}

/// The pool of a machine is its one address.
#[test]
fn those_whose_ports_differ_share_when_no_address_is_left() {
    let all = assigned(&["a", "b:443", "c:9000"], "10.0.0.7/32").unwrap();
    let here: Vec<IpAddr> = vec![Ipv4Addr::new(10, 0, 0, 7).into()];
    assert!(all.values().all(|addresses| *addresses == here), "{all:?}");
    let error = assigned(&["a", "b:443", "c:443"], "10.0.0.7/32").unwrap_err();
    assert_eq!(error.load_balancers, ["c".into()] as [Arc<str>; 1]);
    let apart = assigned(&["a", "b:443"], "10.0.0.6/31").unwrap();
    assert_ne!(apart["a"], apart["b"], "nobody shares while there is room");
}

/// Two names that lead to the same address of the pool: the one that comes first has it.
fn collision(pool: Ipv4Net) -> [String; 2] {
    let home = |name: &str| assign(&model(&[name]), pool, &Preferred::default(), |_| None);
    let home = |name: &str| home(name).unwrap()[name][0];
    let mut other = (0..).map(|n| format!("n{n}"));
    let other = other.find(|name| home(name) == home("z"));
    [other.unwrap(), "z".to_owned()]
}

fn preferred(addresses: &[(&str, IpAddr)], moves: bool) -> Preferred {
    let addresses = addresses.iter();
    Preferred {
        addresses: addresses.map(|(name, ip)| ((*name).into(), *ip)).collect(),
        moves,
    }
}

#[test]
fn colliding_names_do_not_swap_when_the_addresses_are_known() {
    let pool = DEFAULT_POOL;
    let [a, z] = collision(pool);
    let both = model(&[&a, &z]);
    let by_name = assign(&both, pool, &Preferred::default(), |_| None).unwrap();
    // The later name came first, so each has the address that the other gets by name.
    let (of_a, of_z) = (by_name[&*z][0], by_name[&*a][0]);
    for known in [
        preferred(&[(&a, of_a), (&z, of_z)], false),
        // The one that is not at home is enough.
        preferred(&[(&a, of_a)], false),
    ] {
        let kept = assign(&both, pool, &known, |_| None).unwrap();
        assert_eq!((kept[&*a][0], kept[&*z][0]), (of_a, of_z));
    }
    // What serves stays, unless it is to move.
    let before = |name: &str| by_name.get(name).map(Vec::as_slice);
    let stay = preferred(&[(&a, of_a), (&z, of_z)], false);
    assert_eq!(assign(&both, pool, &stay, before).unwrap(), by_name);
    let follow = Preferred {
        moves: true,
        ..stay
    };
    let moved = assign(&both, pool, &follow, before).unwrap();
    assert_eq!((moved[&*a][0], moved[&*z][0]), (of_a, of_z));
}

#[test]
fn preferred_address_must_be_free_and_of_the_pool() {
    let pool = "127.0.10.0/29".parse().unwrap();
    let by_name = assigned(&["a", "b"], "127.0.10.0/29").unwrap();
    let far: IpAddr = Ipv4Addr::new(10, 0, 0, 1).into();
    let broadcast: IpAddr = Ipv4Addr::new(127, 0, 10, 7).into();
    for useless in [far, broadcast, "::1".parse().unwrap()] {
        let found = assign(
            &model(&["a", "b"]),
            pool,
            &preferred(&[("a", useless)], true),
            |_| None,
        );
        assert_eq!(found.unwrap(), by_name);
    }
    // Two load balancers with the same ports cannot have the same address; the first by name gets it.
    let one: IpAddr = Ipv4Addr::new(127, 0, 10, 3).into();
    let same = preferred(&[("a", one), ("b", one)], false);
    let found = assign(&model(&["b", "a"]), pool, &same, |_| None).unwrap();
    assert_eq!(found["a"], [one]);
    assert_ne!(found["b"], [one]);
    // With other ports they can, as they did when no address was left.
    let found = assign(&model(&["b:81", "a"]), pool, &same, |_| None).unwrap();
    assert_eq!((&found["a"], &found["b"]), (&vec![one], &vec![one]));
}

proptest! {
    #[test]
    fn every_load_balancer_has_an_address_of_its_own_whatever_the_order(
        names in prop::collection::hash_set("[a-z]{1,8}", 0..60), prefix in 26_u8..=28,
    ) {
        let mut names: Vec<String> = names.into_iter().collect();
        let pool: Ipv4Net = format!("127.0.10.0/{prefix}").parse().unwrap();
        let all = assign(&model(&names), pool, &Preferred::default(), |_| None);
        names.sort_by(|a, b| b.cmp(a));
        prop_assert_eq!(&all, &assign(&model(&names), pool, &Preferred::default(), |_| None));
        prop_assert_eq!(all.is_ok(), names.len() <= pool.hosts().count());
        if let Ok(all) = all {
            let unique: HashSet<_> = all.values().flatten().collect();
            prop_assert_eq!(unique.len(), names.len());
            prop_assert!(unique.iter().all(|a| pool.hosts().any(|h| IpAddr::V4(h) == **a)));
        }
    }
}

/// Dualstack load balancers with these names, each with an IPv4 address; `name:port` listens on another port than 80.
fn dualstack(names: &[&str], source: Ipv6Source, before: &Addresses) -> Addresses {
    let mut model = model(names);
    for balancer in &mut model.load_balancers {
        Arc::make_mut(balancer).ip_address_type = elbow_model::IpAddressType::Dualstack;
    }
    let held = |name: &str| before.get(name).map(Vec::as_slice);
    let mut all = assign(&model, DEFAULT_POOL, &Preferred::default(), held).unwrap();
    add_ipv6(&model, source, &mut all, held, |_, _| true);
    all
}

fn ipv6_of(all: &Addresses, name: &str) -> Option<IpAddr> {
    all[name].get(1).copied()
}

#[test]
fn dualstack_load_balancers_share_loopback_by_port() {
    let all = dualstack(
        &["b", "a", "c:443"],
        Ipv6Source::Loopback,
        &Addresses::new(),
    );
    let loopback = Some("::1".parse().unwrap());
    assert_eq!(ipv6_of(&all, "a"), loopback);
    assert_eq!(ipv6_of(&all, "b"), None);
    assert_eq!(ipv6_of(&all, "c"), loopback);
    // What has the port keeps it.
    let before = dualstack(&["b"], Ipv6Source::Loopback, &Addresses::new());
    let after = dualstack(&["a", "b"], Ipv6Source::Loopback, &before);
    assert_eq!(ipv6_of(&after, "a"), None);
    assert_eq!(ipv6_of(&after, "b"), loopback);
    let none = dualstack(&["a"], Ipv6Source::None, &Addresses::new());
    assert_eq!(none["a"].len(), 1);
}

#[test]
fn addresses_of_an_ipv6_pool_depend_on_the_name() {
    let pool = Ipv6Source::Pool(DEFAULT_IPV6_POOL);
    let alone = dualstack(&["minio"], pool, &Addresses::new());
    let among = dualstack(&["a", "b", "minio"], pool, &Addresses::new());
    assert_eq!(alone["minio"], among["minio"]);
    let distinct: HashSet<IpAddr> = among.values().map(|all| all[1]).collect();
    assert_eq!(distinct.len(), 3);
    // The range has two addresses, and the first one is the subnet-router anycast address.
    let tiny = Ipv6Source::Pool("fd00::/127".parse().unwrap());
    let all = dualstack(&["a", "b"], tiny, &Addresses::new());
    let addresses = all.values().filter_map(|all| all.get(1));
    assert_eq!(addresses.count(), 1);
    let one = Ipv6Source::Pool("fd00::7/128".parse().unwrap());
    let all = dualstack(&["a"], one, &Addresses::new());
    assert_eq!(ipv6_of(&all, "a"), Some("fd00::7".parse().unwrap()));
}

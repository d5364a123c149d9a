use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::file;

/// A model of load balancers with these names, which listen on port 80; `name=address` has an address of its own,
/// `name:port` listens on another port.
fn model(names: &[impl AsRef<str>]) -> Model {
    let mut text = "loadBalancers: [".to_owned();
    for name in names {
        let (name, address) = name
            .as_ref()
            .split_once('=')
            .unwrap_or_else(|| (name.as_ref(), ""));
        let (name, port) = name.split_once(':').unwrap_or((name, "80"));
        let action = "{type: fixed-response, fixedResponseConfig: {statusCode: '200'}}";
        let listener = format!("{{port: {port}, protocol: HTTP, defaultActions: [{action}]}}");
        text += &format!(
            "{{name: {name}, type: application, addresses: [{address}], listeners: [{listener}]}}, "
        );
    }
    let (model, diagnostics) = file::parse(&(text + "]"), "a.yaml");
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    model.unwrap()
}

fn assigned(names: &[&str], pool: &str) -> Result<Addresses, PoolFull> {
    assign(&model(names), pool.parse().unwrap(), |_| None)
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
        "the address pool 127.0.10.0/30 has no address left for load balancer b, and its ports are taken on those that it has"
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
    let before = assign(&model(&["z"]), pool, |_| None).unwrap();
    for other in ["a", "b", "c", "d", "e"] {
        let after = assign(&model(&[other, "z"]), pool, |name| {
            before.get(name).map(Vec::as_slice)
        })
        .unwrap();
        assert_eq!(after["z"], before["z"]);
    }
    let elsewhere = "127.0.11.0/30".parse().unwrap();
    let after = assign(&model(&["z"]), elsewhere, |name| {
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

proptest! {
    #[test]
    fn every_load_balancer_has_an_address_of_its_own_whatever_the_order(
        names in prop::collection::hash_set("[a-z]{1,8}", 0..60), prefix in 26_u8..=28,
    ) {
        let mut names: Vec<String> = names.into_iter().collect();
        let pool: Ipv4Net = format!("127.0.10.0/{prefix}").parse().unwrap();
        let all = assign(&model(&names), pool, |_| None);
        names.sort_by(|a, b| b.cmp(a));
        prop_assert_eq!(&all, &assign(&model(&names), pool, |_| None));
        prop_assert_eq!(all.is_ok(), names.len() <= pool.hosts().count());
        if let Ok(all) = all {
            let unique: HashSet<_> = all.values().flatten().collect();
            prop_assert_eq!(unique.len(), names.len());
            prop_assert!(unique.iter().all(|a| pool.hosts().any(|h| IpAddr::V4(h) == **a)));
        }
    }
}

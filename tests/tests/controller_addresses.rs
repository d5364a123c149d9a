//! Load balancers keep their addresses over restarts and between replicas.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use elbow_tests::address::network;
use elbow_tests::cluster::{Access, ControlPlane};
use elbow_tests::config::{file, fixed, listener};
use elbow_tests::elbow::Place;
use elbow_tests::upgrade::Successor;
use elbow_tests::{Elbow, TempDir, tools, wait};
use serde_json::{Value, json};

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": name},
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "elbow/nlb",
            "ports": [{"port": 80}]}})
}

/// The address in the status of each Service, by name.
fn shown(access: &Access) -> BTreeMap<String, String> {
    let list = access.get(&["services"]);
    let items = list["items"].as_array().unwrap().iter();
    let shown = items.filter_map(|one| {
        let ip = one["status"]["loadBalancer"]["ingress"][0]["ip"].as_str()?;
        Some((one["metadata"]["name"].as_str()?.to_owned(), ip.to_owned()))
    });
    shown.collect()
}

/// The address that elbow serves each Service at, by the Service's name.
fn served(elbow: &Elbow) -> BTreeMap<String, String> {
    let status = elbow.json("/status");
    let all = status["loadBalancers"].as_array().unwrap().iter();
    let served = all.map(|one| {
        let name = one["name"].as_str().unwrap().split('-').nth(2).unwrap();
        let address = one["address"].as_str().unwrap();
        (name.to_owned(), address.to_owned())
    });
    served.collect()
}

/// Writes addresses into statuses, as an elbow did that saw the Services in another order.
fn set(access: &Access, addresses: &BTreeMap<String, String>) {
    for (name, ip) in addresses {
        let ports = json!([{"port": 80, "protocol": "TCP"}]);
        let entry = json!({"ip": ip, "ipMode": "Proxy", "ports": ports});
        let status = json!({"status": {"loadBalancer": {"ingress": [entry]}}}).to_string();
        let patch = ["patch", "service", name, "--subresource=status"];
        let patch = [&patch[..], &["--type=merge", "-p", &status]].concat();
        access.ask(&patch);
    }
}

fn replica(place: &Place, offset: &str) -> Elbow {
    let words = ["--status-address=ip", "--port-offset", offset];
    Elbow::control(place, &words)
}

#[test]
fn addresses_are_those_of_the_status_after_a_restart_and_at_another_replica() {
    let access = match ControlPlane::start() {
        Ok(access) => access,
        Err(needs) => return tools::skipped(&needs),
    };
    let names = ["a", "b", "c", "d"];
    access.apply(&names.map(service));
    let place = Place::new(access.kubeconfig());
    let mut first = replica(&place, "0");
    let all = |access: &Access| Some(shown(access)).filter(|all| all.len() == names.len());
    let by_name = wait::until("every status", || all(&access));
    assert_eq!(served(&first), by_name);
    first.terminate();

    // Each has the address that another would get by name.
    let mut turned = by_name.clone();
    let next = by_name.values().cycle().skip(1);
    turned
        .values_mut()
        .zip(next)
        .for_each(|(ip, next)| next.clone_into(ip));
    assert_ne!(turned, by_name);
    set(&access, &turned);
    let mut first = replica(&place, "0");
    assert_eq!(served(&first), turned);
    // Another replica follows, and writes nothing when it takes over.
    let mut second = replica(&place.replica(), "1000");
    assert_eq!(served(&second), turned);
    first.terminate();
    second.wait_for_metric("elbow_kube_leader", &[], 1.0);
    access.apply(&[service("e")]);
    let with_e = wait::until("the status of a new Service", || {
        Some(shown(&access)).filter(|all| all.len() == names.len() + 1)
    });
    let mut kept = with_e;
    kept.remove("e");
    assert_eq!(kept, turned);
    second.terminate();
}

#[test]
fn upgraded_controller_keeps_addresses_and_accepts_at_once() {
    let access = match ControlPlane::start() {
        Ok(access) => access,
        Err(needs) => return tools::skipped(&needs),
    };
    access.apply(&["a", "b"].map(service));
    let place = Place::new(access.kubeconfig());
    let mut elbow = replica(&place, "0");
    let before = wait::until("both statuses", || {
        Some(shown(&access)).filter(|all| all.len() == 2)
    });
    assert_eq!(served(&elbow), before);
    let successor = Successor::of(elbow.process().id(), &[]);
    assert_eq!(elbow.page("/ready").status, 200);
    assert_eq!(served(&elbow), before);
    for ip in before.values() {
        TcpStream::connect((ip.parse::<IpAddr>().unwrap(), 80)).unwrap();
    }
    assert!(elbow.process().wait().success());
    // The new process writes: the old one has released the Lease.
    access.apply(&[service("c")]);
    wait::until("the status of a new Service", || {
        Some(shown(&access)).filter(|all| all.len() == 3)
    });
    successor.terminate();
}

#[test]
fn address_that_cannot_be_kept_is_replaced_and_reported() {
    let access = match ControlPlane::start() {
        Ok(access) => access,
        Err(needs) => return tools::skipped(&needs),
    };
    access.apply(&["a", "b", "c"].map(service));
    let place = Place::new(access.kubeconfig());
    let far = "192.0.2.1".to_owned();
    let pool = place.pool().split_once('/').unwrap().0;
    let one = Ipv4Addr::from_bits(pool.parse::<Ipv4Addr>().unwrap().to_bits() + 5).to_string();
    let wrong = [("a", &far), ("b", &one), ("c", &one)];
    let wrong = wrong.map(|(name, ip)| (name.to_owned(), ip.clone()));
    set(&access, &BTreeMap::from(wrong));
    let mut elbow = replica(&place, "0");
    let served = served(&elbow);
    assert_eq!(served["b"], one);
    assert_ne!(served["c"], one);
    wait::until("the statuses", || (shown(&access) == served).then_some(()));
    let told = |name: &str, why: &str| {
        let fields = format!("involvedObject.name={name},reason=SuccessfullyReconciled");
        wait::until("the event", || {
            let events = access.get(&["events", "--field-selector", &fields]);
            let mut events = events["items"].as_array()?.iter();
            let mut texts = events.by_ref().filter_map(|one| one["message"].as_str());
            texts
                .find(|text| text.contains(why) && text.contains(&served[name]))
                .map(drop)
        });
    };
    told("a", "192.0.2.1 of load balancer k8s-default-a-");
    told("a", &format!("is not in the address pool {}", place.pool()));
    told("c", "belongs to another load balancer; the new address is ");
    elbow.terminate();
}

/// Both names lead to the same address of a pool of 14; without a record, the first by name would have it.
const COLLIDING: [&str; 2] = ["a21", "z"];

#[test]
fn names_that_collide_do_not_swap_addresses() {
    let balancer = |name: &str, text: &str| {
        let listener = listener(80, "HTTP", &fixed(200, text));
        json!({"name": name, "type": "application", "listeners": [listener]})
    };
    let [early, late] = COLLIDING;
    let both = file(&[balancer(early, "e"), balancer(late, "l")], &[]);
    let pool = network();
    let at = |elbow: &Elbow, name: &str| -> IpAddr {
        let bound: SocketAddr = elbow.bound(name, 80).unwrap();
        bound.ip()
    };
    let folder = TempDir::new();
    let data = folder.path().to_str().unwrap();
    let words = ["--address-pool", &pool];
    let start = |config: &Value| Elbow::run_with_data(config, data, &words);

    let mut elbow = start(&file(&[balancer(late, "l")], &[]));
    let home = at(&elbow, late);
    elbow.reload(&both);
    assert_eq!(at(&elbow, late), home);
    let other = at(&elbow, early);
    assert_ne!(other, home);
    elbow.terminate();

    let mut elbow = start(&both);
    assert_eq!((at(&elbow, early), at(&elbow, late)), (other, home));
    // The one that is alone stays where it is, too.
    elbow.reload(&file(&[balancer(early, "e")], &[]));
    assert_eq!(at(&elbow, early), other);
    elbow.terminate();
}

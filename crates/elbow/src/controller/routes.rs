//! `elbow controller routes`: how pods are reached from this machine.

use std::io::{self, Write};
use std::net::{IpAddr, UdpSocket};

use serde_json::Value;

use crate::Failure;
use crate::cluster::{self, ClusterArgs};

/// Prints a line for each network of pods behind a node; why there is none goes to stderr.
pub(super) fn routes(args: &ClusterArgs) -> Result<(), Failure> {
    let listing = cluster::list(args)?;
    let nodes = listing.objects.iter().filter(|one| one["kind"] == "Node");
    let mut out = io::stdout().lock();
    let mut written = Ok(());
    for node in nodes {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        let found = of_node(node);
        if found.is_empty() {
            eprintln!(
                "{name}: says no podCIDRs with an InternalIP of their family: the network of its pods has routes of its own"
            );
        }
        for (network, via) in found {
            if is_here(via) {
                eprintln!("{name}: is this machine: {network} needs no route");
                continue;
            }
            let ip = if via.is_ipv6() { "ip -6" } else { "ip" };
            written = written.and_then(|()| writeln!(out, "{ip} route add {network} via {via}"));
        }
    }
    written.map_err(|e| Failure::environment(e, "is the reader of the output still there?"))
}

/// The networks of a node's pods, each with the node's address of that family.
fn of_node(node: &Value) -> Vec<(&str, IpAddr)> {
    let addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    let addresses: Vec<IpAddr> = addresses
        .filter(|one| one["type"] == "InternalIP")
        .filter_map(|one| one["address"].as_str()?.parse().ok())
        .collect();
    let networks = node["spec"]["podCIDRs"].as_array().into_iter().flatten();
    networks
        .filter_map(|network| {
            let network = network.as_str()?;
            let (first, _) = network.split_once('/')?;
            let is_ipv6 = first.parse::<IpAddr>().ok()?.is_ipv6();
            let via = addresses.iter().find(|one| one.is_ipv6() == is_ipv6)?;
            Some((network, *via))
        })
        .collect()
}

/// Whether an address is one of this machine's: only those can be bound.
fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_network_is_behind_the_nodes_address_of_its_family() {
        let node = json!({
            "spec": {"podCIDRs": ["10.244.1.0/24", "fd00:10:244:1::/64"]},
            "status": {"addresses": [
                {"type": "Hostname", "address": "n1"},
                {"type": "InternalIP", "address": "172.18.0.3"},
                {"type": "InternalIP", "address": "fc00::3"}]}});
        let via = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(
            of_node(&node),
            [
                ("10.244.1.0/24", via("172.18.0.3")),
                ("fd00:10:244:1::/64", via("fc00::3"))
            ]
        );
        let mut no_address = node;
        no_address["status"]["addresses"] =
            json!([{"type": "InternalIP", "address": "172.18.0.3"}]);
        assert_eq!(of_node(&no_address).len(), 1);
        assert!(of_node(&json!({"spec": {}, "status": {}})).is_empty());
    }

    #[test]
    fn an_address_of_this_machine_is_known() {
        assert!(is_here("127.0.0.1".parse().unwrap()));
        assert!(!is_here("192.0.2.1".parse().unwrap()));
    }
}

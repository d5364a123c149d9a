//! `elbow controller routes`: routes from this machine to pods.

use std::io::{self, Write};
use std::net::{IpAddr, UdpSocket};

use elbow_manifest::context::Personality;
use serde_json::Value;

use crate::args::ClusterArgs;
use crate::cluster;
use crate::process::Failure;

/// Prints a command for each pod network behind a node; the reason for a missing one goes to stderr.
pub(super) fn routes(args: &ClusterArgs) -> Result<(), Failure> {
    let listing = cluster::list(args, Personality::Lbc)?;
    let nodes = listing.objects.iter().filter(|one| one["kind"] == "Node");
    let mut out = io::stdout().lock();
    let mut written = Ok(());
    for node in nodes {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        let found = of_node(node);
        if found.is_empty() {
            eprintln!(
                "{name}: no podCIDRs with an InternalIP of the same family; the pod network routes by other means"
            );
        }
        for (network, via) in found {
            if is_here(via) {
                eprintln!("{name}: this machine; {network} needs no route");
                continue;
            }
            let ip = if via.is_ipv6() { "ip -6" } else { "ip" };
            written = written.and_then(|()| writeln!(out, "{ip} route add {network} via {via}"));
        }
    }
    written.map_err(|e| Failure::environment(e, "check the reader of the output"))
}

/// The pod networks of a node, each with the node's address of the same family.
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

/// Whether `address` belongs to this machine: other addresses cannot be bound.
fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn network_is_behind_the_node_address_of_its_family() {
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
    fn addresses_of_this_machine_are_recognized() {
        assert!(is_here("127.0.0.1".parse().unwrap()));
        assert!(!is_here("192.0.2.1".parse().unwrap()));
    }
}

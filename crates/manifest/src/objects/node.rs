//! Nodes and Pods, as far as targets depend on them.

use std::net::IpAddr;

use super::{Meta, ServerIds};
use crate::object::Object;
use crate::view::View;

/// A Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Name, labels, place.
    pub meta: Meta,
    /// `status.addresses`: type and address.
    pub addresses: Vec<(String, String)>,
    /// Whether it is ready.
    pub ready: Condition,
    /// `spec.taints`: key and effect.
    pub taints: Vec<(String, String)>,
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `True`.
    True,
    /// `False`, or missing from the list of conditions.
    False,
    /// `Unknown`: the node has stopped reporting.
    Unknown,
}

impl Node {
    /// Reads a Node. One without conditions was written by hand and counts as ready.
    pub fn read(object: &Object, view: &View<'_>) -> Self {
        let status = view.get("status");
        let pair = |view: &View<'_>, first: &str, second: &str| {
            let text = |name| view.get(name).text().unwrap_or_default().to_owned();
            (text(first), text(second))
        };
        let addresses = status.get("addresses").items();
        let taints = view.get("spec").get("taints").items();
        let ready = match condition(&status, "Ready") {
            None if status.get("conditions").items().is_empty() => Condition::True,
            None => Condition::False,
            Some(condition) => condition,
        };
        Self {
            meta: Meta::read(object, view),
            addresses: addresses
                .iter()
                .map(|view| pair(view, "type", "address"))
                .collect(),
            ready,
            taints: taints
                .iter()
                .map(|view| pair(view, "key", "effect"))
                .collect(),
        }
    }

    /// The address of its node ports: the internal address of the family, else its host name.
    pub fn address(&self, ipv6: bool) -> Option<&str> {
        let of = |wanted: &'static str| {
            let addresses = self.addresses.iter();
            addresses.filter_map(move |(kind, address)| (kind == wanted).then_some(&**address))
        };
        let fits = |text: &&str| {
            text.parse::<IpAddr>()
                .is_ok_and(|address| address.is_ipv6() == ipv6)
        };
        of("InternalIP")
            .find(fits)
            .or_else(|| of("Hostname").next())
    }

    /// Its zone.
    pub fn zone(&self) -> Option<&String> {
        let labels = &self.meta.labels;
        labels
            .get("topology.kubernetes.io/zone")
            .or_else(|| labels.get("failure-domain.beta.kubernetes.io/zone"))
    }
}

/// A Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Name, namespace, place.
    pub meta: Meta,
    /// Whether all its containers are ready.
    pub containers_ready: bool,
    /// Whether it is ready, including its readiness gates.
    pub ready: bool,
    /// Its address.
    pub address: Option<String>,
    /// The node that it runs on.
    pub node: Option<String>,
    /// The QUIC server IDs of its containers.
    pub server_ids: Option<Box<ServerIds>>,
}

impl Pod {
    /// Reads a Pod. Its QUIC server IDs are in the environment variable `quic_variable`.
    pub fn read(object: &Object, view: &View<'_>, quic_variable: &str) -> Self {
        let status = view.get("status");
        let spec = view.get("spec");
        let meta = Meta::read(object, view);
        let is_true = |wanted| condition(&status, wanted) == Some(Condition::True);
        Self {
            server_ids: ServerIds::read(&meta, &spec, quic_variable),
            meta,
            containers_ready: is_true("ContainersReady"),
            ready: is_true("Ready"),
            address: status.get("podIP").text().map(str::to_owned),
            node: spec.get("nodeName").text().map(str::to_owned),
        }
    }
}

fn condition(status: &View<'_>, wanted: &str) -> Option<Condition> {
    let conditions = status.get("conditions").items();
    let found = conditions
        .iter()
        .find(|view| view.get("type").text() == Some(wanted))?;
    Some(match found.get("status").text() {
        Some("True") => Condition::True,
        Some("Unknown") => Condition::Unknown,
        _ => Condition::False,
    })
}

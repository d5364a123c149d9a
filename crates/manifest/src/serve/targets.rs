//! The targets of a Service: nodes with their node ports, or the endpoints themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Origin, QuicServerId, TargetSpec};

use super::lost::{EXCLUDE, Lost, notes};
use crate::Context;
use crate::annotations::service::TARGET_NODE_LABELS;
use crate::lookup::service::Reader;
use crate::objects::{
    Condition, Endpoint, EndpointPort, EndpointSet, Family, Node, Port, Selector, Service,
    ServicePort,
};
use crate::scope::Scope;

/// A target and the object that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// An address, or a name to look up.
    pub(super) id: String,
    /// Its port.
    pub(super) port: u16,
    /// Its zone.
    pub(super) zone: Option<String>,
    /// The endpoint, if it is one.
    pub(super) endpoint: Option<&'a Endpoint>,
    /// Groups of QUIC and TCP_QUIC: the server ID.
    pub(super) server_id: Option<QuicServerId>,
    /// The endpoint or the node.
    pub(super) origin: Origin,
}

impl Target<'_> {
    pub(super) fn spec(&self) -> TargetSpec {
        TargetSpec {
            id: Some(self.id.clone()),
            port: Some(self.port.into()),
            availability_zone: self.zone.clone().filter(|zone| !zone.is_empty()),
            quic_server_id: self.server_id.map(|id| id.to_string()),
        }
    }
}

/// The targets of a port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Targets<'a> {
    /// Without repetition.
    pub(super) list: Vec<Target<'a>>,
    /// Whether endpoints stand in for nodes, so that node ports mean nothing.
    pub(super) stands_in: bool,
    /// Why targets are missing.
    pub(super) lost: Vec<Lost>,
}

/// The instances of a Classic load balancer.
#[derive(Debug, Default)]
pub(super) struct Instances {
    pub(super) list: Vec<Instance>,
    /// Whether they are endpoints that stand in for nodes.
    pub(super) stand_in: bool,
    /// Notes and warnings about them.
    pub(super) notes: Vec<Diagnostic>,
    /// The places in the list of those at an address.
    at: BTreeMap<String, Vec<usize>>,
}

/// An instance of a Classic load balancer.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) zone: Option<String>,
    /// The port of this instance for each node port.
    pub(super) ports: BTreeMap<u16, u16>,
    pub(super) origin: Origin,
}

impl Instances {
    /// Adds an endpoint for a node port, to the first instance at its address that has no endpoint for it yet.
    fn add(&mut self, node_port: u16, target: Target<'_>) {
        let here = self.at.entry(target.id.clone()).or_default();
        for &index in here.iter() {
            if let Some(there) = self.list.get_mut(index)
                && !there.ports.contains_key(&node_port)
            {
                there.ports.insert(node_port, target.port);
                return;
            }
        }
        here.push(self.list.len());
        self.list.push(Instance {
            id: target.id,
            zone: target.zone,
            ports: BTreeMap::from([(node_port, target.port)]),
            origin: target.origin,
        });
    }
}

/// Labels that keep the traffic of load balancers away from a node, beside [`EXCLUDE`].
const EXCLUDING: &[&str] = &[
    "node-role.kubernetes.io/master",
    "alpha.service-controller.kubernetes.io/exclude-balancer",
];

/// Finds targets among the objects.
pub(super) struct Finder<'a> {
    scope: Scope<'a>,
    context: &'a Context,
}

impl<'a> Finder<'a> {
    pub(super) fn new(scope: Scope<'a>, context: &'a Context) -> Self {
        Self { scope, context }
    }

    /// Targets of type `ip`: the endpoints that are ready.
    pub(super) fn ip(&self, service: &Service, port: &ServicePort, ipv6: bool) -> Targets<'a> {
        let mut targets = Targets::default();
        let mut unknown = Vec::new();
        let sets = self.scope.endpoints(service);
        let mut found_port = false;
        for set in sets.iter().filter(|set| of_family(set, ipv6)) {
            for endpoint_port in set.ports.iter().filter(|one| is_port(one, port)) {
                found_port = true;
                let Some(number) = endpoint_port.port else {
                    continue;
                };
                for endpoint in &set.endpoints {
                    if set.family == Family::Both && endpoint.address.contains(':') != ipv6 {
                        continue;
                    }
                    let target = self.endpoint_target(endpoint, number);
                    match self.readiness(endpoint) {
                        Readiness::Ready => targets.list.push(target),
                        Readiness::Unknown => unknown.push(target),
                        Readiness::NotReady => {}
                        Readiness::NotAPod(kind) => targets
                            .lost
                            .push(Lost::NotAPod(target.origin.clone(), kind)),
                    }
                }
            }
        }
        // Without a ready endpoint, those of unknown readiness serve.
        if targets.list.is_empty() {
            targets.list = unknown;
        }
        if targets.list.is_empty() {
            targets.lost.push(match (sets.is_empty(), found_port) {
                (true, _) => Lost::NoEndpoints,
                (false, true) => Lost::NoneReady,
                (false, false) => Lost::OtherPorts(names(&sets)),
            });
        }
        once(&mut targets.list);
        targets
    }

    fn endpoint_target(&self, endpoint: &'a Endpoint, port: u16) -> Target<'a> {
        let of_node = || {
            let node = self.scope.node(endpoint.node.as_ref()?)?;
            node.zone().cloned()
        };
        Target {
            id: endpoint.address.clone(),
            port,
            zone: endpoint.zone.clone().or_else(of_node),
            endpoint: Some(endpoint),
            server_id: None,
            origin: endpoint.place.origin(&endpoint.object, Arc::default()),
        }
    }

    /// control-plane.md 3.6, mode ip.
    fn readiness(&self, endpoint: &Endpoint) -> Readiness {
        if let Some((kind, ..)) = &endpoint.target
            && kind != "Pod"
        {
            return Readiness::NotAPod(kind.clone());
        }
        if endpoint.ready.unwrap_or(true) {
            return Readiness::Ready;
        }
        let pod = endpoint.target.as_ref().and_then(|(_, namespace, name)| {
            let key = (namespace.clone(), name.clone());
            self.scope.pod(&key)
        });
        let Some(pod) = pod.filter(|pod| pod.containers_ready) else {
            return Readiness::NotReady;
        };
        let node = endpoint.node.as_ref().or(pod.node.as_ref());
        let node = node.and_then(|name| self.scope.node(name));
        let terminating = endpoint.terminating || pod.meta.deleting;
        match node.map(|node| node.ready) {
            Some(Condition::True) if !terminating => Readiness::Ready,
            Some(Condition::Unknown) => Readiness::Unknown,
            _ => Readiness::NotReady,
        }
    }

    /// Targets of type `instance`: nodes with the node port. Endpoints stand in when there are no nodes or when no
    /// cluster gave the node port.
    pub(super) fn instance(
        &self,
        service: &Service,
        port: &ServicePort,
        selector: &dyn Fn(&Node) -> bool,
        ipv6: bool,
    ) -> Targets<'a> {
        let usable = port.node_port != 0 && !port.assumed;
        if self.scope.nodes().is_empty() || !usable {
            let mut targets = self.ip(service, port, ipv6);
            targets.stands_in = !targets.list.is_empty();
            self.not_created(&mut targets.lost);
            return targets;
        }
        let mut targets = self.nodes(selector);
        for (node, target) in &mut targets.0 {
            target.port = port.node_port;
            match node.address(ipv6) {
                Some(address) => address.clone_into(&mut target.id),
                None => target.id.clear(),
            }
        }
        let (nodes, lost) = targets;
        let list = nodes.into_iter().map(|(_, target)| target);
        let mut list: Vec<Target<'_>> = list.filter(|target| !target.id.is_empty()).collect();
        once(&mut list);
        Targets {
            list,
            stands_in: false,
            lost,
        }
    }

    /// The instances of a Classic load balancer: nodes, or endpoints that stand in for them.
    pub(super) fn instances(&self, service: &Service) -> Instances {
        let ports = service.ports.iter().filter(|port| port.node_port != 0);
        let usable = ports.clone().all(|port| !port.assumed);
        let mut instances = Instances::default();
        if self.scope.nodes().is_empty() || !usable {
            let mut lost = Vec::new();
            for port in ports {
                let targets = self.ip(service, port, false);
                lost.extend(targets.lost);
                for target in targets.list {
                    instances.add(port.node_port, target);
                }
            }
            lost.dedup();
            instances.stand_in = !instances.list.is_empty();
            self.not_created(&mut lost);
            instances.notes = notes(&lost, instances.stand_in, service);
            return instances;
        }
        let chosen = |node: &&Node| is_chosen(service, node) && !leaves(node);
        let nodes: Vec<&Node> = self.scope.nodes().values().filter(chosen).collect();
        let (excluded, included): (Vec<&Node>, Vec<&Node>) =
            nodes.into_iter().partition(|node| self.is_kept_away(node));
        let lost = match (included.is_empty(), excluded.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => vec![Lost::NoNode],
            (true, false) => vec![Lost::ExcludedNodes(named(&excluded))],
        };
        let instance = |node: &Node| {
            Some(Instance {
                id: node.address(false)?.to_owned(),
                zone: node.zone().cloned(),
                ports: BTreeMap::new(),
                origin: node.meta.origin(),
            })
        };
        instances.list = included.into_iter().filter_map(instance).collect();
        instances.notes = notes(&lost, false, service);
        instances
    }

    /// With nodes, a Service without endpoints lacks node ports from a cluster. An assumed number may belong to another
    /// Service, even one of another tenant.
    fn not_created(&self, lost: &mut [Lost]) {
        if self.scope.nodes().is_empty() {
            return;
        }
        for lost in lost.iter_mut().filter(|lost| **lost == Lost::NoEndpoints) {
            *lost = Lost::NotCreated;
        }
    }

    /// The nodes that may take traffic, as targets without address and port, and why nodes are missing.
    fn nodes(&self, selector: &dyn Fn(&Node) -> bool) -> (Vec<(&'a Node, Target<'a>)>, Vec<Lost>) {
        let chosen = |node: &&Node| selector(node) && !tainted(node);
        let candidates: Vec<&Node> = self.scope.nodes().values().filter(chosen).collect();
        let (included, excluded): (Vec<&Node>, Vec<&Node>) = candidates
            .into_iter()
            .partition(|node| !self.is_excluded(node));
        let with = |condition| {
            let nodes = included.iter().copied();
            nodes.filter(move |node: &&Node| node.ready == condition)
        };
        let mut nodes: Vec<&Node> = with(Condition::True).collect();
        if nodes.is_empty() {
            nodes = with(Condition::Unknown).collect();
        }
        let lost = match (nodes.is_empty(), excluded.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => vec![Lost::NoNode],
            (true, false) => {
                vec![Lost::ExcludedNodes(named(&excluded))]
            }
        };
        let target = |node: &'a Node| {
            let target = Target {
                id: String::new(),
                port: 0,
                zone: node.zone().cloned(),
                endpoint: None,
                server_id: None,
                origin: node.meta.origin(),
            };
            (node, target)
        };
        (nodes.into_iter().map(target).collect(), lost)
    }

    /// Whether the node carries the label that keeps all load balancers away.
    fn is_kept_away(&self, node: &Node) -> bool {
        node.meta.labels.contains_key(EXCLUDE) && !self.context.ignore_excluded_nodes
    }

    /// Whether the controller leaves the node out by its labels.
    fn is_excluded(&self, node: &Node) -> bool {
        let labels = &node.meta.labels;
        let mut excluding = EXCLUDING.iter();
        self.is_kept_away(node)
            || excluding.any(|&label| labels.contains_key(label))
            || labels
                .get("eks.amazonaws.com/compute-type")
                .map(String::as_str)
                == Some("fargate")
    }

    /// The port that the endpoints have for a port of the Service, when they agree.
    pub(super) fn endpoint_port(&self, service: &Service, port: &ServicePort) -> Option<u16> {
        let sets = self.scope.endpoints(service);
        let ports = sets
            .iter()
            .flat_map(|set| set.ports.iter().filter(|one| is_port(one, port)));
        let numbers: BTreeSet<u16> = ports.filter_map(|port| port.port).collect();
        match (numbers.len(), &port.target_port) {
            (1, _) => numbers.first().copied(),
            (0, Port::Number(number)) => Some(*number),
            _ => None,
        }
    }
}

enum Readiness {
    Ready,
    NotReady,
    /// The node has not been heard of.
    Unknown,
    /// Not of a Pod: the kind.
    NotAPod(String),
}

/// Whether a node is among those that `aws-load-balancer-target-node-labels` names; an empty value asks for the
/// label alone.
fn is_chosen(service: &Service, node: &Node) -> bool {
    let wanted = Reader::new(&service.meta).list(TARGET_NODE_LABELS);
    wanted.iter().all(|label| {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        let found = node.meta.labels.get(key.trim());
        found.is_some_and(|found| value.trim().is_empty() || found == value.trim())
    })
}

/// A node selector by labels.
pub(super) fn labelled(labels: &BTreeMap<String, String>) -> Selector {
    Selector {
        labels: labels.clone(),
        ..Selector::default()
    }
}

/// Whether the node takes no traffic since it is about to be removed.
fn tainted(node: &Node) -> bool {
    let mut taints = node.taints.iter();
    leaves(node)
        || taints.any(|(key, effect)| key == "karpenter.sh/disrupted" && effect == "NoSchedule")
}

/// Whether the cluster's autoscaler is about to remove the node.
fn leaves(node: &Node) -> bool {
    let mut taints = node.taints.iter();
    taints.any(|(key, _)| key == "ToBeDeletedByClusterAutoscaler")
}

fn named(nodes: &[&Node]) -> Vec<String> {
    nodes.iter().map(|node| node.meta.name.clone()).collect()
}

fn of_family(set: &EndpointSet, ipv6: bool) -> bool {
    match set.family {
        Family::Ipv4 => !ipv6,
        Family::Ipv6 => ipv6,
        Family::Fqdn | Family::Both => true,
    }
}

/// Whether endpoints have the port under its name; a Service's only port may have none.
fn is_port(found: &EndpointPort, wanted: &ServicePort) -> bool {
    wanted.name.is_empty() || found.name == wanted.name
}

fn names(sets: &[&EndpointSet]) -> Vec<String> {
    let ports = sets.iter().flat_map(|set| &set.ports);
    let names: BTreeSet<String> = ports.map(|port| port.name.clone()).collect();
    names.into_iter().collect()
}

/// Leaves each target once, in order.
fn once(targets: &mut Vec<Target<'_>>) {
    let mut seen = BTreeSet::new();
    targets.retain(|target| seen.insert((target.id.clone(), target.port)));
}

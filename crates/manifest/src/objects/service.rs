//! Services.

use std::collections::BTreeMap;

use elbow_yaml::{Node, Position, Value};

use super::Meta;
use crate::object::Object;
use crate::view::View;

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Name, namespace, annotations, place.
    pub meta: Meta,
    /// `spec.type`.
    pub kind: ServiceType,
    /// Its ports, in the order of the text.
    pub ports: Vec<ServicePort>,
    /// Labels of its pods.
    pub selector: BTreeMap<String, String>,
    /// `spec.ipFamilies`: `IPv4`, `IPv6`; empty when absent.
    pub ip_families: Vec<String>,
    /// `spec.loadBalancerClass`.
    pub load_balancer_class: Option<String>,
    /// `spec.loadBalancerSourceRanges`.
    pub load_balancer_source_ranges: Vec<String>,
    /// `spec.loadBalancerIP`; empty: none.
    pub load_balancer_ip: String,
    /// `spec.externalTrafficPolicy: Local`.
    pub local_traffic: bool,
    /// `spec.healthCheckNodePort`; 0: none.
    pub health_check_node_port: u16,
    /// `spec.allocateLoadBalancerNodePorts`, true by default.
    pub allocate_node_ports: bool,
    /// `spec.sessionAffinity: ClientIP`.
    pub client_affinity: bool,
    /// The first host name of `status.loadBalancer.ingress`; empty: none. What it says is which load balancer exists.
    pub hostname: String,
    /// Where the fields of `spec` stand, by their paths, like `spec.ports`; empty for an object of an API server.
    pub fields: BTreeMap<&'static str, Position>,
}

const SPEC: &str = "spec";

/// The fields of `spec` whose place a finding may name, and their paths.
const LOCATED: &[(&str, &str)] = &[
    ("spec.ipFamilies", "ipFamilies"),
    ("spec.loadBalancerIP", "loadBalancerIP"),
    ("spec.ports", "ports"),
    ("spec.sessionAffinity", "sessionAffinity"),
];

/// `spec.type` of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceType {
    /// Inside the cluster only.
    ClusterIp,
    /// A port of every node.
    NodePort,
    /// A load balancer.
    LoadBalancer,
    /// A name outside the cluster.
    ExternalName,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; may be empty when it is the only one.
    pub name: String,
    /// The port of the Service.
    pub port: u16,
    /// `TCP`, `UDP`, `SCTP`.
    pub protocol: String,
    /// The port of the pods.
    pub target_port: Port,
    /// The port of the nodes; 0: none.
    pub node_port: u16,
    /// Whether the node port was made up, in place of the one that a cluster would allocate.
    pub assumed: bool,
}

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// By number.
    Number(u16),
    /// By name.
    Name(String),
}

impl Port {
    /// Reads a port: a number if it is one, else a name.
    pub fn parse(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Name(text.to_owned()), Self::Number)
    }

    /// As JSON: a number or a text.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Name(name) => name.as_str().into(),
        }
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl Service {
    /// Where the field at `path` stands, else the nearest one above it that is written.
    pub fn place_of(&self, path: &str) -> Position {
        let field = self.fields.get(path).or_else(|| self.fields.get(SPEC));
        field.copied().unwrap_or(self.meta.place.at)
    }

    /// Reads a Service, with the defaults of the API server.
    pub fn read(object: &Object, view: &View<'_>) -> Self {
        let meta = Meta::read(object, view);
        let spec = view.get("spec");
        let kind = match spec.get("type").text() {
            None | Some("ClusterIP") => ServiceType::ClusterIp,
            Some("NodePort") => ServiceType::NodePort,
            Some("LoadBalancer") => ServiceType::LoadBalancer,
            Some("ExternalName") => ServiceType::ExternalName,
            Some(other) => {
                let message = format!(
                    "type of a Service: expected ClusterIP, NodePort, LoadBalancer or ExternalName, found {other}"
                );
                spec.get("type").error("unknown-value", message);
                ServiceType::ClusterIp
            }
        };
        let allocate = spec.get("allocateLoadBalancerNodePorts").boolean();
        let local = spec.get("externalTrafficPolicy").text() == Some("Local");
        let mut service = Self {
            kind,
            ports: spec.get("ports").items().iter().filter_map(port).collect(),
            selector: text_map(&spec.get("selector")),
            ip_families: spec.get("ipFamilies").texts(),
            load_balancer_class: spec.get("loadBalancerClass").text().map(str::to_owned),
            load_balancer_source_ranges: spec.get("loadBalancerSourceRanges").texts(),
            load_balancer_ip: spec
                .get("loadBalancerIP")
                .text()
                .unwrap_or_default()
                .to_owned(),
            local_traffic: local,
            health_check_node_port: spec.get("healthCheckNodePort").number().unwrap_or(0),
            allocate_node_ports: allocate.unwrap_or(true),
            client_affinity: spec.get("sessionAffinity").text() == Some("ClientIP"),
            hostname: hostname(&view.get("status")),
            fields: fields(object),
            meta,
        };
        if !service.meta.from_cluster {
            service.allocate();
        }
        service
    }

    /// The port with this name or number.
    pub fn port(&self, wanted: &Port) -> Option<&ServicePort> {
        self.ports.iter().find(|port| match wanted {
            Port::Number(number) => port.port == *number,
            Port::Name(name) => port.name == *name,
        })
    }

    /// Fills in node ports, which an API server would allocate: from its range, and by the name of the Service so that
    /// they stay the same.
    fn allocate(&mut self) {
        let wanted = match self.kind {
            ServiceType::NodePort => true,
            ServiceType::LoadBalancer => self.allocate_node_ports,
            _ => false,
        };
        if !wanted {
            return;
        }
        for port in &mut self.ports {
            if port.node_port == 0 {
                let label = format!("{}/{}", port.port, port.protocol);
                port.node_port = node_port(&self.meta.uid, &label);
                port.assumed = true;
            }
        }
        if self.kind == ServiceType::LoadBalancer
            && self.local_traffic
            && self.health_check_node_port == 0
        {
            self.health_check_node_port = node_port(&self.meta.uid, "health");
        }
    }
}

/// A port in the range of node ports, 30000 to 32767.
fn node_port(uid: &str, label: &str) -> u16 {
    let hash = crate::names::short_hash(&[uid, label]);
    let number = u64::from_str_radix(&hash, 16).unwrap_or(0) % 2768;
    30_000 + u16::try_from(number).unwrap_or(0)
}

fn hostname(status: &View<'_>) -> String {
    let addresses = status.get("loadBalancer").get("ingress").items();
    let first = addresses.first();
    let name = first.map(|first| first.get("hostname").text().unwrap_or_default().to_owned());
    name.unwrap_or_default()
}

fn fields(object: &Object) -> BTreeMap<&'static str, Position> {
    let mut fields = BTreeMap::new();
    if object.file.is_empty() {
        return fields;
    }
    let Some(spec) = child(&object.node, "spec") else {
        return fields;
    };
    fields.insert(SPEC, spec.at);
    for (path, name) in LOCATED {
        fields.extend(child(spec, name).map(|field| (*path, field.at)));
    }
    fields
}

fn child<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let Value::Mapping(entries) = &node.value else {
        return None;
    };
    let mut entries = entries.iter();
    entries.find_map(|(key, value)| (key.name == name).then_some(value))
}

fn port(view: &View<'_>) -> Option<ServicePort> {
    let port: u16 = view.get("port").number()?;
    let target = view.get("targetPort");
    let target_port = match target.text() {
        None | Some("" | "0") => Port::Number(port),
        Some(text) => Port::parse(text),
    };
    Some(ServicePort {
        name: view.get("name").text().unwrap_or_default().to_owned(),
        port,
        protocol: view.get("protocol").text().unwrap_or("TCP").to_owned(),
        target_port,
        node_port: view.get("nodePort").number().unwrap_or(0),
        assumed: false,
    })
}

/// A mapping of texts.
pub(super) fn text_map(view: &View<'_>) -> BTreeMap<String, String> {
    let entry = |(key, value): (&elbow_yaml::Key, View<'_>)| {
        Some((key.name.clone(), value.text()?.to_owned()))
    };
    view.fields().into_iter().filter_map(entry).collect()
}

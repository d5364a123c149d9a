//! Pods behind the Services of manifests that nothing stands behind.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use elbow_manifest::inventory::{Inventory, Key};
use elbow_manifest::objects::{
    EndpointSet, EndpointSlice, Port, Service, ServicePort, ServiceType,
};
use elbow_manifest::{Object, Translation, tenant};
use elbow_pods::Pod;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// What the made objects are said to come from.
const FILE: &str = "elbow demo";
/// An endpoint that is there answers within this time.
const ANSWER: Duration = Duration::from_millis(300);
/// So many endpoints of a Service are asked.
const ASKED: usize = 8;
/// The ports of MinIO's and the operator's consoles.
const CONSOLE_PORTS: [u16; 2] = [9090, 9443];

/// The Services of `objects`, with those of Tenants, that nothing answers behind.
pub(super) struct Lacking {
    services: Vec<Service>,
    /// Objects with the endpoints of these Services: kind, namespace and name.
    dead: BTreeSet<(&'static str, Key)>,
}

impl Lacking {
    /// Asks the endpoints that are written whether they are there.
    pub(super) async fn find(objects: &[Object]) -> Self {
        // What is wrong with the objects is told when they are translated.
        let mut inventory = Inventory::new(objects, &mut Vec::new());
        tenant::translate(&mut inventory, &mut Translation::default());
        let mut lacking = Self {
            services: Vec::new(),
            dead: BTreeSet::new(),
        };
        for (key, service) in &inventory.services {
            if service.kind == ServiceType::ExternalName || service.ports.is_empty() {
                continue;
            }
            let of_service = |slice: &EndpointSlice| {
                slice.meta.namespace == key.0 && slice.service() == Some(&key.1)
            };
            let slices: Vec<_> = inventory
                .slices
                .iter()
                .filter(|(_, slice)| of_service(slice))
                .collect();
            let written = inventory.endpoints.get(key);
            let sets = slices.iter().map(|(_, slice)| &slice.set);
            let sets = sets.chain(written.iter().flat_map(|endpoints| &endpoints.sets));
            if any_answers(sets).await {
                continue;
            }
            lacking.services.push(service.clone());
            let slices = slices.into_iter().map(|(key, _)| key.clone());
            lacking
                .dead
                .extend(slices.map(|key| ("EndpointSlice", key)));
            if written.is_some() {
                lacking.dead.insert(("Endpoints", key.clone()));
            }
        }
        lacking
    }

    /// Names of the Services, as `namespace/name`.
    pub(super) fn names(&self) -> Vec<String> {
        self.services.iter().map(|s| s.meta.key()).collect()
    }

    /// `objects` with `pods` behind these Services.
    pub(super) fn fill(&self, objects: Vec<Object>, pods: &[Pod]) -> Vec<Object> {
        let is_dead = |object: &Object| {
            let key = (object.namespace.clone(), object.name.clone());
            let kinds = ["EndpointSlice", "Endpoints"];
            let kind = kinds.iter().find(|kind| object.kind == **kind);
            // Without the cluster nobody listens on its nodes.
            object.kind == "Node" || kind.is_some_and(|kind| self.dead.contains(&(*kind, key)))
        };
        let mut objects = objects;
        if self.services.is_empty() {
            return objects;
        }
        objects.retain(|object| !is_dead(object));
        for service in &self.services {
            for slice in pods.iter().flat_map(|pod| slices(service, pod)) {
                let (made, _) = elbow_manifest::read(&slice.to_string(), FILE);
                objects.extend(made);
            }
        }
        objects
    }
}

async fn any_answers(sets: impl Iterator<Item = &EndpointSet>) -> bool {
    let mut asked = 0;
    for set in sets {
        let ports: Vec<u16> = set.ports.iter().filter_map(|port| port.port).collect();
        for endpoint in &set.endpoints {
            for port in &ports {
                if asked == ASKED {
                    return false;
                }
                asked += 1;
                let connecting = TcpStream::connect((endpoint.address.as_str(), *port));
                if let Ok(Ok(_)) = tokio::time::timeout(ANSWER, connecting).await {
                    return true;
                }
            }
        }
    }
    false
}

/// The EndpointSlices that put `pod` behind `service`: one, and one for IPv6 if the Service has that.
fn slices(service: &Service, pod: &Pod) -> Vec<Value> {
    let port = |port: &ServicePort| {
        let address = if is_console(service, port) {
            pod.console
        } else {
            pod.s3
        };
        json!({"name": port.name, "port": address.port(), "protocol": port.protocol})
    };
    let ports: Vec<Value> = service.ports.iter().map(port).collect();
    let mut addresses = vec![("IPv4", pod.s3.ip().to_string())];
    if let IpAddr::V4(ip) = pod.s3.ip()
        && service.ip_families.iter().any(|family| family == "IPv6")
    {
        addresses.push(("IPv6", ip.to_ipv6_mapped().to_string()));
    }
    let (namespace, name) = (&service.meta.namespace, &service.meta.name);
    let slice = |(family, address): (&str, String)| {
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{name}-{}-{}", pod.name, family.to_lowercase()),
                "namespace": namespace,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": family,
            "ports": ports,
            "endpoints": [{
                "addresses": [address],
                "conditions": {"ready": true},
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod.name},
            }],
        })
    };
    addresses.into_iter().map(slice).collect()
}

/// Whether a console is meant rather than S3.
fn is_console(service: &Service, port: &ServicePort) -> bool {
    let named = |name: &str| name.contains("console");
    match &port.target_port {
        Port::Number(number) if CONSOLE_PORTS.contains(number) => return true,
        Port::Name(name) if named(name) => return true,
        _ => {}
    }
    CONSOLE_PORTS.contains(&port.port) || named(&port.name) || named(&service.meta.name)
}

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

#[cfg(test)]
mod tests {
    use elbow_manifest::Context;

    use super::*;

    fn pod(s3: u16, console: u16) -> Pod {
        let at = |port| ([127, 0, 0, 1], port).into();
        Pod {
            name: format!("minio-{s3}"),
            s3: at(s3),
            console: at(console),
            console_tls: true,
            certificate_pem: String::new(),
        }
    }

    fn service(name: &str, endpoint: u16) -> String {
        format!(
            "apiVersion: v1
kind: Service
metadata:
  name: {name}
  annotations: {{service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip}}
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  ports: [{{name: https-minio, port: 443}}, {{name: https-console, port: 9443}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: https-minio, port: {endpoint}}}, {{name: https-console, port: {endpoint}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
---
apiVersion: v1
kind: Node
metadata: {{name: of-{name}}}
---
"
        )
    }

    /// Services that somebody answers behind keep what is written.
    #[tokio::test]
    async fn pods_stand_behind_what_nothing_answers_behind() {
        let alive = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = alive.local_addr().map(|at| (at.port(), alive)).unwrap();
        // Reserved (RFC 6335, 6): nobody listens there.
        let text = service("dead", 1) + &service("alive", alive.0);
        let (objects, found) = elbow_manifest::read(&text, "a.yaml");
        assert_eq!(found, []);
        let lacking = Lacking::find(&objects).await;
        assert_eq!(lacking.names(), ["default/dead"]);

        let objects = lacking.fill(objects, &[pod(10, 11), pod(20, 21)]);
        assert!(objects.iter().all(|object| object.kind != "Node"));
        let (model, found) = elbow_manifest::translate(&objects, &Context::default());
        assert_eq!(found, []);
        let mut targets: Vec<(String, Vec<u16>)> = model
            .target_groups
            .iter()
            .map(|group| {
                let name = group.name.split('-').nth(2).unwrap_or_default().to_owned();
                (name, group.targets.iter().map(|t| t.port).collect())
            })
            .collect();
        targets.sort();
        let expected = [
            ("alive".to_owned(), vec![alive.0]),
            ("alive".to_owned(), vec![alive.0]),
            ("dead".to_owned(), vec![10, 20]),
            ("dead".to_owned(), vec![11, 21]),
        ];
        assert_eq!(targets, expected);
    }
}

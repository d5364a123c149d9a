//! Pods for the Services of manifests without endpoints that answer.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use elbow_manifest::cluster::{Change, Cluster};
use elbow_manifest::inventory::Key;
use elbow_manifest::objects::{
    EndpointSet, EndpointSlice, Port, Service, ServicePort, ServiceType,
};
use elbow_manifest::{Context, Object};
use elbow_pods::Pod;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// How long an endpoint may take to answer.
const ANSWER: Duration = Duration::from_millis(300);
/// The number of endpoints of a Service to try.
const MAX_TRIES: usize = 8;
/// The ports of MinIO's and the operator's consoles.
const CONSOLE_PORTS: [u16; 2] = [9090, 9443];

/// The Services of manifests, including those of Tenants, whose endpoints do not answer.
pub(super) struct Unanswered {
    services: Vec<Service>,
    /// The objects with the endpoints of these Services, as kind, namespace and name.
    dead: BTreeSet<(&'static str, Key)>,
}

impl Unanswered {
    /// Connects to the endpoints of each Service in `objects`.
    pub(super) async fn find(objects: &[Object]) -> Self {
        let mut cluster = Cluster::new(Context::default());
        // The first of several objects with one name wins, so it is set last.
        for object in objects.iter().rev() {
            cluster.take(Change::Set(object.clone()));
        }
        // Errors in the objects are reported when they are translated.
        cluster.reconcile();
        let inventory = cluster.inventory();
        let mut unanswered = Self {
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
            let endpoints = inventory.endpoints.get(key);
            let sets = slices.iter().map(|(_, slice)| &slice.set);
            let sets = sets.chain(endpoints.iter().flat_map(|one| &one.sets));
            if any_answers(sets).await {
                continue;
            }
            unanswered.services.push(service.clone());
            let slices = slices.into_iter().map(|(key, _)| key.clone());
            unanswered
                .dead
                .extend(slices.map(|key| ("EndpointSlice", key)));
            if endpoints.is_some() {
                unanswered.dead.insert(("Endpoints", key.clone()));
            }
        }
        unanswered
    }

    /// The names of the Services as `namespace/name`.
    pub(super) fn names(&self) -> Vec<String> {
        self.services.iter().map(|s| s.meta.key()).collect()
    }

    /// `objects` with `pods` as the endpoints of these Services.
    pub(super) fn fill(&self, objects: Vec<Object>, pods: &[Pod]) -> Vec<Object> {
        let is_dead = |object: &Object| {
            let key = (object.namespace.clone(), object.name.clone());
            let kinds = ["EndpointSlice", "Endpoints"];
            let kind = kinds.iter().find(|kind| object.kind == **kind);
            // The nodes of the cluster are not reachable here.
            object.kind == "Node" || kind.is_some_and(|kind| self.dead.contains(&(*kind, key)))
        };
        let mut objects = objects;
        if self.services.is_empty() {
            return objects;
        }
        objects.retain(|object| !is_dead(object));
        for service in &self.services {
            for slice in pods.iter().flat_map(|pod| slices(service, pod)) {
                // An object of a cluster: nobody wrote it, so it is not validated as what a user wrote.
                objects.extend(Object::from_json(slice));
            }
        }
        objects
    }
}

async fn any_answers(sets: impl Iterator<Item = &EndpointSet>) -> bool {
    let mut tries = 0;
    for set in sets {
        let ports: Vec<u16> = set.ports.iter().filter_map(|port| port.port).collect();
        for endpoint in &set.endpoints {
            for port in &ports {
                if tries == MAX_TRIES {
                    return false;
                }
                tries += 1;
                let connecting = TcpStream::connect((endpoint.address.as_str(), *port));
                if let Ok(Ok(_)) = tokio::time::timeout(ANSWER, connecting).await {
                    return true;
                }
            }
        }
    }
    false
}

/// The EndpointSlices that make `pod` an endpoint of `service`: one for IPv4, and one for IPv6 if the Service has that
/// family.
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

/// Whether the port is that of a console and not S3, judged by names and port numbers.
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

    /// Services with an endpoint that answers keep their endpoints.
    #[tokio::test]
    async fn services_without_answering_endpoints_get_the_pods() {
        let alive = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = alive.local_addr().map(|at| (at.port(), alive)).unwrap();
        // Port 1 is unused here: nobody listens there.
        let text = service("dead", 1) + &service("alive", alive.0);
        let (objects, found) = elbow_manifest::read(&text, "a.yaml");
        assert_eq!(found, []);
        let unanswered = Unanswered::find(&objects).await;
        assert_eq!(unanswered.names(), ["default/dead"]);

        let objects = unanswered.fill(objects, &[pod(10, 11), pod(20, 21)]);
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

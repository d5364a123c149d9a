//! The Services of a MinIO Tenant, as MinIO's operator makes them (control-plane.md 6).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use crate::Stack;
use crate::object::Object;
pub(crate) use crate::objects::TENANT;
use crate::objects::{Endpoint, EndpointPort, EndpointSet, Endpoints, Family, Pod, Service};
pub use crate::objects::{Extra, Tenant};
use crate::scope::Scope;

/// A Service that the operator makes, as Kubernetes spells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantService {
    /// `v1`.
    pub api_version: &'static str,
    /// `Service`.
    pub kind: &'static str,
    /// Its metadata.
    pub metadata: TenantMeta,
    /// Its spec.
    pub spec: TenantServiceSpec,
}

/// The metadata of a Service that the operator makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantMeta {
    /// Its annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its name.
    pub name: String,
    /// The Tenant's namespace.
    pub namespace: String,
}

/// The spec of a Service that the operator makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantServiceSpec {
    /// `None` for headless Services.
    #[serde(rename = "clusterIP", skip_serializing_if = "Option::is_none")]
    pub cluster_ip: Option<&'static str>,
    /// Its ports.
    pub ports: Vec<TenantPort>,
    /// The pods behind it.
    pub selector: BTreeMap<String, String>,
    /// `LoadBalancer` or `ClusterIP`.
    #[serde(rename = "type")]
    pub service_type: &'static str,
}

/// A port of a Service that the operator makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantPort {
    /// Its name.
    pub name: &'static str,
    /// Where the Service listens.
    pub port: u16,
    /// `TCP`.
    pub protocol: &'static str,
    /// Where the pods listen.
    pub target_port: u16,
}

impl Tenant {
    /// The Services of the Tenant (control-plane.md 6).
    pub fn services(&self) -> Vec<TenantService> {
        let (minio, console, headless) = if self.tls {
            (
                port("https-minio", 443, 9000),
                port("https-console", 9443, 9443),
                port("https-minio", 9000, 9000),
            )
        } else {
            (
                port("http-minio", 80, 9000),
                port("http-console", 9090, 9090),
                port("http-minio", 9000, 9000),
            )
        };
        let mut inner = vec![headless];
        if self.sftp {
            inner.push(port("sftp-minio", 8022, 8022));
        }
        let mut services = vec![
            self.service(
                "minio".to_owned(),
                &self.minio,
                vec![minio],
                exposure(self.exposes_minio),
            ),
            self.service(
                format!("{}-console", self.name),
                &self.console,
                vec![console],
                exposure(self.exposes_console),
            ),
            headless_of(self.service(
                format!("{}-hl", self.name),
                &Extra::default(),
                inner,
                "ClusterIP",
            )),
        ];
        if self.kes {
            let ports = vec![port("http-kes", 7373, 7373)];
            let name = format!("{}-kes-hl-svc", self.name);
            let mut service = headless_of(self.service(name, &self.kes_extra, ports, "ClusterIP"));
            service.spec.selector =
                BTreeMap::from([("v1.min.io/kes".to_owned(), format!("{}-kes", self.name))]);
            services.push(service);
        }
        services
    }

    /// The stack `namespace/tenant` with the Services.
    pub(crate) fn stack(&self) -> Stack {
        let mut stack = Stack::new(format!("{}/{}", self.namespace, self.name));
        for service in self.services() {
            let id = ("K8S::Service".to_owned(), service.metadata.name.clone());
            stack.others.insert(id, json!(service));
        }
        stack.made_of(self.origin())
    }

    /// The Service as an object, with the places of the Tenant.
    pub(crate) fn expand(&self, service: &TenantService) -> Option<Service> {
        let object = Object::from_json(json!(service)).ok()?;
        let mut read = Service::read(&object, &object.view(&object.log()));
        read.meta.place = self.place.clone();
        let written = [&self.minio, &self.console, &self.kes_extra];
        for (key, annotation) in &mut read.meta.annotations {
            let original = written
                .iter()
                .filter_map(|extra| extra.annotations.get(key));
            if let Some(original) = original.clone().find(|one| one.value == annotation.value) {
                *annotation = original.clone();
            }
        }
        Some(read)
    }

    /// The endpoints of such a Service, from the Tenant's pods, since it has no EndpointSlice. `None`: there are no pods.
    pub(crate) fn endpoints(&self, service: &TenantService, scope: Scope<'_>) -> Option<Endpoints> {
        let tenant = (self.namespace.clone(), self.name.clone());
        if service.spec.selector.get(TENANT) != Some(&self.name) {
            return None;
        }
        let object = self.origin().object;
        let endpoint = |pod: &Pod| {
            let meta = &pod.meta;
            Some(Endpoint {
                address: pod.address.clone()?,
                ready: Some(pod.ready && !meta.deleting),
                terminating: meta.deleting,
                zone: None,
                node: pod.node.clone(),
                target: Some(("Pod".into(), meta.namespace.clone(), meta.name.clone())),
                place: self.place.clone(),
                object: object.clone(),
            })
        };
        let endpoints: Vec<Endpoint> = scope.pods_of(&tenant).filter_map(endpoint).collect();
        let meta = self.expand(service)?.meta;
        let port = |port: &TenantPort| EndpointPort {
            name: port.name.to_owned(),
            port: Some(port.target_port),
            protocol: port.protocol.to_owned(),
        };
        let set = EndpointSet {
            family: Family::Both,
            ports: service.spec.ports.iter().map(port).collect(),
            endpoints,
        };
        (!set.endpoints.is_empty()).then(|| Endpoints {
            meta,
            sets: vec![set],
        })
    }

    fn service(
        &self,
        name: String,
        extra: &Extra,
        ports: Vec<TenantPort>,
        service_type: &'static str,
    ) -> TenantService {
        TenantService {
            api_version: "v1",
            kind: "Service",
            metadata: TenantMeta {
                annotations: extra
                    .annotations
                    .iter()
                    .map(|(key, one)| (key.clone(), one.value.clone()))
                    .collect(),
                labels: extra.labels.clone(),
                name,
                namespace: self.namespace.clone(),
            },
            spec: TenantServiceSpec {
                cluster_ip: None,
                ports,
                selector: BTreeMap::from([(TENANT.to_owned(), self.name.clone())]),
                service_type,
            },
        }
    }
}

fn headless_of(mut service: TenantService) -> TenantService {
    service.spec.cluster_ip = Some("None");
    service
}

const fn exposure(exposed: bool) -> &'static str {
    if exposed { "LoadBalancer" } else { "ClusterIP" }
}

const fn port(name: &'static str, port: u16, target_port: u16) -> TenantPort {
    TenantPort {
        name,
        port,
        protocol: "TCP",
        target_port,
    }
}

//! MinIO Tenant to Services, as MinIO's operator makes them (section 6).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use crate::annotations::{Annotation, Annotations};
use crate::inventory::{Inventory, Typed};
use crate::object::{self, Object, Place};
use crate::objects::{Endpoint, EndpointPort, EndpointSet, Endpoints, Family, Pod, Service};
use crate::scope::{Reads, Scope};
use crate::stack::Origin;
use crate::view::View;
use crate::{Stack, Translation};

/// Adds a stack for every Tenant, and its Services to the others. A Service that stands among the
/// objects already, because the operator made it, stays as it is.
pub fn translate(inventory: &mut Inventory, translation: &mut Translation) {
    for tenant in std::mem::take(&mut inventory.tenants).into_values() {
        let services = tenant.services();
        for service in &services {
            let key = (tenant.namespace.clone(), service.metadata.name.clone());
            if inventory.services.contains_key(&key) {
                continue;
            }
            let reads = Reads::default();
            let endpoints = tenant.endpoints(service, Scope::new(inventory, &reads));
            if let Some(endpoints) = endpoints {
                inventory.endpoints.entry(key).or_insert(endpoints);
            }
            if let Some(expanded) = tenant.expand(service) {
                inventory.put(Typed::Service(expanded));
            }
        }
        translation
            .stacks
            .push(tenant.stack(&services).made_of(tenant.origin()));
    }
}

/// The label of a Tenant's Pods.
pub(crate) const TENANT: &str = "v1.min.io/tenant";

/// The parts of a Tenant that its Services follow from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether the pods speak TLS.
    pub tls: bool,
    /// Whether the S3 API is exposed by a load balancer.
    pub exposes_minio: bool,
    /// Whether the console is.
    pub exposes_console: bool,
    /// Whether the pods serve SFTP.
    pub sftp: bool,
    /// Whether there is a key server of its own.
    pub kes: bool,
    /// What is written on the Service of the S3 API.
    pub minio: Extra,
    /// What is written on the Service of the console.
    pub console: Extra,
    /// What is written on the Service of the key server.
    pub kes_extra: Extra,
    /// Where it stands.
    pub place: Place,
}

/// Labels and annotations that the user puts on a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations, with their places.
    pub annotations: Annotations,
}

/// A Service that the operator makes, as Kubernetes spells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantService {
    /// `v1`.
    pub api_version: &'static str,
    /// `Service`.
    pub kind: &'static str,
    /// Who it is.
    pub metadata: TenantMeta,
    /// What it does.
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
    /// Reads a Tenant.
    pub fn read(object: &Object, view: &View<'_>) -> Self {
        let spec = view.get("spec");
        let flag = |view: View<'_>| {
            if view.is_absent() {
                None
            } else {
                view.boolean()
            }
        };
        let own_certificates = !spec.get("externalCertSecret").items().is_empty();
        let exposed = spec.get("exposeServices");
        let extra = spec.get("serviceMetadata");
        let written = |labels: &str, annotations: &str| Extra {
            labels: texts(&extra.get(labels)),
            annotations: annotations_of(&extra.get(annotations)),
        };
        Self {
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            tls: own_certificates || flag(spec.get("requestAutoCert")).unwrap_or(true),
            exposes_minio: flag(exposed.get("minio")).unwrap_or(false),
            exposes_console: flag(exposed.get("console")).unwrap_or(false),
            sftp: flag(spec.get("features").get("enableSFTP")).unwrap_or(false),
            kes: !spec.get("kes").is_absent(),
            minio: written("minioServiceLabels", "minioServiceAnnotations"),
            console: written("consoleServiceLabels", "consoleServiceAnnotations"),
            kes_extra: written("kesServiceLabels", "kesServiceAnnotations"),
            place: object.place(),
        }
    }

    fn origin(&self) -> Origin {
        Origin {
            object: object::path("Tenant", &self.namespace, &self.name),
            place: self.place.clone(),
        }
    }

    /// The table of section 6.
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
    fn stack(&self, services: &[TenantService]) -> Stack {
        let mut stack = Stack::new(format!("{}/{}", self.namespace, self.name));
        for service in services {
            let id = ("K8S::Service".to_owned(), service.metadata.name.clone());
            stack.others.insert(id, json!(service));
        }
        stack
    }

    /// The Service as if it had been read, with the places of the Tenant.
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

    /// The endpoints of such a Service: no EndpointSlice says where its pods are, so the pods do. `None`: there are
    /// no pods.
    pub(crate) fn endpoints(&self, service: &TenantService, scope: Scope<'_>) -> Option<Endpoints> {
        let tenant = (self.namespace.clone(), self.name.clone());
        if service.spec.selector.get(TENANT) != Some(&self.name) {
            return None;
        }
        let object: Arc<str> = self.origin().object.into();
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

fn texts(view: &View<'_>) -> BTreeMap<String, String> {
    let field = |(key, value): (&elbow_model::yaml::Key, View<'_>)| {
        Some((key.name.clone(), value.strict_text()?.to_owned()))
    };
    view.fields().into_iter().filter_map(field).collect()
}

fn annotations_of(view: &View<'_>) -> Annotations {
    let field = |(key, value): (&elbow_model::yaml::Key, View<'_>)| {
        let annotation = Annotation {
            value: value.strict_text()?.to_owned(),
            at: value.at(),
            key_at: key.at,
        };
        Some((key.name.clone(), annotation))
    };
    view.fields().into_iter().filter_map(field).collect()
}

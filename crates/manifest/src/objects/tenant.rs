//! MinIO Tenants.

use std::collections::BTreeMap;
use std::sync::Arc;

use elbow_model::Origin;

use crate::annotations::{Annotation, Annotations};
use crate::object::{self, Object, Place};
use crate::view::View;

/// The label of a Tenant's Pods.
pub(crate) const TENANT: &str = "v1.min.io/tenant";

/// The parts of a Tenant that its Services depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether the pods speak TLS.
    pub tls: bool,
    /// Whether a load balancer exposes the S3 API.
    pub exposes_minio: bool,
    /// Whether a load balancer exposes the console.
    pub exposes_console: bool,
    /// Whether the pods serve SFTP.
    pub sftp: bool,
    /// Whether it has a key server.
    pub kes: bool,
    /// Labels and annotations of the S3 API's Service.
    pub minio: Extra,
    /// Labels and annotations of the console's Service.
    pub console: Extra,
    /// Labels and annotations of the key server's Service.
    pub kes_extra: Extra,
    /// Its place.
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

    /// Where it was written.
    pub fn origin(&self) -> Origin {
        let object = object::path("Tenant", &self.namespace, &self.name);
        self.place.origin(&object.into(), Arc::default())
    }
}

fn texts(view: &View<'_>) -> BTreeMap<String, String> {
    let field = |(key, value): (&elbow_yaml::Key, View<'_>)| {
        Some((key.name.clone(), value.strict_text()?.to_owned()))
    };
    view.fields().into_iter().filter_map(field).collect()
}

fn annotations_of(view: &View<'_>) -> Annotations {
    let field = |(key, value): (&elbow_yaml::Key, View<'_>)| {
        let annotation = Annotation {
            value: value.strict_text()?.to_owned(),
            at: value.at(),
            key_at: key.at,
        };
        Some((key.name.clone(), annotation))
    };
    view.fields().into_iter().filter_map(field).collect()
}

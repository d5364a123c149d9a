//! The Kubernetes objects that load balancers depend on, typed.

use std::collections::BTreeMap;
use std::sync::Arc;

use elbow_model::Origin;
use elbow_model::diagnostic::Diagnostic;
use elbow_yaml::Position;

use crate::annotations::other::CERTIFICATE_ARN;
use crate::annotations::{Annotation, Annotations};
use crate::bounds::TooMuch;
use crate::names;
use crate::object::{Object, Place};
use crate::view::View;

mod binding;
mod class;
mod endpoints;
mod ingress;
mod node;
mod server_id;
mod service;
mod tenant;

pub use binding::{Binding, group_name};
pub(crate) use class::AUTO_MODE;
pub use class::{IngressClass, IngressClassParams, ParamsListener, Selector, SubnetSelector};
pub use endpoints::{
    Endpoint, EndpointPort, EndpointSet, EndpointSlice, Endpoints, Family, SERVICE_NAME,
};
pub use ingress::{Backend, BackendPort, Ingress, IngressPath, IngressRule, PathType};
pub use node::{Condition, Node, Pod};
pub(crate) use server_id::QUIC_SERVER_ID;
pub use server_id::{QUIC_ENABLED_CONTAINERS, ServerId, ServerIds};
pub use service::{Port, Service, ServicePort, ServiceType};
pub(crate) use tenant::TENANT;
pub use tenant::{Extra, Tenant};

/// The metadata of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for kinds that have none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID; for an object that was never in a cluster, one made from its name.
    pub uid: String,
    /// Whether the UID is from a cluster, in which case defaults are filled in too.
    pub from_cluster: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: Annotations,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// Whether it is being deleted: it has a `deletionTimestamp` and waits for its finalizers.
    pub deleting: bool,
    /// Where it stands.
    pub place: Place,
    /// `kind/namespace/name`, shared by all origins in this object.
    object: Arc<str>,
}

impl Meta {
    /// Reads the metadata of `object`.
    pub fn read(object: &Object, view: &View<'_>) -> Self {
        let metadata = view.get("metadata");
        let uid = metadata.get("uid").text().filter(|uid| !uid.is_empty());
        let label = |(key, value): (&elbow_yaml::Key, View<'_>)| {
            Some((key.name.clone(), value.strict_text()?.to_owned()))
        };
        let labels = metadata.get("labels").fields().into_iter();
        Self {
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            from_cluster: uid.is_some(),
            uid: uid.map_or_else(
                || names::uid(&object.kind, &object.namespace, &object.name),
                str::to_owned,
            ),
            labels: labels.filter_map(label).collect(),
            annotations: annotations(&metadata.get("annotations")),
            finalizers: metadata.get("finalizers").texts(),
            deleting: !metadata.get("deletionTimestamp").is_absent(),
            place: Place {
                file: object.file.clone(),
                at: view.at(),
            },
            object: object.path().into(),
        }
    }

    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// `kind/namespace/name`, as diagnostics name it.
    pub fn path(&self) -> String {
        self.object.to_string()
    }

    /// Where the object was written.
    pub fn origin(&self) -> Origin {
        self.place.origin(&self.object, Arc::default())
    }

    /// Where the value of `annotation` was written; `key` is its whole key.
    pub fn origin_of(&self, key: &str, annotation: &Annotation) -> Origin {
        let place = Place {
            file: self.place.file.clone(),
            at: annotation.at,
        };
        let field = format!("metadata.annotations.{key}");
        place.origin(&self.object, field.into())
    }

    /// An error about the whole object.
    pub fn refuse(&self, code: &'static str, message: impl Into<String>) -> Box<Diagnostic> {
        Box::new(self.found(Diagnostic::error(code, message)))
    }

    /// The error that a bound is exceeded.
    pub(crate) fn too_much(&self, bound: TooMuch) -> Box<Diagnostic> {
        Box::new(self.refuse(bound.code, bound.message).hint(bound.hint))
    }

    /// Points a finding at this object.
    pub fn found(&self, diagnostic: Diagnostic) -> Diagnostic {
        let Place { file, at } = &self.place;
        diagnostic
            .at(&**file, at.line, at.column)
            .object(&*self.object)
    }
}

/// The API server's limit for the annotations of an object: bytes of all keys and values together.
const MAX_ANNOTATIONS: usize = 256 * 1024;

fn annotations(view: &View<'_>) -> Annotations {
    let mut annotations = Annotations::new();
    let mut bytes = 0;
    for (key, value) in view.fields() {
        // The API server stores `key:` without a value as an empty string.
        let text = if value.is_absent() {
            Some("")
        } else {
            value.strict_text()
        };
        let Some(text) = text else { continue };
        bytes += key.name.len() + text.len();
        if bytes > MAX_ANNOTATIONS {
            let message = format!(
                "the annotations of an object exceed {MAX_ANNOTATIONS} bytes with this one of {} bytes; keep large values in \
                 a ConfigMap",
                text.len()
            );
            value.error("too-large", message);
            break;
        }
        let annotation = Annotation {
            value: text.to_owned(),
            at: value.at(),
            key_at: key.at,
        };
        annotations.insert(key.name.clone(), annotation);
    }
    annotations
}

/// A Secret, with its values still encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Name, namespace, place.
    pub meta: Meta,
    /// `kubernetes.io/tls`, `Opaque`.
    pub kind: String,
    /// Its values by key: base64 from `data`, plain from `stringData`.
    pub data: BTreeMap<String, SecretValue>,
    /// The positions of its values, by key.
    pub places: BTreeMap<String, Position>,
}

/// A value of a Secret. Its debug form hides the content.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretValue {
    /// From `data`: base64.
    Encoded(String),
    /// From `stringData`.
    Plain(String),
}

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretValue")
    }
}

impl Secret {
    /// Reads a Secret.
    pub fn read(object: &Object, view: &View<'_>) -> Self {
        let mut data = BTreeMap::new();
        let mut places = BTreeMap::new();
        for (key, value) in view.get("data").fields() {
            let text = value.text().unwrap_or_default().to_owned();
            places.insert(key.name.clone(), value.at());
            data.insert(key.name.clone(), SecretValue::Encoded(text));
        }
        for (key, value) in view.get("stringData").fields() {
            let text = value.text().unwrap_or_default().to_owned();
            places.insert(key.name.clone(), value.at());
            data.insert(key.name.clone(), SecretValue::Plain(text));
        }
        Self {
            meta: Meta::read(object, view),
            kind: view.get("type").text().unwrap_or("Opaque").to_owned(),
            data,
            places,
        }
    }

    /// The ARN of its certificate, from the annotation `elbow.dev/certificate-arn`.
    pub fn arn(&self) -> Option<&str> {
        let annotation = self.meta.annotations.get(CERTIFICATE_ARN.key);
        annotation.map(|annotation| annotation.value.trim())
    }
}

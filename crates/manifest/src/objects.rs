//! The Kubernetes objects that decide about load balancers, typed.

use std::collections::BTreeMap;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::yaml::Position;

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
mod service;

pub use binding::{Binding, group_name};
pub use class::{IngressClass, IngressClassParams, ParamsListener, Selector, SubnetSelector};
pub use endpoints::{
    Endpoint, EndpointPort, EndpointSet, EndpointSlice, Endpoints, Family, SERVICE_NAME,
};
pub use ingress::{Backend, BackendPort, Ingress, IngressPath, IngressRule, PathType};
pub use node::{Condition, Node, Pod};
pub use service::{Port, Service, ServicePort, ServiceType};

/// What every object has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for kinds that have none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID; of an object that never was in a cluster, one made of its name.
    pub uid: String,
    /// Whether the cluster gave the UID, so that its defaults are filled in too.
    pub from_cluster: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: Annotations,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// Whether it is about to go: it has a `deletionTimestamp`, and waits for its finalizers.
    pub deleting: bool,
    /// Where it stands.
    pub place: Place,
}

impl Meta {
    /// Reads the metadata of `object`.
    pub fn read(object: &Object, view: &View<'_>) -> Self {
        let metadata = view.get("metadata");
        let uid = metadata.get("uid").text().filter(|uid| !uid.is_empty());
        let label = |(key, value): (&elbow_model::yaml::Key, View<'_>)| {
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
        }
    }

    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// `kind/namespace/name`, as diagnostics name it.
    pub fn path(&self) -> String {
        crate::object::path(&self.kind, &self.namespace, &self.name)
    }

    /// An error about the whole object.
    pub fn refuse(&self, code: &'static str, message: impl Into<String>) -> Box<Diagnostic> {
        Box::new(self.found(Diagnostic::error(code, message)))
    }

    /// The error that there would be too much of something.
    pub(crate) fn too_much(&self, bound: TooMuch) -> Box<Diagnostic> {
        Box::new(self.refuse(bound.code, bound.message).hint(bound.hint))
    }

    /// Gives a finding the place and the name of this object.
    pub fn found(&self, diagnostic: Diagnostic) -> Diagnostic {
        let Place { file, at } = &self.place;
        diagnostic
            .at(&**file, at.line, at.column)
            .object(self.path())
    }
}

/// Bytes that the annotations of an object may have together, keys and values: the limit of the apiserver.
const MAX_ANNOTATIONS: usize = 256 * 1024;

fn annotations(view: &View<'_>) -> Annotations {
    let mut annotations = Annotations::new();
    let mut bytes = 0;
    for (key, value) in view.fields() {
        // The apiserver keeps `key:` without a value as an empty text.
        let text = if value.is_absent() {
            Some("")
        } else {
            value.strict_text()
        };
        let Some(text) = text else { continue };
        bytes += key.name.len() + text.len();
        if bytes > MAX_ANNOTATIONS {
            let message = format!(
                "the annotations of an object may have {MAX_ANNOTATIONS} bytes together; with this one of {} they have \
                 more: keep large values in a ConfigMap",
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

/// A Secret: what it holds, still encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Name, namespace, place.
    pub meta: Meta,
    /// `kubernetes.io/tls`, `Opaque`.
    pub kind: String,
    /// Its keys; values of `data` are base64 as they stand, those of `stringData` are plain.
    pub data: BTreeMap<String, SecretValue>,
    /// Where its values stand, by key.
    pub places: BTreeMap<String, Position>,
}

/// A value of a Secret, which no message shows.
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

    /// The ARN that its certificate is known by, from the annotation `elbow.dev/certificate-arn`.
    pub fn arn(&self) -> Option<&str> {
        let annotation = self.meta.annotations.get("elbow.dev/certificate-arn");
        annotation.map(|annotation| annotation.value.trim())
    }
}

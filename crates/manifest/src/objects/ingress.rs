//! Ingresses.

use elbow_model::yaml::Position;

use super::{Meta, Port};
use crate::object::Object;
use crate::view::View;

/// An Ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// Name, namespace, annotations, place.
    pub meta: Meta,
    /// `spec.ingressClassName`.
    pub class: Option<String>,
    /// `spec.defaultBackend`.
    pub default_backend: Option<Backend>,
    /// `spec.rules`, in the order of the text.
    pub rules: Vec<IngressRule>,
    /// All of `spec.tls[].hosts`.
    pub tls_hosts: Vec<String>,
    /// `spec.tls[].secretName` with the hosts beside it; AWS never reads it.
    pub tls_secrets: Vec<(String, Vec<String>)>,
}

/// A rule of an Ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressRule {
    /// Its host; empty: any.
    pub host: String,
    /// Its paths; `None` for a rule without `http`, which does nothing.
    pub paths: Option<Vec<IngressPath>>,
}

/// A path of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressPath {
    /// As it is written; empty: any.
    pub path: String,
    /// How it is meant.
    pub path_type: PathType,
    /// Where it leads.
    pub backend: Backend,
    /// Where it stands.
    pub at: Position,
}

/// `pathType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathType {
    /// The path alone.
    Exact,
    /// The path and all below it.
    Prefix,
    /// A pattern of ALB; also when nothing is said.
    ImplementationSpecific,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// To a Service, or to an annotation by that name.
    Service {
        /// The name of the Service.
        name: String,
        /// Its port.
        port: BackendPort,
    },
    /// To another resource, which ALB does not know.
    Resource,
}

impl Backend {
    /// The name of the Service, or of the annotation.
    pub fn name(&self) -> &str {
        match self {
            Self::Service { name, .. } => name,
            Self::Resource => "",
        }
    }
}

/// The port of a backend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BackendPort {
    /// `use-annotation`.
    Annotation,
    /// A port of the Service.
    Service(Port),
}

impl Ingress {
    /// All paths, in the order of the text.
    pub fn paths(&self) -> impl Iterator<Item = &IngressPath> {
        let rules = self.rules.iter();
        rules.filter_map(|rule| rule.paths.as_ref()).flatten()
    }

    /// Where the first path stands that leads to `service`, by any port or by `port`; the Ingress
    /// itself when none does.
    pub fn place_of(&self, service: &str, port: Option<&Port>) -> Position {
        let leads = |path: &&IngressPath| match &path.backend {
            Backend::Service { name, port: found } => {
                let wanted = port.cloned().map(BackendPort::Service);
                name == service && wanted.is_none_or(|wanted| wanted == *found)
            }
            Backend::Resource => false,
        };
        self.paths()
            .find(leads)
            .map_or(self.meta.place.at, |path| path.at)
    }

    /// Reads an Ingress.
    pub fn read(object: &Object, view: &View<'_>) -> Self {
        if object.api_version != "networking.k8s.io/v1" {
            let message = format!(
                "Ingresses of {} are no longer served by Kubernetes",
                object.api_version
            );
            view.get("apiVersion").error("old-api-version", message);
        }
        let spec = view.get("spec");
        let backend = spec.get("defaultBackend");
        let tls = spec.get("tls").items();
        Self {
            meta: Meta::read(object, view),
            class: spec.get("ingressClassName").text().map(str::to_owned),
            default_backend: (!backend.is_absent()).then(|| read_backend(&backend)),
            rules: spec.get("rules").items().iter().map(rule).collect(),
            tls_hosts: tls
                .iter()
                .flat_map(|tls| tls.get("hosts").texts())
                .collect(),
            tls_secrets: tls.iter().filter_map(tls_secret).collect(),
        }
    }
}

fn tls_secret(view: &View<'_>) -> Option<(String, Vec<String>)> {
    let name = view.get("secretName").text()?;
    Some((name.to_owned(), view.get("hosts").texts()))
}

fn rule(view: &View<'_>) -> IngressRule {
    let http = view.get("http");
    IngressRule {
        host: view.get("host").text().unwrap_or_default().to_owned(),
        paths: (!http.is_absent()).then(|| http.get("paths").items().iter().map(path).collect()),
    }
}

fn path(view: &View<'_>) -> IngressPath {
    let kind = view.get("pathType");
    let path_type = match kind.text() {
        Some("Exact") => PathType::Exact,
        Some("Prefix") => PathType::Prefix,
        None | Some("ImplementationSpecific") => PathType::ImplementationSpecific,
        Some(other) => {
            let message =
                format!("pathType is Exact, Prefix or ImplementationSpecific, not {other}");
            kind.error("unknown-value", message);
            PathType::ImplementationSpecific
        }
    };
    IngressPath {
        path: view.get("path").text().unwrap_or_default().to_owned(),
        path_type,
        backend: read_backend(&view.get("backend")),
        at: view.at(),
    }
}

fn read_backend(view: &View<'_>) -> Backend {
    let service = view.get("service");
    if service.is_absent() {
        return Backend::Resource;
    }
    let port = service.get("port");
    let port = match port.get("name").text() {
        Some("use-annotation") => BackendPort::Annotation,
        Some(name) if !name.is_empty() => BackendPort::Service(Port::Name(name.to_owned())),
        _ => BackendPort::Service(Port::Number(port.get("number").number().unwrap_or(0))),
    };
    Backend::Service {
        name: service.get("name").text().unwrap_or_default().to_owned(),
        port,
    }
}

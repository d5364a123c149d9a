//! Ingresses.

use elbow_yaml::Position;

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
    /// `spec.tls[].secretName` with its hosts, which AWS ignores.
    pub tls_secrets: Vec<(String, Vec<String>)>,
}

/// A rule of an Ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressRule {
    /// Its host; empty: any.
    pub host: String,
    /// Its paths; `None` for a rule without `http`, which has no effect.
    pub paths: Option<Vec<IngressPath>>,
}

/// A path of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressPath {
    /// As it is written; empty: any.
    pub path: String,
    /// Its type.
    pub path_type: PathType,
    /// Its backend.
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
    /// A pattern of ALB; the default.
    ImplementationSpecific,
}

/// The backend of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// A Service, or the action of an annotation.
    Service {
        /// The name of the Service or the action.
        name: String,
        /// Its port.
        port: BackendPort,
    },
    /// Another resource, which ALB does not support.
    Resource,
}

impl Backend {
    /// The name of the Service or the action.
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

    /// The position of the first path with the backend `service`, on any port or on `port`, else of the Ingress.
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
            let message = format!(
                "pathType: expected Exact, Prefix or ImplementationSpecific, found {other}"
            );
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

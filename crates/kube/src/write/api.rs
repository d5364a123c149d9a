//! Requests that write, one by one, each counted.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{GetParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, Request, Resource as _};
use kube::{Client, Error};
use serde_json::Value;
use tokio::time::timeout;

use crate::FIELD_MANAGER;

/// An answer that takes longer is none: the next attempt asks again.
const PATIENCE: Duration = Duration::from_secs(15);

/// Called once for every write, with what was written ([`What`]) and what came of it: `ok`, `conflict`, `gone`,
/// `forbidden`, `invalid`, `error`.
pub type Counter = Arc<dyn Fn(What, &'static str) + Send + Sync>;

/// What a write is about; its name is a label of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// Finalizers of a member.
    Finalizer,
    /// `status.loadBalancer`, `status.observedGeneration`.
    Status,
    /// An event, or its count.
    Event,
    /// The annotation `dry-run-plan`.
    Plan,
    /// A readiness gate of a pod.
    Gate,
    /// The Lease of the leader.
    Lease,
}

impl What {
    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finalizer => "finalizer",
            Self::Status => "status",
            Self::Event => "event",
            Self::Plan => "plan",
            Self::Gate => "gate",
            Self::Lease => "lease",
        }
    }
}

/// The kinds of objects that are written, besides events and the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Ingress,
    Service,
    Binding,
    Pod,
}

impl Kind {
    pub(super) fn parse(kind: &str) -> Option<Self> {
        [Self::Ingress, Self::Service, Self::Binding, Self::Pod]
            .into_iter()
            .find(|one| one.name() == kind)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::Service => "Service",
            Self::Binding => "TargetGroupBinding",
            Self::Pod => "Pod",
        }
    }

    pub(super) fn api_version(self) -> &'static str {
        match self {
            Self::Ingress => "networking.k8s.io/v1",
            Self::Service | Self::Pod => "v1",
            Self::Binding => "elbv2.k8s.aws/v1beta1",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Ingress => "ingresses",
            Self::Service => "services",
            Self::Binding => "targetgroupbindings",
            Self::Pod => "pods",
        }
    }

    fn resource(self) -> ApiResource {
        let (group, version) = self
            .api_version()
            .split_once('/')
            .unwrap_or_else(|| ("", self.api_version()));
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: self.api_version().to_owned(),
            kind: self.name().to_owned(),
            plural: self.plural().to_owned(),
        }
    }
}

/// An object that is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}

/// Asks the API server.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    counter: Counter,
}

impl Api {
    pub(crate) fn new(client: Client, counter: Counter) -> Self {
        Self { client, counter }
    }

    fn request(name: &Name) -> Request {
        let resource = name.kind.resource();
        Request::new(DynamicObject::url_path(&resource, Some(&name.namespace)))
    }

    pub(super) async fn get(&self, name: &Name) -> Result<Value, Error> {
        let request = Self::request(name).get(&name.name, &GetParams::default());
        self.ask(request.map_err(Error::BuildRequest)?).await
    }

    /// Patches an object, or its status.
    pub(super) async fn patch(
        &self,
        what: What,
        name: &Name,
        status: bool,
        patch: Patch<Value>,
    ) -> Result<Value, Error> {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            // What others wrote there is overwritten, as AWS's controllers do.
            force: matches!(patch, Patch::Apply(_)),
            ..PatchParams::default()
        };
        let request = Self::request(name);
        let request = match status {
            true => request.patch_subresource("status", &name.name, &params, &patch),
            false => request.patch(&name.name, &params, &patch),
        };
        let answer = self.ask(request.map_err(Error::BuildRequest)?).await;
        self.count(what, &answer);
        answer
    }

    /// A list of what `path` holds, chosen by fields.
    pub(super) async fn list(&self, path: &str, fields: &str) -> Result<Value, Error> {
        let params = kube::api::ListParams::default().fields(fields);
        let request = Request::new(path).list(&params);
        self.ask(request.map_err(Error::BuildRequest)?).await
    }

    /// Reads what stands at `path`.
    pub(crate) async fn read(&self, path: &str, name: &str) -> Result<Value, Error> {
        let request = Request::new(path).get(name, &GetParams::default());
        self.ask(request.map_err(Error::BuildRequest)?).await
    }

    /// Creates an object under `path`.
    pub(crate) async fn create(
        &self,
        what: What,
        path: &str,
        object: &Value,
    ) -> Result<Value, Error> {
        let body = serde_json::to_vec(object).map_err(Error::SerdeError)?;
        let request = Request::new(path).create(&Self::post(), body);
        let answer = self.ask(request.map_err(Error::BuildRequest)?).await;
        self.count(what, &answer);
        answer
    }

    /// Replaces an object under `path`; its resource version must be the present one.
    pub(crate) async fn replace(
        &self,
        what: What,
        path: &str,
        name: &str,
        object: &Value,
    ) -> Result<Value, Error> {
        let body = serde_json::to_vec(object).map_err(Error::SerdeError)?;
        let request = Request::new(path).replace(name, &Self::post(), body);
        let answer = self.ask(request.map_err(Error::BuildRequest)?).await;
        self.count(what, &answer);
        answer
    }

    /// Merges `change` into an object under `path`.
    pub(super) async fn merge(
        &self,
        what: What,
        path: &str,
        name: &str,
        change: Value,
    ) -> Result<Value, Error> {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = Request::new(path).patch(name, &params, &Patch::Merge(change));
        let answer = self.ask(request.map_err(Error::BuildRequest)?).await;
        self.count(what, &answer);
        answer
    }

    fn post() -> PostParams {
        PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        }
    }

    async fn ask(&self, request: http::Request<Vec<u8>>) -> Result<Value, Error> {
        match timeout(PATIENCE, self.client.request(request)).await {
            Ok(answer) => answer,
            Err(late) => Err(Error::Service(Box::new(late))),
        }
    }

    fn count(&self, what: What, answer: &Result<Value, Error>) {
        let result = match answer {
            Ok(_) => "ok",
            Err(error) => match code(error) {
                Some(404 | 410) => "gone",
                Some(409) => "conflict",
                Some(401 | 403) => "forbidden",
                Some(400 | 422) => "invalid",
                _ => "error",
            },
        };
        (self.counter)(what, result);
    }
}

/// The status code with which the API server refused.
pub(crate) fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// What went wrong, for a person: the API server's own words where it answered.
pub(crate) fn reason(error: &Error) -> String {
    match error {
        Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        error => crate::client::reasons(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_asked_for_where_the_api_server_has_it() {
        let path = |kind: Kind| DynamicObject::url_path(&kind.resource(), Some("a"));
        assert_eq!(
            path(Kind::Ingress),
            "/apis/networking.k8s.io/v1/namespaces/a/ingresses"
        );
        assert_eq!(path(Kind::Service), "/api/v1/namespaces/a/services");
        assert_eq!(path(Kind::Pod), "/api/v1/namespaces/a/pods");
        assert_eq!(
            path(Kind::Binding),
            "/apis/elbv2.k8s.aws/v1beta1/namespaces/a/targetgroupbindings"
        );
    }
}

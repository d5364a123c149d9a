//! Write requests to the API server, each counted.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{GetParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, Request, Resource as _};
use kube::{Client, Error};
use serde_json::Value;
use tokio::time::timeout;

use crate::FIELD_MANAGER;

/// The timeout of a request; the next attempt asks again.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Called once per write with its subject ([`What`]) and its result: `ok`, `conflict`, `gone`,
/// `forbidden`, `invalid`, `error`.
pub type Counter = Arc<dyn Fn(What, &'static str) + Send + Sync>;

/// The subject of a write; its name is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// Finalizers of an object.
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
    /// The name in metrics.
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

/// The kinds of objects that elbow writes, besides events and the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Ingress,
    Service,
    Binding,
    /// A TargetGroupBinding of EKS Auto Mode.
    AutoBinding,
    Pod,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Ingress,
        Self::Service,
        Self::Binding,
        Self::AutoBinding,
        Self::Pod,
    ];

    /// The kind of this name in an API group.
    pub(super) fn parse(group: &str, kind: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.name() == kind && one.group() == group)
    }

    /// The kind of a member of a stack.
    pub(super) fn of_member(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == kind)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::Service => "Service",
            Self::Binding | Self::AutoBinding => "TargetGroupBinding",
            Self::Pod => "Pod",
        }
    }

    pub(super) fn api_version(self) -> &'static str {
        match self {
            Self::Ingress => "networking.k8s.io/v1",
            Self::Service | Self::Pod => "v1",
            Self::Binding => "elbv2.k8s.aws/v1beta1",
            Self::AutoBinding => "eks.amazonaws.com/v1",
        }
    }

    /// Empty for the core group.
    fn group(self) -> &'static str {
        self.api_version()
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Ingress => "ingresses",
            Self::Service => "services",
            Self::Binding | Self::AutoBinding => "targetgroupbindings",
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

/// The name of an object that elbow writes.
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

/// A client for reads and writes.
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
            // Overwrites the fields of other managers, as AWS's controllers do.
            force: matches!(patch, Patch::Apply(_)),
            ..PatchParams::default()
        };
        let request = Self::request(name);
        let request = if status {
            request.patch_subresource("status", &name.name, &params, &patch)
        } else {
            request.patch(&name.name, &params, &patch)
        };
        let answer = self.ask(request.map_err(Error::BuildRequest)?).await;
        self.count(what, &answer);
        answer
    }

    /// Reads the object `name` under `path`.
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

    /// Replaces an object under `path`; its resource version must be the current one.
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
        match timeout(TIMEOUT, self.client.request(request)).await {
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

/// The status code of an error answer.
pub(crate) fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// The reason in words: the API server's own message if it answered.
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
    fn paths_of_all_kinds_are_those_of_the_api_server() {
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

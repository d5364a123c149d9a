//! Checks what a cluster lacks for elbow, and whether another controller serves it.

use elbow_model::diagnostic::{Diagnostic, Severity};
use kube::api::{ListParams, PostParams};
use kube::core::Request;
use kube::{Client, Error as KubeError};
use serde_json::{Value, json};

use crate::client::{ANSWER_TIMEOUT, Server, reasons};
use crate::role::rule;
use crate::watch::{KINDS, Kind};
use crate::{Error, Options, neighbours};

/// The writes that elbow makes: group, resource, verbs, and the consequence if they are denied.
const WRITES: &[(&str, &str, &[&str], &str)] = &[
    ("", "services", &["patch"], "Services get no finalizer"),
    (
        "",
        "services/status",
        &["patch"],
        "Services show no address",
    ),
    (
        "networking.k8s.io",
        "ingresses",
        &["patch"],
        "Ingresses get no finalizer",
    ),
    (
        "networking.k8s.io",
        "ingresses/status",
        &["patch"],
        "Ingresses show no address",
    ),
    (
        "",
        "events",
        &["get", "create", "patch"],
        "`kubectl describe` shows no events",
    ),
    (
        "",
        "pods/status",
        &["patch"],
        "readiness gates are not updated",
    ),
    (
        "elbv2.k8s.aws",
        "targetgroupbindings/status",
        &["patch"],
        "TargetGroupBindings show no generation",
    ),
];
/// The Lease of the leader. Rules for it can be restricted by name, except for `create`.
const LEASE: (&str, &str, &[&str], &str) = (
    "coordination.k8s.io",
    "leases",
    &["get", "create", "update"],
    "no replica leads, so nothing is written; or run one replica with --leader-elect=false",
);

/// The version of the API server, and a diagnostic for everything that is missing.
///
/// # Errors
/// The API server does not answer, rejects the credentials, or is too old.
pub async fn check(server: &Server, options: &Options) -> Result<(String, Vec<Diagnostic>), Error> {
    let version = crate::client::version(server).await?;
    let client = &server.client;
    let namespace = options.watch_namespace.as_deref();
    let mut found = Vec::new();
    let auto_mode = options.serves_auto_mode();
    for kind in KINDS.iter().filter(|kind| kind.is_watched(auto_mode)) {
        found.extend(missing_kind(client, kind, namespace).await);
        for verb in ["list", "watch"] {
            let permission = Permission {
                verb,
                group: kind.group,
                resource: kind.plural,
                namespace: namespace.filter(|_| kind.namespaced),
            };
            found.extend(permission.check(client, kind.without, !kind.optional).await);
        }
    }
    let lease_home = options.leader_election.namespace.as_deref();
    let lease_home = lease_home.unwrap_or_else(|| client.default_namespace());
    let leases = options
        .leader_election
        .enabled
        .then_some((LEASE, Some(lease_home)));
    let writes = WRITES.iter().map(|write| (*write, namespace));
    for ((group, resource, verbs, without), namespace) in writes.chain(leases) {
        for verb in verbs {
            let permission = Permission {
                verb,
                group,
                resource,
                namespace,
            };
            found.extend(permission.check(client, without, true).await);
        }
    }
    found.extend(neighbours::look(client, &version).await.diagnostics());
    Ok((version, found))
}

/// A note if the cluster lacks an optional kind.
async fn missing_kind(client: &Client, kind: &Kind, namespace: Option<&str>) -> Option<Diagnostic> {
    let request = Request::new(kind.path(namespace)).list(&ListParams::default().limit(1));
    match ask(client, request).await {
        Err(KubeError::Api(status)) if status.code == 404 => {
            let message = format!("CRD {} not found: {}", kind.resource(), kind.without);
            let found = Diagnostic::new(Severity::Note, "no-crd", message);
            Some(match kind.group {
                "elbv2.k8s.aws" => found.hint("elbow controller crds | kubectl apply -f -"),
                "eks.amazonaws.com" => {
                    found.hint("elbow controller crds --eks-auto-mode | kubectl apply -f -")
                }
                _ => found,
            })
        }
        _ => None,
    }
}

/// An action on a resource that RBAC allows or denies.
struct Permission<'a> {
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    namespace: Option<&'a str>,
}

impl Permission<'_> {
    /// A diagnostic if the permission is missing; `without` says what does not work then.
    async fn check(&self, client: &Client, without: &str, needed: bool) -> Option<Diagnostic> {
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((self.resource, ""));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": self.verb, "group": self.group, "resource": resource,
                "subresource": subresource, "namespace": self.namespace.unwrap_or_default()}}
        });
        let request = Request::new("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
        let request = request.create(&PostParams::default(), review.to_string().into_bytes());
        let problem = match ask(client, request).await {
            Ok(answer) if answer["status"]["allowed"] == true => return None,
            Ok(_) => format!("no permission to {self}: {without}"),
            Err(error) => format!("cannot check the permission to {self}: {}", reasons(&error)),
        };
        let severity = if needed {
            Severity::Error
        } else {
            Severity::Warning
        };
        let found = Diagnostic::new(severity, "no-permission", problem);
        Some(found.hint(rule(self.group, self.resource, self.verb, self.namespace)))
    }
}

impl std::fmt::Display for Permission<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, " ({})", self.group)?;
        }
        match self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => f.write_str(" in all namespaces"),
        }
    }
}

async fn ask(
    client: &Client,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Value, KubeError> {
    let request = request.map_err(KubeError::BuildRequest)?;
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.request(request)).await;
    answer.unwrap_or_else(|late| Err(KubeError::Service(late.into())))
}

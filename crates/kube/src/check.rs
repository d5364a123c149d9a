//! What a cluster lacks for elbow to serve it, and who else serves it.

use elbow_model::diagnostic::{Diagnostic, Severity};
use k8s_openapi::jiff::Timestamp;
use kube::api::{GetParams, ListParams, PostParams};
use kube::core::Request;
use kube::{Client, Error as KubeError};
use serde_json::{Value, json};

use crate::client::{ANSWER_TIMEOUT, Server, reasons};
use crate::watch::{KINDS, Kind};
use crate::{Error, Options};

/// What is written: the group, the resource and the verbs, and what does not happen without.
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
        &["create", "patch"],
        "`kubectl describe` tells nothing",
    ),
    (
        "",
        "pods/status",
        &["patch"],
        "readiness gates are not served",
    ),
    (
        "elbv2.k8s.aws",
        "targetgroupbindings/status",
        &["patch"],
        "TargetGroupBindings show no generation",
    ),
];
/// The Lease that the leader holds: it may be narrowed by name, except where it is made.
const LEASE: (&str, &str, &[&str], &str) = (
    "coordination.k8s.io",
    "leases",
    &["get", "create", "update"],
    "nobody leads, so nothing is written; or run one replica with --leader-elect=false",
);

/// The controller of AWS, as its chart calls its Lease.
const RIVAL: &str = "aws-load-balancer-controller-leader";
const RIVALS_HOME: &str = "kube-system";
/// The age in seconds of a sign of life that counts, whatever the clocks differ by.
const ALIVE: i64 = 300;

/// Everything that is missing, and the version of the API server.
///
/// # Errors
/// It does not answer, does not know who asks, or is too old.
pub async fn check(server: &Server, options: &Options) -> Result<(String, Vec<Diagnostic>), Error> {
    let version = crate::client::version(server).await?;
    let client = &server.client;
    let namespace = options.watch_namespace.as_deref();
    let mut found = Vec::new();
    for kind in KINDS {
        found.extend(is_there(client, kind, namespace).await);
        for verb in ["list", "watch"] {
            let asked = Asked {
                verb,
                group: kind.group,
                resource: kind.plural,
                namespace: namespace.filter(|_| kind.namespaced),
            };
            found.extend(asked.missing(client, kind.without, !kind.optional).await);
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
            let asked = Asked {
                verb,
                group,
                resource,
                namespace,
            };
            found.extend(asked.missing(client, without, true).await);
        }
    }
    found.extend(rival(client).await);
    Ok((version, found))
}

/// A note when the cluster lacks an optional kind.
async fn is_there(client: &Client, kind: &Kind, namespace: Option<&str>) -> Option<Diagnostic> {
    let request = Request::new(kind.path(namespace)).list(&ListParams::default().limit(1));
    match ask(client, request).await {
        Err(KubeError::Api(status)) if status.code == 404 => {
            let message = format!("there is no CRD {}: {}", kind.resource(), kind.without);
            let found = Diagnostic::new(Severity::Note, "no-crd", message);
            Some(match kind.group {
                "elbv2.k8s.aws" => found.hint("elbow controller crds | kubectl apply -f -"),
                _ => found,
            })
        }
        _ => None,
    }
}

/// Something that somebody may or may not do.
struct Asked<'a> {
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    namespace: Option<&'a str>,
}

impl Asked<'_> {
    /// What is told when it may not be done.
    async fn missing(&self, client: &Client, without: &str, needed: bool) -> Option<Diagnostic> {
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
            Ok(_) => format!("may not {self}: {without}"),
            Err(error) => format!(
                "cannot find out whether one may {self}: {}",
                reasons(&error)
            ),
        };
        let severity = match needed {
            true => Severity::Error,
            false => Severity::Warning,
        };
        let found = Diagnostic::new(severity, "no-permission", problem);
        Some(found.hint(rule(self.group, self.resource, self.verb, self.namespace)))
    }
}

impl std::fmt::Display for Asked<'_> {
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

/// What to add to which role.
pub(crate) fn rule(group: &str, resource: &str, verbs: &str, namespace: Option<&str>) -> String {
    let role = match namespace {
        Some(namespace) => format!("the Role in {namespace}"),
        None => "the ClusterRole".to_owned(),
    };
    format!(
        "add to {role}: {{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [{verbs}]}}"
    )
}

/// A warning when the controller of AWS runs in the cluster: both would write the same status.
pub(crate) async fn rival(client: &Client) -> Option<Diagnostic> {
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{RIVALS_HOME}/leases");
    let request = Request::new(leases).get(RIVAL, &GetParams::default());
    // Who may not look is not told.
    let lease = ask(client, request).await.ok()?;
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    let renewed = lease["spec"]["renewTime"].as_str().unwrap_or_default();
    let renewed = renewed.parse::<Timestamp>().ok()?;
    let age = Timestamp::now().as_second() - renewed.as_second();
    if holder.is_empty() || age > ALIVE {
        return None;
    }
    let message = format!(
        "AWS Load Balancer Controller runs in this cluster too: {holder} holds the Lease {RIVALS_HOME}/{RIVAL}; both write the \
         same status and finalizers"
    );
    let found = Diagnostic::warning("another-controller", message);
    Some(found.hint(
        "stop one: `kubectl -n kube-system scale deployment aws-load-balancer-controller --replicas=0`; or give elbow other classes \
         with --ingress-class and --load-balancer-class",
    ))
}

async fn ask(
    client: &Client,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Value, KubeError> {
    let request = request.map_err(KubeError::BuildRequest)?;
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.request(request)).await;
    answer.unwrap_or_else(|late| Err(KubeError::Service(late.into())))
}

//! Which controllers of AWS run in the same cluster, so that elbow leaves their objects to them.
//!
//! CRDs prove nothing: elbow installs them too. A Lease that is held, or the webhook without which no Service can be
//! created, proves that AWS Load Balancer Controller is installed.

use std::time::Duration;

use elbow_manifest::context::{
    Neighbours, OWN_CONTROLLER, OWN_LOAD_BALANCER_CLASS, SHARED_CONTROLLER,
};
use elbow_model::diagnostic::Diagnostic;
use k8s_openapi::jiff::Timestamp;
use kube::api::GetParams;
use kube::core::Request;
use kube::{Client, Error as KubeError};
use serde_json::Value;
use tokio::sync::watch;
use tracing::warn;

use crate::client::ANSWER_TIMEOUT;

/// The name of AWS Load Balancer Controller's Lease, as its chart sets it.
const LEASE: &str = "aws-load-balancer-controller-leader";
const LEASE_NAMESPACE: &str = "kube-system";
/// A Lease renewed within so many seconds has a live holder, even if the clocks differ a little.
const ALIVE: i64 = 300;
/// The name of its webhook, as its chart sets it.
const WEBHOOK: &str = "aws-load-balancer-webhook";
/// How often a running controller looks again.
const AGAIN: Duration = Duration::from_secs(60);

/// The other controllers, and what shows that they are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) neighbours: Neighbours,
    /// What shows that AWS Load Balancer Controller is there.
    lbc: String,
}

impl Seen {
    /// A warning for each neighbour, with what elbow serves beside it.
    pub(crate) fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        if self.neighbours.lbc {
            let message = format!(
                "AWS Load Balancer Controller runs in this cluster too: {}. elbow leaves it the IngressClasses of {SHARED_CONTROLLER}, \
                 Services without elbow's class and all TargetGroupBindings",
                self.lbc
            );
            let hint = format!(
                "elbow serves IngressClasses of {OWN_CONTROLLER} and Services of loadBalancerClass {OWN_LOAD_BALANCER_CLASS}; \
                 choose other names with --controller-name and --load-balancer-class"
            );
            found.push(Diagnostic::warning("another-controller", message).hint(hint));
        }
        if self.neighbours.eks {
            let message = "the cluster is one of EKS: elbow leaves Services without a loadBalancerClass and the classes \
                           eks.amazonaws.com/… to AWS";
            let hint =
                format!("elbow serves Services of loadBalancerClass {OWN_LOAD_BALANCER_CLASS}");
            found.push(Diagnostic::warning("another-controller", message).hint(hint));
        }
        found
    }
}

/// Looks for other controllers; `version` is that of the API server.
pub(crate) async fn look(client: &Client, version: &str) -> Seen {
    let lbc = match lease_holder(client).await {
        Some(holder) => Some(format!(
            "{holder} holds the Lease {LEASE_NAMESPACE}/{LEASE}"
        )),
        None => webhook(client).await,
    };
    Seen {
        neighbours: Neighbours {
            lbc: lbc.is_some(),
            // `v1.33.4-eks-b707fbb`.
            eks: version.contains("-eks-"),
        },
        lbc: lbc.unwrap_or_default(),
    }
}

/// Looks again and again, and sends what has appeared. A neighbour that is gone keeps its objects until elbow restarts: it
/// may only be restarting.
pub(crate) async fn follow(client: Client, version: String, seen: watch::Sender<Seen>) {
    loop {
        tokio::time::sleep(AGAIN).await;
        let now = look(&client, &version).await;
        let before = seen.borrow().neighbours.lbc;
        if now.neighbours.lbc && !before {
            seen.send_replace(now);
        } else if before && !now.neighbours.lbc {
            tracing::debug!("AWS Load Balancer Controller is not seen any more");
        }
    }
}

/// Logs what was seen.
pub(crate) fn tell(seen: &Seen) {
    for found in seen.diagnostics() {
        warn!("{found}");
    }
}

/// Who holds the Lease of AWS Load Balancer Controller, if somebody does. Without the permission to read it, nobody.
async fn lease_holder(client: &Client) -> Option<String> {
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{LEASE_NAMESPACE}/leases");
    let lease = read(client, &leases, LEASE).await?;
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    let renewed = lease["spec"]["renewTime"].as_str().unwrap_or_default();
    let renewed = renewed.parse::<Timestamp>().ok()?;
    let age = Timestamp::now().as_second() - renewed.as_second();
    let is_held = !holder.is_empty() && age <= ALIVE;
    is_held.then(|| holder.to_owned())
}

/// The webhook of AWS Load Balancer Controller, if there is one.
async fn webhook(client: &Client) -> Option<String> {
    let webhooks = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    read(client, webhooks, WEBHOOK).await?;
    Some(format!("it has the MutatingWebhookConfiguration {WEBHOOK}"))
}

async fn read(client: &Client, path: &str, name: &str) -> Option<Value> {
    let request = Request::new(path).get(name, &GetParams::default());
    let request = request.map_err(KubeError::BuildRequest).ok()?;
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.request::<Value>(request)).await;
    let object = answer.ok()?.ok()?;
    (object["metadata"]["name"] == name).then_some(object)
}

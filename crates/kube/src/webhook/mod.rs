//! The mutating webhooks for new pods.
//!
//! - Readiness gates (control-plane.md 3.8): in namespaces with the label `elbv2.k8s.aws/pod-readiness-gate-inject: enabled`, each pod
//!   that a Service behind a target group of type `ip` selects gets `target-health.elbv2.k8s.aws/NAME`. A rolling update then waits
//!   until the load balancer finds the pod healthy.
//! - QUIC server IDs: in namespaces with the label `elbv2.k8s.aws/quic-server-id-inject: enabled`, each container that a pod's
//!   annotation `aws-load-balancer-quic-enabled-containers` lists gets a random ID in an environment variable, `AWS_LBC_QUIC_SERVER_ID` by default.
//!
//! They are off by default. elbow issues their certificate itself and keeps it in a Secret that all replicas share.

mod certificate;
mod gates;
mod review;
mod server;
mod server_ids;

use std::sync::Arc;

use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use certificate::Certificates;
pub use gates::Gates;
pub use review::{Malformed, Mutation, answer};

/// The default name of the MutatingWebhookConfiguration and of the Secret with the certificate.
pub const NAME: &str = "elbow-webhook";

/// The path of the webhook for readiness gates, as for AWS's controller.
pub const GATES_PATH: &str = "/mutate-v1-pod";

/// The path of the webhook for QUIC server IDs, as for AWS's controller.
pub const SERVER_IDS_PATH: &str = "/mutate-v1-pod-server-id";

/// The Kubernetes objects of the webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The MutatingWebhookConfiguration.
    pub configuration: String,
    /// The Secret with the certificate.
    pub secret: String,
    /// The namespace of the Secret.
    pub namespace: String,
    /// The environment variable with a QUIC server ID.
    pub quic_variable: String,
}

impl Options {
    /// The default names, in the namespace of `client`. QUIC server IDs are in the variable `quic_variable`.
    pub fn new(client: &Client, quic_variable: &str) -> Self {
        Self {
            configuration: NAME.to_owned(),
            secret: NAME.to_owned(),
            namespace: client.default_namespace().to_owned(),
            quic_variable: quic_variable.to_owned(),
        }
    }
}

/// Serves the webhooks on `listener` until the future is dropped. A pod gets the gates that `gates` has at that time. Errors with
/// the certificate are logged and retried.
pub async fn run(
    client: Client,
    options: Options,
    listener: TcpListener,
    gates: watch::Receiver<Arc<Gates>>,
) {
    let (offer, offered) = watch::channel(None);
    let quic_variable = options.quic_variable.as_str().into();
    let certificates = Certificates::new(client, options);
    tokio::select! {
        () = certificates.keep(offer) => {}
        () = server::serve(listener, offered, gates, quic_variable) => {}
    }
}

//! The mutating webhook that gives new pods their readiness gates (control-plane.md 3.8). In namespaces with the label
//! `elbv2.k8s.aws/pod-readiness-gate-inject: enabled`, it adds `target-health.elbv2.k8s.aws/NAME` to each pod that a Service
//! behind a target group of type `ip` selects. A rolling update then waits until the load balancer finds the pod healthy.
//!
//! The webhook is off by default. It issues its certificate itself and keeps it in a Secret that all replicas share.

mod certificate;
mod gates;
mod review;
mod server;

use std::sync::Arc;

use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use certificate::Certificates;
pub use gates::Gates;
pub use review::{Malformed, answer};

/// The default name of the MutatingWebhookConfiguration and of the Secret with the certificate.
pub const NAME: &str = "elbow-webhook";

/// The path of the webhook, as for AWS's controller.
pub const PATH: &str = "/mutate-v1-pod";

/// The Kubernetes objects of the webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The MutatingWebhookConfiguration.
    pub configuration: String,
    /// The Secret with the certificate.
    pub secret: String,
    /// The namespace of the Secret.
    pub namespace: String,
}

impl Options {
    /// The default names, in the namespace of `client`.
    pub fn new(client: &Client) -> Self {
        Self {
            configuration: NAME.to_owned(),
            secret: NAME.to_owned(),
            namespace: client.default_namespace().to_owned(),
        }
    }
}

/// Serves the webhook on `listener` until the future is dropped. A pod gets the gates that `gates` has at that time. Errors with
/// the certificate are logged and retried.
pub async fn run(
    client: Client,
    options: Options,
    listener: TcpListener,
    gates: watch::Receiver<Arc<Gates>>,
) {
    let (offer, offered) = watch::channel(None);
    let certificates = Certificates::new(client, options);
    tokio::select! {
        () = certificates.keep(offer) => {}
        () = server::serve(listener, offered, gates) => {}
    }
}

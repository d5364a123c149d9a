//! The mutating webhook that gives new pods their readiness gates (control-plane.md 3.8): in namespaces with the label
//! `elbv2.k8s.aws/pod-readiness-gate-inject: enabled`, a pod that a Service behind a target group of pod addresses selects gets
//! `target-health.elbv2.k8s.aws/NAME`, so that a rolling update waits until the load balancer finds it healthy.
//!
//! It is off unless asked for. Its certificate is made here and kept in a Secret, so that every replica has the same.

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

/// The MutatingWebhookConfiguration that sends pods here, and the Secret that has the certificate, unless called otherwise.
pub const NAME: &str = "elbow-webhook";

/// The path that pods are sent to: that of AWS's controller.
pub const PATH: &str = "/mutate-v1-pod";

/// Who sends pods, and where the certificate is.
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
    /// The usual names, in the namespace that `client` is of.
    pub fn new(client: &Client) -> Self {
        Self {
            configuration: NAME.to_owned(),
            secret: NAME.to_owned(),
            namespace: client.default_namespace().to_owned(),
        }
    }
}

/// Answers on `listener` until it is dropped: a pod gets the gates that `gates` has at that time. What is wrong with the
/// certificate is told in the log, and tried again.
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

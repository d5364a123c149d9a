//! A Deployment of pods that identify themselves, with its Service and Ingress.

use serde_json::{Value, json};

use super::MINIO_IMAGE;

/// The port of the pods.
pub const PORT: u16 = 8080;
/// The path with a slow response.
pub const SLOW: &str = "/slow";
/// The number of replicas.
pub const COUNT: usize = 3;
/// The program, in the image with MinIO.
pub const PROGRAM: &str = "elbow-test-pod";

/// How a pod terminates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The preStop hook delays the signal, which kills the program at once: AWS's guides recommend this.
    PreStop,
    /// The program ignores the signal and serves until it is killed, when it has finished its requests.
    Graceful,
}

/// A Deployment named `web`, with its Service.
#[derive(Clone, Copy, Debug)]
pub struct Replicas<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The version that its pods report.
    pub version: &'a str,
    /// How the pods terminate.
    pub ending: Ending,
    /// The target groups of the pods' readiness gates.
    pub gates: &'a [String],
}

impl Replicas<'_> {
    /// The Deployment.
    pub fn deployment(&self) -> Value {
        let labels = json!({"app": "web"});
        let gates: Vec<Value> = self
            .gates
            .iter()
            .map(|group| json!({"conditionType": format!("target-health.elbv2.k8s.aws/{group}")}))
            .collect();
        let mut container = json!({"name": "web", "image": MINIO_IMAGE, "imagePullPolicy": "Never",
            "command": [format!("/usr/bin/{PROGRAM}")],
            "env": [{"name": "VERSION", "value": self.version}], "ports": [{"containerPort": PORT}],
            "readinessProbe": {"periodSeconds": 1, "httpGet": {"port": PORT, "path": "/"}}});
        if self.ending == Ending::PreStop {
            container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 5}}});
        }
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": self.namespace},
            "spec": {"replicas": COUNT, "selector": {"matchLabels": labels},
                "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {"metadata": {"labels": labels}, "spec": {
                    "automountServiceAccountToken": false, "readinessGates": gates, "containers": [container],
                    "terminationGracePeriodSeconds": if self.ending == Ending::PreStop { 30 } else { 5 },
                    // A signal without a handler does not kill the first process of a container, but kills any other.
                    "shareProcessNamespace": self.ending != Ending::Graceful}}}})
    }

    /// The Service, as a backend of an Ingress.
    pub fn service(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": self.namespace},
            "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": PORT}]}})
    }

    /// The namespace.
    pub fn namespace(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
    }
}

/// An Ingress `name` for the Service `web`, with an ALB that detects failed pods quickly. `annotations` override the
/// defaults.
pub fn ingress(namespace: &str, name: &str, annotations: &Value) -> Value {
    let mut all = json!({
        "alb.ingress.kubernetes.io/target-type": "ip",
        "alb.ingress.kubernetes.io/healthcheck-interval-seconds": "5",
        "alb.ingress.kubernetes.io/healthcheck-timeout-seconds": "2",
        "alb.ingress.kubernetes.io/target-group-attributes": "deregistration_delay.timeout_seconds=10",
    });
    for (key, value) in annotations.as_object().into_iter().flatten() {
        all[format!("alb.ingress.kubernetes.io/{key}")] = value.clone();
    }
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace, "annotations": all},
        "spec": {"ingressClassName": "alb", "rules": [{"http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": backend}]}}]}})
}

/// The class of AWS's controller.
pub fn class() -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "alb"},
        "spec": {"controller": "ingress.k8s.aws/alb"}})
}

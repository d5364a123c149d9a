//! Pods of a Deployment that say who they are, and the Service and the Ingress before them.

use serde_json::{Value, json};

use super::MINIO_IMAGE;

/// Where such a pod listens.
pub const PORT: u16 = 8080;
/// The path that is answered late.
pub const SLOW: &str = "/slow";
/// How many there are.
pub const COUNT: usize = 3;
/// The program, in the image beside MinIO.
pub const PROGRAM: &str = "elbow-test-pod";

/// How a pod ends that is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It goes on for a while and is told then, of which it dies at once: what AWS's guides recommend.
    PreStop,
    /// It is told at once and serves on until it is killed, by when it has finished what it had.
    Graceful,
}

/// A Deployment called `web`, with its Service.
#[derive(Clone, Copy, Debug)]
pub struct Replicas<'a> {
    /// Where it is.
    pub namespace: &'a str,
    /// What its pods say they are.
    pub version: &'a str,
    /// How they end.
    pub ending: Ending,
    /// The target groups whose word the pods wait for before they are ready.
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
                    // The first process of a container is not killed by a signal that it does not know; beside another, it is.
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

/// An Ingress called `name` before the Service `web`, with an ALB whose target group gives pods up quickly. What `annotations` says
/// wins.
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

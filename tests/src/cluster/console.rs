//! Pods with a console, like that of MinIO's operator.

use serde_json::{Value, json};

use super::MINIO_IMAGE;
use crate::Ca;
use crate::s3::{ACCESS_KEY, SECRET_KEY};

/// The number of pods.
pub const PODS: usize = 2;

/// Objects for two pods labelled `app: console` in `namespace`, with MinIO's console
/// on 9090 over HTTP and on 9443 over TLS.
pub fn objects(namespace: &str, ca: &Ca) -> Vec<Value> {
    let leaf = ca.leaf(&["console"]);
    let container = |name: &str, args: &[&str], port: u16, scheme: &str| {
        json!({"name": name, "image": MINIO_IMAGE, "imagePullPolicy": "Never", "args": args,
            "env": [{"name": "MINIO_ROOT_USER", "value": ACCESS_KEY}, {"name": "MINIO_ROOT_PASSWORD", "value": SECRET_KEY}],
            "ports": [{"containerPort": port}],
            "volumeMounts": [{"name": format!("{name}-data"), "mountPath": "/data"},
                {"name": "certificates", "mountPath": "/certificates"}],
            "readinessProbe": {"periodSeconds": 1, "httpGet": {"port": port, "path": "/", "scheme": scheme}}})
    };
    let plain = ["server", "--console-address", ":9090", "/data"];
    let tls = [
        "server",
        "--address",
        ":9001",
        "--console-address",
        ":9443",
        "--certs-dir",
        "/certificates",
        "/data",
    ];
    let labels = json!({"app": "console"});
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": "console-tls", "namespace": namespace},
            "stringData": {"public.crt": leaf.certificate, "private.key": leaf.key}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "console", "namespace": namespace},
            "spec": {"replicas": PODS, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {
                    "automountServiceAccountToken": false,
                    "containers": [container("plain", &plain, 9090, "HTTP"), container("tls", &tls, 9443, "HTTPS")],
                    "volumes": [{"name": "plain-data", "emptyDir": {}}, {"name": "tls-data", "emptyDir": {}},
                        {"name": "certificates", "secret": {"secretName": "console-tls"}}]}}}}),
    ]
}

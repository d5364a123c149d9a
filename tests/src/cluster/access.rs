//! Access to an API server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::{Value, json};

use super::programs;
use crate::command::stdout;
use crate::tools;

/// The kinds that elbow reads.
const KINDS: &str = "services,ingresses,ingressclasses,endpointslices,nodes,pods,secrets,configmaps,\
    tenants,ingressclassparams,targetgroupbindings";

/// Administrator access to an API server.
pub struct Access {
    /// The folder given to `up.sh`.
    folder: PathBuf,
}

impl Access {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// kubectl as the cluster's administrator.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(programs().join("kubectl"));
        command
            .env("KUBECONFIG", self.kubeconfig())
            .env("KUBECACHEDIR", self.folder.join("discovery"));
        command
    }

    /// A shell with this kubectl on PATH.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("bash");
        let path = env::var("PATH").unwrap();
        command
            .args(["-euc", script])
            .env("PATH", format!("{}:{path}", programs().display()))
            .env("KUBECONFIG", self.kubeconfig())
            .env("KUBECACHEDIR", self.folder.join("discovery"));
        command
    }

    /// The output of kubectl with these arguments.
    pub fn ask(&self, args: &[&str]) -> String {
        stdout(self.kubectl().args(args))
    }

    /// One object, or a list, as JSON.
    pub fn get(&self, args: &[&str]) -> Value {
        serde_json::from_str(&stdout(
            self.kubectl().arg("get").args(args).args(["-o", "json"]),
        ))
        .unwrap()
    }

    /// Applies objects; fails unless the API server accepts all.
    pub fn apply(&self, objects: &[Value]) {
        let mut command = self.kubectl();
        command.args(["apply", "--server-side", "--filename"]);
        stdout(command.arg(self.list(objects)));
    }

    /// Deletes objects and waits until they are gone.
    pub fn delete(&self, objects: &[Value]) {
        let mut command = self.kubectl();
        command.args([
            "delete",
            "--ignore-not-found",
            "--timeout=60s",
            "--filename",
        ]);
        stdout(command.arg(self.list(objects)));
    }

    fn list(&self, objects: &[Value]) -> PathBuf {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let path = self.folder.join("objects.json");
        fs::write(&path, list.to_string()).unwrap();
        path
    }

    /// The objects of a manifest, without fields that are valid only in their original cluster.
    pub fn read(&self, manifest: &Path) -> Vec<Value> {
        let mut command = self.kubectl();
        command.args([
            "create",
            "--dry-run=client",
            "--validate=false",
            "-o",
            "json",
        ]);
        let text = stdout(command.arg("--filename").arg(manifest));
        let documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        documents.map(|object| fresh(object.unwrap())).collect()
    }

    /// Applies config/kube-webhook, for an elbow outside the cluster whose webhooks are at `at`.
    pub fn apply_webhooks(&self, at: SocketAddr) {
        let mut objects = self.read(&tools::repository().join("config/kube-webhook/webhook.yaml"));
        for object in &mut objects {
            let webhooks = object.get_mut("webhooks").and_then(Value::as_array_mut);
            for webhook in webhooks.into_iter().flatten() {
                let client = &mut webhook["clientConfig"];
                let path = client["service"]["path"].as_str().unwrap();
                *client = json!({"url": format!("https://{at}{path}")});
            }
        }
        self.apply(&objects);
    }

    /// Waits until all pods of the StatefulSets and Deployments in `namespace` are ready.
    pub fn wait_for_pods(&self, namespace: &str) {
        let list = self.ask(&[
            "get",
            "-n",
            namespace,
            "statefulsets,deployments",
            "-o",
            "name",
        ]);
        for name in list.lines() {
            self.ask(&["rollout", "status", "-n", namespace, name, "--timeout=180s"]);
        }
    }

    /// A command that prints everything that elbow reads, as users dump it: `kubectl get -A … -o yaml`.
    pub fn dump(&self) -> Command {
        let mut command = self.kubectl();
        command.args(["get", "--all-namespaces", KINDS, "--output", "yaml"]);
        command
    }
}

/// Removes status, and owners that this cluster does not have: it would garbage-collect the object.
fn fresh(mut object: Value) -> Value {
    let whole = object.as_object_mut().unwrap();
    whole.remove("status");
    let metadata = whole["metadata"].as_object_mut().unwrap();
    for key in [
        "creationTimestamp",
        "finalizers",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "uid",
    ] {
        metadata.remove(key);
    }
    object
}

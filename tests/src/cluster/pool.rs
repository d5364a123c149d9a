//! Pods that form one MinIO deployment, as MinIO's operator makes them for a Tenant's pool.

use serde_json::{Map, Value, json};

use super::MINIO_IMAGE;
use crate::Ca;
use crate::s3::{ACCESS_KEY, SECRET_KEY};

/// The smallest number of servers that survives the loss of one.
pub const SERVERS: usize = 4;

/// Four MinIO servers in a namespace.
pub struct Pool<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The labels that Services select.
    pub labels: &'a [(&'a str, &'a str)],
    /// The index of the pool in the cluster, from 0. There is no DNS, so the servers find one another by
    /// addresses that depend on it.
    pub number: usize,
    /// The CA of their certificates; `None` for plain HTTP.
    pub tls: Option<&'a Ca>,
}

impl Pool<'_> {
    /// The objects of the pool.
    pub fn objects(&self) -> Vec<Value> {
        let mut objects = vec![json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": self.namespace}})];
        objects.extend((0..SERVERS).map(|server| self.peer(server)));
        objects.extend(self.tls.map(|ca| self.secret(ca)));
        objects.push(self.servers());
        objects
    }

    /// The name of a server's pod.
    pub fn pod(&self, server: usize) -> String {
        format!("{}-{server}", self.name())
    }

    fn name(&self) -> String {
        format!("pool-{}", self.number)
    }

    fn address(&self, server: usize) -> String {
        format!("10.100.0.{}", 16 + self.number * SERVERS + server)
    }

    /// The Service by which the other servers reach this one, ready or not.
    fn peer(&self, server: usize) -> Value {
        let pod = self.pod(server);
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": pod, "namespace": self.namespace},
            "spec": {"clusterIP": self.address(server), "publishNotReadyAddresses": true,
                "selector": {"statefulset.kubernetes.io/pod-name": pod}, "ports": [{"port": 9000}]}})
    }

    fn secret(&self, ca: &Ca) -> Value {
        let pods: Vec<String> = (0..SERVERS).map(|server| self.pod(server)).collect();
        let names: Vec<&str> = pods.iter().map(String::as_str).collect();
        let leaf = ca.leaf(&names);
        json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": format!("{}-tls", self.name()), "namespace": self.namespace},
            "stringData": {"public.crt": leaf.certificate, "private.key": leaf.key, "ca.crt": ca.pem()}})
    }

    /// The StatefulSet. It has no service links: MinIO would read the variables of Services named minio as its own settings,
    /// and servers started at different times would then refuse one another.
    fn servers(&self) -> Value {
        let labels: Map<String, Value> = self
            .labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let aliases: Vec<Value> = (0..SERVERS)
            .map(|server| json!({"ip": self.address(server), "hostnames": [self.pod(server)]}))
            .collect();
        let mut volumes = vec![json!({"name": "data", "emptyDir": {}})];
        if self.tls.is_some() {
            volumes.push(json!({"name": "certificates", "secret": {
                "secretName": format!("{}-tls", self.name()),
                "items": [{"key": "public.crt", "path": "public.crt"}, {"key": "private.key", "path": "private.key"},
                    {"key": "ca.crt", "path": "CAs/ca.crt"}]}}));
        }
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": self.name(), "namespace": self.namespace},
            "spec": {"replicas": SERVERS, "podManagementPolicy": "Parallel", "serviceName": "none",
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {
                    "automountServiceAccountToken": false, "enableServiceLinks": false, "hostAliases": aliases,
                    "containers": [self.container()], "volumes": volumes}}}})
    }

    fn container(&self) -> Value {
        let (scheme, console) = match self.tls {
            Some(_) => ("https", 9443),
            None => ("http", 9090),
        };
        let mut args = vec![
            "server".to_owned(),
            "--console-address".into(),
            format!(":{console}"),
        ];
        let mut mounts = vec![json!({"name": "data", "mountPath": "/data"})];
        if self.tls.is_some() {
            args.extend(["--certs-dir".into(), "/certificates".into()]);
            mounts.push(json!({"name": "certificates", "mountPath": "/certificates"}));
        }
        let (name, last) = (self.name(), SERVERS - 1);
        args.push(format!("{scheme}://{name}-{{0...{last}}}:9000/data"));
        // All data is on one disk, which MinIO refuses otherwise.
        let environment = json!([{"name": "MINIO_ROOT_USER", "value": ACCESS_KEY},
            {"name": "MINIO_ROOT_PASSWORD", "value": SECRET_KEY}, {"name": "MINIO_CI_CD", "value": "1"}]);
        json!({"name": "minio", "image": MINIO_IMAGE, "imagePullPolicy": "Never", "args": args, "env": environment,
            "ports": [{"containerPort": 9000}, {"containerPort": console}], "volumeMounts": mounts,
            "readinessProbe": {"periodSeconds": 1,
                "httpGet": {"port": 9000, "path": "/minio/health/cluster", "scheme": scheme.to_uppercase()}}})
    }
}

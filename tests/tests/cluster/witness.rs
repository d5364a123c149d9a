//! MinIO's pods in the cluster, and what the rows need besides.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use elbow_tests::cluster::pool::{Pool, SERVERS};
use elbow_tests::cluster::{Cluster, console};
use elbow_tests::s3::Endpoint;
use elbow_tests::{Ca, TempDir, elbow, wait};
use serde_json::{Value, json};

pub(crate) const TENANT: &str = "tenant-ns";
const OPERATOR: &str = "minio-operator";

/// A cluster with a Tenant's pods under TLS, and an operator's console.
pub(crate) struct Witness<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) python: PathBuf,
    /// A folder for the environment of a row and its certificate.
    pub(crate) dir: &'a TempDir,
}

/// Creates the pods in the cluster, and a folder with a certificate for all rows.
pub(crate) fn start(cluster: &Cluster) -> TempDir {
    let ca = Ca::new();
    let pool = Pool {
        namespace: TENANT,
        labels: &[("v1.min.io/tenant", "tenant-1")],
        number: 0,
        tls: Some(&ca),
    };
    cluster.apply(&pool.objects());
    cluster.apply(&console::objects(OPERATOR, &ca));
    for namespace in [TENANT, OPERATOR] {
        cluster.wait_for_pods(namespace);
    }
    let dir = TempDir::new();
    ca.leaf(&["*.example.com"]).write(&dir, "acm");
    dir
}

impl Witness<'_> {
    /// The objects of a row, with the Services that MinIO's operator would make of its Tenant; there is
    /// no operator in this cluster.
    pub(crate) fn objects(&self, folder: &Path) -> Vec<Value> {
        let mut objects = Vec::new();
        for manifest in manifests(folder) {
            objects.extend(self.cluster.read(&manifest));
        }
        let plan = elbow::command(&["plan", "-o", "stack", "-f"])
            .args(manifests(folder))
            .output()
            .unwrap();
        let stacks: Value = serde_json::from_slice(&plan.stdout).unwrap();
        for stack in stacks.as_array().unwrap() {
            let services = stack["resources"]["K8S::Service"].as_object();
            objects.extend(services.into_iter().flatten().map(|(_, s)| s.clone()));
        }
        objects
    }

    /// Waits until every Service of `objects` has endpoints for all its pods.
    pub(crate) fn wait_for_endpoints(&self, objects: &[Value]) {
        for service in objects.iter().filter(|o| o["kind"] == "Service") {
            let (namespace, name) = (text(service, "namespace"), text(service, "name"));
            let label = format!("kubernetes.io/service-name={name}");
            let pods = if namespace == TENANT {
                SERVERS
            } else {
                console::PODS
            };
            wait::until(&format!("the endpoints of {name}"), || {
                let slices = self
                    .cluster
                    .get(&["endpointslices", "-n", namespace, "-l", &label]);
                let endpoints = slices["items"].as_array().unwrap().iter();
                let endpoints = endpoints
                    .filter_map(|slice| slice["endpoints"].as_array())
                    .flatten();
                (endpoints
                    .filter(|e| e["conditions"]["ready"] == true)
                    .count()
                    == pods)
                    .then_some(())
            });
        }
    }

    /// The environment of a row, with a certificate for every ARN.
    pub(crate) fn environment(&self, folder: &Path) -> PathBuf {
        let text = fs::read_to_string(folder.join("environment.yaml")).unwrap();
        let certificate = "certificates: [{arn: 'arn:aws:acm:*:certificate/*', certificateFile: acm.pem, privateKeyFile: acm.key}]";
        self.dir
            .write("environment.yaml", format!("{text}\n{certificate}\n"))
    }

    /// The addresses of all pods.
    pub(crate) fn pods(&self) -> BTreeSet<String> {
        let pods = self.cluster.get(&["pods", "--all-namespaces"]);
        let pods = pods["items"].as_array().unwrap().iter();
        pods.filter_map(|pod| pod["status"]["podIP"].as_str().map(str::to_owned))
            .collect()
    }

    pub(crate) fn s3(
        &self,
        host: &str,
        bound: SocketAddr,
        scenario: &str,
        args: &[&str],
    ) -> Command {
        let url = format!("https://{host}:{}", bound.port());
        let settings = json!({"endpoint": url, "verify": false, "resolve": {host: bound.ip()}});
        let s3 = Endpoint::new(settings, true);
        s3.scenario(&self.python, scenario, args)
    }
}

pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap()
}

/// The manifests of a row that a user applies; the cluster itself provides nodes and endpoints.
fn manifests(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let others = ["environment.yaml", "endpoints.yaml"];
    files
        .filter(|file| !others.iter().any(|other| file.ends_with(other)))
        .collect()
}

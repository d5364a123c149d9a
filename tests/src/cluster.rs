//! A real one-node Kubernetes cluster of the test's own, by the scripts of `tests/cluster`, with MinIO
//! as an image in it.

pub mod console;
pub mod pool;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, thread};

use serde_json::{Value, json};

use crate::command::{output, stdout, texts};
use crate::{TempDir, tools};

/// The node's address: node ports answer here.
pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 243, 0, 1);
/// MinIO's image.
pub const MINIO_IMAGE: &str = "localhost/minio:test";

/// The kinds that elbow reads.
const KINDS: &str = "services,ingresses,ingressclasses,endpointslices,nodes,pods,secrets,configmaps,\
    tenants,ingressclassparams,targetgroupbindings";

const ETCD_PORT: &str = "22379";
const API_PORT: &str = "26443";

const PROGRAMS: [&str; 7] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
];
/// Of Debian's packages.
const INSTALLED: [&str; 8] = [
    "/usr/bin/containerd",
    "/usr/sbin/runc",
    "/usr/lib/cni/ptp",
    "/usr/sbin/iptables",
    "/usr/sbin/nft",
    "/usr/sbin/conntrack",
    "/usr/bin/gcc",
    tools::MMDEBSTRAP,
];

/// A running cluster; it ends, pods and all, when dropped. One at a time: others wait.
pub struct Cluster {
    dir: TempDir,
    _lock: Lock,
}

impl Cluster {
    /// Starts one, `minio` being in it as [`MINIO_IMAGE`]; otherwise what is missing for that.
    pub fn start(minio: &Path) -> Result<Self, String> {
        if let Some(missing) = missing() {
            return Err(missing);
        }
        let dir = TempDir::new();
        let lock = Lock::take(dir.path());
        let cluster = Self { dir, _lock: lock };
        let image = cluster.minio_image(minio);
        let mut up = script("up.sh");
        up.arg(programs())
            .arg(cluster.dir.join("cluster"))
            .arg(image)
            .env("ETCD_PORT", ETCD_PORT)
            .env("API_PORT", API_PORT)
            .env("NODE_IP", NODE.to_string());
        stdout(&mut up);
        Ok(cluster)
    }

    fn minio_image(&self, minio: &Path) -> PathBuf {
        let (root, layer) = (self.dir.join("root/usr/bin"), self.dir.join("minio.layer"));
        fs::create_dir_all(&root).unwrap();
        fs::copy(minio, root.join("minio")).unwrap();
        let mut tar = Command::new("tar");
        stdout(
            tar.arg("-C")
                .arg(self.dir.join("root"))
                .arg("-cf")
                .arg(&layer)
                .arg("usr"),
        );
        let image = self.dir.join("minio.tar");
        let mut make = script("image.sh");
        make.arg(&image).args([MINIO_IMAGE, "/usr/bin/minio"]);
        stdout(make.arg(tools::debian()).arg(&layer));
        image
    }

    /// kubectl as the cluster's administrator.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(programs().join("kubectl"));
        command
            .env("KUBECONFIG", self.dir.join("cluster/kubeconfig"))
            .env("KUBECACHEDIR", self.dir.join("kubectl-cache"));
        command
    }

    /// A shell in which kubectl is this one.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("bash");
        let path = env::var("PATH").unwrap();
        command
            .args(["-euc", script])
            .env("PATH", format!("{}:{path}", programs().display()))
            .env("KUBECONFIG", self.dir.join("cluster/kubeconfig"))
            .env("KUBECACHEDIR", self.dir.join("kubectl-cache"));
        command
    }

    /// What kubectl prints with these arguments.
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

    /// Applies objects; the API server must take all of them.
    pub fn apply(&self, objects: &[Value]) {
        let mut command = self.kubectl();
        command.args(["apply", "--server-side", "--filename"]);
        stdout(command.arg(self.list(objects)));
    }

    /// Deletes objects and waits until they are gone.
    pub fn delete(&self, objects: &[Value]) {
        let mut command = self.kubectl();
        command.args(["delete", "--ignore-not-found", "--filename"]);
        stdout(command.arg(self.list(objects)));
    }

    fn list(&self, objects: &[Value]) -> PathBuf {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.dir.write("objects.json", list.to_string())
    }

    /// The objects of a manifest, without what only the cluster that they came from can mean.
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

    /// Waits until every pod of `namespace` that its StatefulSets and Deployments want is ready.
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

    /// What prints everything that elbow reads, as a user dumps it: `kubectl get -A … -o yaml`.
    pub fn dump(&self) -> Command {
        let mut command = self.kubectl();
        command.args(["get", "--all-namespaces", KINDS, "--output", "yaml"]);
        command
    }

    /// The ends of the logs of all pods.
    fn pod_logs(&self) -> String {
        let mut logs = Command::new("sh");
        logs.args(["-c", "tail -n 15 */*/*.log"]);
        texts(&output(logs.current_dir(self.dir.join("cluster/pod-logs")))).0
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            let pods =
                output(
                    self.kubectl()
                        .args(["get", "--all-namespaces", "pods", "-o", "wide"]),
                );
            println!("{}{}", texts(&pods).0, self.pod_logs());
        }
        bring_down(&self.dir.join("cluster"));
    }
}

/// Without status, and without owners that this cluster has not: what they own would be collected.
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

/// Kubernetes' programs, as `tests/tools.sh` builds them.
fn programs() -> PathBuf {
    tools::folder().join("cluster")
}

fn script(name: &str) -> Command {
    Command::new(tools::repository().join("tests/cluster").join(name))
}

fn bring_down(cluster: &Path) {
    drop(output(script("down.sh").arg(cluster)));
}

fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("root, for a cluster".to_owned());
    }
    let program = PROGRAMS.iter().find(|p| !programs().join(p).is_file());
    if let Some(program) = program {
        return Some(format!("{program}, which Go builds"));
    }
    let installed = INSTALLED.iter().find(|p| !Path::new(p).exists());
    installed.map(|program| (*program).to_owned())
}

/// Held while there is a cluster. It names the cluster's folder, so that one whose test was killed is
/// brought down before the next comes up.
struct Lock(File);

impl Lock {
    fn take(next: &Path) -> Self {
        let path = env::temp_dir().join("elbow-test-cluster.lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        file.lock().unwrap();
        let mut left = String::new();
        file.read_to_string(&mut left).unwrap();
        if !left.is_empty() {
            bring_down(&Path::new(&left).join("cluster"));
            drop(fs::remove_dir_all(left));
        }
        let mut lock = Self(file);
        lock.write(next.to_str().unwrap());
        lock
    }

    fn write(&mut self, text: &str) {
        self.0.set_len(0).unwrap();
        self.0.seek(SeekFrom::Start(0)).unwrap();
        self.0.write_all(text.as_bytes()).unwrap();
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.write("");
    }
}

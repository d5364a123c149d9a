//! A real one-node Kubernetes cluster for a test, started by the scripts in `tests/cluster`, with an image of
//! MinIO.

mod access;
pub mod console;
mod control_plane;
mod outage;
pub mod pool;
pub mod replicas;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, thread};

pub use access::Access;
pub use control_plane::ControlPlane;
pub use outage::Outage;

use crate::command::{self, output, stdout, texts};
use crate::{TempDir, tools};

/// The node's address, with the node ports.
pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 243, 0, 1);
/// MinIO's image.
pub const MINIO_IMAGE: &str = "localhost/minio:test";

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
/// From Debian packages.
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

/// A running cluster; it ends with all pods when dropped. Only one runs at a time; others wait.
pub struct Cluster {
    access: Access,
    dir: TempDir,
    _lock: Lock,
}

impl Cluster {
    /// Starts a cluster with `minio` as [`MINIO_IMAGE`]; `Err` says what is missing.
    pub fn start(minio: &Path) -> Result<Self, String> {
        if let Some(missing) = missing() {
            return Err(missing);
        }
        let dir = TempDir::new();
        let lock = Lock::take(dir.path());
        let cluster = Self {
            access: Access::new(dir.join("cluster")),
            dir,
            _lock: lock,
        };
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
        let pod = command::beside_tests(replicas::PROGRAM);
        fs::copy(pod, root.join(replicas::PROGRAM)).unwrap();
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

    /// Kills the API server, as a crash would; open connections break.
    pub fn kill_api_server(&self) -> Outage {
        Outage::begin(self.dir.join("cluster"))
    }

    /// All pods, the warnings, and the ends of the logs, for diagnosis.
    pub fn state(&self) -> String {
        let mut state = self.shell(
            "kubectl get --all-namespaces pods -o wide
            kubectl get --all-namespaces events --field-selector type=Warning --sort-by .lastTimestamp | tail -n 30
            for log in kubelet containerd; do
              echo \"==> $log <==\"
              grep -E '^E|level=(error|warning)' $log.log | tail -n 30
            done
            tail -n 15 pod-logs/*/*/*.log",
        );
        texts(&output(state.current_dir(self.dir.join("cluster")))).0
    }
}

impl Deref for Cluster {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", self.state());
        }
        bring_down(&self.dir.join("cluster"));
    }
}

/// Kubernetes' programs, built by `tests/tools.sh`.
pub fn programs() -> PathBuf {
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
    if let Some(missing) = missing_program() {
        return Some(missing);
    }
    let installed = INSTALLED.iter().find(|p| !Path::new(p).exists());
    installed.map(|program| (*program).to_owned())
}

fn missing_program() -> Option<String> {
    let program = PROGRAMS.iter().find(|p| !programs().join(p).is_file())?;
    Some(format!("{program}, which Go builds"))
}

/// Held while a cluster runs. It contains the cluster's folder, so that the next test can stop a cluster left by a
/// killed test.
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

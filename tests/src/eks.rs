//! The folders of `config/eks`, row by row, served in front of S3 pods.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, io, thread};

use elbow_pods::{Kind, Options, Pods};
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::certificates::{Leaf, client_that_trusts_all};
use crate::command::stdout;
use crate::s3::{ACCESS_KEY, Endpoint, SECRET_KEY};
use crate::target::{ok, serve};
use crate::tools::repository;
use crate::{Ca, Client, Elbow, Target, TempDir, address, client, elbow, wait};

/// The folders of all rows, by name.
pub fn rows() -> Vec<String> {
    let entries = fs::read_dir(repository().join("config/eks")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut rows: Vec<String> = names
        .filter(|name| name.starts_with('s') && name.contains('-'))
        .collect();
    rows.sort();
    rows
}

/// The folder called `name`.
pub fn folder(name: &str) -> PathBuf {
    repository().join("config/eks").join(name)
}

/// Name and text of the files of a folder that a cluster would accept, without the example addresses.
pub fn manifests(name: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .filter(|(name, _)| name != "endpoints.yaml" && name != "environment.yaml")
        .collect();
    files.sort();
    files
}

/// A served folder, with the backends of its Services.
pub struct Row {
    /// The load balancers.
    pub elbow: Elbow,
    /// The pods.
    pub pods: Pods,
    /// The operator's console: over HTTP, and over TLS.
    pub consoles: [Target; 2],
    /// The certificate of the second console.
    pub console_certificate: Leaf,
    /// Issues certificates for [`HOSTS`] at the load balancers, under the ARNs of [`ARNS`].
    pub ca: Ca,
    node_ports: Vec<NodePort>,
    minio: bool,
    ca_file: PathBuf,
    dir: TempDir,
    // Dropped after the pods, which need it to end.
    _runtime: Runtime,
}

/// The ARNs in the folders.
pub const ARNS: [&str; 2] = [
    "arn:aws:acm:us-east-1:111122223333:certificate/6fa5e6e4-6e4b-4c4f-8a7c-3f0c5f8f2c11",
    "arn:aws:acm:us-east-1:111122223333:certificate/0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9",
];
/// The names in their certificates.
pub const HOSTS: [&str; 3] = [
    "minio.example.com",
    "tenant-console.example.com",
    "operator.example.com",
];
/// The body of the operator's console.
pub const CONSOLE: &str = "the console of the operator";

/// How to serve a row.
#[derive(Default)]
pub struct Setting<'a> {
    /// MinIO's program; `None` for embedded pods.
    pub minio: Option<PathBuf>,
    /// Services with S3 pods, each with the name of its port.
    pub s3: &'a [(&'a str, &'a str)],
    /// Services with tenant consoles over TLS, each with the name of its port.
    pub consoles: &'a [(&'a str, &'a str)],
    /// Services with the operator's console, at ports named `http` and `https`.
    pub operator: &'a [&'a str],
    /// Node ports with their backends, on three nodes in three zones.
    pub node_ports: &'a [(u16, Backend)],
    /// Whether to configure no certificates for the ARNs.
    pub no_certificates: bool,
    /// Whether pods have IPv6 addresses, too.
    pub ipv6: bool,
}

/// The backend of a node port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// S3 pods.
    S3,
    /// The operator's console over HTTP.
    Http,
    /// The operator's console over TLS.
    Https,
}

impl Row {
    /// Serves the folder called `name`.
    pub fn start(name: &str, setting: &Setting<'_>) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let dir = TempDir::new();
        let pods = launch(setting, &dir, &runtime);
        let ca = Ca::new();
        let console_certificate = ca.leaf(&["console.minio-operator.svc"]);
        let consoles = [
            Target::ok(CONSOLE),
            Target::start_tls(console_certificate.server(&[]), serve(|_| ok(CONSOLE))),
        ];
        let served = TempDir::new();
        for (file, text) in manifests(name) {
            served.write(file, text);
        }
        let mut environment = fs::read_to_string(folder(name).join("environment.yaml")).unwrap();
        if !setting.no_certificates {
            ca.leaf(&HOSTS).write(&dir, "hosts");
            environment += "certificates:\n";
            for arn in ARNS {
                let at = |name| dir.join(name).display().to_string();
                let (pem, key) = (at("hosts.pem"), at("hosts.key"));
                let _ = writeln!(
                    environment,
                    "- {{arn: \"{arn}\", certificateFile: {pem}, privateKeyFile: {key}}}"
                );
            }
        }
        served.write("environment.yaml", environment);
        let mut endpoints: Vec<String> = Vec::new();
        let mut node_ports = Vec::new();
        if !setting.node_ports.is_empty() {
            for zone in ["us-east-1a", "us-east-1b", "us-east-1c"] {
                let node = address();
                endpoints.push(node_object(node, zone));
                for (port, backend) in setting.node_ports {
                    let to = match backend {
                        Backend::S3 => pods.list().iter().map(|pod| pod.s3).collect(),
                        Backend::Http => vec![consoles[0].addr()],
                        Backend::Https => vec![consoles[1].addr()],
                    };
                    node_ports.push(NodePort::open((node, *port).into(), to));
                }
            }
        }
        for (service, port) in setting.s3 {
            for pod in pods.list() {
                let mut at = pod.s3;
                if setting.ipv6 {
                    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, pod.s3.port()));
                    node_ports.push(NodePort::open(v6, vec![pod.s3]));
                    at = v6;
                }
                let port = format!("{{name: {port}, port: {}}}", at.port());
                endpoints.push(slice(service, &port, &pod.name, at.ip()));
            }
        }
        for (service, port) in setting.consoles {
            let at = if setting.minio.is_some() {
                pods.list()[0].console
            } else {
                consoles[1].addr()
            };
            let port = format!("{{name: {port}, port: {}}}", at.port());
            endpoints.push(slice(service, &port, "console", at.ip()));
        }
        for service in setting.operator {
            let pod = address();
            for (port, to) in [9090, 9443].into_iter().zip(&consoles) {
                node_ports.push(NodePort::open((pod, port).into(), vec![to.addr()]));
            }
            let ports = "{name: http, port: 9090}, {name: https, port: 9443}";
            endpoints.push(slice(service, ports, "console", pod.into()));
        }
        served.write("endpoints.yaml", endpoints.join("---\n"));
        let ca_file = dir.write("ca.pem", ca.pem());
        let elbow = Elbow::run_manifests(served, &["--port-offset", "8000"]);
        Self {
            elbow,
            pods,
            consoles,
            console_certificate,
            ca,
            node_ports,
            minio: setting.minio.is_some(),
            ca_file,
            dir,
            _runtime: runtime,
        }
    }

    /// The output of `elbow get load-balancers` for the load balancer `name`.
    pub fn load_balancer(&self, name: &str) -> Value {
        let admin = self.elbow.admin().to_string();
        let args = ["get", "load-balancers", "-o", "json", "--admin", &admin];
        let all: Value = serde_json::from_str(&stdout(&mut elbow::command(&args))).unwrap();
        let mut all = all.as_array().unwrap().iter();
        all.find(|lb| lb["name"] == name)
            .unwrap_or_else(|| panic!("no load balancer {name}: {all:?}"))
            .clone()
    }

    /// The address of the listener of `load_balancer` on `port`.
    pub fn at(&self, load_balancer: &str, port: u16) -> SocketAddr {
        self.elbow
            .bound(load_balancer, port)
            .unwrap_or_else(|| panic!("{load_balancer} has no listener on {port}"))
    }

    /// Waits until `group` has `count` targets, all in `state`.
    pub fn wait_until_all(&self, group: &str, state: &str, count: usize) {
        let timeout = Duration::from_secs(90);
        let what = format!("{count} targets of {group} to be {state}");
        wait::until_for(timeout, &what, || {
            let all = rows_of(&self.elbow.json("/targets"), group);
            let there = all.iter().filter(|row| row["state"] == state).count();
            (there == count && all.len() == count).then_some(())
        });
    }

    /// An S3 endpoint at `to`: by address without verification, or by one of [`HOSTS`] with its
    /// certificate verified.
    pub fn endpoint(&self, to: SocketAddr, host: Option<&str>) -> Endpoint {
        let settings = match host {
            Some(host) => {
                let url = format!("https://{host}:{}", to.port());
                json!({"endpoint": url, "verify": self.ca_file, "resolve": {host: to.ip()}})
            }
            None => json!({"endpoint": format!("https://{to}"), "verify": false, "resolve": {}}),
        };
        Endpoint::new(settings, self.minio)
    }

    /// The number of connections to `port`, for each node.
    pub fn taken(&self, port: u16) -> Vec<usize> {
        let of_port = self.node_ports.iter().filter(|one| one.at.port() == port);
        of_port
            .map(|one| one.taken.load(Ordering::SeqCst))
            .collect()
    }

    /// A folder for clients' files.
    pub fn dir(&self) -> &TempDir {
        &self.dir
    }
}

/// The targets of `group` in `/targets`.
fn rows_of(targets: &Value, group: &str) -> Vec<Value> {
    let mut all = elbow::rows(targets);
    all.retain(|row| row["targetGroup"] == group);
    all
}

fn launch(setting: &Setting<'_>, dir: &TempDir, runtime: &Runtime) -> Pods {
    let kind = match &setting.minio {
        Some(program) => Kind::Minio {
            program: program.clone(),
        },
        None => Kind::Embedded {
            shared: true,
            lenient: false,
        },
    };
    let options = Options {
        count: 4,
        folder: dir.join("pods"),
        access_key: ACCESS_KEY.into(),
        secret_key: SECRET_KEY.into(),
        names: Vec::new(),
        kind,
    };
    runtime.block_on(Pods::launch(options)).unwrap()
}

fn node_object(ip: Ipv4Addr, zone: &str) -> String {
    format!(
        "apiVersion: v1
kind: Node
metadata: {{name: node-{zone}, labels: {{topology.kubernetes.io/zone: {zone}}}}}
status:
  addresses: [{{type: InternalIP, address: {ip}}}]
  conditions: [{{type: Ready, status: \"True\"}}]
"
    )
}

/// An EndpointSlice of `namespace/service`.
fn slice(service: &str, ports: &str, pod: &str, at: IpAddr) -> String {
    let (namespace, name) = service.split_once('/').unwrap();
    let family = if at.is_ipv4() { "IPv4" } else { "IPv6" };
    format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-{pod}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: {family}
ports: [{ports}]
endpoints: [{{addresses: [\"{at}\"], targetRef: {{kind: Pod, namespace: {namespace}, name: {pod}}}}}]
"
    )
}

/// Does kube-proxy's work on a node: accepts connections on a port and forwards them to pods in turn.
struct NodePort {
    at: SocketAddr,
    taken: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl NodePort {
    fn open(at: SocketAddr, to: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind(at).unwrap_or_else(|e| panic!("bind {at}: {e}"));
        let (taken, over) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (count, ended) = (Arc::clone(&taken), Arc::clone(&over));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let n = count.fetch_add(1, Ordering::SeqCst);
                if let Ok(pod) = TcpStream::connect(to[n % to.len()]) {
                    pass(&client, &pod);
                    pass(&pod, &client);
                }
            }
        });
        Self { at, taken, over }
    }
}

impl Drop for NodePort {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.at));
    }
}

/// Copies from one socket to the other until it ends, on its own thread.
fn pass(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        drop(io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    });
}

/// Asserts that `to` leads to a pod with TLS passed through: the certificate is a pod's own, and an unsigned
/// request is denied.
pub fn assert_passes_through_to_pods(row: &Row, to: SocketAddr) {
    let trusting = client_that_trusts_all(&[&TLS12, &TLS13], &[]);
    let mut client = Client::tls(to, HOSTS[0], &trusting).unwrap();
    let shown = client.peer_certificate().unwrap();
    let pods = row.pods.list().iter();
    let mut known = pods.map(|pod| pod.certificate_pem.as_bytes());
    assert!(
        known.any(|pem| CertificateDer::from_pem_slice(pem).unwrap() == shown),
        "the certificate is not that of a pod"
    );
    let answer = client.ask(client::get(HOSTS[0], "/"));
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().contains("<Code>AccessDenied</Code>"),
        "{}",
        answer.text()
    );
}

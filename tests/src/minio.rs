//! Real MinIO: four processes that are one cluster, with certificates of their own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::command::Running;
use crate::{Ca, TempDir, address, client, wait};

/// The access key of every S3 part here.
pub const ACCESS_KEY: &str = "elbow-access";
/// The secret key of every S3 part here.
pub const SECRET_KEY: &str = "elbow-secret-key";

/// Four MinIO processes on four addresses; they end with this value.
pub struct Cluster {
    nodes: Vec<Node>,
    minio: std::path::PathBuf,
    dir: TempDir,
}

/// One of them.
struct Node {
    s3: SocketAddr,
    console: SocketAddr,
    process: Option<Running>,
}

impl Cluster {
    /// Starts them and waits until they are one cluster.
    pub fn start(minio: &Path) -> Self {
        let ca = Ca::new();
        let dir = TempDir::new();
        let nodes = (0..4).map(|_| {
            let ip = address();
            let certificates = dir.join(format!("certs-{ip}"));
            std::fs::create_dir_all(certificates.join("CAs")).unwrap();
            let leaf = ca.leaf(&[&ip.to_string()]);
            std::fs::write(certificates.join("public.crt"), leaf.certificate).unwrap();
            std::fs::write(certificates.join("private.key"), leaf.key).unwrap();
            std::fs::write(certificates.join("CAs/ca.crt"), ca.pem()).unwrap();
            Node {
                s3: (ip, 9000).into(),
                console: (ip, 9090).into(),
                process: None,
            }
        });
        let mut cluster = Self {
            nodes: nodes.collect(),
            minio: minio.to_owned(),
            dir,
        };
        for n in 0..4 {
            cluster.spawn(n);
        }
        for n in 0..4 {
            cluster.wait_until_ready(n);
        }
        cluster
    }

    /// Where the nodes speak S3, over TLS.
    pub fn s3(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|n| n.s3).collect()
    }

    /// Where the nodes serve the console, over TLS.
    pub fn consoles(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|n| n.console).collect()
    }

    /// Kills a node.
    pub fn kill(&mut self, n: usize) {
        self.nodes[n].process = None;
    }

    /// Starts a killed node and waits until it serves.
    pub fn restore(&mut self, n: usize) {
        self.spawn(n);
        self.wait_until_ready(n);
    }

    fn spawn(&mut self, n: usize) {
        let drives: Vec<String> = self
            .nodes
            .iter()
            .map(|node| {
                format!(
                    "https://{}{}",
                    node.s3,
                    self.dir.join(format!("data-{}", node.s3.ip())).display()
                )
            })
            .collect();
        let node = &self.nodes[n];
        let mut command = Command::new(&self.minio);
        command
            .arg("server")
            .args(["--quiet", "--address", &node.s3.to_string()])
            .args(["--console-address", &node.console.to_string()])
            .arg("--certs-dir")
            .arg(self.dir.join(format!("certs-{}", node.s3.ip())))
            .args(&drives)
            .env("HOME", self.dir.path())
            .env("MINIO_ROOT_USER", ACCESS_KEY)
            .env("MINIO_ROOT_PASSWORD", SECRET_KEY)
            // Several drives on one disk are refused otherwise.
            .env("MINIO_CI_CD", "1")
            .env("MINIO_BROWSER_REDIRECT", "off")
            .env("MINIO_UPDATE", "off");
        self.nodes[n].process = Some(Running::start(&mut command));
    }

    fn wait_until_ready(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        let trust = crate::certificates::client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
        let name = node.s3.ip().to_string();
        wait::until_for(wait::PATIENCE * 3, "MinIO to serve", || {
            node.process.as_mut()?.assert_running();
            let mut connection = crate::Client::tls(node.s3, &name, &trust).ok()?;
            let request = client::get(&name, "/minio/health/cluster");
            connection.try_send(request).ok()?;
            let response = connection.try_response("GET").ok()?;
            (response.status == 200).then_some(())
        });
    }
}

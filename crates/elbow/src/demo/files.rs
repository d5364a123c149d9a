//! The files of the demo: a certificate authority, certificates and the configuration.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;

use elbow_model::{DnsZone, LoadBalancerType, Scheme, dns_name};
use elbow_pods::Pod;

use crate::authority::{self, Authority, Home};

use super::login::Login;
use super::{CONSOLE_HOST, MINIO_HOST};

/// The folder of a demo.
pub(super) struct Folder {
    path: PathBuf,
    /// Whether the demo created it.
    is_created: bool,
}

impl Folder {
    /// Creates `dir` or a temporary folder.
    pub(super) fn create(dir: Option<PathBuf>) -> io::Result<Self> {
        let path = dir.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("elbow-demo-{}", std::process::id()))
        });
        let is_created = !path.exists();
        fs::create_dir_all(&path)?;
        Ok(Self {
            path: fs::canonicalize(path)?,
            is_created,
        })
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The authority of this demo.
    pub(super) fn authority(&self) -> Home {
        Home::at(&self.path)
    }

    /// Removes the files of the demo.
    pub(super) fn remove(self) {
        let removed = if self.is_created {
            fs::remove_dir_all(&self.path)
        } else {
            let folders = FOLDERS.map(|name| fs::remove_dir_all(self.file(name)));
            let files = FILES.map(|name| fs::remove_file(self.file(name)));
            // A demo with manifests writes no configuration.
            let missing = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
            let mut failed = folders.into_iter().chain(files);
            failed
                .find(|r| r.as_ref().is_err_and(|e| !missing(e)))
                .unwrap_or(Ok(()))
        };
        if let Err(error) = removed {
            tracing::warn!(folder = %self.path.display(), %error, "cannot remove all files of the demo");
        }
    }
}

/// The folder with the data of pods.
pub(super) const PODS: &str = "pods";
/// The folder with the certificates that the authority issues.
pub(super) const LEAVES: &str = "leaves";
const FOLDERS: [&str; 2] = [PODS, LEAVES];
const FILES: [&str; 4] = ["ca.pem", "ca.key", "lock", CONFIG];
const CONFIG: &str = "elbow.yaml";

/// Writes all files; returns the path of the configuration.
pub(super) fn write(
    folder: &Folder,
    pods: &[Pod],
    https: u16,
    login: Option<&Login>,
) -> Result<PathBuf, authority::Error> {
    use LoadBalancerType::{Application, Network};
    let authority = Authority::open(&folder.authority())?;
    let leaf = |kind, name, hosts: &[&str]| {
        let dns_name = dns_name(kind, Scheme::InternetFacing, name, &DnsZone::default());
        let hosts = hosts.iter().map(|host| (*host).to_owned());
        leaf_of(&authority, &hosts.chain([dns_name]).collect::<Vec<_>>())
    };
    let alb = leaf(Application, "minio-alb", &[MINIO_HOST, CONSOLE_HOST])?;
    let console = leaf(Network, "console-nlb", &[])?;
    let config = folder.file(CONFIG);
    let mut text = configuration(pods, https, &alb, &console);
    if let Some(login) = login {
        let hosts = ["localhost", "127.0.0.1"].map(str::to_owned);
        add_login(&mut text, login, &leaf_of(&authority, &hosts)?);
    }
    match fs::write(&config, text) {
        Ok(()) => Ok(config),
        Err(source) => Err(authority::Error::File {
            path: config,
            source,
        }),
    }
}

/// The file of a certificate for `hosts`, as the configuration names it.
fn leaf_of(authority: &Authority, hosts: &[String]) -> Result<String, authority::Error> {
    let file = authority.leaf(hosts)?.file;
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{LEAVES}/{file}"))
}

/// Adds the load balancer with the login to a configuration; `leaf` is its certificate file.
fn add_login(text: &mut String, login: &Login, leaf: &str) {
    const GROUPS: &str = "targetGroups:\n";
    let at = text.find(GROUPS).unwrap_or(text.len());
    text.insert_str(at, &login.balancer());
    let at = text.find(GROUPS).map_or(text.len(), |at| at + GROUPS.len());
    text.insert_str(at, &login.group());
    certificate(text, "login", leaf);
}

/// The native configuration of the demo. Clients reach the HTTPS listener of the ALB on port `https`; `alb` and
/// `console_leaf` are the certificate files.
fn configuration(pods: &[Pod], https: u16, alb: &str, console_leaf: &str) -> String {
    let tls_console = pods.iter().all(|pod| pod.console_tls);
    let console = if tls_console { "TLS" } else { "TCP" };
    let alb_console = if tls_console { "HTTPS" } else { "HTTP" };
    let mut text = format!(
        r#"# The load balancers of `elbow demo`; serve it with `elbow run --config elbow.yaml`.
loadBalancers:
- name: minio-nlb
  type: network
  listeners:
  - port: 443
    protocol: TCP
    defaultActions:
    - type: forward
      forwardConfig: {{targetGroups: [{{targetGroup: minio-tcp}}]}}
- name: console-nlb
  type: network
  listeners:
  - port: 443
    protocol: TLS
    sslPolicy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06
    certificates: [console]
    defaultActions:
    - type: forward
      forwardConfig: {{targetGroups: [{{targetGroup: console-tls}}]}}
- name: minio-alb
  type: application
  listeners:
  - port: 443
    protocol: HTTPS
    sslPolicy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06
    certificates: [alb]
    rules:
    - priority: 10
      conditions:
      - field: host-header
        hostHeaderConfig: {{values: [{MINIO_HOST}]}}
      actions:
      - type: forward
        forwardConfig: {{targetGroups: [{{targetGroup: minio}}]}}
    - priority: 20
      conditions:
      - field: host-header
        hostHeaderConfig: {{values: [{CONSOLE_HOST}]}}
      actions:
      - type: forward
        forwardConfig: {{targetGroups: [{{targetGroup: console}}]}}
    defaultActions:
    - type: fixed-response
      fixedResponseConfig: {{statusCode: "404", contentType: text/plain, messageBody: "no such host"}}
  - port: 80
    protocol: HTTP
    defaultActions:
    - type: redirect
      redirectConfig: {{protocol: HTTPS, port: "{https}", statusCode: HTTP_301}}
targetGroups:
"#
    );
    group(
        &mut text,
        "minio-tcp",
        "TCP",
        "TCP",
        pods.iter().map(|pod| pod.s3),
    );
    group(
        &mut text,
        "console-tls",
        console,
        "TCP",
        pods.iter().map(|pod| pod.console),
    );
    group(
        &mut text,
        "minio",
        "HTTPS",
        "HTTPS",
        pods.iter().map(|pod| pod.s3),
    );
    group(
        &mut text,
        "console",
        alb_console,
        alb_console,
        pods.iter().map(|pod| pod.console),
    );
    text.push_str("certificates:\n");
    for (name, file) in [("alb", alb), ("console", console_leaf)] {
        certificate(&mut text, name, file);
    }
    text
}

fn certificate(text: &mut String, name: &str, file: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "- {{name: {name}, certificateFile: \"{file}\", privateKeyFile: \"{file}\"}}"
    );
}

fn group(
    text: &mut String,
    name: &str,
    protocol: &str,
    check: &str,
    targets: impl Iterator<Item = std::net::SocketAddr>,
) {
    let matcher = match check {
        "TCP" => "",
        _ => "\n    path: /\n    matcher: {httpCode: \"200,403\"}",
    };
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "- name: {name}
  protocol: {protocol}
  port: 9000
  targetType: ip
  healthCheckConfig:
    protocol: {check}
    intervalSeconds: 5
    timeoutSeconds: 2
    healthyThresholdCount: 2
    unhealthyThresholdCount: 2{matcher}
  targets:
"
    );
    for target in targets {
        let _ = writeln!(text, "  - {{id: {}, port: {}}}", target.ip(), target.port());
    }
}

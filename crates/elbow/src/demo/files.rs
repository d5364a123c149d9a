//! What the demo writes: a certificate authority, two certificates, and the configuration.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;

use elbow_pods::Pod;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::{CONSOLE_HOST, MINIO_HOST};

/// The folder of a demo.
pub(super) struct Folder {
    path: PathBuf,
    /// It was not there before.
    made: bool,
}

impl Folder {
    /// `dir`, or a temporary folder.
    pub(super) fn create(dir: Option<PathBuf>) -> io::Result<Self> {
        let path = dir.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("elbow-demo-{}", std::process::id()))
        });
        let made = !path.exists();
        fs::create_dir_all(&path)?;
        Ok(Self {
            path: fs::canonicalize(path)?,
            made,
        })
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Removes what the demo put there.
    pub(super) fn remove(self) {
        let removed = if self.made {
            fs::remove_dir_all(&self.path)
        } else {
            let pods = fs::remove_dir_all(self.file(PODS));
            FILES
                .iter()
                .try_for_each(|name| fs::remove_file(self.file(name)))
                .and(pods)
        };
        if let Err(error) = removed {
            tracing::warn!(folder = %self.path.display(), %error, "not all of the folder could be removed");
        }
    }
}

/// Where the pods keep theirs.
pub(super) const PODS: &str = "pods";
const FILES: [&str; 6] = [
    "ca.pem",
    "alb.pem",
    "alb.key",
    "console.pem",
    "console.key",
    "elbow.yaml",
];

/// Writes everything; the path of the configuration.
pub(super) fn write(folder: &Folder, pods: &[Pod], https: u16) -> io::Result<PathBuf> {
    let config = folder.file("elbow.yaml");
    let text = configuration(pods, https);
    fs::write(&config, &text)?;
    let (model, _) = elbow_model::file::parse(&text, "elbow.yaml");
    let balancers = model.map_or_else(Vec::new, |model| model.load_balancers);
    let dns_name = |name: &str| {
        let found = balancers.iter().find(|lb| &*lb.name == name);
        found
            .map(|lb| lb.dns_name(super::screen::REGION))
            .into_iter()
    };
    let alb = dns_name("minio-alb")
        .chain([MINIO_HOST.into(), CONSOLE_HOST.into()])
        .collect();
    let console = dns_name("console-nlb").collect();
    certificates(folder, alb, console).map_err(io::Error::other)??;
    Ok(config)
}

fn certificates(
    folder: &Folder,
    alb: Vec<String>,
    console: Vec<String>,
) -> Result<io::Result<()>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = called("elbow demo CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let ca = params.self_signed(&key)?;
    let issuer = Issuer::from_params(&params, &key);
    let mut written = fs::write(folder.file("ca.pem"), ca.pem());
    for (file, names) in [("alb", alb), ("console", console)] {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = called("elbow demo");
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer)?;
        written = written
            .and_then(|()| fs::write(folder.file(&format!("{file}.pem")), certificate.pem()))
            .and_then(|()| fs::write(folder.file(&format!("{file}.key")), key.serialize_pem()));
    }
    Ok(written)
}

fn called(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// The native file of the demo; clients reach the ALB's HTTPS listener on port `https`.
fn configuration(pods: &[Pod], https: u16) -> String {
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
    text.push_str(
        "certificates:\n\
         - {name: alb, certificateFile: alb.pem, privateKeyFile: alb.key}\n\
         - {name: console, certificateFile: console.pem, privateKeyFile: console.key}\n",
    );
    text
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

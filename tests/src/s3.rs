//! S3 pods behind elbow, and the clients that people use.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use elbow_pods::{Kind, Options, Pod, Pods};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::config::{alb, file, fixed, forward, listener, nlb, rule};
use crate::{Ca, Elbow, TempDir, address, tools};

/// The access key of the pods.
pub const ACCESS_KEY: &str = "elbow-access";
/// The secret key of the pods.
pub const SECRET_KEY: &str = "elbow-secret-key";
/// The host name of S3 at the ALB.
pub const S3_HOST: &str = "minio.example.localhost";
/// The host name of the console at the ALB.
pub const CONSOLE_HOST: &str = "console.example.localhost";

/// Four pods with the same objects, behind an ALB and an NLB.
pub struct S3 {
    /// The load balancers.
    pub elbow: Elbow,
    /// HTTP on 8080, HTTPS on 8443: S3 by default and by name, the console by name.
    pub alb: Ipv4Addr,
    /// TCP on 9000: S3 with the pods' own TLS.
    pub nlb: Ipv4Addr,
    /// The CA of the ALB's certificate.
    pub ca: Ca,
    ca_file: PathBuf,
    minio: bool,
    pods: Option<Pods>,
    runtime: Runtime,
    dir: TempDir,
}

impl S3 {
    /// Starts embedded pods.
    pub fn embedded() -> Self {
        Self::start(Kind::Embedded {
            shared: true,
            lenient: false,
        })
    }

    /// Starts MinIO processes.
    pub fn minio(program: PathBuf) -> Self {
        Self::start(Kind::Minio { program })
    }

    fn start(kind: Kind) -> Self {
        let dir = TempDir::new();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let minio = matches!(kind, Kind::Minio { .. });
        let options = Options {
            count: 4,
            folder: dir.join("pods"),
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
            names: Vec::new(),
            kind,
        };
        let pods = runtime.block_on(Pods::launch(options)).unwrap();
        let (alb, nlb) = (address(), address());
        let certificates = TempDir::new();
        let ca = Ca::new();
        let ca_file = certificates.write("ca.pem", ca.pem());
        let names = [S3_HOST, CONSOLE_HOST, &alb.to_string()];
        ca.leaf(&names).write(&certificates, "alb");
        let elbow = Elbow::run_in(certificates, &config(alb, nlb, pods.list()), &[]);
        let s3 = Self {
            elbow,
            alb,
            nlb,
            ca,
            ca_file,
            minio,
            pods: Some(pods),
            runtime,
            dir,
        };
        for pod in s3.pods() {
            for group in ["minio", "minio-tcp"] {
                s3.elbow.wait_for_state(group, pod.s3, "healthy");
            }
            s3.elbow.wait_for_state("console", pod.console, "healthy");
        }
        s3
    }

    /// The pods.
    pub fn pods(&self) -> &[Pod] {
        self.pods.as_ref().unwrap().list()
    }

    /// Kills a pod and waits until it gets no more traffic.
    pub fn kill(&self, pod: usize) {
        let pods = self.pods.as_ref().unwrap();
        let pod = &pods.list()[pod];
        self.runtime.block_on(pods.stop(&pod.name)).unwrap();
        self.elbow.wait_for_state("minio", pod.s3, "unhealthy");
    }

    /// Restarts a killed pod and waits until it gets traffic.
    pub fn restore(&self, pod: usize) {
        let pods = self.pods.as_ref().unwrap();
        let pod = &pods.list()[pod];
        self.runtime.block_on(pods.start(&pod.name)).unwrap();
        self.elbow.wait_for_state("minio", pod.s3, "healthy");
    }

    /// All endpoints: the ALB over TLS and over HTTP, and the NLB with the pods' own TLS.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let settings = |url: String, verify: Value| {
            let resolve = HashMap::from([(S3_HOST, self.alb)]);
            let settings = json!({"endpoint": url, "verify": verify, "resolve": resolve});
            Endpoint::new(settings, self.minio)
        };
        vec![
            settings(format!("https://{S3_HOST}:8443"), json!(self.ca_file)),
            settings(format!("http://{}:8080", self.alb), json!(false)),
            settings(format!("https://{}:9000", self.nlb), json!(false)),
        ]
    }

    /// A folder for clients' files.
    pub fn dir(&self) -> &TempDir {
        &self.dir
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some(pods) = self.pods.take() {
            pods.shutdown();
        }
    }
}

/// An S3 endpoint.
pub struct Endpoint {
    settings: Value,
}

impl Endpoint {
    /// An endpoint with these `settings` (`endpoint`, `verify`, `resolve`) and the pods' keys.
    pub fn new(mut settings: Value, minio: bool) -> Self {
        settings["accessKey"] = json!(ACCESS_KEY);
        settings["secretKey"] = json!(SECRET_KEY);
        settings["minio"] = json!(minio);
        Self { settings }
    }

    /// The same endpoint with other keys.
    pub fn with_keys(mut self, access: &str, secret: &str) -> Self {
        self.settings["accessKey"] = json!(access);
        self.settings["secretKey"] = json!(secret);
        self
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        self.settings["endpoint"].as_str().unwrap()
    }

    /// Its URL with an address, for clients that cannot resolve the name.
    pub fn url_by_address(&self) -> String {
        let ip = self.settings["resolve"][S3_HOST].as_str().unwrap();
        self.url().replace(S3_HOST, ip)
    }

    /// A boto3 scenario of `tests/clients/s3.py`.
    pub fn scenario(&self, python: &Path, name: &str, args: &[&str]) -> Command {
        let mut command = tools::client_script(python, "s3.py");
        command
            .arg(name)
            .args(args)
            .env("ELBOW_S3", self.settings.to_string());
        command
    }

    /// aws-cli for this endpoint.
    pub fn aws(&self, python: &Path) -> Command {
        let mut command = tools::client_script(python, "aws.py");
        command
            .env("ELBOW_S3", self.settings.to_string())
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .args(["--endpoint-url", self.url()]);
        match self.settings["verify"].as_str() {
            Some(ca) => command.args(["--ca-bundle", ca]),
            None => command.arg("--no-verify-ssl"),
        };
        command
    }
}

fn config(alb_ip: Ipv4Addr, nlb_ip: Ipv4Addr, pods: &[Pod]) -> Value {
    let by_name = [
        rule(10, "host-header", S3_HOST, &forward("minio")),
        rule(20, "host-header", CONSOLE_HOST, &forward("console")),
        rule(
            30,
            "host-header",
            "*.nowhere.localhost",
            &fixed(404, "no such host"),
        ),
    ];
    let alb_listener = |port, protocol| {
        let mut listener = listener(port, protocol, &forward("minio"));
        listener["rules"] = json!(by_name);
        if protocol == "HTTPS" {
            listener["certificates"] = json!(["alb"]);
        }
        listener
    };
    let s3: Vec<SocketAddr> = pods.iter().map(|p| p.s3).collect();
    let consoles: Vec<SocketAddr> = pods.iter().map(|p| p.console).collect();
    let console_protocol = if pods.iter().all(|p| p.console_tls) {
        "HTTPS"
    } else {
        "HTTP"
    };
    let mut config = file(
        &[
            alb(
                "minio-alb",
                alb_ip,
                &[alb_listener(8080, "HTTP"), alb_listener(8443, "HTTPS")],
            ),
            nlb(
                "minio-nlb",
                nlb_ip,
                &[listener(9000, "TCP", &forward("minio-tcp"))],
            ),
        ],
        &[
            group("minio", "HTTPS", "HTTPS", &s3),
            group("minio-tcp", "TCP", "HTTPS", &s3),
            group("console", console_protocol, console_protocol, &consoles),
        ],
    );
    config["certificates"] =
        json!([{"name": "alb", "certificateFile": "alb.pem", "privateKeyFile": "alb.key"}]);
    config
}

fn group(name: &str, protocol: &str, check: &str, targets: &[SocketAddr]) -> Value {
    let targets: Vec<Value> = targets
        .iter()
        .map(|t| json!({"id": IpAddr::to_string(&t.ip()), "port": t.port()}))
        .collect();
    json!({"name": name, "protocol": protocol, "port": 9000, "targetType": "ip",
        "healthCheckConfig": {"protocol": check, "port": "traffic-port", "path": "/", "matcher": {"httpCode": "200,403"},
            "intervalSeconds": 5, "timeoutSeconds": 2, "healthyThresholdCount": 2, "unhealthyThresholdCount": 2},
        "targets": targets})
}

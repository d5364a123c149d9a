//! Rows S11 to S19 of the specification of manifests, served from `config/eks`: Application and Network Load
//! Balancers, and a file with invalid YAML.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::command::{output, stdout, texts};
use elbow_tests::eks::{
    ARNS, Backend, CONSOLE, HOSTS, Row, Setting, assert_passes_through_to_pods, folder,
};
use elbow_tests::{Client, Response, client, elbow, need, need_python, wait};
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

/// A GET over TLS that trusts only the load balancer's CA.
fn verified(row: &Row, to: SocketAddr, host: &str) -> Response {
    let mut client = Client::tls(to, host, &row.ca.client(&[])).unwrap();
    client.ask(client::get(host, "/"))
}

/// A GET over TLS without verification.
fn trusting(to: SocketAddr, host: &str) -> Response {
    let config = client_that_trusts_all(&[&TLS12, &TLS13], &[]);
    Client::tls(to, host, &config)
        .unwrap()
        .ask(client::get(host, "/"))
}

fn round_trip(row: &Row, to: SocketAddr, host: Option<&str>) {
    let python = need_python!();
    let endpoint = row.endpoint(to, host);
    assert_eq!(
        stdout(&mut endpoint.scenario(&python, "round-trip", &[])),
        "good\n"
    );
}

/// Section 0.3: an NLB's DNS name has 16 hex digits and no prefix; an ALB's has decimal digits.
fn assert_named(row: &Row, name: &str, kind: &str, scheme: &str) {
    let found = row.load_balancer(name);
    assert_eq!(
        (found["type"].as_str(), found["scheme"].as_str()),
        (Some(kind), Some(scheme))
    );
    let host = found["dnsName"].as_str().unwrap();
    let prefix = if kind == "application" && scheme == "internal" {
        "internal-"
    } else {
        ""
    };
    let rest = host
        .strip_prefix(&format!("{prefix}{name}-"))
        .unwrap_or_else(|| panic!("{host}"));
    if kind == "network" {
        let id = rest.strip_suffix(".elb.us-east-1.localhost").unwrap();
        assert_eq!(id.len(), 16, "{host}");
        assert!(id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{host}");
    } else {
        let digits = rest.strip_suffix(".us-east-1.elb.localhost").unwrap();
        assert!(digits.bytes().all(|digit| digit.is_ascii_digit()), "{host}");
    }
}

fn protocols(row: &Row, name: &str) -> Vec<String> {
    let found = row.load_balancer(name);
    let listeners = found["listeners"].as_array().unwrap().iter();
    listeners
        .map(|one| format!("{} {}", one["port"], one["protocol"].as_str().unwrap()))
        .collect()
}

const ALB: &str = "k8s-tenantns-tenantin-3da410d65b";
const ALB_MINIO: &str = "k8s-tenantns-minio-e9e2eaf097";
const ALB_CONSOLE: &str = "k8s-tenantns-tenant1c-75d4b339ed";

/// Routing by host name to pods with untrusted certificates; 403 passes health checks; other hosts get 404.
fn alb(minio: Option<PathBuf>) {
    let setting = Setting {
        minio,
        s3: &[("tenant-ns/minio", "https-minio")],
        consoles: &[("tenant-ns/tenant-1-console", "https-console")],
        ..Setting::default()
    };
    let row = Row::start("s11-alb-tenant", &setting);
    assert_named(&row, ALB, "application", "internet-facing");
    assert_eq!(protocols(&row, ALB), ["443 HTTPS"]);
    let admin = row.elbow.admin().to_string();
    let args = [
        "get",
        "certificates",
        ARNS[0],
        "-o",
        "json",
        "--admin",
        &admin,
    ];
    let shown: Value = serde_json::from_str(&stdout(&mut elbow::command(&args))).unwrap();
    assert_eq!(
        (&shown[0]["arn"], &shown[0]["names"]),
        (&json!(ARNS[0]), &json!(HOSTS))
    );
    row.wait_until_all(ALB_MINIO, "healthy", 4);
    row.wait_until_all(ALB_CONSOLE, "healthy", 1);
    let to = row.at(ALB, 443);
    let minio = verified(&row, to, "minio.example.com");
    assert_eq!(minio.status, 403);
    assert!(
        minio.text().contains("<Code>AccessDenied</Code>"),
        "{}",
        minio.text()
    );
    assert_eq!(verified(&row, to, "tenant-console.example.com").status, 200);
    let unknown = verified(&row, to, "operator.example.com");
    assert_eq!((unknown.status, unknown.text().as_str()), (404, ""));
    assert_eq!(unknown.header("server"), Some("awselb/2.0"));
    assert_eq!(
        unknown.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let log = row.elbow.log();
    assert!(!log.contains("warning["), "{log}");
    round_trip(&row, to, Some("minio.example.com"));
}

#[test]
fn s11_alb_with_embedded_pods() {
    alb(None);
}

#[test]
fn s11_alb_with_minio() {
    alb(Some(need!("minio")));
}

/// Why `success-codes: '200,403'` is needed: without 403 no target is healthy.
#[test]
fn s11_without_success_codes_is_unhealthy() {
    let setting = Setting {
        s3: &[("tenant-ns/minio", "https-minio")],
        consoles: &[("tenant-ns/tenant-1-console", "https-console")],
        ..Setting::default()
    };
    let row = Row::start("s11-alb-tenant", &setting);
    row.wait_until_all(ALB_MINIO, "healthy", 4);
    let path = row.elbow.dir().join("ingress.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("'200,403'", "'200'")).unwrap();
    row.wait_until_all(ALB_MINIO, "unhealthy", 4);
    let targets = row.elbow.json("/targets").to_string();
    assert!(targets.contains("Target.ResponseCodeMismatch"), "{targets}");
}

/// A certificate known only by its ARN is issued by the local CA.
#[test]
fn s12_operator_console() {
    let setting = Setting {
        operator: &["minio-operator/console"],
        no_certificates: true,
        ..Setting::default()
    };
    let row = Row::start("s12-alb-operator-console", &setting);
    let name = "k8s-minioope-operator-cd53b70d55";
    assert_named(&row, name, "application", "internet-facing");
    assert_eq!(protocols(&row, name), ["443 HTTPS"]);
    row.wait_until_all("k8s-minioope-console-adb6372da2", "healthy", 1);
    let to = row.at(name, 443);
    let console = trusting(to, "operator.example.com");
    assert_eq!((console.status, console.text().as_str()), (200, CONSOLE));
    assert_eq!(
        row.consoles[0].request().header("x-forwarded-proto"),
        Some("https")
    );
    assert_eq!(trusting(to, "minio.example.com").status, 404);
    row.elbow.log_with(&[
        "warning[certificate-not-found] ",
        "ingress.yaml:8:48: no certificate is known by",
    ]);
}

const MINIO: &str = "k8s-tenantns-minio-5f3610c391";

/// Two NLBs with TLS passthrough; endpoints stand in for nodes.
fn nlb(minio: Option<PathBuf>) {
    let setting = Setting {
        minio,
        s3: &[("tenant-ns/minio", "https-minio")],
        consoles: &[("tenant-ns/tenant-1-console", "https-console")],
        ..Setting::default()
    };
    let row = Row::start("s13-nlb-tenant", &setting);
    let console = "k8s-tenantns-tenant1c-f1d823f524";
    assert_named(&row, MINIO, "network", "internet-facing");
    assert_named(&row, console, "network", "internet-facing");
    assert_eq!(protocols(&row, MINIO), ["443 TCP"]);
    assert_eq!(protocols(&row, console), ["9443 TCP"]);
    let to = row.at(MINIO, 443);
    row.wait_until_all("k8s-tenantns-minio-07a595cf01", "healthy", 4);
    row.wait_until_all("k8s-tenantns-tenant1c-c143148bd3", "healthy", 1);
    assert_passes_through_to_pods(&row, to);
    assert_eq!(
        trusting(row.at(console, 9443), "tenant-console.example.com").status,
        200
    );
    round_trip(&row, to, None);
}

#[test]
fn s13_nlbs_with_embedded_pods() {
    nlb(None);
}

#[test]
fn s13_nlbs_with_minio() {
    nlb(Some(need!("minio")));
}

/// 9090: TLS is terminated and plain bytes go to the node port. 9443: TLS is passed through to the console.
#[test]
fn s14_nlb_terminates_tls() {
    let setting = Setting {
        node_ports: &[(30914, Backend::Http), (31914, Backend::Https)],
        ..Setting::default()
    };
    let row = Row::start("s14-nlb-tls-termination", &setting);
    let name = "k8s-minioope-console-c90fe53592";
    assert_named(&row, name, "network", "internet-facing");
    assert_eq!(protocols(&row, name), ["9090 TLS", "9443 TCP"]);
    row.wait_until_all("k8s-minioope-console-2abced9686", "healthy", 3);
    row.wait_until_all("k8s-minioope-console-0832e8dfc4", "healthy", 3);
    let ended = verified(&row, row.at(name, 9090), "operator.example.com");
    assert_eq!((ended.status, ended.text().as_str()), (200, CONSOLE));
    // A TLS listener forwards bytes: it adds no header.
    assert_eq!(row.consoles[0].request().header("x-forwarded-for"), None);
    let config = client_that_trusts_all(&[&TLS12, &TLS13], &[]);
    let passed = Client::tls(row.at(name, 9443), "operator.example.com", &config).unwrap();
    assert_eq!(
        passed.peer_certificate(),
        Some(row.console_certificate.der())
    );
}

#[test]
fn s15_scheme_annotation_and_default() {
    let s3 = &[
        ("tenant-ns/minio", "https-minio"),
        ("tenant-ns/minio-internal", "https-minio"),
    ];
    let row = Row::start(
        "s15-nlb-scheme",
        &Setting {
            s3,
            ..Setting::default()
        },
    );
    let internal = "k8s-tenantns-minioint-c5cd639c3e";
    assert_named(&row, MINIO, "network", "internet-facing");
    assert_named(&row, internal, "network", "internal");
    for name in [MINIO, internal] {
        assert_passes_through_to_pods(&row, row.at(name, 443));
    }
}

#[test]
fn s16_subnets_without_warnings() {
    let s3 = &[("tenant-ns/minio", "https-minio")];
    let row = Row::start(
        "s16-nlb-subnets",
        &Setting {
            s3,
            ..Setting::default()
        },
    );
    assert_passes_through_to_pods(&row, row.at(MINIO, 443));
    let log = row.elbow.log();
    assert!(!log.contains("warning["), "{log}");
}

/// TLS is terminated and originated again; a warning says that access logs are not written to S3.
#[test]
fn s17_access_logs_warning_names_the_annotation() {
    let s3 = &[("tenant-ns/minio", "https-minio")];
    let row = Row::start(
        "s17-nlb-access-logs",
        &Setting {
            s3,
            ..Setting::default()
        },
    );
    let name = "k8s-tenantns-minio-63b849f521";
    assert_eq!(protocols(&row, name), ["443 TLS"]);
    let answer = verified(&row, row.at(name, 443), "minio.example.com");
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().contains("<Code>AccessDenied</Code>"),
        "{}",
        answer.text()
    );
    let warned = "minio.yaml:9:62: service.beta.kubernetes.io/aws-load-balancer-attributes: access_logs.s3.enabled";
    row.elbow.log_with(&["warning[no-effect] ", warned]);
}

/// instance: every node at the node port. ip: every pod at its own port.
fn target_types(minio: Option<PathBuf>) {
    let setting = Setting {
        minio,
        s3: &[
            ("tenant-ns/minio-ip", "https-minio"),
            ("tenant-ns/minio-instance", "https-minio"),
        ],
        node_ports: &[(31028, Backend::S3)],
        ..Setting::default()
    };
    let row = Row::start("s18-nlb-target-type", &setting);
    let (instance, ip) = (
        "k8s-tenantns-minioins-50c3376ddc",
        "k8s-tenantns-minioip-0d9a4b0cc9",
    );
    row.wait_until_all("k8s-tenantns-minioins-6a70cb4d0a", "healthy", 3);
    row.wait_until_all("k8s-tenantns-minioip-8ab9ee65d3", "healthy", 4);
    let targets = elbow::rows(&row.elbow.json("/targets"));
    let of_nodes = targets.iter().filter(|row| row["port"] == 31028);
    let mut zones: Vec<&str> = of_nodes
        .map(|row| row["availabilityZone"].as_str().unwrap())
        .collect();
    zones.sort_unstable();
    assert_eq!(zones, ["us-east-1a", "us-east-1b", "us-east-1c"]);
    for pod in row.pods.list() {
        let at = pod.s3.to_string();
        assert!(targets.iter().any(|row| row["address"] == *at), "{at}");
    }
    for name in [instance, ip] {
        assert_passes_through_to_pods(&row, row.at(name, 443));
        round_trip(&row, row.at(name, 443), None);
    }
}

#[test]
fn s18_target_types_with_embedded_pods() {
    target_types(None);
}

#[test]
fn s18_target_types_with_minio() {
    target_types(Some(need!("minio")));
}

/// IPv6 targets behind a dualstack load balancer.
#[test]
fn s19_dualstack_has_ipv6_targets() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        elbow_tests::tools::skipped("IPv6");
        return;
    }
    let s3 = &[("tenant-ns/minio", "https-minio")];
    let row = Row::start(
        "s19-nlb-dualstack",
        &Setting {
            s3,
            ipv6: true,
            ..Setting::default()
        },
    );
    row.wait_until_all("k8s-tenantns-minio-b29eb67d57", "healthy", 4);
    for target in elbow::rows(&row.elbow.json("/targets")) {
        assert!(
            target["address"].as_str().unwrap().starts_with("[::1]:"),
            "{target}"
        );
    }
    assert_passes_through_to_pods(&row, row.at(MINIO, 443));
}

/// The position of the error in `config/eks/mis-indented`, and its hint.
const FAULT: &str = "tenant.yaml:15:60: mapping values are not allowed in this context\n  hint: a line that is indented \
    deeper than the one above belongs to its value: align the two";

#[test]
fn mis_indented_file_is_refused() {
    let path = folder("mis-indented");
    for command in ["run", "check", "plan"] {
        let output = output(&mut elbow::command(&[
            command,
            "-f",
            path.to_str().unwrap(),
        ]));
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{command}: {stderr}");
        assert!(
            stderr.contains("error[yaml-syntax] "),
            "{command}: {stderr}"
        );
        assert!(stderr.contains(FAULT), "{command}: {stderr}");
        assert!(!stderr.contains("serving"), "{command}: {stderr}");
    }
}

/// An edit with invalid YAML changes nothing, and the next valid edit is applied.
#[test]
fn mis_indented_edit_changes_nothing() {
    let setting = Setting {
        s3: &[("tenant-ns/minio", "https-minio")],
        consoles: &[("tenant-ns/tenant-1-console", "https-console")],
        ..Setting::default()
    };
    let row = Row::start("s13-nlb-tenant", &setting);
    let path = row.elbow.dir().join("tenant.yaml");
    let good = fs::read_to_string(&path).unwrap();
    let before = row.elbow.page("/config").text();
    fs::copy(folder("mis-indented").join("tenant.yaml"), &path).unwrap();
    row.elbow.log_with(&[FAULT]);
    let success = |value| {
        row.elbow
            .wait_for_metric("elbow_config_last_reload_success", &[], value);
    };
    success(0.0);
    assert_eq!(row.elbow.page("/config").text(), before);
    assert_passes_through_to_pods(&row, row.at(MINIO, 443));
    let both = "aws-load-balancer-scheme: internet-facing";
    assert_eq!(good.matches(both).count(), 2);
    // Written in place, as some editors do.
    fs::write(
        &path,
        good.replace(both, "aws-load-balancer-scheme: internal"),
    )
    .unwrap();
    wait::until("the good edit to be in force", || {
        row.elbow.bound(MINIO, 443).is_none().then_some(())
    });
    success(1.0);
}

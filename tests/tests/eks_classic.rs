//! Rows S1 to S10 of the specification of manifests, served from `config/eks`: Classic load balancers.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::SocketAddr;
use std::path::PathBuf;

use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::command::stdout;
use elbow_tests::eks::{Backend, CONSOLE, Row, Setting, assert_passes_through_to_pods};
use elbow_tests::{Client, client, need, need_python, wait};
use rustls::version::{TLS12, TLS13};

/// The node ports of the operator's console.
const fn console(http: u16) -> [(u16, Backend); 2] {
    [(http, Backend::Http), (http + 1, Backend::Https)]
}

/// A GET over HTTP.
fn plain(to: SocketAddr) -> (u16, String) {
    let answer = Client::plain(to).ask(client::get("operator.example.com", "/"));
    (answer.status, answer.text())
}

/// A GET over TLS that trusts only the load balancer's CA.
fn verified(row: &Row, to: SocketAddr, host: &str) -> (u16, String) {
    let mut client = Client::tls(to, host, &row.ca.client(&[])).unwrap();
    let answer = client.ask(client::get(host, "/"));
    (answer.status, answer.text())
}

/// A GET over TLS that the console itself terminates.
fn passed(row: &Row, to: SocketAddr) -> (u16, String) {
    let trusting = client_that_trusts_all(&[&TLS12, &TLS13], &[]);
    let mut client = Client::tls(to, "operator.example.com", &trusting).unwrap();
    assert_eq!(
        client.peer_certificate(),
        Some(row.console_certificate.der())
    );
    let answer = client.ask(client::get("operator.example.com", "/"));
    (answer.status, answer.text())
}

fn console_page() -> (u16, String) {
    (200, CONSOLE.to_owned())
}

/// Section 0.3: the DNS name of a Classic load balancer.
fn assert_classic(row: &Row, name: &str, internal: bool, listeners: &[(u16, &str)]) {
    let found = row.load_balancer(name);
    assert_eq!(found["type"], "classic");
    let prefix = if internal { "internal-" } else { "" };
    let host = found["dnsName"].as_str().unwrap();
    let digits = host.strip_prefix(&format!("{prefix}{name}-"));
    let digits = digits.and_then(|rest| rest.strip_suffix(".us-east-1.elb.localhost"));
    let digits = digits.unwrap_or_else(|| panic!("{host}"));
    assert!(digits.bytes().all(|digit| digit.is_ascii_digit()), "{host}");
    let scheme = if internal {
        "internal"
    } else {
        "internet-facing"
    };
    assert_eq!(found["scheme"], scheme);
    let all = found["listeners"].as_array().unwrap().iter();
    let all: Vec<(u64, &str)> = all
        .map(|one| {
            (
                one["port"].as_u64().unwrap(),
                one["protocol"].as_str().unwrap(),
            )
        })
        .collect();
    let expected: Vec<(u64, &str)> = listeners
        .iter()
        .map(|(port, p)| (u64::from(*port), *p))
        .collect();
    assert_eq!(all, expected);
}

fn round_trip(row: &Row, to: SocketAddr, host: Option<&str>) {
    let python = need_python!();
    let endpoint = row.endpoint(to, host);
    assert_eq!(
        stdout(&mut endpoint.scenario(&python, "round-trip", &[])),
        "good\n"
    );
}

const TENANT: Setting<'_> = Setting {
    minio: None,
    s3: &[("tenant-ns/minio", "https-minio")],
    consoles: &[("tenant-ns/tenant-1-console", "https-console")],
    operator: &[],
    node_ports: &[],
    no_certificates: false,
    ipv6: false,
};
/// The names of the Tenant's load balancers on AWS, derived from the default UIDs.
const MINIO: &str = "a16b49120d401b33cfe6d51353dcd155";
const TENANT_CONSOLE: &str = "ac3edfd168b31107df8c171f002973d7";

fn tenant(folder: &str, minio: Option<PathBuf>, internal: bool) {
    let row = Row::start(folder, &Setting { minio, ..TENANT });
    assert_classic(&row, MINIO, internal, &[(443, "TCP")]);
    assert_classic(&row, TENANT_CONSOLE, internal, &[(9443, "TCP")]);
    let (s3, console) = (row.at(MINIO, 443), row.at(TENANT_CONSOLE, 9443));
    row.wait_until_all(&format!("{MINIO}/TCP:30525"), "InService", 4);
    row.wait_until_all(&format!("{TENANT_CONSOLE}/TCP:32452"), "InService", 1);
    assert_passes_through_to_pods(&row, s3);
    let trusting = client_that_trusts_all(&[&TLS12, &TLS13], &[]);
    let answer = Client::tls(console, "tenant-console.example.com", &trusting)
        .unwrap()
        .ask(client::get("tenant-console.example.com", "/"));
    assert_eq!(answer.status, 200);
    let log = row.elbow.log_with(&["note[endpoints-stand-in]"]);
    assert!(!log.contains("warning["), "{log}");
    round_trip(&row, s3, None);
}

/// TLS passthrough: the certificate and the 403 come from the pods.
#[test]
fn s1_tenant_with_embedded_pods() {
    tenant("s01-tenant-clb", None, false);
}

#[test]
fn s1_tenant_with_minio() {
    tenant("s01-tenant-clb", Some(need!("minio")), false);
}

#[test]
fn s2_operator_console_at_its_node_ports() {
    let node_ports = &[(31090, Backend::Http), (31443, Backend::Https)];
    let row = Row::start(
        "s02-operator-console-clb",
        &Setting {
            node_ports,
            ..Setting::default()
        },
    );
    let name = "ad824df7648d74e209bb960970b55be5";
    assert_classic(&row, name, false, &[(9090, "TCP"), (9443, "TCP")]);
    for port in [31090, 31443] {
        row.wait_until_all(&format!("{name}/TCP:{port}"), "InService", 3);
    }
    assert_eq!(plain(row.at(name, 9090)), console_page());
    assert_eq!(passed(&row, row.at(name, 9443)), console_page());
    // One health check for the whole load balancer: TCP at the node port of the first listener.
    assert!(
        row.taken(31090).iter().all(|taken| *taken > 0),
        "{:?}",
        row.taken(31090)
    );
    assert_eq!(row.taken(31443).iter().sum::<usize>(), 1);
}

#[test]
fn s3_internal_tenant() {
    tenant("s03-tenant-internal-clb", None, true);
}

/// The certificate is the load balancer's, and the console gets X-Forwarded headers. On 9443, plain HTTP reaches a TLS port.
#[test]
fn s4_clb_terminates_tls() {
    let row = Row::start(
        "s04-clb-tls-termination",
        &Setting {
            node_ports: &console(30904),
            ..Setting::default()
        },
    );
    let name = "a4f0b7c529d1e4a3c8e571b6a2f9c0d3";
    assert_classic(&row, name, false, &[(9090, "HTTPS"), (9443, "HTTP")]);
    row.wait_until_all(&format!("{name}/HTTP:30904"), "InService", 3);
    assert_eq!(
        verified(&row, row.at(name, 9090), "operator.example.com"),
        console_page()
    );
    let seen = row.consoles[0].request();
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-port"), Some("9090"));
    assert!(seen.header("x-forwarded-for").is_some());
    let broken = Client::plain(row.at(name, 9443)).ask(client::get("operator.example.com", "/"));
    assert!((500..600).contains(&broken.status), "{}", broken.status);
    row.elbow.log_with(&[
        "warning[plain-listener] ",
        "console.yaml:5:68: port 9443 is not in ssl-ports",
    ]);
}

#[test]
fn s5_internal_load_balancer() {
    let row = Row::start(
        "s05-clb-internal",
        &Setting {
            node_ports: &console(30905),
            ..Setting::default()
        },
    );
    let name = "a5a1c8d630e2f4b4d9f682c7b3a0d1e4";
    assert_classic(&row, name, true, &[(9090, "TCP"), (9443, "TCP")]);
    assert_eq!(plain(row.at(name, 9090)), console_page());
}

/// `ELBSecurityPolicy-TLS-1-2-2017-01` allows only TLS 1.2.
#[test]
fn s6_policy_limits_tls_versions() {
    let row = Row::start(
        "s06-clb-cipher-policy",
        &Setting {
            node_ports: &console(30906),
            ..Setting::default()
        },
    );
    let at = row.at("a6b2d9e741f304c5e80793d8c4b1e2f5", 9090);
    let only = |version| {
        let trusting = client_that_trusts_all(&[version], &[]);
        Client::tls(at, "operator.example.com", &trusting)
    };
    assert!(only(&TLS13).is_err());
    let client = only(&TLS12).unwrap();
    let version = client.tls_state().unwrap().protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_2));
    assert_eq!(verified(&row, at, "operator.example.com"), console_page());
}

/// A warning says that access logs are not written to S3.
#[test]
fn s7_access_logs_warning_names_the_annotation() {
    let row = Row::start(
        "s07-clb-access-logs",
        &Setting {
            node_ports: &console(30907),
            ..Setting::default()
        },
    );
    assert_eq!(
        plain(row.at("a7c3eaf8520414d6f918a4e9d5c2f306", 9090)),
        console_page()
    );
    let warned =
        "console.yaml:6:70: service.beta.kubernetes.io/aws-load-balancer-access-log-enabled";
    row.elbow.log_with(&["warning[no-effect] ", warned]);
}

/// `security-groups` replaces the default group, and here admits clients at one port. `extra-security-groups` are added to the
/// default group, which admits everybody.
#[test]
fn s8_security_groups_admit_clients() {
    let setting = Setting {
        s3: &[("tenant-ns/minio", "https-minio")],
        operator: &["minio-operator/console"],
        ..Setting::default()
    };
    let row = Row::start("s08-clb-security-groups", &setting);
    assert_passes_through_to_pods(&row, row.at("a8e50c1a731524e70a29b5fae6d30418", 443));
    let console = "a8d4fb09631524e70a29b5fae6d30417";
    assert_eq!(passed(&row, row.at(console, 9443)), console_page());
    // No rule admits it.
    Client::assert_reset_by(row.at(console, 9090));
    assert!(row.consoles[0].requests().is_empty());
    let unknown = "note[unknown-security-group] ";
    let log = row.elbow.log_with(&[
        unknown,
        "minio.yaml:5:73: unknown ingress rules of the security groups office, backup-hosts",
    ]);
    assert_eq!(log.matches(unknown).count(), 1, "{log}");
}

/// Nodes in all three zones are used.
#[test]
fn s9_nodes_in_three_zones_are_used() {
    let row = Row::start(
        "s09-clb-cross-zone",
        &Setting {
            node_ports: &console(30909),
            ..Setting::default()
        },
    );
    let name = "a9e50c1a742634f81b3ac60bf7e41528";
    let config = row.elbow.json("/config").to_string();
    assert!(
        config.contains(r#""load_balancing.cross_zone.enabled":"true""#),
        "{config}"
    );
    row.wait_until_all(&format!("{name}/TCP:30910"), "InService", 3);
    wait::until("a connection to every node", || {
        assert_eq!(passed(&row, row.at(name, 9443)), console_page());
        row.taken(30910)
            .iter()
            .all(|taken| *taken > 0)
            .then_some(())
    });
}

/// TLS to the load balancer, and TLS from it to pods with untrusted certificates.
fn end_to_end(minio: Option<PathBuf>) {
    let s3 = &[
        ("tenant-ns/minio", "https-minio"),
        ("tenant-ns/minio-ssl", "https-minio"),
    ];
    let row = Row::start(
        "s10-clb-end-to-end-tls",
        &Setting {
            minio,
            s3,
            ..Setting::default()
        },
    );
    let (https, ssl) = (
        "aa062d3b85374409294bd71c08f52639",
        "aa173e4c9648541a385ce82d190637ba",
    );
    assert_classic(&row, https, false, &[(443, "HTTPS")]);
    assert_classic(&row, ssl, false, &[(443, "SSL")]);
    row.wait_until_all(&format!("{https}/HTTPS:31010"), "InService", 4);
    row.wait_until_all(&format!("{ssl}/SSL:31011"), "InService", 4);
    for name in [https, ssl] {
        let to = row.at(name, 443);
        let (status, text) = verified(&row, to, "minio.example.com");
        assert_eq!(status, 403);
        assert!(text.contains("<Code>AccessDenied</Code>"), "{text}");
        round_trip(&row, to, Some("minio.example.com"));
    }
    let log = row.elbow.log();
    assert!(!log.contains("certificate-not-found"), "{log}");
}

#[test]
fn s10_end_to_end_tls_with_embedded_pods() {
    end_to_end(None);
}

#[test]
fn s10_end_to_end_tls_with_minio() {
    end_to_end(Some(need!("minio")));
}

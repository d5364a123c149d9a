//! Clients with certificates (ALB guide: mutual authentication, connection logs), with curl and openssl as clients.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use elbow_tests::certificates::Leaf;
use elbow_tests::config::{alb, file, fixed, forward, group, listener, nlb, with_attribute};
use elbow_tests::log_files::{CONNECTION_LOG, LogFile};
use elbow_tests::pki::{Authority, ClientSpec};
use elbow_tests::{Ca, Elbow, Target, TempDir, address, command, need, wait};
use serde_json::{Value, json};

/// An elbow with one HTTPS listener at port 8443.
struct Scene {
    elbow: Elbow,
    ip: Ipv4Addr,
    root: Authority,
    target: Target,
}

/// What a client gets from a listener with this mutual authentication.
fn scene(mutual: &Value, change: impl FnOnce(&mut Value)) -> Scene {
    let (dir, ip) = (TempDir::new(), address());
    let root = Authority::new("root");
    dir.write("ca.pem", root.pem());
    dir.write("ca.crl", root.revocation_list(&[99]));
    dir.write(
        "environment.yaml",
        "logBuckets: [{name: logs, folder: bucket}]\n",
    );
    Ca::new().leaf(&["web.example"]).write(&dir, "web");
    let target = Target::ok("hello");
    let mut https = listener(8443, "HTTPS", &forward("web"));
    https["certificates"] = json!(["web"]);
    https["sslPolicy"] = json!("ELBSecurityPolicy-TLS13-1-2-2021-06");
    https["mutualAuthentication"] = mutual.clone();
    change(&mut https);
    let mut balancer = alb("web", ip, &[https]);
    balancer["attributes"] =
        json!({"connection_logs.s3.enabled": "true", "connection_logs.s3.bucket": "logs"});
    let config = whole(&[balancer], &[group("web", "HTTP", &[target.addr()])]);
    let environment = dir.join("environment.yaml").display().to_string();
    let elbow = Elbow::run_in(dir, &config, &["--environment", &environment]);
    elbow.wait_for_state("web", target.addr(), "healthy");
    Scene {
        elbow,
        ip,
        root,
        target,
    }
}

/// A file with the certificate `web` and the trust store `clients`.
fn whole(balancers: &[Value], groups: &[Value]) -> Value {
    let mut config = file(balancers, groups);
    config["certificates"] =
        json!([{"name": "web", "certificateFile": "web.pem", "privateKeyFile": "web.key"}]);
    config["trustStores"] = json!([{"name": "clients", "caCertificatesBundleFile": "ca.pem",
        "revocationFiles": ["ca.crl"]}]);
    config
}

fn verify() -> Value {
    json!({"mode": "verify", "trustStore": "clients"})
}

impl Scene {
    fn url(&self) -> String {
        format!("https://{}:8443/", self.ip)
    }

    /// Writes a client's certificate and key; returns curl's options for them.
    fn identity(&self, name: &str, leaf: &Leaf) -> [String; 4] {
        let (certificate, key) = leaf.write(self.elbow.dir(), name);
        let text = |path: PathBuf| path.display().to_string();
        [
            "--cert".into(),
            text(certificate),
            "--key".into(),
            text(key),
        ]
    }

    /// Runs curl with `options`.
    fn curl(&self, options: &[&str]) -> Output {
        let mut curl = Command::new("curl");
        curl.args(["-sSk", "--max-time", "20"]).args(options);
        command::output(curl.arg(self.url()))
    }

    /// The rows of the connection log, after elbow has stopped.
    fn connections(mut self) -> Vec<Vec<String>> {
        let bucket = self.elbow.dir().join("bucket");
        assert!(self.elbow.terminate().success());
        let files = LogFile::below(&bucket);
        files
            .iter()
            .flat_map(|file| file.rows(CONNECTION_LOG))
            .collect()
    }
}

/// What openssl says of the certificate in `file`.
fn openssl(file: &Path, options: &[&str]) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout", "-nameopt", "RFC2253", "-in"]);
    let text = command::stdout(openssl.arg(file).args(options));
    let (_, value) = text.trim_end().split_once('=').unwrap();
    value.trim_start().to_owned()
}

/// Parity check 36, ALB guide: five headers, and none of the client's own.
#[test]
fn target_learns_of_a_verified_certificate() {
    let (_, _) = (need!("curl"), need!("openssl"));
    let scene = scene(&verify(), |_| {});
    let leaf = scene.root.client(&ClientSpec::default(), &[]);
    let identity = scene.identity("alice", &leaf);
    let identity: Vec<&str> = identity.iter().map(String::as_str).collect();
    for version in [
        &["--http1.1", "--tls-max", "1.2"][..],
        &["--http1.1"],
        &["--http2"],
    ] {
        let spoofed = [
            "-H",
            "X-Amzn-Mtls-Clientcert-Subject: CN=root",
            "-H",
            "x-amzn-mtls-clientcert: forged",
        ];
        let output = scene.curl(&[&identity[..], version, &spoofed].concat());
        assert_eq!(command::texts(&output).0, "hello", "{output:?}");
    }
    let certificate = scene.elbow.dir().join("alice.pem");
    let field = |option: &str| openssl(&certificate, &[option]);
    for request in scene.target.wait_for_requests(3) {
        let header = |name: &str| {
            let name = format!("x-amzn-mtls-clientcert{name}");
            let mut all = request.head.lines().filter_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(&name).then(|| value.to_owned())
            });
            let first = all.next();
            assert_eq!(all.next(), None, "{}", request.head);
            first
        };
        assert_eq!(header("-subject"), Some(field("-subject")));
        assert_eq!(header("-issuer"), Some(field("-issuer")));
        assert_eq!(header("-serial-number"), Some(field("-serial")));
        assert_eq!(header("-serial-number").as_deref(), Some("03A5B1"));
        assert_eq!(
            header("-validity").as_deref(),
            Some("NotBefore=2020-01-02T00:00:00Z;NotAfter=2049-03-04T00:00:00Z")
        );
        let pem = leaf.certificate.replace("\r\n", "\n");
        let encoded = pem.replace(' ', "%20").replace('\n', "%0A");
        assert_eq!(header("-leaf"), Some(encoded));
        assert_eq!(header(""), None);
    }
    for row in scene.connections() {
        assert_eq!(row[7].trim_matches('"'), "CN=alice,O=Acme\\x5C, Inc.,C=DE");
        assert_eq!((&*row[9], &*row[10]), ("03A5B1", "Success"), "{row:?}");
    }
}

/// ALB guide, connection logs: the codes; the certificate and what was negotiated are in the line all the same.
#[test]
fn bad_certificates_fail_with_the_codes_of_aws() {
    let _ = need!("curl");
    let scene = scene(&verify(), |_| {});
    let root = &scene.root;
    let mut chain = vec![root.intermediate("0")];
    while chain.len() < 19 {
        chain.push(chain[chain.len() - 1].intermediate("n"));
    }
    let spec = ClientSpec::default();
    let above: Vec<&Authority> = chain.iter().rev().collect();
    let stranger = Authority::new("stranger");
    let revoked = ClientSpec { serial: 99, ..spec };
    let expired = ClientSpec {
        years: (2001, 2002),
        ..spec
    };
    let early = ClientSpec {
        years: (2048, 2049),
        ..spec
    };
    let server = ClientSpec {
        is_for_servers: true,
        ..spec
    };
    let table = [
        (
            "ClientCertMaxChainDepthExceeded",
            Some(chain[18].client(&spec, &above)),
        ),
        ("ClientCertCrlHit", Some(root.client(&revoked, &[]))),
        ("ClientCertExpired", Some(root.client(&expired, &[]))),
        ("ClientCertNotYetValid", Some(root.client(&early, &[]))),
        ("ClientCertPurposeInvalid", Some(root.client(&server, &[]))),
        ("ClientCertUntrusted", Some(stranger.client(&spec, &[]))),
        ("UnmappedConnectionError", None),
    ];
    for (code, leaf) in &table {
        let identity = leaf.as_ref().map(|leaf| scene.identity(code, leaf));
        let identity: Vec<&str> = identity.iter().flatten().map(String::as_str).collect();
        for version in [&["--http1.1", "--tls-max", "1.2"][..], &["--http2"]] {
            let output = scene.curl(&[&identity[..], version].concat());
            assert!(!output.status.success(), "{code}: {output:?}");
            assert_eq!(command::texts(&output).0, "", "{code}");
        }
    }
    assert!(scene.target.requests().is_empty());
    for (reason, count) in [("client_cert_expired", 2.0), ("no_client_cert", 2.0)] {
        let labels = [&*format!("reason=\"{reason}\""), "protocol=\"HTTPS\""];
        scene
            .elbow
            .wait_for_metric("elbow_tls_handshake_errors_total", &labels, count);
    }
    let rows = scene.connections();
    assert_eq!(rows.len(), 2 * table.len(), "{rows:?}");
    for (code, leaf) in table {
        let failed = format!("Failed:{code}");
        let own: Vec<_> = rows.iter().filter(|row| row[10] == failed).collect();
        let mut versions: Vec<&str> = own.iter().map(|row| &*row[4]).collect();
        versions.sort_unstable();
        assert_eq!(versions, ["TLSv1.2", "TLSv1.3"], "{code}: {rows:?}");
        for row in own {
            let subject = leaf
                .as_ref()
                .map_or("-", |_| "CN=alice,O=Acme\\x5C, Inc.,C=DE");
            assert_eq!(row[7].trim_matches('"'), subject, "{row:?}");
            assert!(row[5].contains("AES"), "{row:?}");
            assert_eq!(row[6], "-", "{row:?}");
        }
    }
}

/// ALB guide, mutual TLS passthrough: the whole chain, unverified; a client without a certificate gets in.
#[test]
fn passthrough_hands_the_chain_to_the_target() {
    let _ = need!("openssl");
    let scene = scene(&json!({"mode": "passthrough"}), |_| {});
    let stranger = Authority::new("stranger");
    let above = stranger.intermediate("above");
    let expired = ClientSpec {
        years: (2001, 2002),
        ..ClientSpec::default()
    };
    let leaf = above.client(&expired, &[&above]);
    let (certificate, key) = leaf.write(scene.elbow.dir(), "stranger");
    let chain = scene.elbow.dir().write("above.pem", above.pem());
    let [certificate, key, chain] = [&certificate, &key, &chain].map(|path| path.to_str().unwrap());
    let with_certificate = ["-cert", certificate, "-key", key, "-cert_chain", chain];
    for options in [&with_certificate[..], &[]] {
        let request = "GET / HTTP/1.1\r\nHost: web.example\r\nX-Amzn-Mtls-Clientcert: forged\r\nConnection: close\r\n\r\n";
        let shown = s_client(scene.ip, options, request);
        assert!(shown.contains("HTTP/1.1 200 OK"), "{shown}");
    }
    let requests = scene.target.wait_for_requests(2);
    let sent = requests[0].header("x-amzn-mtls-clientcert").unwrap();
    let pem = sent.replace("%20", " ").replace("%0A", "\n");
    assert_eq!(pem, leaf.certificate.replace("\r\n", "\n"));
    assert_eq!(requests[1].header("x-amzn-mtls-clientcert"), None);
    let rows = scene.connections();
    assert!(rows.iter().all(|row| row[10] == "Success"), "{rows:?}");
}

/// What openssl s_client shows of a connection on which it sends `request`.
fn s_client(ip: Ipv4Addr, options: &[&str], request: &str) -> String {
    let mut client = Command::new("openssl");
    client
        .args(["s_client", "-connect", &format!("{ip}:8443"), "-ign_eof"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut client = client.spawn().unwrap();
    client
        .stdin
        .take()
        .unwrap()
        .write_all(request.as_bytes())
        .unwrap();
    let output = client.wait_with_output().unwrap();
    command::texts(&output).0
}

/// API, AdvertiseTrustStoreCaNames and IgnoreClientCertificateExpiry; ALB guide, header modification.
#[test]
fn options_of_verify_and_renamed_headers() {
    let (_, _) = (need!("curl"), need!("openssl"));
    let mutual = json!({"mode": "verify", "trustStore": "clients", "ignoreClientCertificateExpiry": true,
        "advertiseTrustStoreCaNames": "on"});
    let renamed = "routing.http.request.x_amzn_mtls_clientcert_subject.header_name";
    let scene = scene(&mutual, |https| {
        *https = with_attribute(https.take(), renamed, "X-Client");
    });
    let request = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    let shown = s_client(scene.ip, &[], request);
    let names = "Acceptable client certificate CA names\nCN = root\n";
    assert!(shown.contains(names), "{shown}");
    let expired = ClientSpec {
        years: (2001, 2002),
        ..ClientSpec::default()
    };
    let leaf = scene.root.client(&expired, &[]);
    let identity = scene.identity("expired", &leaf);
    let mut options: Vec<&str> = identity.iter().map(String::as_str).collect();
    options.extend(["-H", "x-client: forged"]);
    let output = scene.curl(&options);
    assert_eq!(command::texts(&output).0, "hello", "{output:?}");
    let request = scene.target.request();
    assert_eq!(
        request.header("x-client"),
        Some("CN=alice,O=Acme\\, Inc.,C=DE")
    );
    assert_eq!(request.head.to_lowercase().matches("x-client").count(), 1);
    assert_eq!(request.header("x-amzn-mtls-clientcert-subject"), None);
    assert!(request.header("x-amzn-mtls-clientcert-leaf").is_some());
}

/// Revocation lists are followed as certificates are. One that cannot be read changes nothing.
#[test]
fn revocation_list_is_followed() {
    let _ = need!("curl");
    let scene = scene(&verify(), |_| {});
    let of = |serial| {
        let spec = ClientSpec {
            serial,
            ..ClientSpec::default()
        };
        scene.identity(&serial.to_string(), &scene.root.client(&spec, &[]))
    };
    let (first, second) = (of(1), of(2));
    let is_admitted = |identity: &[String; 4]| {
        let options: Vec<&str> = identity.iter().map(String::as_str).collect();
        scene.curl(&options).status.success()
    };
    assert!(is_admitted(&first) && is_admitted(&second));
    let dir = scene.elbow.dir();
    dir.write("ca.crl", scene.root.revocation_list(&[1]));
    wait::until("the first certificate to be revoked", || {
        (!is_admitted(&first)).then_some(())
    });
    assert!(is_admitted(&second));

    dir.write(
        "ca.crl",
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    );
    let told = "ca.crl: the revocation list cannot be used";
    scene.elbow.log_with(&[told, "bad-trust-store"]);
    assert!(!is_admitted(&first) && is_admitted(&second));

    fs::remove_file(dir.join("ca.crl")).unwrap();
    scene.elbow.log_with(&["ca.crl: cannot be read"]);
    assert!(!is_admitted(&first) && is_admitted(&second));

    dir.write("ca.crl", scene.root.revocation_list(&[2]));
    wait::until("the second certificate to be revoked", || {
        (!is_admitted(&second)).then_some(())
    });
    assert!(is_admitted(&first));
    scene
        .elbow
        .log_with(&["trust store clients: content changed"]);
}

/// What else changes is served, and the load balancer keeps the list that it had.
#[test]
fn change_beside_an_unusable_revocation_list_is_served() {
    let _ = need!("curl");
    let scene = scene(&verify(), |_| {});
    let spec = ClientSpec::default();
    let identity = scene.identity("alice", &scene.root.client(&spec, &[]));
    let revoked = ClientSpec { serial: 99, ..spec };
    let revoked = scene.identity("revoked", &scene.root.client(&revoked, &[]));
    let options: Vec<&str> = identity.iter().map(String::as_str).collect();
    assert!(scene.curl(&options).status.success());
    let dir = scene.elbow.dir();
    dir.write("ca.crl", "nothing");
    let told = "ca.crl: contains no revocation list";
    scene.elbow.log_with(&[told]);
    let text = fs::read_to_string(dir.join("elbow.yaml")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["loadBalancers"][0]["listeners"][0]["defaultActions"] = json!([fixed(200, "changed")]);
    scene.elbow.write_config(&config.to_string());
    wait::until("the change", || {
        let output = scene.curl(&options);
        assert!(output.status.success(), "{output:?}");
        (command::texts(&output).0 == "changed").then_some(())
    });
    let options: Vec<&str> = revoked.iter().map(String::as_str).collect();
    assert!(!scene.curl(&options).status.success());
    assert!(!scene.curl(&[]).status.success());
}

/// NLB guide, mutual authentication; ELBv2 API, `ClientCertificateIdentityFilter`.
#[test]
fn network_load_balancer_verifies_clients_and_filters_them() {
    let _ = need!("curl");
    let (dir, ip) = (TempDir::new(), address());
    let root = Authority::new("root");
    dir.write("ca.pem", root.pem());
    dir.write("ca.crl", root.revocation_list(&[99]));
    Ca::new().leaf(&["web.example"]).write(&dir, "web");
    let target = Target::ok("hello");
    let groups = [group("web", "TCP", &[target.addr()])];
    let config = |filters: &[&str]| {
        let mut tls = listener(8443, "TLS", &forward("web"));
        tls["certificates"] = json!(["web"]);
        tls["mutualAuthentication"] = verify();
        let filter = |name: &&str| json!({"field": "subject-cn", "action": "accept", "matchType": "prefix", "value": name});
        let filters = filters.iter().map(filter).collect();
        tls["mutualAuthentication"]["clientCertificateIdentityFilters"] = filters;
        whole(&[nlb("web", ip, &[tls])], &groups)
    };
    let elbow = Elbow::run_in(dir, &config(&[]), &[]);
    elbow.wait_for_state("web", target.addr(), "healthy");
    let scene = Scene {
        elbow,
        ip,
        root,
        target,
    };
    let leaf = scene.root.client(&ClientSpec::default(), &[]);
    let identity = scene.identity("alice", &leaf);
    let options: Vec<&str> = identity.iter().map(String::as_str).collect();
    let output = scene.curl(&options);
    assert_eq!(command::texts(&output).0, "hello", "{output:?}");
    assert!(!scene.curl(&[]).status.success());
    assert_eq!(scene.target.requests().len(), 1);

    scene.elbow.reload(&config(&["bob", "ALI"]));
    let output = scene.curl(&options);
    assert_eq!(command::texts(&output).0, "hello", "{output:?}");
    scene.elbow.reload(&config(&["bob"]));
    assert!(!scene.curl(&options).status.success());
    let rejected = ["reason=\"client_cert_rejected\""];
    let name = "elbow_tls_handshake_errors_total";
    scene.elbow.wait_for_metric(name, &rejected, 1.0);
    assert_eq!(scene.target.requests().len(), 2);
}

const MANIFESTS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{"HTTPS": 8443}]'
    alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:us-east-1:000000000000:certificate/web
    alb.ingress.kubernetes.io/mutual-authentication: '[{"port": 8443, "mode": "verify", "trustStore": "clients"}]'
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: web, port: {number: 80}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: PORT}]
endpoints: [{addresses: [ADDRESS]}]
"#;

/// The annotation names a trust store, and the environment has its files.
#[test]
fn ingress_verifies_clients_with_a_trust_store_of_the_environment() {
    let _ = need!("curl");
    let (dir, root, target) = (TempDir::new(), Authority::new("root"), Target::ok("hello"));
    dir.write("ca.pem", root.pem());
    let environment = dir.write(
        "environment.yaml",
        "trustStores: [{arn: clients, caCertificatesBundleFile: ca.pem}]\n",
    );
    let manifests = MANIFESTS
        .replace("PORT", &target.addr().port().to_string())
        .replace("ADDRESS", &target.addr().ip().to_string());
    dir.write("web.yaml", &manifests);
    let folder = dir.path().to_str().unwrap().to_owned();
    let elbow = Elbow::run_manifests(dir, &[]);
    let model = elbow.json("/config");
    let name = model["loadBalancers"][0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let bound = elbow.bound(&name, 8443).unwrap();
    let url = format!("https://{bound}/");
    let leaf = root.client(&ClientSpec::default(), &[]);
    let (certificate, key) = leaf.write(elbow.dir(), "alice");
    wait::until("the target", || {
        let mut curl = Command::new("curl");
        curl.args(["-sSk", "--cert", certificate.to_str().unwrap(), "--key"]);
        let output = command::output(curl.arg(&key).arg(&url));
        (command::texts(&output).0 == "hello").then_some(())
    });
    let without = command::output(Command::new("curl").args(["-sSk", &url]));
    assert!(!without.status.success(), "{without:?}");

    fs::write(
        &environment,
        "trustStores: [{arn: clients, caCertificatesBundleFile: no.pem}]\n",
    )
    .unwrap();
    let check = command::output(&mut elbow_tests::elbow::command(&["check", "-f", &folder]));
    let (_, told) = command::texts(&check);
    assert_eq!(check.status.code(), Some(1), "{told}");
    assert!(told.contains("error[bad-trust-store]"), "{told}");
    assert!(told.contains("environment.yaml:1:15"), "{told}");
    assert!(told.contains("no.pem: cannot be read"), "{told}");
}

/// `elbow check` reads bundles and revocation lists.
#[test]
fn check_tells_what_is_wrong_with_a_trust_store() {
    let dir = TempDir::new();
    Ca::new().leaf(&["web.example"]).write(&dir, "web");
    let mut https = listener(8443, "HTTPS", &fixed(200, "ok"));
    https["certificates"] = json!(["web"]);
    https["mutualAuthentication"] = verify();
    dir.write("ca.pem", "\n".to_owned() + Authority::new("root").pem());
    dir.write("ca.crl", Authority::new("root").revocation_list(&[1]));
    let config = whole(&[alb("web", address(), &[https])], &[]);
    let path = dir.write("elbow.yaml", config.to_string());
    let args = ["check", "--config", path.to_str().unwrap()];
    let check = command::output(&mut elbow_tests::elbow::command(&args));
    let (_, told) = command::texts(&check);
    assert_eq!(check.status.code(), Some(1), "{told}");
    let expected = "ca.pem:1: a bundle has certificates, and comments that start with # and contain no -; remove this line";
    assert!(told.contains(expected), "{told}");
}

//! control-plane.md 5.2: where the certificate behind an ARN comes from.

use elbow_manifest::Context;
use elbow_model::{CertificateSource, DnsZone, Model};

use super::{WEB, codes, ingress, served_in};

const ARN: &str = "arn:aws:acm:us-east-1:000000000000:certificate/1-2";

fn named() -> String {
    ingress(&format!("alb.ingress.kubernetes.io/certificate-arn: {ARN}")) + WEB
}

fn environment(text: &str) -> Context {
    let (context, found) = Context::parse(text, "env/environment.yaml");
    assert_eq!(found, []);
    context
}

/// Rule 1: the environment maps an ARN to files next to it. HTTPS 443 is the default listener.
#[test]
fn the_environment_has_precedence() {
    let context =
        environment("certificates: [{arn: 1-2, certificateFile: a.pem, privateKeyFile: a.key}]");
    let secret = secret(&format!("elbow.dev/certificate-arn: {ARN}"));
    let (model, found) = served_in(&(named() + &secret), &context);
    assert_eq!(found, []);
    let listener = &model.load_balancers[0].listeners[0];
    assert_eq!((listener.port, &*listener.certificates[0].name), (443, ARN));
    assert!(format!("{:?}", model.certificates[0]).contains("env/a.pem"));
}

fn secret(annotation: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Secret
metadata: {{name: cert, annotations: {{{annotation}}}}}
type: kubernetes.io/tls
stringData:
  tls.crt: |
    -----BEGIN CERTIFICATE-----
    -----END CERTIFICATE-----
  tls.key: |
    -----BEGIN PRIVATE KEY-----
    -----END PRIVATE KEY-----
---
"
    )
}

fn names(model: &Model) -> Vec<&str> {
    model.certificates.iter().map(|one| &*one.name).collect()
}

/// An error in a Secret refuses the load balancers that need it, and points into the Secret.
#[test]
fn a_broken_secret_is_refused() {
    let whole = secret(&format!("elbow.dev/certificate-arn: {ARN}"));
    for (broken, code, field) in [
        (
            whole
                .replace("tls.key", "key")
                .replace("kubernetes.io/tls", "Opaque"),
            "incomplete-secret",
            "data.tls.key",
        ),
        (
            whole
                .replace("tls.crt", "crt")
                .replace("kubernetes.io/tls", "Opaque"),
            "incomplete-secret",
            "data.tls.crt",
        ),
        (
            whole.replace("BEGIN CERT", "CERT"),
            "invalid-secret",
            "data.tls.crt",
        ),
        (
            whole.replace("stringData", "data"),
            "invalid-secret",
            "data.tls.crt",
        ),
        (
            whole.replace("PRIVATE KEY", "KEY"),
            "invalid-secret",
            "data.tls.key",
        ),
    ] {
        let (model, found) = served_in(&(named() + &broken), &Context::default());
        assert_eq!(model.load_balancers.len(), 0, "{broken}");
        // What an API server refuses too comes after it.
        assert_eq!((found[0].code, &*found[0].field), (code, field));
        assert_eq!(found[0].object, "Secret/default/cert");
        assert!(found[0].line > 1);
    }
}

/// Rule 4, as AWS behaves.
#[test]
fn an_unknown_arn_can_be_refused() {
    let (model, found) = served_in(&named(), &environment("unknownCertificates: fail"));
    assert_eq!(model.load_balancers.len(), 0);
    assert_eq!(codes(&found), ["certificate-not-found"]);
    assert!(found[0].is_error());
    assert!(found[0].message.contains(ARN));
    assert_eq!((found[0].line, found[0].column), (14, 48));
    assert_eq!(names(&model), [""; 0]);
}

/// A certificate for `*.example.com` and `example.com`, and its key.
const PEM: (&str, &str) = (
    include_str!("../../../../tests/golden/lbc/one.pem"),
    include_str!("../../../../tests/golden/lbc/one.key"),
);

fn real_secret(name: &str, annotation: &str) -> String {
    let block = |text: &str| text.replace('\n', "\n    ");
    format!(
        "
apiVersion: v1
kind: Secret
metadata: {{name: {name}, annotations: {{{annotation}}}}}
type: kubernetes.io/tls
stringData:
  tls.crt: |
    {}
  tls.key: |
    {}
---
",
        block(PEM.0),
        block(PEM.1)
    )
}

/// Rule 2: a Secret has the ARN in an annotation.
#[test]
fn a_secret_provides_the_certificate_of_its_arn() {
    let secret = real_secret("cert", &format!("elbow.dev/certificate-arn: {ARN}"));
    let (model, found) = served_in(&(named() + &secret), &Context::default());
    assert_eq!(found, []);
    assert_eq!(names(&model), [ARN]);
    let CertificateSource::Pem {
        certificate,
        private_key,
    } = &model.certificates[0].source
    else {
        panic!("{:?}", model.certificates[0].source);
    };
    assert_eq!(
        (certificate.trim(), private_key.pem().trim()),
        (PEM.0.trim(), PEM.1.trim())
    );
}

/// Rule 4: it is issued for the hosts of the rules, the load balancer's DNS name and this machine.
#[test]
fn an_unknown_arn_gets_a_self_signed_certificate() {
    let (model, found) = served_in(&named(), &Context::default());
    assert_eq!(codes(&found), ["certificate-not-found"]);
    assert_eq!(
        found[0].message,
        format!("no certificate is known by \"{ARN}\"; a self-signed one stands in")
    );
    assert_eq!(
        found[0].field,
        "metadata.annotations.alb.ingress.kubernetes.io/certificate-arn"
    );
    let dns_name = model.load_balancers[0].dns_name(&DnsZone::default());
    let hosts = vec![
        dns_name.as_str().into(),
        "localhost".into(),
        "web.example.com".into(),
    ];
    assert_eq!(
        model.certificates[0].source,
        CertificateSource::SelfSigned { hosts }
    );
}

/// A placeholder copied from documentation is treated as an unknown ARN.
#[test]
fn a_placeholder_gets_a_self_signed_certificate() {
    let text = named().replace(ARN, "Certificate ARN");
    let (model, found) = served_in(&text, &Context::default());
    assert_eq!(codes(&found), ["certificate-not-found"]);
    assert_eq!(names(&model), ["Certificate-ARN"]);
    assert_eq!(model.load_balancers[0].listeners[0].certificates.len(), 1);
}

/// Two load balancers with one ARN share the certificate, for the hosts of both.
#[test]
fn an_arn_is_one_certificate() {
    let other = named()
        .replace("name: web\n", "name: other\n")
        .replace("web.example", "other.example");
    let (model, _) = served_in(&(named() + &other), &Context::default());
    assert_eq!(model.load_balancers.len(), 2);
    assert_eq!(names(&model), [ARN]);
    let CertificateSource::SelfSigned { hosts } = &model.certificates[0].source else {
        panic!("{:?}", model.certificates[0].source);
    };
    let hosts: Vec<&str> = hosts.iter().map(|host| &**host).collect();
    assert!(
        hosts.contains(&"web.example.com") && hosts.contains(&"other.example.com"),
        "{hosts:?}"
    );
    let listed = &model.load_balancers[1].listeners[0].certificates[0];
    assert!(std::sync::Arc::ptr_eq(listed, &model.certificates[0]));
}

fn discovering(tls: &str) -> String {
    let https = "alb.ingress.kubernetes.io/listen-ports: '[{\"HTTPS\": 443}]'";
    ingress(https).replace(
        "  ingressClassName",
        &format!("  tls: [{tls}]\n  ingressClassName"),
    ) + WEB
}

/// Discovery by host: certificates with an ARN first, then the Secret of `spec.tls`, then a self-signed one. A plan
/// shows what AWS would create, so it has only the first.
#[test]
fn certificates_are_found_by_host() {
    let carrying = real_secret("cert", &format!("elbow.dev/certificate-arn: {ARN}"));
    let plain = real_secret("tls", "");
    let beside = discovering("{hosts: [web.example.com], secretName: tls}");
    let planned = |text: &str| {
        let (objects, _) = elbow_manifest::read(text, "web.yaml");
        let planned = elbow_manifest::plan(&objects, &Context::default());
        planned
            .diagnostics
            .iter()
            .map(|one| one.code)
            .collect::<Vec<_>>()
    };
    let text = beside.clone() + &carrying + &plain;
    let (model, found) = served_in(&text, &Context::default());
    assert_eq!((names(&model), found.len()), (vec![ARN], 0));
    assert_eq!(planned(&text), [""; 0]);
    let text = beside.clone() + &plain;
    let (model, found) = served_in(&text, &Context::default());
    assert_eq!(
        (names(&model), codes(&found)),
        (vec!["secret/default/tls"], vec!["tls-secret"])
    );
    assert_eq!(planned(&text), ["no-certificate"]);
    let (model, found) = served_in(&beside, &Context::default());
    assert_eq!(names(&model), ["self-signed/web.example.com"]);
    assert_eq!(codes(&found), ["certificate-not-found"]);
    assert_eq!(
        found[0].message,
        "no certificate holds for web.example.com; a self-signed one stands in"
    );
    let (model, found) = served_in(&beside, &environment("unknownCertificates: fail"));
    assert_eq!(
        (model.load_balancers.len(), codes(&found)),
        (0, vec!["no-certificate"])
    );
}

/// An HTTPS listener without hosts still has a certificate: for its load balancer's DNS name.
#[test]
fn a_listener_without_hosts_has_a_certificate() {
    let text = discovering("")
        .replace("  tls: []\n", "")
        .replace("host: web.example.com", "host: ''");
    let (model, found) = served_in(&text, &Context::default());
    assert_eq!(codes(&found), ["certificate-not-found"]);
    let dns_name = model.load_balancers[0].dns_name(&DnsZone::default());
    let hosts = vec![dns_name.as_str().into(), "localhost".into()];
    assert_eq!(
        model.certificates[0].source,
        CertificateSource::SelfSigned { hosts }
    );
}

/// Rendered models never contain private keys.
#[test]
fn a_key_is_not_shown() {
    let secret = real_secret("cert", &format!("elbow.dev/certificate-arn: {ARN}"));
    let (model, _) = super::served(&(named() + &secret));
    let text = elbow_native::render(&model).to_string();
    assert!(
        text.contains("BEGIN CERTIFICATE") && !text.contains("PRIVATE KEY"),
        "{text}"
    );
}

//! control-plane.md 5.2: what stands behind a certificate.

use elbow_manifest::Context;
use elbow_model::Model;

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

/// Rule 1: the environment maps an ARN to files beside it; HTTPS 443 goes without saying.
#[test]
fn the_environment_goes_first() {
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

/// What is wrong with a Secret refuses the load balancers that need it, at the place in the Secret.
#[test]
fn a_broken_secret_is_refused() {
    let whole = secret(&format!("elbow.dev/certificate-arn: {ARN}"));
    for (broken, code, field) in [
        (
            whole.replace("tls.key", "key"),
            "incomplete-secret",
            "data.tls.key",
        ),
        (
            whole.replace("tls.crt", "crt"),
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
        assert_eq!((codes(&found), &*found[0].field), (vec![code], field));
        assert_eq!(found[0].object, "Secret/default/cert");
        assert!(found[0].line > 1);
    }
}

/// Rule 4, as AWS has it.
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

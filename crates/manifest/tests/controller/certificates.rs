//! Certificates that the controller asks ACM for (`pkg/ingress/model_build_certificates.go`).

use serde_json::{Value, json};

use super::{LISTENERS, SERVICE, context, ingress};
use elbow_manifest::{Context, Translation, plan, read};

const CERTIFICATES: &str = "AWS::ACM::Certificate";

/// The plan of an Ingress with these hosts, which listens with HTTP and HTTPS.
fn planned(annotations: &Value, hosts: &[&str], context: &Context) -> Translation {
    let mut annotations = annotations.clone();
    annotations["listen-ports"] = r#"[{"HTTP": 80}, {"HTTPS": 443}]"#.into();
    annotations["create-acm-cert"] = "true".into();
    let mut one = ingress("a", &annotations);
    let rule = one["spec"]["rules"][0].clone();
    let rule = |host: &&str| {
        let mut rule = rule.clone();
        rule["host"] = (*host).into();
        rule
    };
    if !hosts.is_empty() {
        one["spec"]["rules"] = hosts.iter().map(rule).collect();
    }
    let (objects, _) = read(&format!("{SERVICE}\n---\n{one}"), "a.yaml");
    plan(&objects, context)
}

fn gated() -> Context {
    let mut context = context();
    let gate = "EnableCertificateManagement".to_owned();
    context.feature_gates.insert(gate, true);
    context
}

#[test]
fn a_certificate_is_planned_for_the_hosts() {
    let made = planned(&json!({}), &["*.shop.example", "a.example"], &gated());
    let resources = &made.stacks[0].to_json()["resources"];
    let certificates = resources[CERTIFICATES].as_object().unwrap();
    let (id, certificate) = certificates.iter().next().unwrap();
    assert!(
        id.starts_with("amazon_issued/wildcard.shop.example-"),
        "{id}"
    );
    assert_eq!(
        certificate["spec"],
        json!({
            "type": "AMAZON_ISSUED",
            "certificateAuthorityARN": "",
            "domainName": "*.shop.example",
            "subjectAlternativeNames": ["*.shop.example", "a.example"],
            "validationMethod": "DNS",
            "keyAlgorithm": "",
        })
    );
    let reference = format!("#/resources/{CERTIFICATES}/{id}/status/certificateARN");
    assert_eq!(
        resources[LISTENERS]["443"]["spec"]["certificates"],
        json!([{"certificateARN": {"$ref": reference}}])
    );
    let told: Vec<&str> = made.diagnostics.iter().map(|one| one.code).collect();
    assert_eq!(told, ["no-effect"]);
}

#[test]
fn an_authority_makes_it_private_and_a_named_certificate_precedes_it() {
    let made = planned(&json!({"acm-pca-arn": "arn:pca"}), &["a.example"], &gated());
    let resources = &made.stacks[0].to_json()["resources"];
    let certificates = resources[CERTIFICATES].as_object().unwrap();
    let (id, certificate) = certificates.iter().next().unwrap();
    assert!(id.starts_with("private/a.example-"), "{id}");
    assert_eq!(certificate["spec"]["certificateAuthorityARN"], "arn:pca");

    let named = json!({"certificate-arn": "arn:aws:acm:us-east-1:1:certificate/a"});
    let made = planned(&named, &["a.example"], &gated());
    assert_eq!(
        made.stacks[0].to_json()["resources"][CERTIFICATES],
        Value::Null
    );
}

#[test]
fn without_hosts_it_is_refused_and_without_the_gate_ignored() {
    let made = planned(&json!({}), &[], &gated());
    assert_eq!(made.stacks.len(), 0);
    let errors = made.diagnostics.iter().filter(|one| one.is_error());
    let errors: Vec<&str> = errors.map(|one| &*one.message).collect();
    assert!(errors[0].contains("no host"), "{errors:?}");

    let named = json!({"certificate-arn": "arn:aws:acm:us-east-1:1:certificate/a"});
    let made = planned(&named, &["a.example"], &context());
    let told: Vec<&str> = made.diagnostics.iter().map(|one| &*one.message).collect();
    assert!(
        told.iter()
            .any(|one| one.contains("EnableCertificateManagement")),
        "{told:?}"
    );
}

//! Every recorded Ingress: elbow plans what the AWS Load Balancer Controller made.

#![allow(clippy::unwrap_used)] // a recording that cannot be read fails the test

use std::fs;
use std::path::{Path, PathBuf};

use elbow_manifest::{Context, plan, read};
use serde_json::{Value, json};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(name)
}

/// The environment of a folder, with the host names of its certificates.
fn context(name: &str) -> Context {
    let folder = folder(name);
    let text = fs::read_to_string(folder.join("environment.yaml")).unwrap();
    let (mut context, found) = Context::parse(&text, "environment.yaml");
    assert!(found.is_empty(), "{found:?}");
    for certificate in &mut context.certificates {
        let pem = fs::read(folder.join(&certificate.certificate_file)).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
        let parsed = pem.parse_x509().unwrap();
        let names = parsed.subject_alternative_name().unwrap().unwrap();
        let names = names.value.general_names.iter();
        certificate.names = names
            .filter_map(|name| match name {
                x509_parser::extensions::GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
            .collect();
    }
    context
}

/// Removes what is not compared and sorts what has no order.
fn normalize(stack: &Value) -> Value {
    let mut stack = stack.clone();
    let resources = stack["resources"].as_object_mut().unwrap();
    resources.remove("FrontendNLBTargetGroup");
    for (kind, resources) in resources.iter_mut() {
        for resource in resources.as_object_mut().unwrap().values_mut() {
            match &kind[..] {
                "AWS::EC2::SecurityGroup" => {
                    *resource = json!({"ingress": resource["spec"]["ingress"]});
                    sort(&mut resource["ingress"]);
                }
                "K8S::ElasticLoadBalancingV2::TargetGroupBinding" => {
                    let spec = resource["spec"]["template"]["spec"]
                        .as_object_mut()
                        .unwrap();
                    spec.remove("networking");
                }
                _ => {}
            }
            for list in [
                "loadBalancerAttributes",
                "targetGroupAttributes",
                "listenerAttributes",
            ] {
                if let Some(list) = resource["spec"]
                    .as_object_mut()
                    .and_then(|spec| spec.get_mut(list))
                {
                    sort(list);
                }
            }
            let spec = resource.get_mut("spec");
            let certificates = spec.and_then(|spec| spec.get_mut("certificates"));
            for certificate in certificates
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                *certificate = json!("certificate");
            }
        }
    }
    stack
}

fn sort(list: &mut Value) {
    if let Some(list) = list.as_array_mut() {
        list.sort_by_key(Value::to_string);
    }
}

/// The first path at which two values differ.
fn difference(path: &str, left: &Value, right: &Value) -> Option<String> {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let keys = left.keys().chain(right.keys());
            keys.map(|key| (key, left.get(key), right.get(key)))
                .find_map(|(key, a, b)| match (a, b) {
                    (Some(a), Some(b)) => difference(&format!("{path}/{key}"), a, b),
                    (a, b) => Some(format!("{path}/{key}: {a:?} instead of {b:?}")),
                })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let mut pairs = left.iter().zip(right).enumerate();
            pairs.find_map(|(index, (a, b))| difference(&format!("{path}[{index}]"), a, b))
        }
        _ => (left != right).then(|| format!("{path}: {left} instead of {right}")),
    }
}

/// The difference of a case, if any.
fn compare(case: &Path, context: &Context) -> Option<String> {
    let text = fs::read_to_string(case.join("input.yaml")).unwrap();
    let (objects, found) = read(&text, "input.yaml");
    assert!(found.is_empty(), "{found:?}");
    let translation = plan(&objects, context);
    let errors: Vec<String> = translation
        .diagnostics
        .iter()
        .filter(|found| found.is_error())
        .map(ToString::to_string)
        .collect();
    if case.join("expected_error.json").exists() {
        let refused = translation.stacks.is_empty() && !errors.is_empty();
        return (!refused).then(|| "is not refused".to_owned());
    }
    if !errors.is_empty() {
        return Some(errors.join("; "));
    }
    let [stack] = &translation.stacks[..] else {
        return Some(format!(
            "{} stacks instead of one",
            translation.stacks.len()
        ));
    };
    let expected = fs::read_to_string(case.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    difference("", &normalize(&stack.to_json()), &normalize(&expected))
}

/// Compares all Ingresses of a folder, and fails unless those in `differ`, and no others, differ.
fn compare_all(name: &str, differ: &[&str]) {
    let context = context(name);
    let mut cases: Vec<PathBuf> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with("-ingress"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let name = case.file_name()?.to_string_lossy().into_owned();
            let found = compare(case, &context);
            match (found, differ.contains(&&*name)) {
                (Some(found), false) => Some(format!("{name}: {found}")),
                (None, true) => Some(format!("{name}: does not differ any more")),
                _ => None,
            }
        })
        .collect();
    let (count, all) = (wrong.len(), cases.len());
    assert!(
        wrong.is_empty(),
        "{count} of {all} differ\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_recorded_ingress_becomes_the_recorded_stack() {
    compare_all("lbc", &[]);
}

#[test]
fn every_ingress_of_the_second_recording_becomes_the_recorded_stack() {
    compare_all("lbc-2", &[]);
}

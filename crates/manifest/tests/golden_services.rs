//! Services and Tenants against what the real controllers made of them: every recorded case.

#![allow(clippy::expect_used, reason = "a test may fail")]

use std::fs;
use std::path::{Path, PathBuf};

use elbow_manifest::{Context, Translation, plan, read};
use serde_json::{Map, Value};

const NETWORK: &[&str] = &[
    "AWS::EC2::SecurityGroup",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::TargetGroup",
    "K8S::ElasticLoadBalancingV2::TargetGroupBinding",
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(name)
}

/// The cases of a folder whose names end so, by name.
fn cases(name: &str, suffix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(name)).expect("the recordings are there");
    let mut cases: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir() && path.to_string_lossy().ends_with(suffix))
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

fn context(name: &str) -> Context {
    let path = folder(name).join("environment.yaml");
    let text = fs::read_to_string(&path).expect("an environment");
    let (context, found) = Context::parse(&text, "environment.yaml");
    assert!(found.is_empty(), "{found:?}");
    context
}

fn made(case: &Path, context: &Context) -> Translation {
    let text = fs::read_to_string(case.join("input.yaml")).expect("an input");
    let (objects, found) = read(&text, "input.yaml");
    assert!(found.is_empty(), "{found:?}");
    plan(&objects, context)
}

fn json(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).expect("JSON"))
}

/// Compares one case; gives what differs.
type Compare = fn(&Value, &Translation) -> Vec<String>;

/// Runs all cases of a folder and fails with every difference there is.
fn compare_all(name: &str, suffix: &str, compare: Compare) {
    let context = context(name);
    let (mut passed, mut failed) = (0, Vec::new());
    for case in cases(name, suffix) {
        let made = made(&case, &context);
        let differences = match json(&case.join("expected.json")) {
            Some(expected) => compare(&expected, &made),
            None => refused(&made),
        };
        if differences.is_empty() {
            passed += 1;
        } else {
            let label = case
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            failed.push(format!("{label}:\n  {}", differences.join("\n  ")));
        }
    }
    assert!(
        failed.is_empty(),
        "{passed} pass, {} differ:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

fn refused(made: &Translation) -> Vec<String> {
    let mut wrong = Vec::new();
    if !made.stacks.is_empty() {
        wrong.push("a stack was made of an input that the controller refuses".to_owned());
    }
    if !made
        .diagnostics
        .iter()
        .any(|found| found.is_error() && found.line > 1)
    {
        wrong.push("no error says where it stands".to_owned());
    }
    wrong
}

/// Orders what the controller builds from maps, and takes out what is not compared.
fn normal(value: &Value) -> Value {
    const UNORDERED: &[&str] = &[
        "loadBalancerAttributes",
        "listenerAttributes",
        "targetGroupAttributes",
        "ingress",
    ];
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<(String, Value)> = Vec::new();
            for (key, field) in fields {
                let mut field = match key.as_str() {
                    "networking" | "instances" => continue,
                    "certificateARN" => Value::Null,
                    _ => normal(field),
                };
                if let (true, Value::Array(items)) = (UNORDERED.contains(&key.as_str()), &mut field)
                {
                    items.sort_by_key(Value::to_string);
                }
                sorted.push((key.clone(), field));
            }
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(sorted.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(normal).collect(),
        other => other.clone(),
    }
}

/// Where two values differ, field by field.
fn differences(path: &str, expected: &Value, found: &Value, into: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let (a, b) = (
                    a.get(key).unwrap_or(&Value::Null),
                    b.get(key).unwrap_or(&Value::Null),
                );
                differences(&format!("{path}/{key}"), a, b, into);
            }
        }
        (a, b) if a != b => into.push(format!("{path}: {a} expected, {b} found")),
        _ => {}
    }
}

fn only_stack(made: &Translation) -> Result<Value, Vec<String>> {
    match &made.stacks[..] {
        [stack] => Ok(stack.to_json()),
        stacks => {
            let found = made.diagnostics.iter().map(ToString::to_string);
            Err(vec![format!(
                "{} stacks; {}",
                stacks.len(),
                found.collect::<Vec<_>>().join("; ")
            )])
        }
    }
}

fn network(expected: &Value, made: &Translation) -> Vec<String> {
    let stack = match only_stack(made) {
        Ok(stack) => stack,
        Err(wrong) => return wrong,
    };
    let mut wrong = Vec::new();
    differences("id", &expected["id"], &stack["id"], &mut wrong);
    for kind in NETWORK {
        let (a, b) = (&expected["resources"][kind], &stack["resources"][kind]);
        differences(kind, &normal(a), &normal(b), &mut wrong);
    }
    wrong
}

fn classic(expected: &Value, made: &Translation) -> Vec<String> {
    let stack = match only_stack(made) {
        Ok(stack) => stack,
        Err(wrong) => return wrong,
    };
    let kind = "AWS::ElasticLoadBalancing::LoadBalancer";
    let found = &stack["resources"][kind]["LoadBalancer"]["spec"];
    let mut wrong = Vec::new();
    differences("spec", &normal(expected), &normal(found), &mut wrong);
    wrong
}

fn tenant(expected: &Value, made: &Translation) -> Vec<String> {
    let services =
        |stack: &elbow_manifest::Stack| stack.to_json()["resources"]["K8S::Service"].clone();
    let stack = made
        .stacks
        .iter()
        .map(services)
        .find(|services| !services.is_null());
    let Some(Value::Object(found)) = stack else {
        return vec![format!("no Services: {:?}", made.diagnostics)];
    };
    let mut found: Vec<Value> = found.into_iter().map(|(_, service)| service).collect();
    found.sort_by_key(|service| service["metadata"]["name"].to_string());
    let mut wrong = Vec::new();
    differences(
        "services",
        &normal(expected),
        &normal(&Value::Array(found)),
        &mut wrong,
    );
    wrong
}

/// The AWS Load Balancer Controller's plan of every recorded Service.
#[test]
fn services_of_the_controller() {
    compare_all("lbc", "-service", network);
}

/// The Classic load balancer of every recorded Service.
#[test]
fn services_of_the_provider() {
    compare_all("clb", "-clb", classic);
}

/// The Services of every recorded Tenant.
#[test]
fn services_of_tenants() {
    compare_all("tenant", "-tenant", tenant);
}

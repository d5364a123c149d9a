//! Every recorded Service and Tenant: elbow plans what the real controllers made.

#![allow(clippy::expect_used, reason = "a test may fail")]

use std::fs;
use std::path::{Path, PathBuf};

use elbow_manifest::{Context, Translation, plan, read};
use serde_json::{Map, Value, json};

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

/// The cases of a folder whose names end in `suffix`, by name.
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
    // One environment is there for both folders of Tenants.
    let name = if name == "tenant-2" { "tenant" } else { name };
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

/// Compares one case and returns the differences.
type Compare = fn(&Value, &Translation) -> Vec<String>;

/// Runs all cases of a folder and fails with every difference.
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

/// Sorts lists that the controller builds from maps, and removes what is not compared.
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
                    // The mock of the API adds attributes of its own.
                    "networking" | "instances" | "additionalAttributes" => continue,
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

/// The differences of two values, field by field.
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

/// A Classic load balancer with its security groups by name: the recordings have them in no order, some with the empty
/// lists of the API's answer.
fn by_group_name(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let groups = spec["securityGroups"].as_array_mut();
    let groups = groups.into_iter().flatten();
    for permission in groups.flat_map(|group| group["ingress"].as_array_mut().into_iter().flatten())
    {
        if let Value::Object(fields) = permission {
            fields.retain(|_, field| *field != json!([]));
        }
    }
    let mut spec = normal(&spec);
    if let Value::Array(groups) = &mut spec["securityGroups"] {
        groups.sort_by_key(|group| group["groupName"].to_string());
    }
    spec
}

fn classic(expected: &Value, made: &Translation) -> Vec<String> {
    let stack = match only_stack(made) {
        Ok(stack) => stack,
        Err(wrong) => return wrong,
    };
    let kind = "AWS::ElasticLoadBalancing::LoadBalancer";
    let found = &stack["resources"][kind]["LoadBalancer"]["spec"];
    let mut wrong = Vec::new();
    let (expected, found) = (by_group_name(expected), by_group_name(found));
    differences("spec", &expected, &found, &mut wrong);
    wrong
}

/// The recording holds what the API returned, so a load balancer's and a target group's attributes are those of ELB, under
/// the ones that the provider set.
fn provider_network(expected: &Value, made: &Translation) -> Vec<String> {
    let stack = match only_stack(made) {
        Ok(stack) => stack,
        Err(wrong) => return wrong,
    };
    let mut wrong = Vec::new();
    let found = without_nulls(&recorded_form(&stack["resources"]));
    let expected = without_nulls(&without_defaults(expected));
    differences("", &expected, &found, &mut wrong);
    wrong
}

/// The stack in the form of the recording: names and values of the API's answers.
fn recorded_form(resources: &Value) -> Value {
    let spec = |kind: &str, id: &str| {
        resources[format!("AWS::ElasticLoadBalancingV2::{kind}")][id]["spec"].clone()
    };
    let specs = |kind: &str| -> Vec<Value> {
        let specs = resources[format!("AWS::ElasticLoadBalancingV2::{kind}")].as_object();
        specs.map_or_else(Vec::new, |specs| {
            specs.values().map(|one| one["spec"].clone()).collect()
        })
    };
    let balancer = spec("LoadBalancer", "LoadBalancer");
    let pairs = |list: &Value| -> Value {
        let pairs = list.as_array().into_iter().flatten();
        pairs
            .map(|pair| {
                (
                    pair["key"].as_str().unwrap_or_default().to_owned(),
                    pair["value"].clone(),
                )
            })
            .collect::<Map<_, _>>()
            .into()
    };
    let group_name = |reference: &Value| {
        let id = reference["$ref"].as_str().unwrap_or_default();
        let id = id.trim_start_matches("#/resources/AWS::ElasticLoadBalancingV2::TargetGroup/");
        spec("TargetGroup", id.trim_end_matches("/status/targetGroupARN"))["name"].clone()
    };
    let mut groups: Vec<Value> = specs("TargetGroup")
        .iter()
        .map(|group| {
            let check = &group["healthCheckConfig"];
            let port = &check["port"];
            json!({
                "HealthCheckEnabled": true,
                "HealthCheckIntervalSeconds": check["intervalSeconds"],
                "HealthCheckPath": check["path"],
                "HealthCheckPort": port.as_str().map_or_else(|| port.to_string(), str::to_owned),
                "HealthCheckProtocol": check["protocol"],
                "HealthCheckTimeoutSeconds": check["timeoutSeconds"],
                "HealthyThresholdCount": check["healthyThresholdCount"],
                "IpAddressType": group["ipAddressType"],
                "Matcher": check["matcher"],
                "Port": group["port"],
                "Protocol": group["protocol"],
                "TargetGroupName": group["name"],
                "TargetType": group["targetType"],
                "UnhealthyThresholdCount": check["unhealthyThresholdCount"],
                "attributes": pairs(&group["targetGroupAttributes"]),
            })
        })
        .collect();
    groups.sort_by_key(|group| group["TargetGroupName"].to_string());
    let mut listeners: Vec<Value> = specs("Listener")
        .iter()
        .map(|listener| {
            let certificates = listener["certificates"].as_array().into_iter().flatten();
            let targets = listener["defaultActions"][0]["forwardConfig"]["targetGroups"]
                .as_array()
                .into_iter()
                .flatten();
            json!({
                "certs": certificates.map(|one| one["certificateARN"].clone()).collect::<Vec<_>>(),
                "policy": listener["sslPolicy"],
                "port": listener["port"],
                "protocol": listener["protocol"],
                "to": targets.map(|one| group_name(&one["targetGroupARN"])).collect::<Vec<_>>(),
            })
        })
        .collect();
    listeners.sort_by_key(|listener| listener["port"].as_u64());
    let mut zones: Vec<Value> = balancer["subnetMapping"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|mapping| json!({"SubnetId": mapping["subnetID"]}))
        .collect();
    zones.sort_by_key(Value::to_string);
    json!({
        "attributes": pairs(&balancer["loadBalancerAttributes"]),
        "groups": groups,
        "ipAddressType": balancer["ipAddressType"],
        "listeners": listeners,
        "name": balancer["name"],
        "scheme": balancer["scheme"],
        "securityGroups": balancer["securityGroups"].as_array().cloned().unwrap_or_default(),
        "tags": balancer["tags"],
        "type": balancer["type"],
        "zones": zones,
    })
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, field)| !field.is_null());
            let fields = fields.map(|(key, field)| (key.clone(), without_nulls(field)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// The recording without what the mock of the API fills in: it names no scheme for an internet-facing load balancer, gives
/// every listener a security policy, every HTTP health check a matcher, and lists all attributes.
fn without_defaults(expected: &Value) -> Value {
    const DEFAULTS: &[(&str, &str)] = &[
        ("access_logs.s3.bucket", ""),
        ("access_logs.s3.enabled", "false"),
        ("access_logs.s3.prefix", ""),
        ("deletion_protection.enabled", "false"),
        ("load_balancing.cross_zone.enabled", "false"),
        ("deregistration_delay.timeout_seconds", "300"),
        ("load_balancing.algorithm.type", "round_robin"),
        (
            "load_balancing.cross_zone.enabled",
            "use_load_balancer_configuration",
        ),
        ("slow_start.duration_seconds", "0"),
        ("stickiness.enabled", "false"),
        ("stickiness.type", "source_ip"),
        ("waf.fail_open.enabled", "false"),
    ];
    let mut expected = expected.clone();
    if expected["scheme"].is_null() {
        expected["scheme"] = "internet-facing".into();
    }
    let strip = |attributes: &mut Value| {
        if let Value::Object(attributes) = attributes {
            attributes.retain(|key, value| {
                !DEFAULTS
                    .iter()
                    .any(|(name, default)| name == key && value == default)
            });
        }
    };
    strip(&mut expected["attributes"]);
    for group in expected["groups"].as_array_mut().into_iter().flatten() {
        group["Matcher"] = Value::Null;
        strip(&mut group["attributes"]);
    }
    for listener in expected["listeners"].as_array_mut().into_iter().flatten() {
        if listener["protocol"] != "TLS" {
            listener["policy"] = Value::Null;
        }
    }
    expected
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
fn recorded_services_of_the_controller_match() {
    compare_all("lbc", "-service", network);
    compare_all("lbc-2", "-service", network);
}

/// The Classic load balancer of every recorded Service.
#[test]
fn recorded_services_of_the_provider_match() {
    compare_all("clb", "-clb", classic);
    compare_all("clb-2", "-clb", classic);
}

/// The Network Load Balancer of the cloud provider, of every recorded Service.
#[test]
fn recorded_network_load_balancers_of_the_provider_match() {
    compare_all("intree-nlb", "-nlb", provider_network);
}

/// The Services of every recorded Tenant.
#[test]
fn recorded_services_of_tenants_match() {
    compare_all("tenant", "-tenant", tenant);
    compare_all("tenant-2", "-tenant", tenant);
}

//! What is installed into a cluster, against a real API server.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::path::PathBuf;

use elbow_tests::cluster::{Access, ControlPlane};
use elbow_tests::command::{output, stdout, texts};
use elbow_tests::{TempDir, tools};
use serde_json::{Value, json};

/// A control plane, or the end of the test with a word that it is skipped.
macro_rules! need_control_plane {
    () => {
        match ControlPlane::start() {
            Ok(control_plane) => control_plane,
            Err(needs) => return tools::skipped(&needs),
        }
    };
}

/// The recorded inputs that hold IngressClassParams.
fn recorded() -> Vec<PathBuf> {
    let cases = fs::read_dir(tools::repository().join("tests/golden/lbc")).unwrap();
    let inputs = cases.map(|case| case.unwrap().path().join("input.yaml"));
    let has = |input: &PathBuf| {
        fs::read_to_string(input).is_ok_and(|text| text.contains("kind: IngressClassParams\n"))
    };
    inputs.filter(has).collect()
}

/// The object as the API server would keep it, or what it says against it.
fn kept(access: &Access, object: &Value) -> Result<Value, String> {
    let dir = TempDir::new();
    let file = dir.write("object.json", object.to_string());
    let mut create = access.kubectl();
    create.args([
        "create",
        "--dry-run=server",
        "--validate=strict",
        "-o",
        "json",
        "-f",
    ]);
    let done = output(create.arg(file));
    let (out, error) = texts(&done);
    done.status
        .success()
        .then(|| serde_json::from_str(&out).unwrap())
        .ok_or(error)
}

fn binding(spec: Value) -> Value {
    json!({"apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding",
        "metadata": {"namespace": "default", "name": "web"}, "spec": spec})
}

// control-plane.md 2.9, 3.7.
#[test]
fn the_definitions_are_taken_and_keep_what_awss_controller_was_given_and_wrote() {
    let access = need_control_plane!();
    let mut seen = 0;
    for input in recorded() {
        let objects = access.read(&input);
        for object in objects.iter().filter(|o| o["kind"] == "IngressClassParams") {
            let kept = kept(&access, object).unwrap_or_else(|e| panic!("{}: {e}", input.display()));
            assert_eq!(kept["spec"], object["spec"], "{}", input.display());
            seen += 1;
        }
    }
    assert!(seen >= 17, "{seen} recorded IngressClassParams");

    // As AWS's controller wrote one.
    let written = json!({
        "ipAddressType": "ipv4",
        "networking": {"ingress": [{
            "from": [{"securityGroup": {"groupID": "sg-635d1cff4b9f757d9"}}],
            "ports": [{"port": 8080, "protocol": "TCP"}]}]},
        "serviceRef": {"name": "web", "port": 80},
        "targetGroupARN": "arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/k8s-nlbip-web-d24aa4773e/fbf023a7d9d564e9",
        "targetGroupProtocol": "TCP",
        "targetType": "ip",
        "vpcID": "vpc-131259210366defaf"});
    assert_eq!(
        kept(&access, &binding(written.clone())).unwrap()["spec"],
        written
    );
    let mut old =
        binding(json!({"targetGroupARN": "a", "serviceRef": {"name": "web", "port": "http"}}));
    old["apiVersion"] = json!("elbv2.k8s.aws/v1alpha1");
    assert_eq!(kept(&access, &old).unwrap()["spec"], old["spec"]);
}

#[test]
fn the_definitions_refuse_what_aws_refuses() {
    let access = need_control_plane!();
    let service = json!({"name": "web", "port": 80});
    let params = |spec: Value| {
        json!({"apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "IngressClassParams",
            "metadata": {"name": "web"}, "spec": spec})
    };
    let refused = [
        (
            params(json!({"scheme": "public"})),
            "Unsupported value: \"public\"",
        ),
        (
            params(json!({"ipAddressType": "ipv6"})),
            "Unsupported value: \"ipv6\"",
        ),
        (
            params(json!({"subnets": {"ids": ["net-1"]}})),
            "spec.subnets.ids[0]",
        ),
        (
            params(json!({"subnets": {"ids": ["subnet-1"], "tags": {"a": ["b"]}}})),
            "ids or tags, and not both",
        ),
        (
            params(json!({"prefixListsIDs": ["pl-1"], "PrefixListsIDs": ["pl-2"]})),
            "are one field",
        ),
        (
            params(json!({"group": {}})),
            "spec.group.name: Required value",
        ),
        (
            binding(json!({"targetGroupARN": "a"})),
            "spec.serviceRef: Required value",
        ),
        (
            binding(json!({"serviceRef": service})),
            "has targetGroupARN or targetGroupName",
        ),
        (
            binding(json!({"serviceRef": service, "targetGroupARN": "a", "targetType": "lambda"})),
            "Unsupported value: \"lambda\"",
        ),
        (
            binding(json!({"serviceRef": service, "targetGroupARN": "a", "ipAdressType": "ipv4"})),
            "unknown field \"spec.ipAdressType\"",
        ),
    ];
    for (object, message) in refused {
        let error = kept(&access, &object).expect_err(&object.to_string());
        assert!(error.contains(message), "{object}: {error}");
    }

    access.apply(&[binding(
        json!({"serviceRef": service, "targetGroupARN": "a", "targetType": "ip"}),
    )]);
    let mut patch = access.kubectl();
    patch.args(["patch", "targetgroupbinding", "web", "--type=merge", "-p"]);
    let done = output(patch.arg(r#"{"spec":{"targetGroupARN":"b"}}"#));
    assert!(
        texts(&done).1.contains("targetGroupARN cannot be changed"),
        "{}",
        texts(&done).1
    );
    let columns = stdout(
        access
            .kubectl()
            .args(["get", "targetgroupbindings", "-o", "wide"]),
    );
    let words: Vec<&str> = columns.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        words,
        [
            "NAME",
            "SERVICE-NAME",
            "SERVICE-PORT",
            "TARGET-TYPE",
            "ARN",
            "NAME",
            "AGE"
        ]
    );
}

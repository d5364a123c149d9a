//! The installation into a cluster, with a real API server.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use elbow_tests::cluster::{self, Access, ControlPlane};
use elbow_tests::command::{output, stdout, texts};
use elbow_tests::{TempDir, need, tools};
use serde_json::{Value, json};

/// A control plane; skips the test if one cannot be started.
macro_rules! need_control_plane {
    () => {
        match ControlPlane::start() {
            Ok(control_plane) => control_plane,
            Err(needs) => return tools::skipped(&needs),
        }
    };
}

/// The recorded inputs with IngressClassParams.
fn recorded() -> Vec<PathBuf> {
    let cases = fs::read_dir(tools::repository().join("tests/golden/lbc")).unwrap();
    let inputs = cases.map(|case| case.unwrap().path().join("input.yaml"));
    let has = |input: &PathBuf| {
        fs::read_to_string(input).is_ok_and(|text| text.contains("kind: IngressClassParams\n"))
    };
    inputs.filter(has).collect()
}

/// The object as the API server would store it, or its error.
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
fn crds_accept_recorded_objects_unchanged() {
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

    // An object that AWS's controller wrote.
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
fn crds_refuse_what_aws_refuses() {
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
            "set either ids or tags",
        ),
        (
            params(json!({"prefixListsIDs": ["pl-1"], "PrefixListsIDs": ["pl-2"]})),
            "are the same field",
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
            "targetGroupARN or targetGroupName is required",
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
        texts(&done).1.contains("targetGroupARN is immutable"),
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

const NAMESPACE: &str = "elbow-system";

/// The output of `kubectl kustomize` for this folder of `config`; `None` without kubectl.
fn kustomized(folder: &str) -> Option<String> {
    let kubectl = cluster::programs().join("kubectl");
    let mut command = Command::new(&kubectl);
    command
        .arg("kustomize")
        .arg(tools::repository().join("config").join(folder));
    kubectl.is_file().then(|| stdout(&mut command))
}

#[test]
fn single_file_matches_kustomize() {
    let Some(made) = kustomized("kube") else {
        return tools::skipped("kubectl, which Go builds");
    };
    let file = tools::repository().join("config/kube/elbow.yaml");
    let made = format!(
        "# Generated from this folder with kustomize: kubectl apply -f config/kube/elbow.yaml\n{made}"
    );
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&file, &made).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap();
    assert!(
        kept == made,
        "config/kube/elbow.yaml is out of date; run this test with UPDATE_SNAPSHOTS=1"
    );
}

fn helm(helm: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(helm);
    command
        .args(args)
        .arg(tools::repository().join("config/helm/elbow"));
    command.args(["--namespace", NAMESPACE, "--kube-version", "1.33.0"]);
    command
}

/// The rendered chart with these values.
fn rendered(program: &Path, values: &[&str]) -> String {
    let mut command = helm(program, &["template", "elbow"]);
    command.args(["--include-crds", "--skip-tests"]);
    stdout(command.args(values.iter().flat_map(|value| ["--set", value])))
}

/// Objects by kind and name, without labels, which differ between the ways of installing.
fn objects(access: &Access, text: &str) -> Vec<(String, Value)> {
    let dir = TempDir::new();
    let mut objects = access.read(&dir.write("objects.yaml", text));
    let mut named: Vec<(String, Value)> = objects
        .iter_mut()
        .map(|object| {
            object["metadata"].as_object_mut().unwrap().remove("labels");
            let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
            (name, object.take())
        })
        .filter(|(name, _)| !name.starts_with("\"Namespace\""))
        .collect();
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    named
}

#[test]
fn chart_matches_kustomize_and_refuses_invalid_values() {
    let program = need!("helm");
    let access = need_control_plane!();
    for name in [NAMESPACE, "shop"] {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        access.apply(&[namespace]);
    }
    for (folder, values) in [
        ("kube", &[][..]),
        ("kube-webhook", &["webhook.enabled=true"]),
        ("kube-namespace", &["watchNamespace=shop"]),
    ] {
        let kustomize = objects(&access, &kustomized(folder).unwrap());
        let chart = objects(&access, &rendered(&program, values));
        let names = |objects: &[(String, Value)]| {
            objects
                .iter()
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&chart), names(&kustomize));
        for ((name, chart), (_, kustomize)) in chart.iter().zip(&kustomize) {
            assert_eq!(chart, kustomize, "{name}");
        }
    }

    let all = [
        "kind=DaemonSet",
        "webhook.enabled=true",
        "clusterName=a",
        "watchNamespace=shop",
        "personality=lbc",
        "defaultTargetType=ip",
        "defaultTags.team=a b",
        "featureGates.EnableIPTargetType=false",
        "environment.region=us-west-2",
        "ingressClass.default=true",
        "statusAddress=both",
        "addressPool=10.50.0.0/24",
        "accessLog=stdout",
        "dryRunPlan=true",
        "extraArgs[0]=--workers=2",
        "podAnnotations.a=b",
        "serviceAccount.annotations.a=b",
        "imagePullSecrets[0].name=a",
    ];
    let text = rendered(&program, &all);
    let dir = TempDir::new();
    let mut apply = access.kubectl();
    apply.args([
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "-f",
    ]);
    stdout(apply.arg(dir.write("all.yaml", &text)));
    let objects = objects(&access, &text);
    let daemons = objects
        .iter()
        .find(|(name, _)| name.starts_with("\"DaemonSet\""))
        .unwrap();
    let args = &daemons.1["spec"]["template"]["spec"]["containers"][0]["args"];
    assert_eq!(
        args,
        &json!([
            "controller",
            "--address-pool=10.50.0.0/24",
            "--status-address=both",
            "--admin=127.0.0.1:9901",
            "--probes=$(HOST_IP):9902",
            "--admin-token-secret=elbow-admin",
            "--drain-timeout=45s",
            "--cluster-name=a",
            "--watch-namespace=shop",
            "--personality=lbc",
            "--default-target-type=ip",
            "--default-tags=team=a b",
            "--feature-gates=EnableIPTargetType=false",
            "--environment=/etc/elbow/environment.yaml",
            "--access-log=stdout",
            "--dry-run-plan",
            "--webhook=$(HOST_IP):9443",
            "--workers=2"
        ])
    );

    stdout(&mut helm(&program, &["lint", "--strict"]));
    for (value, expected) in [
        ("statusAddress=name", "statusAddress"),
        ("replica=2", "replica"),
        ("personality=eks", "personality"),
        ("addressPool=here", "addressPool"),
        ("adminPort=0", "adminPort"),
        ("probePort=0", "probePort"),
    ] {
        let refused = output(helm(&program, &["template", "elbow"]).args(["--set", value]));
        assert!(!refused.status.success(), "{value}");
        assert!(
            texts(&refused).1.contains(expected),
            "{value}: {}",
            texts(&refused).1
        );
    }
}

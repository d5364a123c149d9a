//! Compares what elbow writes to a cluster with recordings of AWS's controller (`tests/golden/live`).
//!
//! Names, finalizers, status and event reasons must match (control-plane.md 0.4). elbow's host names end differently, its
//! messages have more detail, and it creates no TargetGroupBindings.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use elbow_tests::address::network;
use elbow_tests::cluster::ControlPlane;
use elbow_tests::command::{Running, stdout};
use elbow_tests::{TempDir, elbow, tools, wait};
use serde_json::{Value, json};

/// The IngressClass of the controller.
fn surroundings() -> Vec<Value> {
    let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "alb"},
        "spec": {"controller": "ingress.k8s.aws/alb"}});
    vec![class]
}

/// A Service that gets a Classic load balancer from the cloud provider (control-plane.md 0.2). The recorded cluster had
/// none.
const CLASSIC: &str = "plain";

/// The change between the two recordings of a case, as arguments of kubectl.
const CHANGES: &[(&str, &[&str])] = &[
    (
        "replaced",
        &[
            "annotate",
            "ingress",
            "ing",
            "--overwrite",
            "alb.ingress.kubernetes.io/scheme=internet-facing",
        ],
    ),
    (
        "broken",
        &[
            "annotate",
            "ingress",
            "ing",
            "--overwrite",
            "alb.ingress.kubernetes.io/healthcheck-interval-seconds=20",
        ],
    ),
    ("alone", &["delete", "ingress", "ing", "--wait=false"]),
    ("group", &["delete", "ingress", "two", "--wait=false"]),
    ("nlb-ip", &["delete", "service", "web", "--wait=false"]),
    ("protected", &["delete", "ingress", "ing", "--wait=false"]),
];

struct Live {
    // Dropped before the API server.
    elbow: Option<Running>,
    plane: ControlPlane,
    dir: TempDir,
}

impl Live {
    fn start() -> Result<Self, String> {
        let plane = ControlPlane::start()?;
        plane.apply(&surroundings());
        let mut live = Self {
            elbow: None,
            plane,
            dir: TempDir::new(),
        };
        live.run();
        Ok(live)
    }

    fn run(&mut self) {
        let environment = "{clusterName: live, personality: lbc, region: us-west-2}";
        let environment = self.dir.write("environment.yaml", environment);
        let pool = network();
        let mut command = elbow::command(&["controller", "--dry-run-plan"]);
        command
            .args(["--leader-election-namespace", "default", "--admin", "off"])
            .args(["--address-pool", &pool])
            .arg("--environment")
            .arg(environment)
            .arg("--kubeconfig")
            .arg(self.plane.kubeconfig());
        self.elbow = Some(Running::start_with(&mut command, Stdio::null()));
    }

    fn kubectl(&self, namespace: &str, args: &[&str]) -> String {
        stdout(self.plane.kubectl().args(["-n", namespace]).args(args))
    }

    /// The objects and events of a namespace now, in the form of the recordings.
    fn present(&self, namespace: &str) -> (Vec<Value>, BTreeSet<String>) {
        let list = self.plane.get(&["-n", namespace, "ingresses,services"]);
        let objects = list["items"].as_array().unwrap().iter();
        let objects = objects.filter(|one| one["metadata"]["name"] != CLASSIC);
        let objects = objects.map(comparable);
        let events = self.plane.get(&["-n", namespace, "events"]);
        let events = events["items"].as_array().unwrap().iter();
        let events = events.map(|event| {
            let object = &event["involvedObject"];
            // The API server may report addresses that it has just allocated.
            let is_ours = event["source"]["component"] != "ipallocator-repair-controller"
                && event["reportingComponent"] != "ipallocator-repair-controller";
            (is_ours && object["name"] != CLASSIC)
                .then(|| event_line(&object["kind"], &object["name"], event))
        });
        let events = events.flatten();
        (sorted(objects.collect()), events.collect())
    }

    /// Waits until a namespace matches a recording.
    fn expect(&self, case: &str, recording: &str) {
        let file = golden(case).join(recording);
        let recorded: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let ours = |one: &&Value| {
            one["kind"] != "TargetGroupBinding" && one["metadata"]["name"] != CLASSIC
        };
        let objects = recorded["objects"].as_array().unwrap().iter().filter(ours);
        let objects = sorted(objects.map(comparable).collect());
        let events = recorded["events"].as_array().unwrap().iter().filter(ours);
        let events: BTreeSet<String> = events
            .map(|event| event_line(&event["kind"], &event["name"], event))
            .collect();
        let mut last = None;
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait::until(&format!("{case} {recording}"), || {
                let present = self.present(case);
                let same = present == (objects.clone(), events.clone());
                last = Some(present);
                same.then_some(())
            });
        }));
        if waited.is_err() {
            let (present, found) = last.unwrap();
            println!("{}", self.elbow.as_ref().unwrap().stderr());
            assert_eq!(found, events, "{case} {recording}");
            assert_eq!(json!(present), json!(objects), "{case} {recording}");
        }
    }

    /// Applies a case, in two steps as in the recording.
    fn apply(&self, case: &str) {
        let input = golden(case).join("input.yaml");
        let text = fs::read_to_string(&input).unwrap();
        let documents: Vec<&str> = text.split("\n---\n").collect();
        let (last, first) = documents.split_last().unwrap();
        let file = self.dir.write("first.yaml", first.join("\n---\n"));
        self.kubectl(case, &["apply", "-f", file.to_str().unwrap()]);
        if case == "conflict" {
            wait::until("the first of two", || {
                let done = "Ingress/one: Normal SuccessfullyReconciled".to_owned();
                self.present(case).1.contains(&done).then_some(())
            });
        }
        let file = self.dir.write("last.yaml", last);
        self.kubectl(case, &["apply", "-f", file.to_str().unwrap()]);
    }
}

fn golden(case: &str) -> PathBuf {
    tools::repository().join("tests/golden/live").join(case)
}

/// The parts of an object that are compared.
fn comparable(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut annotations = metadata["annotations"].clone();
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        if let Some(plan) = annotations.get_mut("alb.ingress.kubernetes.io/dry-run-plan") {
            *plan = "(the stack)".into();
        }
    } else {
        annotations = json!({});
    }
    let mut balancer = object["status"]["loadBalancer"].clone();
    for entry in balancer["ingress"].as_array_mut().into_iter().flatten() {
        // k8s-NAMESPACE-NAME-HASH; the hash depends on the UID of a Service, and AWS's part follows.
        let host = entry["hostname"].as_str().unwrap().to_owned();
        let name = host.split('.').next().unwrap();
        let stem: Vec<&str> = name.trim_start_matches("internal-").split('-').collect();
        let stem: Vec<&str> = stem
            .into_iter()
            .take_while(|part| part.len() != 10)
            .collect();
        entry["hostname"] = stem.join("-").into();
    }
    if balancer.is_null() {
        balancer = json!({});
    }
    let deleting = metadata.get("deletionTimestamp").is_some();
    json!({
        "kind": object["kind"], "name": metadata["name"], "deleting": deleting, "annotations": annotations,
        "finalizers": metadata["finalizers"], "loadBalancer": balancer,
    })
}

fn sorted(mut objects: Vec<Value>) -> Vec<Value> {
    objects.sort_by_key(|one| format!("{} {}", one["kind"], one["name"]));
    objects
}

fn event_line(kind: &Value, name: &Value, event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    format!(
        "{}/{}: {} {}",
        text(kind),
        text(name),
        text(&event["type"]),
        text(&event["reason"])
    )
}

fn cases() -> BTreeSet<String> {
    let folders = fs::read_dir(tools::repository().join("tests/golden/live")).unwrap();
    folders
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// Compares all recordings before and after their changes, and again after a restart of elbow.
#[test]
fn writes_match_those_of_awss_controller() {
    let mut live = match Live::start() {
        Ok(live) => live,
        Err(needs) => return tools::skipped(&needs),
    };
    let cases = cases();
    assert_eq!(cases.len(), 14);
    for case in &cases {
        live.apply(case);
    }
    for case in &cases {
        live.expect(case, "after-apply.json");
    }
    for (case, change) in CHANGES {
        live.kubectl(case, change);
    }
    for (case, _) in CHANGES {
        live.expect(case, "after-change.json");
    }
    // Another elbow writes none of this again.
    let versions = |live: &Live| {
        live.plane.ask(&["get", "ingresses,services,events", "-A", "-o",
        "jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}: {.metadata.resourceVersion}\n{end}"])
    };
    let before = versions(&live);
    live.elbow = None;
    live.run();
    let marker = golden("alone").join("input.yaml");
    live.kubectl("alone", &["apply", "-f", marker.to_str().unwrap()]);
    wait::until("the Ingress to be served again", || {
        let list = live.plane.get(&["-n", "alone", "ingresses"]);
        let host = &list["items"][0]["status"]["loadBalancer"]["ingress"][0]["hostname"];
        host.is_string().then_some(())
    });
    let others = |text: String| -> Vec<String> {
        let lines = text.lines().map(str::to_owned);
        lines.filter(|line| !line.contains("/alone/")).collect()
    };
    assert_eq!(others(versions(&live)), others(before));

    // A protected Ingress is deleted once its protection is removed.
    let unprotected = [
        "annotate",
        "ingress",
        "ing",
        "alb.ingress.kubernetes.io/load-balancer-attributes-",
    ];
    live.kubectl("protected", &unprotected);
    wait::until("the deletion of the Ingress", || {
        let list = live.plane.get(&["-n", "protected", "ingresses"]);
        list["items"].as_array().unwrap().is_empty().then_some(())
    });
}

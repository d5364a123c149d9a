//! Recordings of AWS's controller on a cluster (golden/live), replayed step by step: finalizers, load balancers, ports
//! and warning events.

use std::collections::BTreeMap;
use std::fs;

use elbow_manifest::cluster::{Change, Cluster, Identity, Outcome, Reconciled};
use elbow_manifest::context::Personality;
use elbow_manifest::{Context, Object};
use serde_json::{Value, json};

use crate::kit::{documents, root};

/// A fake API server, and a controller that writes each result to it.
struct Server {
    cluster: Cluster,
    objects: BTreeMap<Identity, Value>,
    /// Load balancer and ports, by kind, namespace and name, as the status would say.
    status: BTreeMap<String, (String, Vec<u16>)>,
    /// Object and reason of every warning.
    warnings: Vec<(String, &'static str)>,
}

fn identity(object: &Value) -> Identity {
    Identity::from(&Object::from_json(object.clone()).unwrap())
}

fn path(object: &Value) -> String {
    let text = |at: &str| {
        object
            .pointer(at)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (kind, namespace) = (text("/kind"), text("/metadata/namespace"));
    format!("{kind}/{namespace}/{}", text("/metadata/name"))
}

impl Server {
    fn new(context: Context) -> Self {
        Self {
            cluster: Cluster::new(context),
            objects: BTreeMap::new(),
            status: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    fn apply(&mut self, object: Value) {
        self.store(object);
        self.settle();
    }

    fn store(&mut self, object: Value) {
        let metadata = &object["metadata"];
        let finalizers = metadata["finalizers"].as_array().map_or(0, Vec::len);
        if !metadata["deletionTimestamp"].is_null() && finalizers == 0 {
            self.objects.remove(&identity(&object));
            self.status.remove(&path(&object));
            return self.cluster.take(Change::Gone(identity(&object)));
        }
        self.objects.insert(identity(&object), object.clone());
        let object = Object::from_json(object).unwrap();
        self.cluster.take(Change::Set(object));
    }

    fn settle(&mut self) {
        for _ in 0..10 {
            let told = self.cluster.reconcile();
            if told.is_empty() {
                return;
            }
            told.iter().for_each(|one| self.write(one));
        }
        panic!("it never comes to rest");
    }

    fn write(&mut self, told: &Reconciled) {
        for member in &told.members {
            let object = self.object(member.kind, &member.namespace, &member.name);
            let path = path(&object);
            match &told.outcome {
                Outcome::Made(made) => {
                    let ports = made.ports.iter().map(|(port, _)| *port).collect();
                    self.status
                        .insert(path, (made.load_balancer.to_string(), ports));
                }
                Outcome::Refused(why) => {
                    let reason = match (told.finalizer.is_empty(), why.code) {
                        (true, "invalid-group" | "unknown-ingress-class") => "FailedLoadGroupID",
                        _ => "FailedBuildModel",
                    };
                    self.warnings.push((path, reason));
                }
                Outcome::Gone => {}
            }
            if !told.finalizer.is_empty() {
                self.finalizers(object, |all| {
                    if !all.contains(&json!(told.finalizer)) {
                        all.push(json!(told.finalizer));
                    }
                });
            }
        }
        if matches!(told.outcome, Outcome::Refused(_)) && told.members.is_empty() {
            return;
        }
        for member in &told.leaving {
            let object = self.object(member.kind, &member.namespace, &member.name);
            self.status.remove(&path(&object));
            self.finalizers(object, |all| {
                all.retain(|one| *one != json!(told.finalizer))
            });
        }
    }

    fn object(&self, kind: &str, namespace: &str, name: &str) -> Value {
        let wanted = format!("{kind}/{namespace}/{name}");
        let object = self.objects.values().find(|object| path(object) == wanted);
        object.unwrap().clone()
    }

    fn finalizers(&mut self, mut object: Value, change: impl Fn(&mut Vec<Value>)) {
        let all = object["metadata"]["finalizers"].as_array();
        let mut all = all.cloned().unwrap_or_default();
        let before = all.clone();
        change(&mut all);
        if all != before {
            object["metadata"]["finalizers"] = all.into();
            self.store(object);
        }
    }

    fn delete(&mut self, kind: &str, namespace: &str, name: &str) {
        let mut object = self.object(kind, namespace, name);
        object["metadata"]["deletionTimestamp"] = json!("2026-11-22T00:00:00Z");
        self.apply(object);
    }

    fn annotate(&mut self, namespace: &str, key: &str, value: &str) {
        let mut object = self.object("Ingress", namespace, "ing");
        object["metadata"]["annotations"][format!("alb.ingress.kubernetes.io/{key}")] =
            json!(value);
        self.apply(object);
    }

    /// Compares the objects and the warnings with a recording.
    fn is_as(&self, case: &str, recording: &str) {
        let file = root().join(format!("tests/golden/live/{case}/{recording}.json"));
        let recorded: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let objects = recorded["objects"].as_array().unwrap().iter();
        let mut seen = 0;
        for object in objects.filter(|object| object["kind"] != "TargetGroupBinding") {
            seen += 1;
            let path = path(object);
            let at = format!("{case} {recording} {path}");
            // The recorded cluster has no in-tree provider; elbow includes one.
            if path == "Service/stranger/plain" {
                continue;
            }
            let mut parts = path.split('/');
            let mut part = || parts.next().unwrap();
            let own = self.object(part(), part(), part());
            assert_eq!(
                own["metadata"]["finalizers"], object["metadata"]["finalizers"],
                "{at}"
            );
            let ingress = &object["status"]["loadBalancer"]["ingress"][0];
            let Some((name, ports)) = self.status.get(&path) else {
                assert!(ingress.is_null(), "{at}: {ingress}");
                continue;
            };
            let recorded = ingress["ports"].as_array().unwrap().iter();
            let recorded: Vec<u64> = recorded
                .map(|port| port["port"].as_u64().unwrap())
                .collect();
            let ports: Vec<u64> = ports.iter().map(|port| u64::from(*port)).collect();
            assert_eq!(ports, recorded, "{at}");
            // The last part of a Service's name is derived from its UID.
            let name = if path.starts_with("Service") {
                name.rsplit_once('-').unwrap().0
            } else {
                name
            };
            let host = ingress["hostname"].as_str().unwrap();
            assert!(host.starts_with(&format!("{name}-")), "{at}: {name} {host}");
        }
        let own = self.objects.keys().filter(|one| one.kind != "Namespace");
        let own = own.filter(|one| one.kind != "EndpointSlice");
        assert_eq!(own.count(), seen, "{case} {recording}");
        let events = recorded["events"].as_array().unwrap().iter();
        let warnings = events.filter(|event| event["type"] == "Warning");
        let warnings = warnings.map(|event| {
            let kind = event["kind"].as_str().unwrap();
            let name = event["name"].as_str().unwrap();
            (
                format!("{kind}/{case}/{name}"),
                event["reason"].as_str().unwrap(),
            )
        });
        let mut warnings: Vec<(String, &str)> = warnings.collect();
        let mut own = self.warnings.clone();
        warnings.sort();
        warnings.dedup();
        own.sort();
        own.dedup();
        assert_eq!(own, warnings, "{case} {recording}");
    }
}

/// golden/live, all cases: control-plane.md 0.4.
#[test]
fn recordings_of_the_controller_are_reproduced() {
    let environment = root().join("tests/golden/lbc/environment.yaml");
    let environment = fs::read_to_string(environment).unwrap();
    let mut context = Context::parse(&environment, "environment.yaml").0;
    context.personality = Personality::Lbc;
    let mut cases = 0;
    for folder in fs::read_dir(root().join("tests/golden/live")).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        cases += 1;
        let case = folder.file_name().unwrap().to_str().unwrap();
        let mut server = Server::new(context.clone());
        // The recorded controller found no endpoints; that does not concern the objects.
        for object in documents(&fs::read_to_string(folder.join("input.yaml")).unwrap()) {
            server.apply(object);
        }
        server.is_as(case, "after-apply");
        match case {
            "replaced" => server.annotate(case, "scheme", "internet-facing"),
            "broken" => server.annotate(case, "healthcheck-interval-seconds", "20"),
            "alone" => server.delete("Ingress", case, "ing"),
            "group" => server.delete("Ingress", case, "two"),
            "nlb-ip" => server.delete("Service", case, "web"),
            "protected" => server.delete("Ingress", case, "ing"),
            _ => continue,
        }
        server.is_as(case, "after-change");
        if case == "protected" {
            assert_eq!(server.cluster.model().load_balancers.len(), 1);
            server.annotate(
                case,
                "load-balancer-attributes",
                "idle_timeout.timeout_seconds=60",
            );
            assert!(server.objects.keys().all(|one| one.kind != "Ingress"));
            assert!(server.cluster.model().load_balancers.is_empty());
        }
    }
    assert_eq!(cases, 14);
}

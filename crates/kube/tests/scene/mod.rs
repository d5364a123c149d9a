//! A controller of a fake cluster, with the models that it applied.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use elbow_desired::{Cause, Failure};
use elbow_kube::client::Server;
use elbow_kube::{
    Controller, LeaderElection, LoadBalancers, Metrics, Options, Served, StatusAddress,
    TargetHealth,
};
use elbow_manifest::Context;
use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fake::{self, FakeApi};

/// A generous timeout for events that happen by themselves.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Records every applied model.
#[derive(Default)]
pub(crate) struct RecordedModels {
    pub(crate) models: Mutex<Vec<Model>>,
    /// Ports that are busy, for load balancers with this part in their names.
    pub(crate) busy: Mutex<BTreeSet<(&'static str, u16)>>,
}

impl LoadBalancers for RecordedModels {
    fn apply(&self, model: Model) -> Result<(), Vec<Failure>> {
        let busy = self.busy.lock().unwrap();
        let mut failures = Vec::new();
        for one in &model.load_balancers {
            let mut listeners = one.listeners.iter();
            if listeners.any(|l| busy.iter().any(|b| one.name.contains(b.0) && l.port == b.1)) {
                failures.push(Failure::new(
                    Some(one.name.clone()),
                    Cause::Environment,
                    Diagnostic::error("cannot-listen", "the port is busy"),
                ));
            }
        }
        if failures.is_empty() {
            self.models.lock().unwrap().push(model);
            return Ok(());
        }
        Err(failures)
    }

    fn served(&self, _: &str) -> Option<Served> {
        None
    }

    fn health(&self, _: &str, _: &str) -> Option<TargetHealth> {
        None
    }

    fn health_changes(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }
}

/// A controller of a fake cluster.
pub(crate) struct Scene {
    pub(crate) api: FakeApi,
    pub(crate) served: Arc<RecordedModels>,
    metrics: Metrics,
    pub(crate) ready: watch::Receiver<bool>,
    _stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Scene {
    pub(crate) fn start(api: FakeApi) -> Self {
        let url = format!("http://{}", api.address);
        let client = kube::Config::new(url.parse().unwrap()).try_into().unwrap();
        let served = Arc::new(RecordedModels::default());
        let options = Options {
            context: Context::default(),
            watch_namespace: None,
            status_address: StatusAddress::default(),
            dry_run_plan: false,
            leader_election: LeaderElection::default(),
        };
        let controller = Controller::new(Server { client, url }, options, served.clone());
        let (metrics, ready) = (controller.metrics(), controller.ready());
        let stop = watch::Sender::new(false);
        let run = controller.run(stop.subscribe());
        Self {
            api,
            served,
            metrics,
            ready,
            _stop: stop,
            running: tokio::spawn(async { run.await.unwrap() }),
        }
    }

    /// A cluster with one served Ingress in front of two pods.
    pub(crate) async fn served(configure: impl FnOnce(&mut fake::State)) -> Self {
        let api = FakeApi::start().await;
        {
            let mut state = api.state();
            for (plural, object) in cluster() {
                state.set(plural, object);
            }
            configure(&mut state);
        }
        let mut scene = Self::start(api);
        tokio::time::timeout(SOON, scene.ready.wait_for(|ready| *ready))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            scene.targets(),
            TWO,
            "the first model has the whole cluster"
        );
        scene
    }

    /// The targets of the Service `web` in the current model.
    pub(crate) fn targets(&self) -> Vec<String> {
        targets(self.served.models.lock().unwrap().last().unwrap())
    }

    pub(crate) fn sample(&self, name: &str) -> f64 {
        let text = self.metrics.render();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let wait = async {
            while !is_so(self) {
                assert!(!self.running.is_finished(), "the controller has ended");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::time::timeout(SOON, wait).await;
        done.unwrap_or_else(|_| panic!("timed out waiting for {what}: {}", self.metrics.render()));
    }

    /// Adds a target and waits for it, which shows that the watch works.
    pub(crate) async fn add_target(&self, address: &str) {
        self.api
            .state()
            .set("endpointslices", slice("web-2", &[address]));
        let target = format!("{address}:8080");
        self.until("another target", |s| s.targets().contains(&target))
            .await;
    }

    /// Asserts that every model has all of `targets`.
    pub(crate) fn never_without(&self, wanted: &[&str]) {
        for (number, model) in self.served.models.lock().unwrap().iter().enumerate() {
            let targets = targets(model);
            for target in wanted {
                assert!(
                    targets.iter().any(|t| t == target),
                    "model {number} lacks {target}"
                );
            }
        }
    }
}

pub(crate) const ONE: &str = "10.0.0.1:8080";
pub(crate) const TWO: [&str; 2] = [ONE, "10.0.0.2:8080"];

pub(crate) fn targets(model: &Model) -> Vec<String> {
    let group = model.target_groups.iter().find(|g| g.name.contains("web"));
    let targets = group.into_iter().flat_map(|group| &group.targets);
    let mut targets: Vec<String> = targets.map(|t| format!("{}:{}", t.id, t.port)).collect();
    targets.sort();
    targets
}

pub(crate) fn slice(name: &str, addresses: &[&str]) -> Value {
    let endpoint = |address: &&str| json!({"addresses": [address], "conditions": {"ready": true}});
    let endpoints: Vec<Value> = addresses.iter().map(endpoint).collect();
    json!({"metadata": {"name": name, "namespace": "a", "uid": name, "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints})
}

pub(crate) fn ingress(name: &str, annotations: &Value) -> Value {
    let mut all = json!({"alb.ingress.kubernetes.io/target-type": "ip"});
    all.as_object_mut()
        .unwrap()
        .extend(annotations.as_object().unwrap().clone());
    json!({"metadata": {"name": name, "namespace": "a", "uid": name, "annotations": all},
        "spec": {"ingressClassName": "alb", "rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix",
            "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}})
}

pub(crate) fn cluster() -> Vec<(&'static str, Value)> {
    vec![
        (
            "ingressclasses",
            json!({"metadata": {"name": "alb"}, "spec": {"controller": "ingress.k8s.aws/alb"}}),
        ),
        (
            "services",
            json!({"metadata": {"name": "web", "namespace": "a", "uid": "s"},
                "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}),
        ),
        ("endpointslices", slice("web-1", &["10.0.0.1", "10.0.0.2"])),
        ("endpointslices", slice("db-1", &[])),
        ("endpointslices", slice("db-2", &[])),
        ("ingresses", ingress("web", &json!({}))),
    ]
}

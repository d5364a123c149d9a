//! A writer with a real API server and a fake data plane.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use elbow_desired::Failure;
use elbow_kube::write::{What, Writer, WriterOptions};
use elbow_kube::{LoadBalancers, Served, TargetHealth, client};
use elbow_manifest::cluster::{Change, Cluster, Identity, Outcome};
use elbow_manifest::context::Personality;
use elbow_manifest::{Context, Object};
use elbow_model::Model;
use elbow_tests::cluster::ControlPlane;
use elbow_tests::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;

const KINDS: &str = "services,ingresses,ingressclasses,endpointslices,pods,targetgroupbindings";

/// Exclusive use of the control plane.
pub(crate) struct Turn {
    _turn: MutexGuard<'static, ()>,
    pub(crate) plane: Arc<ControlPlane>,
}

/// Waits for exclusive use of the control plane; `Err` says what is missing to start it.
pub(crate) fn turn() -> Result<Turn, String> {
    static PLANE: Mutex<Weak<ControlPlane>> = Mutex::new(Weak::new());
    static TURN: Mutex<()> = Mutex::new(());
    let plane = {
        let mut plane = PLANE.lock().unwrap_or_else(PoisonError::into_inner);
        match plane.upgrade() {
            Some(plane) => plane,
            None => {
                let next = Arc::new(ControlPlane::start()?);
                *plane = Arc::downgrade(&next);
                next
            }
        }
    };
    Ok(Turn {
        _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner),
        plane,
    })
}

/// A fake data plane that serves everything at once.
pub(crate) struct FakeBalancers {
    health: Mutex<HashMap<String, TargetHealth>>,
    changes: watch::Sender<u64>,
}

impl FakeBalancers {
    pub(crate) fn set(&self, id: &str, state: &str, reason: Option<&str>) {
        let health = TargetHealth {
            state: state.to_owned(),
            reason: reason.map(str::to_owned),
            description: reason.map(|reason| format!("description of {reason}")),
        };
        self.health.lock().unwrap().insert(id.to_owned(), health);
        self.changes.send_modify(|n| *n += 1);
    }
}

impl LoadBalancers for FakeBalancers {
    fn apply(&self, _: Model) -> Result<(), Vec<Failure>> {
        Ok(())
    }

    fn served(&self, load_balancer: &str) -> Option<Served> {
        Some(Served {
            dns_name: format!("{load_balancer}.Elb.Test"),
            addresses: vec![IpAddr::from([10, 9, 8, 7])],
            front: None,
        })
    }

    fn health(&self, _: &str, id: &str) -> Option<TargetHealth> {
        self.health.lock().unwrap().get(id).cloned()
    }

    fn health_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

pub(crate) type Writes = Arc<Mutex<Vec<(What, &'static str)>>>;

/// A writer with its inputs, for one namespace.
pub(crate) struct Bench {
    pub(crate) turn: Turn,
    pub(crate) namespace: String,
    pub(crate) writes: Writes,
    pub(crate) balancers: Arc<FakeBalancers>,
    pub(crate) leading: watch::Sender<bool>,
    pub(crate) deploy_failure: Option<String>,
    options: WriterOptions,
    runtime: Runtime,
    writer: Writer,
    cluster: Cluster,
    seen: BTreeSet<Identity>,
    groups: BTreeMap<String, String>,
}

impl Bench {
    pub(crate) fn start(turn: Turn, namespace: &str, options: WriterOptions) -> Self {
        turn.plane.apply(&[
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        ]);
        Self::resume(turn, namespace, options)
    }

    fn resume(turn: Turn, namespace: &str, options: WriterOptions) -> Self {
        let runtime = Runtime::new().unwrap();
        let writes = Writes::default();
        let balancers = Arc::new(FakeBalancers {
            health: Mutex::default(),
            changes: watch::Sender::new(0),
        });
        let (leading, leads) = watch::channel(true);
        let count = writes.clone();
        let _inside = runtime.enter();
        let kubeconfig = turn.plane.kubeconfig();
        let opened = client::open(Some(&kubeconfig), None);
        let client = runtime.block_on(opened).unwrap().client;
        let writer = Writer::new(
            client,
            options.clone(),
            Arc::new(move |what, result| count.lock().unwrap().push((what, result))),
        );
        runtime.spawn(writer.clone().run(balancers.clone(), leads));
        drop(_inside);
        Self {
            turn,
            namespace: namespace.to_owned(),
            writes,
            balancers,
            leading,
            deploy_failure: None,
            options,
            runtime,
            writer,
            cluster: Cluster::new(Context {
                personality: Personality::Lbc,
                ..Context::default()
            }),
            seen: BTreeSet::new(),
            groups: BTreeMap::new(),
        }
    }

    /// Restarts the writer without its memory.
    pub(crate) fn restart(self) -> Self {
        self.runtime.shutdown_background();
        Self::resume(self.turn, &self.namespace, self.options)
    }

    /// Passes the objects of the namespace to the cluster and the writer, as watches would.
    pub(crate) fn sync(&mut self) {
        let list = self.turn.plane.get(&[KINDS, "-n", &self.namespace]);
        let mut present = BTreeSet::new();
        for item in list["items"].as_array().unwrap() {
            self.writer.see(item);
            let object = Object::from_json(item.clone()).unwrap();
            present.insert(Identity::from(&object));
            self.cluster.take(Change::Set(object));
        }
        for gone in std::mem::replace(&mut self.seen, present.clone()) {
            if !present.contains(&gone) {
                self.writer.gone(&gone);
                self.cluster.take(Change::Gone(gone));
            }
        }
        for one in self.cluster.reconcile() {
            let served = match &one.outcome {
                Outcome::Made(made) => {
                    let groups = made.stack.target_groups.iter();
                    let groups = groups.map(|(id, group)| (id.clone(), group.name.clone()));
                    self.groups.extend(groups);
                    self.balancers.served(&made.load_balancer)
                }
                _ => None,
            };
            self.writer.submit(one, served, self.deploy_failure.clone());
        }
        let (model, inventory) = (self.cluster.model(), self.cluster.inventory());
        self.writer.serving(&model, inventory);
    }

    /// The name of the target group with this id, of any stack.
    pub(crate) fn group_of(&self, id: &str) -> String {
        let groups = self.groups.get(id);
        groups.unwrap().clone()
    }

    /// Syncs until `probe` succeeds.
    pub(crate) fn until<T>(&mut self, what: &str, mut probe: impl FnMut(&Self) -> Option<T>) -> T {
        wait::until(what, || {
            self.sync();
            probe(self)
        })
    }

    /// Waits until everything is written, and counts the writes meanwhile.
    ///
    /// It adds a marker last and waits for it, and subtracts the marker's writes.
    pub(crate) fn settle(&mut self) -> BTreeMap<(What, &'static str), usize> {
        let before = self.writes.lock().unwrap().len();
        self.sync();
        let marker = ingress(&self.namespace, "zzz", &json!({}));
        self.apply(&[marker]);
        self.until("the marker", |bench| {
            (bench.events("zzz").len() == 1).then_some(())
        });
        let mut counts = BTreeMap::new();
        for write in &self.writes.lock().unwrap()[before..] {
            *counts.entry(*write).or_insert(0) += 1;
        }
        for what in [What::Finalizer, What::Status, What::Event] {
            let count = counts.get_mut(&(what, "ok")).unwrap();
            *count -= 1;
        }
        counts.retain(|_, count| *count > 0);
        // Delete the marker and its events.
        self.kubectl(&["delete", "ingress", "zzz", "--wait=false"]);
        self.kubectl(&[
            "delete",
            "events",
            "--field-selector",
            "involvedObject.name=zzz",
        ]);
        self.until("the marker to go", |bench| {
            bench.find("ingress", "zzz").is_none().then_some(())
        });
        counts
    }

    pub(crate) fn apply(&self, objects: &[Value]) {
        self.turn.plane.apply(objects);
    }

    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        let mut all = vec!["-n", &self.namespace];
        all.extend(args);
        self.turn.plane.ask(&all)
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> Value {
        self.turn.plane.get(&["-n", &self.namespace, kind, name])
    }

    pub(crate) fn find(&self, kind: &str, name: &str) -> Option<Value> {
        let list = self.turn.plane.get(&["-n", &self.namespace, kind]);
        let items = list["items"].as_array().unwrap();
        items
            .iter()
            .find(|one| one["metadata"]["name"] == name)
            .cloned()
    }

    pub(crate) fn finalizers(&self, kind: &str, name: &str) -> Vec<String> {
        let object = self.get(kind, name);
        let finalizers = object["metadata"]["finalizers"].as_array();
        let finalizers = finalizers.into_iter().flatten();
        finalizers
            .map(|one| one.as_str().unwrap().to_owned())
            .collect()
    }

    /// `status.loadBalancer.ingress`.
    pub(crate) fn addresses(&self, kind: &str, name: &str) -> Value {
        self.get(kind, name)["status"]["loadBalancer"]["ingress"].clone()
    }

    /// Whether all objects have an address.
    pub(crate) fn served(&self, objects: &[(&str, &str)]) -> Option<()> {
        let mut objects = objects.iter();
        let there = |(kind, name): &(&str, &str)| self.addresses(kind, name).is_array();
        objects.all(there).then_some(())
    }

    /// Whether the Service `svc` and the Ingress `ing` have an address.
    pub(crate) fn both(&self) -> Option<()> {
        self.served(&[("service", "svc"), ("ingress", "ing")])
    }

    /// Type, reason, message and count of the events of an object.
    pub(crate) fn events(&self, name: &str) -> Vec<(String, String, String, u64)> {
        let fields = format!("involvedObject.name={name}");
        let args = ["-n", &self.namespace, "events", "--field-selector", &fields];
        let list = self.turn.plane.get(&args);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let events = list["items"].as_array().unwrap().iter();
        let mut events: Vec<_> = events
            .map(|event| {
                (
                    text(&event["type"]),
                    text(&event["reason"]),
                    text(&event["message"]),
                    event["count"].as_u64().unwrap(),
                )
            })
            .collect();
        events.sort();
        events
    }

    pub(crate) fn reasons(&self, name: &str) -> Vec<String> {
        let events = self.events(name).into_iter();
        events.map(|(_, reason, ..)| reason).collect()
    }
}

/// An Ingress with a fixed response, which needs no other objects.
pub(crate) fn ingress(namespace: &str, name: &str, annotations: &Value) -> Value {
    let mut all = json!({
        "alb.ingress.kubernetes.io/actions.hello":
            r#"{"type":"fixed-response","fixedResponseConfig":{"contentType":"text/plain","statusCode":"200"}}"#,
    });
    let more = annotations.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    let backend = json!({"service": {"name": "hello", "port": {"name": "use-annotation"}}});
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": namespace, "name": name, "annotations": all},
        "spec": {"ingressClassName": "alb", "rules": [
            {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}},
        ]},
    })
}

pub(crate) fn service(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": name},
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb",
            "ports": [{"name": "b", "port": 443}, {"name": "a", "port": 80}]},
    })
}

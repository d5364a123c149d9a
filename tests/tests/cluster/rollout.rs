//! Rolling updates and killed pods under load. control-plane.md 3.8 and AWS's guides: a readiness gate, and a pause before
//! a pod ends.

use elbow_tests::cluster::replicas::{COUNT, Ending, Replicas, class, ingress};
use elbow_tests::load::{Load, Tally};
use elbow_tests::{need, tools, wait};
use serde_json::{Value, json};

use crate::live::{Live, http};
use crate::shared::turn;

/// A Deployment behind an ALB, with `elbow controller` and running clients.
struct Rollout<'a> {
    live: Live<'a>,
    namespace: &'static str,
    group: String,
    load: Option<Load>,
}

impl<'a> Rollout<'a> {
    fn start(live: Live<'a>, namespace: &'static str, ending: Ending) -> Self {
        let web = Replicas {
            namespace,
            version: "1",
            ending,
            gates: &[],
        };
        let alb = ingress(namespace, "web", &json!({}));
        live.cluster.apply(&[web.namespace()]);
        live.cluster.apply(&[class(), web.service(), alb]);
        let address = live.address("ingress", namespace, "web");
        let groups = live.groups(namespace, "web");
        let [group] = groups.as_slice() else {
            panic!("one group, not {groups:?}")
        };
        let mut rollout = Self {
            namespace,
            group: group.clone(),
            live,
            load: None,
        };
        rollout.deploy("1", ending);
        rollout.live.wait_for_targets(&rollout.group, COUNT);
        rollout.load = Some(Load::start(http(address), "web.example.com"));
        rollout
    }

    /// Deploys `version` with the readiness gate of the target group, and waits until the old pods are gone.
    fn deploy(&self, version: &str, ending: Ending) {
        let gates = [self.group.clone()];
        let web = Replicas {
            namespace: self.namespace,
            version,
            ending,
            gates: &gates,
        };
        self.live.cluster.apply(&[web.deployment()]);
        self.live.cluster.wait_for_pods(self.namespace);
        wait::until("the end of the pods before", || {
            (self.pods().len() == COUNT).then_some(())
        });
    }

    fn pods(&self) -> Vec<Value> {
        let pods = self.live.cluster.get(&["pods", "-n", self.namespace]);
        pods["items"].as_array().unwrap().clone()
    }

    fn load(&self) -> &Load {
        self.load.as_ref().unwrap()
    }

    fn kubectl(&self, args: &[&str]) {
        let mut all = vec!["-n", self.namespace];
        all.extend(args);
        self.live.cluster.ask(&all);
    }

    fn end(mut self) -> Tally {
        let tally = self.load.take().unwrap().end();
        println!(
            "{} requests on {} connections: {:?}",
            tally.answered(),
            tally.connections,
            tally.pods
        );
        self.kubectl(&["delete", "ingress", "web", "--timeout=30s"]);
        self.live
            .cluster
            .ask(&["delete", "namespace", self.namespace, "--timeout=60s"]);
        tally
    }
}

/// Whether a pod's gate for `group` is open.
fn gate(pod: &Value, group: &str) -> bool {
    let kind = format!("target-health.elbv2.k8s.aws/{group}");
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    conditions
        .iter()
        .any(|c| c["type"] == *kind && c["status"] == "True")
}

/// AWS's guides: with a readiness gate and a preStop hook that outlasts the deregistration, no request is lost. The same
/// holds without the hook if a pod finishes its requests.
#[test]
fn rolling_update_loses_no_request() {
    let turn = match turn(&need!("minio")) {
        Ok(turn) => turn,
        Err(needs) => return tools::skipped(&needs),
    };
    let rollout = Rollout::start(Live::start(&turn.cluster, &[]), "rolling", Ending::PreStop);
    for pod in rollout.pods() {
        assert!(gate(&pod, &rollout.group), "{pod:#}");
    }
    for (version, ending) in [("2", Ending::Graceful), ("3", Ending::Graceful)] {
        rollout.deploy(version, ending);
        rollout.load().wait_for_more(100);
    }
    let tally = rollout.end();
    assert_eq!(tally.lost, Vec::<String>::new());
    let versions: Vec<&str> = tally.versions.keys().map(String::as_str).collect();
    assert_eq!(versions, ["1", "2", "3"]);
    assert!(
        tally.pods.len() == 3 * COUNT && tally.answered() > 500,
        "{tally:#?}"
    );
}

/// A pod deleted with its grace period, and a Deployment that grows and shrinks, lose no request. A killed pod loses the requests
/// in progress, as on AWS: at most one per client.
#[test]
fn only_a_killed_pod_loses_requests_in_progress() {
    let turn = match turn(&need!("minio")) {
        Ok(turn) => turn,
        Err(needs) => return tools::skipped(&needs),
    };
    let rollout = Rollout::start(Live::start(&turn.cluster, &[]), "killed", Ending::PreStop);
    let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
    rollout.kubectl(&["delete", "pod", &name(&rollout.pods()[0])]);
    rollout.live.wait_for_targets(&rollout.group, COUNT);
    rollout.load().wait_for_more(100);
    for replicas in ["5", "1", "3"] {
        rollout.kubectl(&["scale", "deployment", "web", "--replicas", replicas]);
        rollout
            .live
            .wait_for_targets(&rollout.group, replicas.parse().unwrap());
        rollout.load().wait_for_more(50);
    }
    assert_eq!(rollout.load().tally().lost, Vec::<String>::new());

    let killed = name(&rollout.pods()[0]);
    rollout.kubectl(&["delete", "pod", &killed, "--grace-period=0", "--force"]);
    rollout.live.wait_for_targets(&rollout.group, COUNT);
    rollout.load().wait_for_more(200);
    let tally = rollout.end();
    println!("lost: {:#?}", tally.lost);
    assert!(tally.lost.len() <= 6, "{tally:#?}");
    assert!(
        tally.lost.iter().all(|lost| lost.contains("HTTP/1.1 502 ")),
        "{tally:#?}"
    );
    assert!(tally.answered() > 500, "{tally:#?}");
}

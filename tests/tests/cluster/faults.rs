//! Restarts of elbow and of the API server.

use elbow_tests::cluster::replicas::{COUNT, Ending, Replicas, class, ingress};
use elbow_tests::load::Load;
use elbow_tests::{need, tools, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::live::{Live, http};
use crate::shared::turn;

const NAMESPACE: &str = "faults";

/// The versions of all objects, which change with every write.
fn versions(live: &Live<'_>) -> Vec<(String, String)> {
    let list = live.cluster.get(&["services,ingresses", "-n", NAMESPACE]);
    let items = list["items"].as_array().unwrap().iter();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    items
        .map(|object| {
            let metadata = &object["metadata"];
            (word(&metadata["name"]), word(&metadata["resourceVersion"]))
        })
        .collect()
}

fn synced(live: &Live<'_>, value: f64) {
    wait::until(&format!("elbow_kube_synced to be {value}"), || {
        (live.elbow.metric("elbow_kube_synced", &[]) == Some(value)).then_some(())
    });
}

#[test]
fn restart_writes_nothing_and_api_server_outage_loses_no_request() {
    let turn = match turn(&need!("minio")) {
        Ok(turn) => turn,
        Err(needs) => return tools::skipped(&needs),
    };
    let mut live = Live::start(&turn.cluster, &[]);
    let web = Replicas {
        namespace: NAMESPACE,
        version: "1",
        ending: Ending::Graceful,
        gates: &[],
    };
    let mut nlb = web.service();
    nlb["metadata"]["name"] = json!("nlb");
    nlb["spec"]["type"] = json!("LoadBalancer");
    nlb["metadata"]["annotations"] =
        json!({"service.beta.kubernetes.io/aws-load-balancer-type": "external"});
    turn.cluster.apply(&[web.namespace()]);
    let alb = ingress(NAMESPACE, "web", &json!({}));
    turn.cluster
        .apply(&[class(), web.service(), nlb, web.deployment(), alb]);
    turn.cluster.wait_for_pods(NAMESPACE);
    for (kind, name) in [("ingress", "web"), ("service", "nlb")] {
        live.address(kind, NAMESPACE, name);
    }
    let group = live.groups(NAMESPACE, "web").remove(0);
    live.wait_for_targets(&group, COUNT);

    let before = versions(&live);
    for signal in [Signal::KILL, Signal::TERM] {
        live.elbow.process().signal(signal);
        live.elbow.process().wait();
        live.restart();
        synced(&live, 1.0);
        live.wait_for_targets(&group, COUNT);
    }

    assert_eq!(versions(&live), before);
    for kind in ["status", "finalizer"] {
        let writes = live
            .elbow
            .metric("elbow_kube_writes_total", &[&format!("\"{kind}\"")]);
        assert_eq!(writes, None, "{kind}");
    }

    let load = Load::start(
        http(live.address("ingress", NAMESPACE, "web")),
        "web.example.com",
    );
    let outage = turn.cluster.kill_api_server();
    synced(&live, 0.0);
    load.wait_for_more(200);
    outage.end();
    synced(&live, 1.0);
    load.wait_for_more(100);
    assert_eq!(versions(&live), before);

    // Later changes are seen again.
    turn.cluster.ask(&[
        "-n",
        NAMESPACE,
        "scale",
        "deployment",
        "web",
        "--replicas=1",
    ]);
    live.wait_for_targets(&group, 1);
    load.wait_for_more(50);
    let tally = load.end();
    assert_eq!(tally.lost, Vec::<String>::new());
    assert!(tally.answered() > 350, "{tally:#?}");

    // Uninstall: delete all objects first, then stop elbow; no finalizer is left.
    turn.cluster.ask(&[
        "-n",
        NAMESPACE,
        "delete",
        "service,ingress",
        "--all",
        "--timeout=30s",
    ]);
    assert!(live.elbow.terminate().success());
    turn.cluster
        .ask(&["delete", "namespace", NAMESPACE, "--timeout=60s"]);
    let left = turn.cluster.ask(&[
        "get",
        "services,ingresses",
        "-A",
        "-o",
        "jsonpath={.items[*].metadata.finalizers}",
    ]);
    assert_eq!(left, "");
}

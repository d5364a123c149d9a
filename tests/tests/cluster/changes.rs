//! Changes that users make in a cluster.

use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::cluster::replicas::{COUNT, Ending, Replicas, class, ingress};
use elbow_tests::cluster::{Cluster, NODE};
use elbow_tests::{Ca, Client, client, need, tools, wait};
use rustls::ALL_VERSIONS;
use serde_json::{Value, json};

use crate::live::{Live, http};
use crate::shared::turn;

const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Creates a namespace with three pods and `objects`.
fn put(cluster: &Cluster, namespace: &str, objects: &[Value]) {
    let web = Replicas {
        namespace,
        version: "1",
        ending: Ending::Graceful,
        gates: &[],
    };
    cluster.apply(&[web.namespace()]);
    cluster.apply(&[class(), web.service(), web.deployment()]);
    cluster.apply(objects);
    cluster.wait_for_pods(namespace);
}

fn balanced(namespace: &str, name: &str, target_type: &str) -> Value {
    let annotation = |name: &str| format!("service.beta.kubernetes.io/aws-load-balancer-{name}");
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "annotations": {
            annotation("type"): "external", annotation("nlb-target-type"): target_type}},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}})
}

/// The name of the pod that answers.
fn answer(client: &mut Client, host: &str) -> String {
    let answer = client.ask(client::get(host, "/"));
    assert_eq!(answer.status, 200, "{}", answer.head);
    answer.text().split(' ').next().unwrap().to_owned()
}

/// control-plane.md 0.4, 3.6.
#[test]
fn edited_service_keeps_its_name_and_updates_its_targets() {
    let turn = match turn(&need!("minio")) {
        Ok(turn) => turn,
        Err(needs) => return tools::skipped(&needs),
    };
    let namespace = "services";
    let service = |name| ("service", namespace, name);
    let live = Live::start(&turn.cluster, &["--watch-namespace", namespace]);
    put(
        &turn.cluster,
        namespace,
        &[
            balanced(namespace, "pods", "ip"),
            balanced(namespace, "nodes", "instance"),
        ],
    );
    for name in ["pods", "nodes"] {
        let address = live.address("service", namespace, name);
        let groups = live.groups(namespace, name);
        live.wait_for_targets(&groups[0], if name == "pods" { COUNT } else { 1 });
        let pod = answer(&mut Client::plain(http(address)), "any.example.com");
        assert!(pod.starts_with("web-"), "{pod}");
        assert_eq!(
            live.finalizers("service", namespace, name),
            json!(["service.k8s.aws/resources"])
        );
        wait::until("the event", || {
            live.events("Service", namespace, name)
                .contains("SuccessfullyReconciled")
                .then_some(())
        });
        let status = &live.object("service", namespace, name)["status"]["loadBalancer"]["ingress"];
        assert_eq!(status[0]["ports"], json!([{"port": 80, "protocol": "TCP"}]));
        let hostname = status[0]["hostname"].as_str().unwrap();
        assert!(
            hostname.starts_with(&format!("k8s-{namespace}-{name}-")),
            "{hostname}"
        );
        assert!(hostname.ends_with(".elb.us-east-1.localhost"), "{hostname}");
    }

    let kubectl = |args: &[&str]| turn.cluster.ask(&[&["-n", namespace], args].concat());
    let (hostname, address) = (
        live.hostname("service", namespace, "pods"),
        live.address("service", namespace, "pods"),
    );
    let replace = r#"[{"op": "replace", "path": "/spec/ports/0/port", "value": 81}]"#;
    kubectl(&["patch", "service", "pods", "--type=json", "-p", replace]);
    live.wait_for_field(
        service("pods"),
        "/status/loadBalancer/ingress/0/ports/0/port",
        &json!(81),
    );
    assert_eq!(live.hostname("service", namespace, "pods"), hostname);
    answer(&mut Client::plain((address, 81)), "any.example.com");
    assert!(Client::try_plain(http(address)).is_err());

    let nodes = live.groups(namespace, "nodes");
    turn.cluster
        .ask(&["label", "node", "node1", &format!("{EXCLUDE}=")]);
    wait::until("the node to be deregistered", || {
        live.healthy(&nodes[0]).is_empty().then_some(())
    });
    turn.cluster
        .ask(&["label", "node", "node1", &format!("{EXCLUDE}-")]);
    live.wait_for_targets(&nodes[0], 1);
    assert_eq!(
        live.healthy(&nodes[0]).into_iter().collect::<Vec<_>>(),
        [NODE.to_string()]
    );

    // AWS's controller serves an annotated Service of any type.
    let away = r#"{"spec": {"type": "ClusterIP"}, "metadata": {"annotations": null}}"#;
    kubectl(&["patch", "service", "nodes", "-p", away]);
    live.wait_for_field(
        ("service", namespace, "nodes"),
        "/metadata/finalizers",
        &Value::Null,
    );
    live.wait_for_field(
        service("nodes"),
        "/status/loadBalancer/ingress",
        &Value::Null,
    );
    kubectl(&["delete", "service", "pods", "--timeout=30s"]);
    turn.cluster
        .ask(&["delete", "namespace", namespace, "--timeout=60s"]);
    assert_eq!(live.elbow.json("/status")["loadBalancers"], json!([]));
}

/// control-plane.md 0.4, 2.1, 2.4, 5.1.
#[test]
fn ingress_keeps_serving_while_group_class_or_certificate_change() {
    let turn = match turn(&need!("minio")) {
        Ok(turn) => turn,
        Err(needs) => return tools::skipped(&needs),
    };
    let namespace = "ingresses";
    let live = Live::start(&turn.cluster, &["--watch-namespace", namespace]);
    let (first, second) = (Ca::new(), Ca::new());
    let secret = |ca: &Ca| {
        let leaf = ca.leaf(&["web.example.com"]);
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "certificate", "namespace": namespace},
            "stringData": {"tls.crt": leaf.certificate, "tls.key": leaf.key}})
    };
    let mut one = ingress(
        namespace,
        "one",
        &json!({"listen-ports": r#"[{"HTTP": 80}, {"HTTPS": 443}]"#}),
    );
    one["spec"]["tls"] = json!([{"hosts": ["web.example.com"], "secretName": "certificate"}]);
    one["spec"]["rules"][0]["host"] = json!("web.example.com");
    let mut two = ingress(namespace, "two", &json!({"group.name": "shared"}));
    two["spec"]["rules"][0]["host"] = json!("two.example.com");
    put(&turn.cluster, namespace, &[secret(&first), one, two]);
    let address = live.address("ingress", namespace, "one");
    let alone = live.hostname("ingress", namespace, "one").unwrap();
    assert!(alone.ends_with(".us-east-1.elb.localhost"), "{alone}");
    assert_eq!(
        live.finalizers("ingress", namespace, "one"),
        json!(["ingress.k8s.aws/resources"])
    );
    assert_eq!(
        live.finalizers("ingress", namespace, "two"),
        json!(["group.ingress.k8s.aws/shared"])
    );

    // New handshakes get the new certificate; existing connections continue.
    let tls = client_that_trusts_all(ALL_VERSIONS, &[]);
    let connect = || Client::tls((address, 443), "web.example.com", &tls).unwrap();
    for group in live.groups(namespace, "web") {
        live.wait_for_targets(&group, COUNT);
    }
    let mut kept = connect();
    answer(&mut kept, "web.example.com");
    let before = kept.peer_certificate().unwrap();
    turn.cluster.apply(&[secret(&second)]);
    wait::until("the new certificate", || {
        (connect().peer_certificate().unwrap() != before).then_some(())
    });
    answer(&mut kept, "web.example.com");
    answer(&mut connect(), "web.example.com");

    // A member without its class is not released: it keeps serving.
    turn.cluster.ask(&["delete", "ingressclass", "alb"]);
    wait::until("the class to be gone", || {
        let classes = live
            .elbow
            .metric("elbow_kube_objects", &["\"IngressClass\""]);
        (classes == Some(0.0)).then_some(())
    });
    answer(&mut kept, "web.example.com");
    answer(&mut Client::plain(http(address)), "web.example.com");
    turn.cluster.apply(&[class()]);

    turn.cluster.ask(&[
        "annotate",
        "ingress",
        "-n",
        namespace,
        "one",
        "alb.ingress.kubernetes.io/group.name=shared",
    ]);
    let shared = live.hostname("ingress", namespace, "two").unwrap();
    live.wait_for_field(
        ("ingress", namespace, "one"),
        "/status/loadBalancer/ingress/0/hostname",
        &json!(shared),
    );
    assert_eq!(
        live.finalizers("ingress", namespace, "one"),
        json!(["group.ingress.k8s.aws/shared"])
    );
    assert_eq!(live.address_of(&alone), None);
    let address = live.address("ingress", namespace, "two");
    for group in live.groups(namespace, "web") {
        live.wait_for_targets(&group, COUNT);
    }
    for host in ["web.example.com", "two.example.com"] {
        answer(&mut Client::plain(http(address)), host);
    }
    // Deleting the namespace deletes everything in it.
    turn.cluster
        .ask(&["delete", "namespace", namespace, "--timeout=60s"]);
    assert_eq!(live.elbow.json("/status")["loadBalancers"], json!([]));
}

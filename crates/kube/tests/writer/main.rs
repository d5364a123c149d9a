//! Writes to a real API server: what is written, and that nothing is written without a change (control-plane.md 0.4, 3.7, 3.8).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

mod bench;
mod gates;
mod lease;

use std::collections::BTreeMap;

use bench::{Bench, ingress, service, turn};
use elbow_kube::StatusAddress;
use elbow_kube::write::{What, WriterOptions};
use elbow_tests::{tools, wait};
use serde_json::json;

/// Waits for exclusive use of the control plane, or skips the test and says why.
macro_rules! need_turn {
    () => {
        match turn() {
            Ok(turn) => turn,
            Err(needs) => return tools::skipped(&needs),
        }
    };
}
pub(crate) use need_turn;

fn event(kind: &str, reason: &str, message: &str, count: u64) -> (String, String, String, u64) {
    let text = |text: &str| text.to_owned();
    (text(kind), text(reason), text(message), count)
}

const DONE: &str = "Successfully reconciled";

#[test]
fn finalizers_of_others_stay() {
    let turn = need_turn!();
    let mut bench = Bench::start(turn, "finalizers", WriterOptions::default());
    let mut own = ingress("finalizers", "ing", &json!({}));
    own["metadata"]["finalizers"] = json!(["example.com/first"]);
    bench.apply(&[own]);
    bench.until("a host name", |bench| {
        bench.addresses("ingress", "ing").as_array().map(drop)
    });
    let ours = "ingress.k8s.aws/resources";
    assert_eq!(
        bench.finalizers("ingress", "ing"),
        ["example.com/first", ours]
    );
    let second =
        r#"[{"op": "add", "path": "/metadata/finalizers/0", "value": "example.com/second"}]"#;
    bench.kubectl(&["patch", "ingress", "ing", "--type=json", "-p", second]);
    // Into another group: its finalizer replaces that of the old group.
    let group = "alb.ingress.kubernetes.io/group.name=shared";
    bench.kubectl(&["annotate", "ingress", "ing", group]);
    bench.until("the finalizer of the group", |bench| {
        let finalizers = bench.finalizers("ingress", "ing");
        let moved = finalizers.contains(&"group.ingress.k8s.aws/shared".to_owned());
        (moved && !finalizers.contains(&ours.to_owned())).then_some(())
    });
    bench.kubectl(&["delete", "ingress", "ing", "--wait=false"]);
    bench.until("removal of our finalizers", |bench| {
        let mut left = bench.finalizers("ingress", "ing");
        left.sort();
        (left == ["example.com/first", "example.com/second"]).then_some(())
    });
}

/// Finalizers that AWS's own controller left behind are removed too.
#[test]
fn object_deleted_while_no_controller_ran_is_released() {
    let turn = need_turn!();
    let mut bench = Bench::start(turn, "left", WriterOptions::default());
    let mut left = service("left", "svc");
    left["metadata"]["finalizers"] = json!(["service.k8s.aws/resources"]);
    let mut member = ingress("left", "ing", &json!({}));
    member["metadata"]["finalizers"] = json!(["group.ingress.k8s.aws/long-gone"]);
    bench.apply(&[left, member]);
    bench.kubectl(&["delete", "service", "svc", "--wait=false"]);
    bench.kubectl(&["delete", "ingress", "ing", "--wait=false"]);
    bench.until("the deletion", |bench| {
        let gone = bench.find("service", "svc").is_none() && bench.find("ingress", "ing").is_none();
        gone.then_some(())
    });
}

#[test]
fn nothing_is_written_without_a_change() {
    let turn = need_turn!();
    let options = WriterOptions {
        dry_run_plan: true,
        ..WriterOptions::default()
    };
    let mut bench = Bench::start(turn, "quiet", options);
    let group = json!({"alb.ingress.kubernetes.io/group.name": "quiet"});
    let broken = json!({"alb.ingress.kubernetes.io/healthcheck-interval-seconds": "abc",
        "alb.ingress.kubernetes.io/scheme": "nowhere"});
    // The rule of the second is not hidden by that of the first, which the event would tell.
    let mut one = ingress("quiet", "one", &group);
    one["spec"]["rules"][0]["http"]["paths"][0]["path"] = "/one".into();
    bench.apply(&[
        one,
        ingress("quiet", "two", &group),
        ingress("quiet", "broken", &broken),
        service("quiet", "svc"),
    ]);
    bench.until("events of all", |bench| {
        let all = ["one", "two", "broken", "svc"];
        all.iter()
            .all(|name| bench.events(name).len() == 1)
            .then_some(())
    });
    assert_eq!(bench.reasons("broken"), ["FailedBuildModel"]);
    bench.settle();
    let none = BTreeMap::new();
    assert_eq!(bench.settle(), none, "a resync");
    let mut bench = bench.restart();
    assert_eq!(bench.settle(), none, "a restart");
    bench.leading.send_replace(false);
    bench.sync();
    bench.leading.send_replace(true);
    assert_eq!(bench.settle(), none, "another leader");
    // A change is written once.
    let port = "alb.ingress.kubernetes.io/listen-ports=[{\"HTTP\":8080}]";
    bench.kubectl(&["annotate", "ingress", "one", port]);
    bench.until("the port", |bench| {
        let ports = |name| bench.addresses("ingress", name)[0]["ports"].clone();
        let both = json!([{"port": 80, "protocol": ""}, {"port": 8080, "protocol": ""}]);
        (ports("one") == both && ports("two") == both).then_some(())
    });
    bench.until("the events", |bench| {
        let counted_twice =
            |name| bench.events(name) == [event("Normal", "SuccessfullyReconciled", DONE, 2)];
        (counted_twice("one") && counted_twice("two")).then_some(())
    });
    let mut counts = BTreeMap::new();
    for write in &*bench.writes.lock().unwrap() {
        *counts.entry(*write).or_insert(0) += 1;
    }
    // Includes the writes of the two markers.
    let ok = |what, count| ((what, "ok"), count);
    // After a restart, an event that exists is found when its creation is refused.
    let found = ((What::Event, "conflict"), 2);
    let expected = [
        ok(What::Status, 4),
        ok(What::Event, 4),
        found,
        ok(What::Plan, 1),
    ];
    counts.remove(&(What::Finalizer, "ok"));
    assert_eq!(counts, BTreeMap::from(expected));
}

/// The answered requests for single events, which only elbow makes.
fn event_reads(bench: &Bench) -> f64 {
    let metrics = bench.turn.plane.ask(&["get", "--raw", "/metrics"]);
    let of_events = |line: &&str| {
        let is_get = line.contains("verb=\"GET\"");
        is_get && line.starts_with("apiserver_request_total{") && line.contains("\"events\"")
    };
    let lines = metrics.lines().filter(of_events);
    let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    counts.sum()
}

#[test]
fn new_object_costs_a_finalizer_a_status_and_an_event_and_no_read() {
    const COUNT: usize = 12;
    let turn = need_turn!();
    let mut bench = Bench::start(turn, "cost", WriterOptions::default());
    let before = event_reads(&bench);
    let name = |n| format!("n{n}");
    let services = (0..COUNT).map(|n| service("cost", &name(n)));
    let ingresses = (0..COUNT).map(|n| ingress("cost", &name(n), &json!({})));
    let all: Vec<_> = services.chain(ingresses).collect();
    bench.apply(&all);
    bench.until("events of all", |bench| {
        let list = bench.turn.plane.get(&["-n", "cost", "events"]);
        (list["items"].as_array()?.len() == 2 * COUNT).then_some(())
    });
    let mut counts = BTreeMap::new();
    for write in &*bench.writes.lock().unwrap() {
        *counts.entry(*write).or_insert(0) += 1;
    }
    let each = [What::Finalizer, What::Status, What::Event];
    let each = each.map(|what| ((what, "ok"), 2 * COUNT));
    assert_eq!(counts, BTreeMap::from(each));
    assert_eq!(event_reads(&bench), before);
    let mut bench = bench.restart();
    assert_eq!(bench.settle(), BTreeMap::new(), "a restart");
}

/// control-plane.md 0.4, and elbow's own option: without `ipMode` kube-proxy would bypass the load balancer.
#[test]
fn status_shows_host_names_or_addresses_or_both() {
    let mut turn = Some(need_turn!());
    for (address, name) in [
        (StatusAddress::Hostname, "by-name"),
        (StatusAddress::Ip, "by-number"),
        (StatusAddress::Both, "by-both"),
    ] {
        let options = WriterOptions {
            status_address: address,
            ..WriterOptions::default()
        };
        let mut bench = Bench::start(turn.take().unwrap(), name, options);
        bench.apply(&[service(name, "svc"), ingress(name, "ing", &json!({}))]);
        bench.until("both", Bench::both);
        let (mut svc, mut ing) = (
            bench.addresses("service", "svc"),
            bench.addresses("ingress", "ing"),
        );
        for entry in svc
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .chain(ing.as_array_mut().unwrap())
        {
            if let Some(host) = entry.get_mut("hostname") {
                let host_name = host.as_str().unwrap();
                assert!(host_name.starts_with("k8s-") && host_name.ends_with(".elb.test"));
                *host = json!("h");
            }
        }
        let ports = json!([{"port": 443, "protocol": "TCP"}, {"port": 80, "protocol": "TCP"}]);
        let named = json!({"hostname": "h", "ports": ports});
        let numbered = json!({"ip": "10.9.8.7", "ipMode": "Proxy", "ports": ports});
        let port = json!([{"port": 80, "protocol": ""}]);
        let ing_named = json!({"hostname": "h", "ports": port});
        let ing_numbered = json!({"ip": "10.9.8.7", "ports": port});
        let (of_service, of_ingress) = match address {
            StatusAddress::Hostname => (json!([named]), json!([ing_named])),
            StatusAddress::Ip => (json!([numbered]), json!([ing_numbered])),
            StatusAddress::Both => (json!([named, numbered]), json!([ing_named, ing_numbered])),
        };
        assert_eq!((svc, ing), (of_service, of_ingress));
        turn = Some(bench.turn);
    }
}

/// LBC's cleanupServiceStatus: a Service that changes to another class loses address and finalizer.
#[test]
fn leaving_service_loses_its_address_but_ingress_keeps_it() {
    let turn = need_turn!();
    let mut bench = Bench::start(turn, "leaves", WriterOptions::default());
    let mut svc = service("leaves", "svc");
    svc["spec"]
        .as_object_mut()
        .unwrap()
        .remove("loadBalancerClass");
    svc["metadata"]["annotations"] = json!({
        "service.beta.kubernetes.io/aws-load-balancer-type": "external",
        "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip",
    });
    bench.apply(&[svc, ingress("leaves", "ing", &json!({}))]);
    bench.until("both", Bench::both);
    let before = bench.addresses("ingress", "ing");
    let target_type = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type-";
    bench.kubectl(&["annotate", "service", "svc", target_type]);
    let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "another"}, "spec": {"controller": "example.com/another"}});
    bench.apply(&[class]);
    let class = r#"{"spec": {"ingressClassName": "another"}}"#;
    bench.kubectl(&["patch", "ingress", "ing", "-p", class]);
    bench.until("release of both", |bench| {
        let left = |kind, name| bench.finalizers(kind, name).is_empty();
        (left("service", "svc") && left("ingress", "ing")).then_some(())
    });
    assert!(bench.addresses("service", "svc").is_null());
    assert_eq!(bench.addresses("ingress", "ing"), before);
}

#[test]
fn other_writer_of_the_status_is_overwritten_and_reported() {
    let turn = need_turn!();
    let mut bench = Bench::start(turn, "rival", WriterOptions::default());
    bench.apply(&[ingress("rival", "ing", &json!({}))]);
    let ours = |bench: &Bench| {
        let addresses = bench.addresses("ingress", "ing");
        let host = addresses[0]["hostname"].as_str()?;
        host.ends_with(".elb.test").then_some(())
    };
    bench.until("ours", ours);
    for n in 0..3 {
        let theirs =
            json!({"status": {"loadBalancer": {"ingress": [{"hostname": format!("{n}.other")}]}}});
        bench.kubectl(&[
            "patch",
            "ingress",
            "ing",
            "--subresource=status",
            "--type=merge",
            "--field-manager=another",
            "-p",
            &theirs.to_string(),
        ]);
        bench.until("ours again", ours);
    }
    wait::until("the event", || {
        let events = bench.events("ing");
        let event = events
            .iter()
            .find(|(_, reason, ..)| reason == "FailedUpdateStatus")?;
        assert!(
            event
                .2
                .contains("another writer of status.loadBalancer: another."),
            "{event:?}"
        );
        Some(())
    });
    let writes = bench.writes.lock().unwrap();
    let statuses = writes
        .iter()
        .filter(|write| **write == (What::Status, "ok"));
    assert_eq!(statuses.count(), 4);
}

#[test]
fn repeated_failure_increases_the_event_count() {
    let turn = need_turn!();
    let mut bench = Bench::start(turn, "told", WriterOptions::default());
    let set = |bench: &Bench, value: &str| {
        let annotation = format!("alb.ingress.kubernetes.io/scheme={value}");
        bench.kubectl(&["annotate", "ingress", "ing", "--overwrite", &annotation]);
    };
    let wrong = json!({"alb.ingress.kubernetes.io/scheme": "nowhere"});
    bench.apply(&[ingress("told", "ing", &wrong)]);
    bench.until("a refusal", |bench| {
        (bench.reasons("ing") == ["FailedBuildModel"]).then_some(())
    });
    let refusal = bench.events("ing").remove(0);
    assert_eq!((refusal.0.as_str(), refusal.3), ("Warning", 1));
    for part in [
        "Failed build model due to Ingress told/ing: ",
        "alb.ingress.kubernetes.io/scheme",
        "nowhere",
    ] {
        assert!(refusal.2.contains(part), "{refusal:?}");
    }
    assert_eq!(
        bench.finalizers("ingress", "ing"),
        ["ingress.k8s.aws/resources"]
    );
    assert!(bench.addresses("ingress", "ing").is_null());

    set(&bench, "internal");
    bench.until("success", |bench| {
        (bench.events("ing").len() == 2).then_some(())
    });
    set(&bench, "nowhere");
    bench.until("the refusal again", |bench| {
        (bench.events("ing")[1].3 == 2).then_some(())
    });
    let done = event("Normal", "SuccessfullyReconciled", DONE, 1);
    assert_eq!(bench.events("ing")[0], done);
    // The old configuration keeps serving, and the status keeps its address.
    assert!(bench.addresses("ingress", "ing").is_array());

    bench.deploy_failure = Some("port 80 of 127.0.0.1 is taken".to_owned());
    set(&bench, "internal");
    bench.until("the failure", |bench| {
        let message = "Failed deploy model due to port 80 of 127.0.0.1 is taken";
        bench
            .events("ing")
            .contains(&event("Warning", "FailedDeployModel", message, 1))
            .then_some(())
    });
}

#[test]
fn too_large_plan_is_reported() {
    let turn = need_turn!();
    let options = WriterOptions {
        dry_run_plan: true,
        ..WriterOptions::default()
    };
    let mut bench = Bench::start(turn, "large", options);
    let mut large = ingress("large", "ing", &json!({}));
    let path = large["spec"]["rules"][0]["http"].clone();
    let rule = |n| json!({"host": format!("{n}.example.com"), "http": path});
    large["spec"]["rules"] = (0..800).map(rule).collect();
    bench.apply(&[large]);
    bench.until("both events", |bench| {
        (bench.reasons("ing") == ["SuccessfullyReconciled", "DryRunPlanTooLarge"]).then_some(())
    });
    let annotations = bench.get("ingress", "ing")["metadata"]["annotations"].clone();
    assert!(annotations["alb.ingress.kubernetes.io/dry-run-plan"].is_null());
}

#[test]
fn deleted_namespace_terminates_with_all_objects() {
    let turn = need_turn!();
    let mut bench = Bench::start(turn, "ends", WriterOptions::default());
    let group = json!({"alb.ingress.kubernetes.io/group.name": "ends"});
    bench.apply(&[
        ingress("ends", "one", &group),
        ingress("ends", "two", &group),
        service("ends", "svc"),
    ]);
    bench.until("all", |bench| {
        bench.served(&[("service", "svc"), ("ingress", "one"), ("ingress", "two")])
    });
    bench.kubectl(&["delete", "namespace", "ends", "--wait=false"]);
    bench.until("the namespace to end", |bench| {
        let left = bench
            .turn
            .plane
            .ask(&["get", "namespace", "ends", "--ignore-not-found"]);
        left.is_empty().then_some(())
    });
}

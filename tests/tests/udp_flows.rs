//! When UDP flows of an NLB begin, move and end (NLB guide: target groups).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use elbow_tests::config::{file, forward, group, listener, nlb, with_attribute};
use elbow_tests::datagram::UdpClient;
use elbow_tests::udp_scene::{MOMENT, PORT, Pod, Scene, config, pods_group, wait_for_answer_of};
use elbow_tests::{Elbow, Target, address, wait};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn sticky_group_sends_all_flows_of_an_address_to_one_target() {
    let pods = [Pod::start("a"), Pod::start("b"), Pod::start("c")];
    let scene = Scene::with(&pods.each_ref(), |group| {
        *group = with_attribute(group.take(), "stickiness.enabled", "true");
        *group = with_attribute(group.take(), "stickiness.type", "source_ip");
    });
    let pods_of = |ip: Ipv4Addr| -> HashSet<String> {
        (0..8)
            .map(|_| UdpClient::at(ip, scene.lb).ask("?"))
            .collect()
    };
    let mut seen = HashSet::new();
    for last in 1..=20 {
        let own = pods_of(Ipv4Addr::new(127, 9, 9, last));
        assert_eq!(own.len(), 1, "{own:?}");
        seen.extend(own);
    }
    assert!(seen.len() > 1, "other addresses have other targets");
}

#[test]
fn flow_moves_when_its_target_becomes_unhealthy() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let scene = Scene::start(&[&a, &b]);
    let client = UdpClient::of(scene.lb);
    let first = client.ask("?");
    let (own, other) = if first == "a:?" { (&a, "b") } else { (&b, "a") };
    own.health.set_health(500);
    scene.elbow.wait_for_state("pods", own.addr(), "unhealthy");
    wait_for_answer_of(&client, other);
}

#[test]
fn unhealthy_targets_serve_if_all_are_unhealthy() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let scene = Scene::start(&[&a, &b]);
    for pod in [&a, &b] {
        pod.health.set_health(500);
        scene.elbow.wait_for_state("pods", pod.addr(), "unhealthy");
    }
    let client = UdpClient::of(scene.lb);
    client.ask("?");
    wait::until("the flow to be counted", || {
        (scene.metric("elbow_unhealthy_routing_requests_total") >= 1.0).then_some(())
    });
}

#[test]
fn flow_survives_a_target_that_refuses_datagrams() {
    let mut pod = Pod::start("a");
    let scene = Scene::start(&[&pod]);
    let client = UdpClient::of(scene.lb);
    client.ask("?");
    pod.stop();
    wait::until("a refused datagram", || {
        assert_eq!(client.try_ask("lost", MOMENT), None);
        (scene.metric("elbow_target_connect_errors_total") >= 1.0).then_some(())
    });
    pod.restart();
    wait_for_answer_of(&client, "a");
    assert_eq!(scene.metric("elbow_connections_total"), 1.0);
}

#[test]
fn flow_goes_on_through_reloads() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let scene = Scene::start(&[&a]);
    let client = UdpClient::of(scene.lb);
    client.ask("?");
    // Another target, and other settings of the group.
    let mut group = pods_group("UDP", &[&a, &b]);
    group = with_attribute(group, "deregistration_delay.timeout_seconds", "77");
    scene.reload(group);
    assert_eq!(client.ask("?"), "a:?");
    let sources: HashSet<SocketAddr> = a.sources().into_iter().collect();
    assert_eq!(sources.len(), 1, "the flow keeps its socket");
    assert_eq!(scene.metric("elbow_connections_total"), 1.0);
}

#[test]
fn flow_of_a_deregistered_target_ends_after_the_delay() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let delay =
        |group, seconds| with_attribute(group, "deregistration_delay.timeout_seconds", seconds);
    let scene = Scene::with(&[&a], |group| *group = delay(group.take(), "3600"));
    let client = UdpClient::of(scene.lb);
    assert_eq!(client.ask("?"), "a:?");
    scene.reload(delay(pods_group("UDP", &[&b]), "3600"));
    scene.elbow.wait_for_state("pods", b.addr(), "healthy");
    // It is draining: old flows stay, new ones go elsewhere.
    assert_eq!(client.ask("?"), "a:?");
    assert_eq!(UdpClient::of(scene.lb).ask("?"), "b:?");
}

#[test]
fn flow_of_a_drained_target_goes_elsewhere() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let delay = |group| with_attribute(group, "deregistration_delay.timeout_seconds", "0");
    let scene = Scene::with(&[&a], |group| *group = delay(group.take()));
    let client = UdpClient::of(scene.lb);
    assert_eq!(client.ask("?"), "a:?");
    // Parity 3.4: connections are terminated by default in UDP groups.
    scene.reload(delay(pods_group("UDP", &[&b])));
    wait_for_answer_of(&client, "b");
}

#[test]
fn flow_of_a_drained_target_goes_on_without_termination() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let keep = |group| {
        let key = "deregistration_delay.connection_termination.enabled";
        let group = with_attribute(group, key, "false");
        with_attribute(group, "deregistration_delay.timeout_seconds", "0")
    };
    let scene = Scene::with(&[&a], |group| *group = keep(group.take()));
    let client = UdpClient::of(scene.lb);
    assert_eq!(client.ask("?"), "a:?");
    scene.reload(keep(pods_group("UDP", &[&b])));
    scene.elbow.log_with(&["target drained"]);
    assert_eq!(client.ask("?"), "a:?");
    assert_eq!(UdpClient::of(scene.lb).ask("?"), "b:?");
}

/// NLB guide, listeners: flows to a target group end a short time after its weight is set to 0.
#[test]
fn flows_to_a_group_move_after_its_weight_is_set_to_0() {
    for protocol in ["UDP", "TCP_UDP"] {
        let (blue, green) = (Pod::start("blue"), Pod::start("green"));
        let ip = address();
        let config = |blue_weight: u32, green_weight: u32| {
            let groups = json!([{"targetGroup": "blue", "weight": blue_weight},
                {"targetGroup": "green", "weight": green_weight}]);
            let action = json!({"type": "forward", "forwardConfig": {"targetGroups": groups}});
            let nlb = nlb("nlb", ip, &[listener(PORT, protocol, &action)]);
            let group = |name, pod: &Pod| group(name, protocol, &[pod.addr()]);
            file(&[nlb], &[group("blue", &blue), group("green", &green)])
        };
        let elbow = Elbow::run(&config(1, 0));
        elbow.wait_for_state("blue", blue.addr(), "healthy");
        elbow.wait_for_state("green", green.addr(), "healthy");
        let old = UdpClient::of((ip, PORT).into());
        assert_eq!(old.ask("?"), "blue:?");
        elbow.reload(&config(0, 1));
        // New flows go elsewhere at once.
        let new = UdpClient::of((ip, PORT).into());
        assert_eq!(new.ask("?"), "green:?");
        wait_for_answer_of(&old, "green");
        assert_eq!(new.ask("?"), "green:?");
        let flows = elbow.metric("elbow_connections_total", &["load_balancer=\"nlb\""]);
        assert_eq!(flows, Some(3.0), "the other flow goes on");
    }
}

#[test]
fn flood_of_new_clients_ends_old_flows_and_is_counted() {
    let pod = Pod::start("a");
    let tcp = Target::ok("still here");
    let ip = address();
    let lb = nlb(
        "nlb",
        ip,
        &[
            listener(PORT, "UDP", &forward("pods")),
            listener(80, "TCP", &forward("web")),
        ],
    );
    let groups = [
        pods_group("UDP", &[&pod]),
        group("web", "TCP", &[tcp.addr()]),
    ];
    let elbow = Elbow::run_with_open_files(&file(&[lb], &groups), 256);
    elbow.wait_for_state("pods", pod.addr(), "healthy");
    elbow.wait_for_state("web", tcp.addr(), "healthy");
    let lb = SocketAddr::from((ip, PORT));
    let shed = || elbow.metric("elbow_shed_total", &["reason=\"udp_flows\""]);
    for _ in 0..400 {
        UdpClient::of(lb).ask("?");
    }
    wait::until("flows to be shed", || (shed()? > 200.0).then_some(()));
    let active = elbow.metric("elbow_active_connections", &["listener=\"5300\""]);
    assert!(active.unwrap() < 128.0, "{active:?}");
    // The others have their half of the descriptors.
    let answer = elbow_tests::Client::plain((ip, 80)).ask(elbow_tests::client::get("a", "/"));
    assert_eq!(answer.text(), "still here");
    assert_eq!(UdpClient::of(lb).ask("?"), "a:?");
}

#[test]
fn limit_of_the_load_balancer_refuses_new_flows() {
    let pod = Pod::start("a");
    let ip = address();
    let mut config = config(ip, pods_group("UDP", &[&pod]));
    config["loadBalancers"][0]["attributes"] = json!({"elbow.max_connections": "2"});
    let elbow = Elbow::run(&config);
    elbow.wait_for_state("pods", pod.addr(), "healthy");
    let lb = SocketAddr::from((ip, PORT));
    let clients = [UdpClient::of(lb), UdpClient::of(lb)];
    for client in &clients {
        client.ask("?");
    }
    assert_eq!(UdpClient::of(lb).try_ask("?", MOMENT), None);
    for client in &clients {
        client.ask("?");
    }
    let reason = "reason=\"load_balancer_max_connections\"";
    elbow.wait_for_metric("elbow_shed_total", &[reason], 1.0);
    elbow.wait_for_metric("elbow_dropped_datagrams_total", &[], 1.0);
}

#[test]
fn drain_serves_flows_until_they_are_quiet() {
    let pod = Pod::start("a");
    let mut scene = Scene::start(&[&pod]);
    let client = UdpClient::of(scene.lb);
    client.ask("?");
    scene.elbow.process().signal(Signal::TERM);
    // The flow is never quiet for the two seconds after which it would end. A worker hears of the drain after the log.
    wait::until("new clients to get no answer", || {
        assert_eq!(client.ask("?"), "a:?");
        let new = UdpClient::of(scene.lb).try_ask("?", MOMENT);
        new.is_none().then_some(())
    });
    assert_eq!(client.ask("?"), "a:?");
    let status = scene.elbow.process().wait();
    assert!(status.success(), "{status}");
    assert!(!scene.elbow.log().contains("ending open connections"));
}

#[test]
fn removed_listener_ends_its_flows() {
    let pod = Pod::start("a");
    let scene = Scene::start(&[&pod]);
    let client = UdpClient::of(scene.lb);
    client.ask("?");
    let ip = address();
    let lb = nlb("nlb", ip, &[listener(PORT + 1, "UDP", &forward("pods"))]);
    scene
        .elbow
        .reload(&file(&[lb], &[pods_group("UDP", &[&pod])]));
    wait::until("the flow to end", || {
        let active = scene.elbow.metric("elbow_active_connections", &[])?;
        (active == 0.0).then_some(())
    });
    wait::until("the port to be free for others", || {
        UdpSocket::bind(scene.lb).ok()
    });
    assert_eq!(UdpClient::of((ip, PORT + 1).into()).ask("?"), "a:?");
}

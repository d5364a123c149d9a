//! UDP flows of an NLB over `elbow upgrade`.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::HashSet;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use elbow_tests::config::group;
use elbow_tests::datagram::UdpClient;
use elbow_tests::udp_scene::{PORT, Pod, Scene, config};
use elbow_tests::upgrade::{Successor, refusal};
use elbow_tests::{Elbow, Target, TempDir, address, wait};

/// Flows go to the successor with their sockets, and what waits in these is not lost.
#[test]
fn flows_go_on_over_upgrades_without_losing_a_datagram() {
    let pod = Pod::start("a");
    let mut scene = Scene::start(&[&pod]);
    let over = Arc::new(AtomicBool::new(false));
    let (is_over, lb) = (Arc::clone(&over), scene.lb);
    let load = thread::spawn(move || {
        let clients: Vec<UdpClient> = (0..8).map(|_| UdpClient::of(lb)).collect();
        let mut rounds = 0;
        while !is_over.load(Ordering::Relaxed) {
            for client in &clients {
                client.send(rounds.to_string());
            }
            for client in &clients {
                assert_eq!(client.receive(), format!("a:{rounds}").into_bytes());
            }
            rounds += 1;
        }
        rounds
    });
    let first = Successor::of(scene.elbow.process().id(), &[]);
    let status = scene.elbow.process().wait();
    assert!(status.success(), "{status}");
    let second = first.next();
    over.store(true, Ordering::Relaxed);
    assert!(load.join().unwrap() > 0);
    let sources: HashSet<SocketAddr> = pod.sources().into_iter().collect();
    assert_eq!(sources.len(), 8, "the target sees the same ports");
    // Each worker takes up its own flows.
    let active = "elbow_active_connections";
    scene.elbow.wait_for_metric(active, &["\"nlb\""], 8.0);
    second.terminate();
}

#[test]
fn answers_to_quiet_clients_arrive_after_an_upgrade() {
    let health = Target::refusing();
    let server = UdpSocket::bind(health.addr()).unwrap();
    server.set_read_timeout(Some(wait::TIMEOUT)).unwrap();
    let ip = address();
    let mut elbow = Elbow::run(&config(ip, group("pods", "UDP", &[health.addr()])));
    elbow.wait_for_state("pods", health.addr(), "healthy");
    let lb = SocketAddr::from((ip, PORT));
    // More than fit into one message between the processes.
    let clients: Vec<UdpClient> = (0..600).map(|_| UdpClient::of(lb)).collect();
    let mut buffer = [0; 9];
    let flows: Vec<(&UdpClient, SocketAddr)> = clients
        .iter()
        .map(|client| {
            client.send("?");
            (client, server.recv_from(&mut buffer).unwrap().1)
        })
        .collect();
    let successor = Successor::of(elbow.process().id(), &[]);
    assert!(elbow.process().wait().success());
    for (client, source) in &flows {
        server.send_to(b"news", source).unwrap();
        assert_eq!(client.receive(), b"news");
    }
    successor.terminate();
}

/// A program that ignores its arguments and runs `script`.
fn program(dir: &TempDir, script: &str) -> String {
    let path = dir.write("program", format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn failed_upgrade_gives_the_flows_back() {
    let pod = Pod::start("a");
    let mut scene = Scene::start(&[&pod]);
    let clients: Vec<UdpClient> = (0..4).map(|_| UdpClient::of(scene.lb)).collect();
    let ask = || {
        for client in &clients {
            assert_eq!(client.ask("?"), "a:?");
        }
    };
    ask();
    let dir = TempDir::new();
    let process = scene.elbow.process().id();
    for (script, reason) in [
        (
            "printf F >&0; exit 7",
            "the new process ended with exit status: 7",
        ),
        (
            "printf F >&0; exec sleep 1000",
            "the new process was not ready within 2s",
        ),
    ] {
        let error = refusal(process, &["--binary", &program(&dir, script)]);
        assert!(error.contains(reason), "{error}");
        ask();
    }
    let sources: HashSet<SocketAddr> = pod.sources().into_iter().collect();
    assert_eq!(sources.len(), 4, "the flows keep their sockets");
    assert_eq!(UdpClient::of(scene.lb).ask("?"), "a:?");
}

/// It does not ask for them, and would not understand them.
#[test]
fn older_successor_gets_no_flows() {
    let pod = Pod::start("a");
    let mut scene = Scene::start(&[&pod]);
    assert_eq!(UdpClient::of(scene.lb).ask("?"), "a:?");
    let dir = TempDir::new();
    let got = dir.join("got");
    let script = format!("printf R >&0; tail -c 9 <&0 >{}", got.display());
    let program = program(&dir, &script);
    let successor = Successor::of(scene.elbow.process().id(), &["--binary", &program]);
    let got = wait::until("all that the old process sends", || {
        fs::read(&got).ok().filter(|bytes| !bytes.is_empty())
    });
    // The end of the message, and GO.
    assert!(got.ends_with(b"G"), "{got:?}");
    assert!(!got[..got.len() - 1].contains(&0), "{got:?}");
    drop(successor);
}

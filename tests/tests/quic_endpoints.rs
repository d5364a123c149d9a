//! Real QUIC endpoints through an NLB: connections keep their target when the client's address changes (NLB guide: introduction).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use elbow_tests::command::{output, texts};
use elbow_tests::config::{file, forward, group, listener, nlb};
use elbow_tests::quic::{NAME, QuicClient, QuicServer, Who};
use elbow_tests::upgrade::Successor;
use elbow_tests::{Ca, Elbow, Target, TempDir, address, need_python_with, tools, wait};
use serde_json::{Value, json};

const PORT: u16 = 4433;
const CLIENTS: usize = 12;

/// Two QUIC servers behind one elbow. It has two workers, and another one may get the datagrams of a client once its address has
/// changed.
struct Scene {
    lb: SocketAddr,
    elbow: Elbow,
    ca: Ca,
    servers: [QuicServer; 2],
    _health: [Target; 2],
}

impl Scene {
    fn start() -> Self {
        let ca = Ca::new();
        let certificate = ca.leaf(&[NAME]);
        let health = [Target::refusing(), Target::refusing()];
        let addrs = health.each_ref().map(Target::addr);
        let servers = [("a", 0xa1, addrs[0]), ("b", 0xb2, addrs[1])]
            .map(|(name, id, addr)| QuicServer::at(addr, name, id, &certificate));
        let mut pods = group("pods", "QUIC", &addrs);
        pods["targets"][0]["quicServerId"] = json!("0x00000000000000a1");
        pods["targets"][1]["quicServerId"] = json!("0x00000000000000b2");
        let ip = address();
        let lb = nlb("nlb", ip, &[listener(PORT, "QUIC", &forward("pods"))]);
        let elbow = Elbow::run(&file(&[lb], &[pods]));
        for addr in addrs {
            elbow.wait_for_state("pods", addr, "healthy");
        }
        Self {
            lb: (ip, PORT).into(),
            elbow,
            ca,
            servers,
            _health: health,
        }
    }

    fn clients(&self) -> Vec<QuicClient> {
        let connect = |number| QuicClient::connect(client_ip(0, number), self.lb, &self.ca);
        (0..CLIENTS).map(connect).collect()
    }

    fn handshakes(&self) -> u64 {
        self.servers.iter().map(QuicServer::handshakes).sum()
    }

    fn dropped(&self) -> Option<f64> {
        self.elbow.metric("elbow_dropped_datagrams_total", &[])
    }
}

/// Another address for each client and each of its moves.
fn client_ip(moved: usize, client: usize) -> IpAddr {
    let [moved, client] = [moved, client].map(|number| number as u8);
    Ipv4Addr::new(127, 31, moved, 1 + client).into()
}

fn servers_of(answers: &[Who]) -> Vec<&str> {
    answers.iter().map(|who| who.server.as_str()).collect()
}

#[test]
fn connections_survive_changes_of_the_client_address() {
    let scene = Scene::start();
    let clients = scene.clients();
    let ask = || clients.iter().map(QuicClient::ask).collect::<Vec<_>>();
    let first = ask();
    let seen: HashSet<&str> = servers_of(&first).into_iter().collect();
    assert_eq!(seen.len(), 2, "both servers have connections");
    let mut before = first.clone();
    for moved in 1..=3 {
        for (number, client) in clients.iter().enumerate() {
            client.migrate(client_ip(moved, number));
        }
        // The first answer may still go to the previous path, until the new one is validated.
        ask();
        let now = ask();
        assert_eq!(servers_of(&now), servers_of(&first), "after move {moved}");
        for (before, now) in before.iter().zip(&now) {
            assert_ne!(before.client, now.client, "the server sees another path");
        }
        before = now;
    }
    assert_eq!(scene.handshakes(), CLIENTS as u64);
    assert_eq!(scene.dropped(), Some(0.0));
}

#[test]
fn connections_survive_an_upgrade() {
    let mut scene = Scene::start();
    let clients = scene.clients();
    let first: Vec<Who> = clients.iter().map(QuicClient::ask).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let load = clients.into_iter().zip(first).map(|(client, first)| {
        let is_over = Arc::clone(&is_over);
        thread::spawn(move || {
            let mut asked = 0;
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(client.ask(), first, "the server sees the same address");
                asked += 1;
            }
            asked
        })
    });
    let load: Vec<thread::JoinHandle<u32>> = load.collect();
    let successor = Successor::of(scene.elbow.process().id(), &[]);
    let status = scene.elbow.process().wait();
    assert!(status.success(), "{status}");
    is_over.store(true, Ordering::Relaxed);
    for client in load {
        assert!(client.join().unwrap() > 0);
    }
    assert_eq!(scene.handshakes(), CLIENTS as u64);
    successor.terminate();
}

/// Another implementation of clients.
#[test]
fn aioquic_clients_keep_their_connections_when_they_migrate() {
    let python = need_python_with!("aioquic");
    let scene = Scene::start();
    let dir = TempDir::new();
    let roots = dir.write("ca.pem", scene.ca.pem());
    let addresses = |moved| (0..CLIENTS).map(move |number| client_ip(moved, number));
    let plan = json!({
        "to": [scene.lb.ip(), scene.lb.port()],
        "name": NAME,
        "roots": roots,
        "from": addresses(0).collect::<Vec<_>>(),
        "moves": [addresses(1).collect::<Vec<_>>(), addresses(2).collect::<Vec<_>>()],
    });
    let mut command = tools::client_script(&python, "quic.py");
    let output = output(command.arg(plan.to_string()));
    let (answers, errors) = texts(&output);
    assert!(output.status.success(), "{errors}");
    let answers: Value = serde_json::from_str(&answers).unwrap();
    let rounds: Vec<Vec<Who>> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|round| {
            let answers = round.as_array().unwrap().iter();
            answers
                .map(|who| Who::read(who.as_str().unwrap()))
                .collect()
        })
        .collect();
    let [first, second, third] = &rounds[..] else {
        panic!("{rounds:?}");
    };
    assert_eq!(first.len(), CLIENTS);
    let seen: HashSet<&str> = servers_of(first).into_iter().collect();
    assert_eq!(seen.len(), 2, "both servers have connections");
    for (before, now) in [(first, second), (second, third)] {
        assert_eq!(servers_of(before), servers_of(now));
        for (before, now) in before.iter().zip(now) {
            assert_ne!(before.client, now.client, "the server sees another path");
        }
    }
    assert_eq!(scene.handshakes(), CLIENTS as u64);
    wait::until("the datagrams to be counted", || {
        (scene.dropped() == Some(0.0)).then_some(())
    });
}

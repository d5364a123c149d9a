//! What the flows of an engine hold is bounded, however many clients there seem to be.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use elbow_net::Worker;
use elbow_net::datagram::bind;
use elbow_net::listen::Locality;
use elbow_udp::{Engine, Gate, Listener, Refusal};
use tokio::task::{LocalSet, spawn_local};

use gate::TestGate;

#[path = "../src/engine/tests/gate.rs"]
mod gate;

#[allow(unreachable_pub, reason = "the fuzz targets have it in a library")]
#[path = "../../../fuzz/src/peak.rs"]
mod peak;

/// Flows that the gate admits at a time.
const FLOWS: usize = 400;
/// Clients that send a datagram.
const CLIENTS: usize = 10 * FLOWS;
/// Heap in bytes that a flow may take at the worst moment, when the table grows and is there twice.
const FLOW: usize = 288;
/// How long the engine may take to begin a flow.
const TIMEOUT: Duration = Duration::from_secs(30);

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn flood_of_clients_holds_the_memory_and_descriptors_of_the_admitted_flows() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let tasks = LocalSet::new();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = UdpSocket::bind(any).unwrap();
    let socket = bind(any, Locality::Assigned).unwrap();
    let lb = socket.local_addr().unwrap();
    let worker = Worker::new(0);
    let gate = TestGate::new(&worker, server.local_addr().unwrap(), FLOWS);
    let (target, counts) = (Arc::clone(&gate.target), Rc::clone(&gate.counts));
    tasks.block_on(&runtime, async {
        let engine = Engine::new(worker).unwrap();
        engine.listen(socket, gate).unwrap();
        spawn_local(engine.run());
    });
    let before = descriptors();
    peak::within(FLOWS * FLOW, || {
        tasks.block_on(&runtime, async {
            for number in 1..=CLIENTS {
                // The kernel may give the port of a client to a later one.
                let [_, _, third, fourth] = (number as u32).to_be_bytes();
                let client = UdpSocket::bind((Ipv4Addr::new(127, 7, third, fourth), 0)).unwrap();
                client.send_to(b"?", lb).unwrap();
                let served = async {
                    while counts.begun.get() < number {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::time::timeout(TIMEOUT, served).await.unwrap();
            }
        });
    });
    assert_eq!(counts.open.get(), FLOWS);
    assert_eq!(target.in_flight() as usize, FLOWS);
    assert_eq!(descriptors() - before, FLOWS);
}

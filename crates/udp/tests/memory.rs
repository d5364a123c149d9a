//! What the flows of an engine hold is bounded, however many clients there seem to be.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::cell::Cell;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use elbow_balance::{Forward, Group, Target};
use elbow_model::{TargetGroup, TargetGroupSpec, TargetState};
use elbow_net::datagram::bind;
use elbow_net::listen::Locality;
use elbow_net::{ClockUse, Worker};
use elbow_telemetry::{ListenerCells, ListenerMetrics, ShedReason, Telemetry};
use elbow_udp::{Engine, Gate, Listener, Refusal};
use tokio::task::{LocalSet, spawn_local};

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

struct Limited {
    listener: Arc<Listener>,
    metrics: Arc<ListenerMetrics>,
    worker: Rc<Worker>,
    open: Rc<Cell<usize>>,
    begun: Rc<Cell<usize>>,
}

struct Open {
    open: Rc<Cell<usize>>,
    _clock: ClockUse,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
    }
}

impl Gate for Limited {
    type Open = Open;

    fn listener(&self) -> Option<Arc<Listener>> {
        Some(Arc::clone(&self.listener))
    }

    fn admit(&self, _: SocketAddr) -> Result<(Arc<Listener>, Open), Refusal> {
        if self.open.get() == FLOWS {
            return Err(Refusal::Full(ShedReason::UdpFlows));
        }
        self.open.set(self.open.get() + 1);
        self.begun.set(self.begun.get() + 1);
        let open = Open {
            open: Rc::clone(&self.open),
            _clock: self.worker.timers.use_clock(),
        };
        Ok((Arc::clone(&self.listener), open))
    }

    fn resume(&self) -> Result<(Arc<Listener>, Open), Refusal> {
        Err(Refusal::Closed)
    }

    fn cells(&self) -> &ListenerCells {
        self.metrics.worker(0)
    }

    fn shed(&self, _: ShedReason) {}
}

/// A listener whose target only receives.
fn listener(target: &UdpSocket) -> Arc<Listener> {
    let address = target.local_addr().unwrap();
    let spec = TargetGroupSpec {
        name: Some("g".to_owned()),
        protocol: Some("UDP".to_owned()),
        port: Some(53),
        target_type: Some("ip".to_owned()),
        ..TargetGroupSpec::default()
    };
    let target = Arc::new(Target::new(elbow_model::Target::at(address), address));
    target.set_state(TargetState::Healthy);
    let config = Arc::new(TargetGroup::new(&spec).value.unwrap());
    let group = Arc::new(Group::new(config, vec![target], 1));
    Arc::new(Listener {
        forward: Forward::new([(group, 1)], false, None),
        quic: false,
    })
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn flood_of_clients_holds_the_memory_and_descriptors_of_the_admitted_flows() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let tasks = LocalSet::new();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let target = UdpSocket::bind(any).unwrap();
    let socket = bind(any, Locality::Assigned).unwrap();
    let lb = socket.local_addr().unwrap();
    let worker = Worker::new(0);
    let begun: Rc<Cell<usize>> = Rc::default();
    let gate = Limited {
        listener: listener(&target),
        metrics: Telemetry::new(1).listener("nlb", "network", 53, "UDP"),
        worker: Rc::clone(&worker),
        open: Rc::default(),
        begun: Rc::clone(&begun),
    };
    let open = Rc::clone(&gate.open);
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
                    while begun.get() < number {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::time::timeout(TIMEOUT, served).await.unwrap();
            }
        });
    });
    assert_eq!(open.get(), FLOWS);
    assert_eq!(descriptors() - before, FLOWS);
}

//! The state of an engine, and how flows begin and end.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use elbow_net::datagram::{self, Inbox, Outbox};
use elbow_net::source::Source;
use elbow_net::{ConnectError, ConnectErrorKind, Resource, TICK, Timer, Worker};
use elbow_telemetry::ShedReason;
use rustix::event::epoll;
use slab::Slab;
use tokio::io::unix::AsyncFd;
use tracing::debug;

use crate::flow::{Flow, Key};
use crate::gate::{Gate, Refusal};
use crate::table::Table;

/// Flows of one worker. Each costs a descriptor, 0.5 KB here and 2.7 KB in the kernel.
const MOST_FLOWS: usize = 65_536;

/// Messages received or sent with one system call.
pub(crate) const BATCH: usize = 64;

/// Ticks without a datagram after which a flow ends: 120 s (NLB guide: listeners). One more, because the first may be a short one.
const IDLE: u64 = 1_200 + 1;

/// The same while the worker drains: 2 s. There is no other sign that a flow is over.
const DRAINING_IDLE: u64 = 20 + 1;

/// Marks the events of the sockets of listeners; the others are numbers of flows.
pub(crate) const FRONT: u64 = 1 << 63;

/// What an engine stands on.
pub(crate) struct Ground {
    pub(crate) worker: Rc<Worker>,
    /// All sockets of the engine. The runtime sees this descriptor alone.
    pub(crate) epoll: AsyncFd<OwnedFd>,
}

impl Ground {
    /// Watches the socket of a listener.
    pub(crate) fn watch_front(&self, socket: &UdpSocket, id: u32) -> io::Result<()> {
        let data = epoll::EventData::new_u64(FRONT | u64::from(id));
        epoll::add(self.epoll.get_ref(), socket, data, epoll::EventFlags::IN)?;
        Ok(())
    }

    /// Stops watching a socket. Its end does not do that as long as another process has a copy.
    pub(crate) fn forget(&self, socket: &UdpSocket) {
        // It may not be watched any more.
        let _ = epoll::delete(self.epoll.get_ref(), socket);
    }
}

/// A socket of a listener.
pub(crate) struct Front<G> {
    pub(crate) socket: UdpSocket,
    pub(crate) address: SocketAddr,
    pub(crate) gate: G,
    pub(crate) quic: bool,
}

impl<G: Gate> Front<G> {
    /// Serves another listener from now on.
    pub(crate) fn hand_over(&mut self, gate: G) {
        self.quic = is_quic(&gate);
        self.gate = gate;
    }
}

fn is_quic(gate: &impl Gate) -> bool {
    gate.listener().is_some_and(|listener| listener.quic)
}

/// The state of an engine.
pub(crate) struct State<G: Gate> {
    pub(crate) fronts: Slab<Front<G>>,
    pub(crate) flows: Table<Key, Flow<G::Open>>,
    pub(crate) events: Vec<epoll::Event>,
    /// Datagrams of clients.
    pub(crate) clients: Inbox,
    /// Flow and slot in `clients` of each that is to be forwarded, in one number.
    pub(crate) forwards: Vec<u64>,
    /// Datagrams of targets.
    pub(crate) targets: Inbox,
    /// The flow of each message in `targets`.
    pub(crate) answers: Vec<u32>,
    pub(crate) outbox: Outbox,
    /// Messages of the outbox that could not be sent.
    pub(crate) failed: Vec<usize>,
    /// When to look for idle flows.
    check_at: Option<u64>,
    is_draining: bool,
}

impl<G: Gate> State<G> {
    pub(crate) fn new() -> Self {
        Self {
            fronts: Slab::new(),
            flows: Table::new(MOST_FLOWS),
            events: Vec::with_capacity(4 * BATCH),
            clients: Inbox::new(BATCH),
            forwards: Vec::with_capacity(BATCH),
            targets: Inbox::of_connected(BATCH),
            answers: Vec::with_capacity(BATCH),
            outbox: Outbox::new(BATCH),
            failed: Vec::with_capacity(BATCH),
            check_at: None,
            is_draining: false,
        }
    }

    /// Begins the flow of `key`, to the target with the QUIC server ID `server` if there is one; `None` if its datagram is to be
    /// dropped.
    pub(crate) fn start(&mut self, ground: &Ground, key: Key, server: Option<u64>) -> Option<u32> {
        if self.flows.is_full() {
            self.make_room(key, ShedReason::UdpFlows);
        }
        let admitted = match self.fronts.get(key.front as usize)?.gate.admit(key.client) {
            Err(Refusal::Full(reason)) if self.make_room(key, reason) => {
                self.fronts.get(key.front as usize)?.gate.admit(key.client)
            }
            admitted => admitted,
        };
        let front = self.fronts.get(key.front as usize)?;
        let cells = front.gate.cells();
        let (listener, open) = match admitted {
            Ok(admitted) => admitted,
            Err(Refusal::Full(_)) => {
                cells.rejected_by_limit.increment();
                return None;
            }
            Err(Refusal::Closed) => return None,
        };
        let ip = key.local.unwrap_or_else(|| front.address.ip());
        let local = SocketAddr::new(ip, front.address.port());
        let named = server.and_then(|id| listener.by_server_id(id, key.client.ip()));
        let (weighted, target) = if let Some((weighted, target)) = named {
            (weighted, target)
        } else {
            let random = || ground.worker.random();
            let Some((weighted, chosen)) = listener.choose(key.client, local, random) else {
                cells.rejected_without_target.increment();
                return None;
            };
            if chosen.fail_open {
                cells.fail_open.increment();
            }
            (weighted, chosen.target)
        };
        let address = target.address;
        let source = if weighted.group.shows_client(target, key.client) {
            Source::Client(key.client)
        } else {
            front.gate.source(ip, address)
        };
        let socket = self.open(key, source, address)?;
        let flow = Flow::new(socket, weighted, target, open);
        self.begin(ground, key, flow)
    }

    /// Serves `flow` from now on.
    pub(crate) fn begin(&mut self, ground: &Ground, key: Key, flow: Flow<G::Open>) -> Option<u32> {
        let now = ground.worker.timers.now();
        let (id, removed) = self.flows.insert(key, flow, now);
        drop(removed);
        let (_, flow) = self.flows.get(id)?;
        let data = epoll::EventData::new_u64(id.into());
        let added = epoll::add(
            ground.epoll.get_ref(),
            &flow.socket,
            data,
            epoll::EventFlags::IN,
        );
        if added.is_err() {
            self.flows.remove(id);
            self.cells(key)?.connect_errors.increment();
            return None;
        }
        Some(id)
    }

    /// Opens a socket to a target, if necessary in place of that of another flow.
    fn open(&mut self, key: Key, source: Source, target: SocketAddr) -> Option<UdpSocket> {
        let opened = match datagram::connect(source, target) {
            Err(error) => match exhausted(&error) {
                Some(reason) if self.make_room(key, reason) => datagram::connect(source, target),
                _ => Err(error),
            },
            opened => opened,
        };
        opened
            .inspect_err(|error| {
                debug!(client = %key.client, %target, %error, "cannot open a socket for a flow");
                if let Some(cells) = self.cells(key) {
                    cells.connect_errors.increment();
                }
            })
            .ok()
    }

    /// Ends the flow that has been idle the longest to make room. Returns `false` if there are no flows.
    fn make_room(&mut self, key: Key, reason: ShedReason) -> bool {
        // Its number may be among the datagrams to be forwarded, and the next flow may get the same one.
        self.forward();
        let removed = self.flows.remove_oldest();
        if let Some(front) = self.fronts.get(key.front as usize) {
            front.gate.shed(reason);
        }
        let is_removed = removed.is_some();
        if let Some((key, flow)) = removed {
            ended(&key, &flow, reason.label());
        }
        is_removed
    }

    fn cells(&self, key: Key) -> Option<&elbow_telemetry::ListenerCells> {
        let front = self.fronts.get(key.front as usize)?;
        Some(front.gate.cells())
    }

    /// Ends the flows whose targets or groups lost them.
    pub(crate) fn end_terminated(&mut self) {
        let is_terminated = |_: &Key, flow: &Flow<G::Open>| flow.is_terminated();
        self.flows
            .remove_if(is_terminated, |key, flow| ended(&key, &flow, "terminated"));
    }

    /// Ends the flows of the socket `front`.
    pub(crate) fn end_flows_of(&mut self, front: u32) {
        let is_of_front = |key: &Key, _: &Flow<G::Open>| key.front == front;
        self.flows.remove_if(is_of_front, |key, flow| {
            ended(&key, &flow, "listener removed")
        });
    }

    /// Ends idle flows when it is time to, and sets `timer` to the next time.
    pub(crate) fn tend(&mut self, worker: &Worker, timer: &Timer) {
        if worker.stopping() {
            self.flows
                .remove_if(|_, _| true, |key, flow| ended(&key, &flow, "stopped"));
        }
        let now = worker.timers.now();
        let is_due = self.check_at.is_none_or(|at| at <= now);
        if !is_due && self.is_draining == worker.draining() && !self.flows.is_empty() {
            return;
        }
        self.is_draining = worker.draining();
        let timeout = if self.is_draining {
            DRAINING_IDLE
        } else {
            IDLE
        };
        while let Some((key, flow)) = self.flows.remove_idle(now, timeout) {
            ended(&key, &flow, "idle");
        }
        let next = self.flows.next_deadline(timeout);
        if next != self.check_at {
            self.check_at = next;
            timer.reset(next.map_or(std::time::Duration::MAX, |at| {
                TICK * u32::try_from(at - now).unwrap_or(u32::MAX)
            }));
        }
    }
}

impl<G: Gate> State<G> {
    /// Adds a socket of a listener.
    pub(crate) fn listen(
        &mut self,
        ground: &Ground,
        socket: UdpSocket,
        gate: G,
    ) -> io::Result<u32> {
        let address = socket.local_addr()?;
        let entry = self.fronts.vacant_entry();
        // As many as there are descriptors at most.
        let id = entry.key() as u32;
        ground.watch_front(&socket, id)?;
        entry.insert(Front {
            socket,
            address,
            quic: is_quic(&gate),
            gate,
        });
        Ok(id)
    }
}

/// Why a socket could not be opened, if the target is not at fault.
fn exhausted(error: &ConnectError) -> Option<ShedReason> {
    match error.kind {
        ConnectErrorKind::Exhausted(Resource::OpenFiles) => Some(ShedReason::OpenFiles),
        ConnectErrorKind::Exhausted(Resource::LocalPorts) => Some(ShedReason::LocalPorts),
        ConnectErrorKind::Exhausted(Resource::Memory) => Some(ShedReason::KernelMemory),
        _ => None,
    }
}

fn ended<O>(key: &Key, flow: &Flow<O>, why: &str) {
    let target = flow.target.target().address;
    debug!(client = %key.client, %target, why, "flow ended");
}

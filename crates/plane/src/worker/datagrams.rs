//! The UDP sockets of a worker, and which flows it admits.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use elbow_net::open_files::Full;
use elbow_net::source::Source;
use elbow_telemetry::{ListenerCells, ListenerMetrics, ShedReason};
use elbow_udp::{Engine, Gate, Listener, Passed, Refusal};
use rustc_hash::FxHashMap;
use tokio::task::spawn_local;

use super::context::WorkerContext;
use super::open::Open;
use crate::flows::{self, UdpFlow};
use crate::listener_key::ListenerKey;
use crate::snapshot::Limit;

/// The UDP sockets of a worker.
pub(super) struct UdpSockets {
    context: Rc<WorkerContext>,
    /// Made for the first socket.
    engine: Option<Rc<Engine<Front>>>,
    /// A listener may have several here: those of a process with more workers.
    sockets: FxHashMap<ListenerKey, Vec<Socket>>,
}

/// A listening socket.
struct Socket {
    /// Its number in the engine.
    id: u32,
    /// Its [`flows::identity`].
    identity: u64,
}

impl UdpSockets {
    pub(super) fn new(context: &Rc<WorkerContext>) -> Self {
        Self {
            context: Rc::clone(context),
            engine: None,
            sockets: FxHashMap::default(),
        }
    }

    /// Serves the datagrams of `socket` for the active listener at `key`, and the flows that it has already.
    pub(super) fn listen(
        &mut self,
        key: ListenerKey,
        socket: UdpSocket,
        flows: Vec<Passed>,
    ) -> io::Result<()> {
        // The configuration may no longer have the listener.
        let Some(front) = Front::new(&self.context, key) else {
            return Ok(());
        };
        let engine = match &self.engine {
            Some(engine) => engine,
            None => {
                let engine = Engine::new(Rc::clone(&self.context.worker))?;
                spawn_local(Rc::clone(&engine).run());
                self.engine.insert(engine)
            }
        };
        let identity = flows::identity(&socket)?;
        let id = engine.listen(socket, front)?;
        for flow in flows {
            engine.adopt(id, flow);
        }
        self.sockets
            .entry(key)
            .or_default()
            .push(Socket { id, identity });
        Ok(())
    }

    /// Serves sockets for the active listener, which counts in other metrics. Flows stay.
    pub(super) fn hand_over(&self, key: ListenerKey) {
        for (engine, id) in self.of(key) {
            if let Some(front) = Front::new(&self.context, key) {
                engine.hand_over(id, front);
            }
        }
    }

    /// Closes the sockets of a listener, and ends its flows.
    pub(super) fn close(&mut self, key: ListenerKey) {
        for (engine, id) in self.of(key) {
            engine.close(id);
        }
        self.sockets.remove(&key);
    }

    /// Copies of the sockets.
    pub(super) fn copies(&self) -> impl Iterator<Item = (ListenerKey, io::Result<OwnedFd>)> {
        let keys = self.sockets.keys();
        keys.flat_map(|key| self.of(*key).map(|(engine, id)| (*key, engine.copy(id))))
    }

    /// Leaves new datagrams of clients to another process, which has copies of the sockets.
    pub(super) fn stop_receiving(&self) {
        if let Some(engine) = &self.engine {
            engine.stop_receiving();
        }
    }

    /// Stops receiving datagrams of clients, and takes all flows out.
    pub(super) fn take_flows(&self) -> Vec<UdpFlow> {
        let Some(engine) = &self.engine else {
            return Vec::new();
        };
        engine.stop_receiving();
        let listeners = self.sockets.values().flatten();
        let listeners = listeners.map(|socket| (socket.id, socket.identity));
        let listeners: FxHashMap<u32, u64> = listeners.collect();
        let flow = |(id, flow)| {
            let listener = *listeners.get(&id)?;
            Some(UdpFlow { listener, flow })
        };
        engine.take_flows().into_iter().filter_map(flow).collect()
    }

    /// Serves flows of [`Self::take_flows`] again, and receives datagrams of clients unless there is a successor.
    pub(super) fn return_flows(&self, flows: Vec<UdpFlow>, has_successor: bool) {
        let Some(engine) = &self.engine else {
            return;
        };
        let ids = self.sockets.values().flatten();
        let ids: FxHashMap<u64, u32> = ids.map(|socket| (socket.identity, socket.id)).collect();
        for UdpFlow { listener, flow } in flows {
            if let Some(id) = ids.get(&listener) {
                engine.adopt(*id, flow);
            }
        }
        if !has_successor {
            engine.receive_again();
        }
    }

    fn of(&self, key: ListenerKey) -> impl Iterator<Item = (&Engine<Front>, u32)> {
        let sockets = self.sockets.get(&key).into_iter().flatten();
        let engine = self.engine.as_deref();
        engine
            .into_iter()
            .flat_map(move |engine| sockets.clone().map(move |socket| (engine, socket.id)))
    }

    /// Ends the flows whose targets were deregistered or became unhealthy, or whose group lost its weight.
    pub(super) fn end_terminated(&self) {
        if let Some(engine) = &self.engine {
            engine.end_terminated();
        }
    }
}

/// The listener behind a UDP socket.
struct Front {
    context: Rc<WorkerContext>,
    key: ListenerKey,
    metrics: Arc<ListenerMetrics>,
}

impl Front {
    fn new(context: &Rc<WorkerContext>, key: ListenerKey) -> Option<Self> {
        let snapshot = context.shared.snapshot.load();
        let state = snapshot.listeners.get(&key)?;
        Some(Self {
            context: Rc::clone(context),
            key,
            metrics: Arc::clone(&state.metrics),
        })
    }
}

impl Gate for Front {
    type Open = Open;

    fn listener(&self) -> Option<Arc<Listener>> {
        let snapshot = self.context.shared.snapshot.load();
        snapshot.listeners.get(&self.key)?.handler.udp().cloned()
    }

    fn source(&self, own: IpAddr, target: SocketAddr) -> Source {
        self.context.shared.networks.load().source(own, target)
    }

    fn resume(&self) -> Result<(Arc<Listener>, Open), Refusal> {
        let listener = self.listener().ok_or(Refusal::Closed)?;
        let slot = self.context.descriptors.flow().map_err(refusal)?;
        let open = Open::new(&self.context, &self.metrics, slot);
        Ok((listener, open))
    }

    fn admit(&self, client: SocketAddr) -> Result<(Arc<Listener>, Open), Refusal> {
        if self.context.worker.draining() {
            return Err(Refusal::Closed);
        }
        let snapshot = self.context.shared.snapshot.load();
        // The listener may have been removed since the datagram arrived.
        let state = snapshot.listeners.get(&self.key).ok_or(Refusal::Closed)?;
        let listener = state.handler.udp().ok_or(Refusal::Closed)?;
        if let Some(sources) = &state.udp_sources
            && !sources.contains(client.ip())
        {
            self.cells().rejected_by_security_group.increment();
            return Err(Refusal::Closed);
        }
        if state.limit.as_ref().is_some_and(Limit::is_reached) {
            self.shed(ShedReason::LoadBalancerConnections);
            self.cells().rejected_by_limit.increment();
            return Err(Refusal::Closed);
        }
        let slot = self.context.descriptors.flow().map_err(refusal)?;
        let open = Open::new(&self.context, &self.metrics, slot);
        Ok((Arc::clone(listener), open))
    }

    fn cells(&self) -> &ListenerCells {
        self.metrics.worker(self.context.worker.id)
    }

    fn shed(&self, reason: ShedReason) {
        self.metrics.shed(reason);
        self.context.warn_of_limit(self.key, reason);
    }
}

fn refusal(full: Full) -> Refusal {
    Refusal::Full(match full {
        Full::OpenFiles => ShedReason::OpenFiles,
        Full::Clients => ShedReason::MaxConnections,
        Full::Flows => ShedReason::UdpFlows,
    })
}

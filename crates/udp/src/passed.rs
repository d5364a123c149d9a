//! Flows that move to another process, or back.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use crate::flow::{Flow, Key};
use crate::gate::Gate;
use crate::state::{Ground, State};

/// A flow that no engine serves.
#[derive(Debug)]
pub struct Passed {
    /// The address of the client.
    pub client: SocketAddr,
    /// The local address that the client sends to, on a socket of all local addresses.
    pub local: Option<IpAddr>,
    /// The QUIC server ID, of a flow whose client also has a flow to another target.
    pub server: Option<u64>,
    /// The name of the target group.
    pub target_group: Arc<str>,
    /// The address of the target.
    pub target: SocketAddr,
    /// Connected to the target.
    pub socket: UdpSocket,
}

impl<G: Gate> State<G> {
    /// Takes all flows out, and calls `on` with each and the number of its listening socket, those first whose last datagram is
    /// the oldest.
    pub(crate) fn take_flows(&mut self, ground: &Ground, mut on: impl FnMut(u32, Passed)) {
        self.flows.remove_if(
            |_, _| true,
            |key, flow| {
                let target = flow.target.target().address;
                let Flow { socket, cutoff, .. } = flow;
                // Another process has a copy soon.
                ground.forget(&socket);
                let passed = Passed {
                    client: key.client,
                    local: key.local,
                    server: key.server,
                    target_group: Arc::clone(cutoff.group()),
                    target,
                    socket,
                };
                on(key.front, passed);
            },
        );
    }

    /// Serves a flow whose datagrams arrive at the listening socket `front`; `None` if its target is not registered there, or at a
    /// limit.
    pub(crate) fn adopt(&mut self, ground: &Ground, front: u32, passed: Passed) -> Option<u32> {
        let key = Key {
            front,
            client: passed.client,
            local: passed.local,
            server: passed.server,
        };
        if self.flows.is_full() {
            return None;
        }
        let (listener, open) = self.fronts.get(front as usize)?.gate.resume().ok()?;
        let client = passed.client.ip();
        let (weighted, target) =
            listener.registered(client, &passed.target_group, passed.target)?;
        let flow = Flow::new(passed.socket, weighted, target, open);
        self.begin(ground, key, flow)
    }
}

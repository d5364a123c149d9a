//! From clients to targets.

use std::io;

use elbow_net::datagram::{Envelope, Inbox};

use crate::flow::Key;
use crate::gate::Gate;
use crate::quic::server_id;
use crate::runs::{Piece, datagrams, first_run};
use crate::send::{send, send_apart};
use crate::state::{BATCH, Ground, State};

/// Batches read from one socket before others get their turn.
const BATCHES: usize = 4;

impl<G: Gate> State<G> {
    /// Forwards the datagrams that wait in the socket `front` of a listener.
    pub(crate) fn receive_from_clients(&mut self, ground: &Ground, front: u32) {
        for _ in 0..BATCHES {
            let Some(socket) = self.fronts.get(front as usize).map(|front| &front.socket) else {
                return;
            };
            self.clients.clear();
            // Errors concern single datagrams, and are not repeated.
            let received = self.clients.receive(socket, BATCH).unwrap_or_default();
            for slot in 0..received {
                self.sort_in(ground, front, slot);
            }
            self.forward();
            if received < BATCH {
                return;
            }
        }
    }

    /// Finds the flow of a received message, or begins it.
    fn sort_in(&mut self, ground: &Ground, front: u32, slot: usize) {
        let piece = piece(&self.clients, slot);
        let client = self.clients.sender(slot);
        let Some(client) = client.filter(|_| !self.clients.is_truncated(slot)) else {
            return self.count_dropped(front, datagrams(piece));
        };
        let key = Key {
            front,
            client,
            local: self.clients.destination(slot),
            server: None,
        };
        let is_quic = self.fronts.get(front as usize).is_some_and(|f| f.quic);
        let flow = if is_quic {
            let bytes = self.clients.bytes(slot);
            let server = server_id(bytes);
            let size = piece.segment.unwrap_or(piece.len).max(1);
            // A client may talk to several servers from one port.
            if bytes.chunks(size).any(|other| server_id(other) != server) {
                return self.sort_in_apart(ground, key, slot, size);
            }
            self.flow_of_connection(ground, key, server)
        } else {
            let found = self.flows.find(&key);
            found.or_else(|| self.start(ground, key, None))
        };
        match flow {
            Some(flow) => {
                self.flows.touch(flow, ground.worker.timers.now());
                self.forwards.push(u64::from(flow) << 32 | slot as u64);
            }
            None => self.count_dropped(front, datagrams(piece)),
        }
    }

    /// Forwards the datagrams of message `slot` one by one, because they belong to several QUIC connections.
    fn sort_in_apart(&mut self, ground: &Ground, key: Key, slot: usize, size: usize) {
        // Datagrams received before leave first.
        self.forward();
        let len = self.clients.bytes(slot).len();
        for start in (0..len).step_by(size) {
            let range = start..len.min(start + size);
            let server = server_id(&self.clients.bytes(slot)[range.clone()]);
            let flow = self.flow_of_connection(ground, key, server);
            let Some((_, flow)) = flow.and_then(|id| {
                self.flows.touch(id, ground.worker.timers.now());
                self.flows.get(id)
            }) else {
                self.count_dropped(key.front, 1);
                continue;
            };
            let bytes = &self.clients.bytes(slot)[range];
            let envelope = Envelope::default();
            let dropped = send_apart(
                &mut self.outbox,
                &flow.socket,
                &envelope,
                bytes,
                bytes.len(),
            );
            if let Some(front) = self.fronts.get(key.front as usize) {
                let cells = front.gate.cells();
                cells.received_bytes.add(bytes.len() as u64);
                cells.received_datagrams.increment();
                cells.dropped_datagrams.add(dropped);
            }
        }
    }

    /// The flow of a QUIC datagram that names the server `server`. A client with another address begins a flow to the same target;
    /// one that talks to several servers has a flow to each.
    fn flow_of_connection(
        &mut self,
        ground: &Ground,
        key: Key,
        server: Option<u64>,
    ) -> Option<u32> {
        let first = self.flows.find(&key);
        let Some(server) = server else {
            return first.or_else(|| self.start(ground, key, None));
        };
        let Some(first) = first else {
            return self.start(ground, key, Some(server));
        };
        let is_of_server = |id| {
            let (_, flow) = self.flows.get(id)?;
            let own = flow.target.target().registered.quic_server_id?;
            Some(own.0 == server)
        };
        if is_of_server(first) == Some(true) {
            return Some(first);
        }
        let own = Key {
            server: Some(server),
            ..key
        };
        if let Some(flow) = self.flows.find(&own) {
            return Some(flow);
        }
        let listener = self.fronts.get(key.front as usize)?.gate.listener()?;
        if listener.by_server_id(server, key.client.ip()).is_some() {
            self.start(ground, own, Some(server))
        } else {
            Some(first)
        }
    }

    fn count_dropped(&self, front: u32, count: usize) {
        if let Some(front) = self.fronts.get(front as usize) {
            front.gate.cells().dropped_datagrams.add(count as u64);
        }
    }

    /// Sends the sorted messages to their targets.
    pub(crate) fn forward(&mut self) {
        // Keeps the order within a flow.
        self.forwards.sort_unstable();
        let mut forwards = std::mem::take(&mut self.forwards);
        for run in forwards.chunk_by(|a, b| a >> 32 == b >> 32) {
            self.forward_flow(run);
        }
        forwards.clear();
        self.forwards = forwards;
    }

    /// Sends the messages `run` of one flow to its target.
    fn forward_flow(&mut self, run: &[u64]) {
        let Self {
            fronts,
            flows,
            clients,
            outbox,
            failed,
            ..
        } = self;
        let Some((key, flow)) = run
            .first()
            .and_then(|first| flows.get((first >> 32) as u32))
        else {
            return;
        };
        let Some(front) = fronts.get(key.front as usize) else {
            return;
        };
        let mut queue = outbox.queue();
        let (mut bytes, mut count) = (0, 0);
        for (slots, segment) in messages(run, clients) {
            let envelope = Envelope {
                segment,
                ..Envelope::default()
            };
            let pieces = slots.iter().map(|slot| piece(clients, slot_of(*slot)));
            count += pieces.map(datagrams).sum::<usize>();
            let parts = slots.iter().map(|slot| clients.bytes(slot_of(*slot)));
            bytes += parts.clone().map(<[u8]>::len).sum::<usize>();
            queue.push(&envelope, parts);
        }
        failed.clear();
        let refused = send(&mut queue, &flow.socket, failed);
        let mut dropped = 0;
        for number in &*failed {
            let Some((slots, _)) = messages(run, clients).nth(*number) else {
                continue;
            };
            for slot in slots.iter().map(|slot| slot_of(*slot)) {
                let piece = piece(clients, slot);
                let size = piece.segment.unwrap_or(piece.len);
                let envelope = Envelope::default();
                dropped += send_apart(outbox, &flow.socket, &envelope, clients.bytes(slot), size);
            }
        }
        let cells = front.gate.cells();
        cells.received_bytes.add(bytes as u64);
        cells.received_datagrams.add(count as u64);
        cells.dropped_datagrams.add(dropped);
        cells.connect_errors.add(refused);
    }
}

/// The messages that the datagrams of one flow leave as: which of them, and the size of the datagrams of each if there are several.
fn messages<'r>(run: &'r [u64], clients: &Inbox) -> impl Iterator<Item = (&'r [u64], Option<u16>)> {
    let mut rest = run;
    std::iter::from_fn(move || {
        let pieces = rest.iter().map(|slot| piece(clients, slot_of(*slot)));
        let (count, segment) = first_run(pieces);
        let (slots, others) = rest.split_at(count);
        rest = others;
        (count > 0).then_some((slots, segment))
    })
}

/// The slot in the low half of a number.
fn slot_of(number: u64) -> usize {
    (number & u64::from(u32::MAX)) as usize
}

/// Length and segments of a received message.
pub(crate) fn piece(inbox: &Inbox, slot: usize) -> Piece {
    Piece {
        len: inbox.bytes(slot).len(),
        segment: inbox.segment(slot),
    }
}

/// Whether an error of a socket only says that nothing waits in it.
pub(crate) fn is_empty(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

//! From targets to clients.

use elbow_net::datagram::Envelope;

use crate::forward::{is_empty, piece};
use crate::gate::Gate;
use crate::runs::datagrams;
use crate::send::{send, send_apart};
use crate::state::{Ground, State};

/// Messages received from one target before others get their turn.
const MOST: usize = 8;

impl<G: Gate> State<G> {
    /// Receives the datagrams of the target of flow `id`, to be sent by [`Self::answer`].
    pub(crate) fn receive_from_target(&mut self, ground: &Ground, id: u32) {
        let front = |state: &Self, id| Some(state.flows.get(id)?.0.front);
        let Some(own) = front(self, id) else {
            return;
        };
        // All answers of a batch leave through one socket.
        let others = self.answers.first().and_then(|other| front(self, *other));
        if self.targets.is_full() || others.is_some_and(|other| other != own) {
            self.answer();
        }
        let Some((_, flow)) = self.flows.get(id) else {
            return;
        };
        match self.targets.receive(&flow.socket, MOST) {
            Ok(received) => {
                self.answers.extend(std::iter::repeat_n(id, received));
                self.flows.touch(id, ground.worker.timers.now());
            }
            Err(error) if is_empty(&error) => {}
            // The target has no socket at its port: an NLB passes such an answer on, but only the kernel can send it. The flow
            // stays with its target, whose health decides.
            Err(_) => {
                if let Some(front) = self.fronts.get(own as usize) {
                    front.gate.cells().connect_errors.increment();
                }
            }
        }
    }

    /// Sends the received answers to their clients.
    pub(crate) fn answer(&mut self) {
        let Self {
            fronts,
            flows,
            targets,
            answers,
            outbox,
            failed,
            ..
        } = self;
        let envelope = |slot: usize| {
            let (key, _) = flows.get(*answers.get(slot)?)?;
            let segment = targets.segment(slot);
            Some((
                key.front,
                Envelope {
                    to: Some(key.client),
                    from: key.local,
                    segment: segment.and_then(|size| u16::try_from(size).ok()),
                },
            ))
        };
        let front = envelope(0).and_then(|(front, _)| fronts.get(front as usize));
        if let Some(front) = front {
            let mut queue = outbox.queue();
            let (mut bytes, mut count) = (0, 0);
            for slot in 0..targets.len() {
                let Some((_, envelope)) = envelope(slot) else {
                    continue;
                };
                bytes += targets.bytes(slot).len();
                count += datagrams(piece(targets, slot));
                queue.push(&envelope, std::iter::once(targets.bytes(slot)));
            }
            failed.clear();
            send(&mut queue, &front.socket, failed);
            let mut dropped = 0;
            for slot in &*failed {
                let Some((_, envelope)) = envelope(*slot) else {
                    continue;
                };
                let piece = piece(targets, *slot);
                let size = piece.segment.unwrap_or(piece.len);
                let bytes = targets.bytes(*slot);
                dropped += send_apart(outbox, &front.socket, &envelope, bytes, size);
            }
            let cells = front.gate.cells();
            cells.sent_bytes.add(bytes as u64);
            cells.sent_datagrams.add(count as u64);
            cells.dropped_datagrams.add(dropped);
        }
        targets.clear();
        answers.clear();
    }
}

//! Sends messages, and does what helps when that fails.

use std::io;
use std::net::UdpSocket;

use elbow_net::datagram::{Envelope, Outbox, Queue};
use rustix::io::Errno;

/// Sends the messages of `queue`. Adds the numbers of those that could not be sent to `failed`, and returns how many datagrams a
/// target has refused before.
pub(crate) fn send(queue: &mut Queue<'_, '_>, socket: &UdpSocket, failed: &mut Vec<usize>) -> u64 {
    let total = queue.len();
    let mut refused = 0;
    let mut is_second_try = false;
    while !queue.is_empty() {
        match queue.send(socket) {
            Ok(_) => is_second_try = false,
            // It answers an earlier datagram, and nothing was sent.
            Err(error) if is_refusal(&error) && !is_second_try => {
                refused += 1;
                is_second_try = true;
            }
            Err(_) => {
                failed.push(total - queue.len());
                queue.skip();
                is_second_try = false;
            }
        }
    }
    refused
}

/// Sends `bytes` as datagrams of `size`, each as a message, and returns how many could not be sent. The kernel refuses to cut a
/// message into datagrams that are longer than the way allows or that the network interface would have to checksum; single ones
/// are fragmented.
pub(crate) fn send_apart(
    outbox: &mut Outbox,
    socket: &UdpSocket,
    envelope: &Envelope,
    bytes: &[u8],
    size: usize,
) -> u64 {
    let envelope = Envelope {
        segment: None,
        ..*envelope
    };
    let mut dropped = 0;
    for datagram in bytes.chunks(size.max(1)) {
        let mut queue = outbox.queue();
        queue.push(&envelope, std::iter::once(datagram));
        if queue.send(socket).is_err() {
            dropped += 1;
        }
    }
    dropped
}

/// Whether an error says that the target refused an earlier datagram.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::CONNREFUSED)
}

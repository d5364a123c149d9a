//! UDP sockets, and batches of datagrams that are received and sent with few system calls.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Protocol, Socket, Type};

use crate::connect::{ConnectError, connect_error};
use crate::listen::{Locality, at};
use crate::source::{self, Source};
use crate::sys::datagram::{join_datagrams, report_local_address};

pub use crate::sys::datagram::{Envelope, Inbox, Outbox, Queue};

#[cfg(test)]
mod tests;

/// Size of the receive buffer of a listening socket, as far as `net.core.rmem_max` allows it. All clients share the buffer, and a
/// burst waits in it while the worker serves others.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Opens a socket for one worker to receive datagrams of clients. Other workers can bind the same address (`SO_REUSEPORT`); the
/// kernel then sends all datagrams of one client to the same socket as long as none is opened or closed.
pub fn bind(address: SocketAddr, locality: Locality) -> io::Result<UdpSocket> {
    let socket = at(address, locality, Type::DGRAM, Protocol::UDP)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    prepare(&socket)?;
    Ok(socket.into())
}

/// Sets the options of a bound socket for datagrams of clients.
pub(crate) fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    join_datagrams_if_possible(socket);
    match socket.local_addr()?.as_socket() {
        Some(address) if address.ip().is_unspecified() => {
            report_local_address(socket, address.is_ipv6())
        }
        _ => Ok(()),
    }
}

/// Opens a socket that shares its address with nobody; fails if anything receives datagrams there.
pub fn bind_alone(address: SocketAddr, locality: Locality) -> io::Result<UdpSocket> {
    let socket = at(address, locality, Type::DGRAM, Protocol::UDP)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Opens a socket that exchanges datagrams with `target` alone, which sees `source`.
///
/// # Errors
/// If there is no way to the target, or if elbow is out of a resource.
pub fn connect(source: Source, target: SocketAddr) -> Result<UdpSocket, ConnectError> {
    let open = || {
        let socket = source::datagrams(source, target)?;
        join_datagrams_if_possible(&socket);
        socket.connect(&target.into())?;
        Ok(socket.into())
    };
    open().map_err(|error| connect_error(error, target))
}

/// Kernels before Linux 5.0 cannot join datagrams, which only costs time.
fn join_datagrams_if_possible(socket: &Socket) {
    let _ = join_datagrams(socket);
}

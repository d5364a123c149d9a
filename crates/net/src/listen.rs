//! Listening sockets, one per worker and address, and the accept loop.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::{Timer, Worker};

#[cfg(test)]
mod tests;

/// Length of the accept queue; `net.core.somaxconn` may limit it further.
const BACKLOG: i32 = 4096;

/// Connections accepted in one poll, so that a burst does not delay open connections.
const BATCH: usize = 16;

/// How long the loop waits after it ran out of descriptors or memory.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Whether an address is one of the machine's, or local by a route alone. Unlike an IPv4 address, an IPv6 address of the latter
/// kind can be bound only on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locality {
    /// It is assigned to an interface, or IPv4.
    Assigned,
    /// A route makes it local. Nothing checks that: a socket at any other address receives nothing.
    Routed,
}

/// Opens a listening socket for one worker. Other workers can bind the same address (`SO_REUSEPORT`).
pub fn bind(address: SocketAddr, locality: Locality) -> io::Result<std::net::TcpListener> {
    let socket = stream_at(address, locality)?;
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit this, which saves a system call per connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Opens a listening socket that shares its address with nobody; fails if anything already listens on it.
pub fn bind_alone(address: SocketAddr, locality: Locality) -> io::Result<std::net::TcpListener> {
    let socket = stream_at(address, locality)?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    Ok(socket.into())
}

fn stream_at(address: SocketAddr, locality: Locality) -> io::Result<Socket> {
    let socket = at(address, locality, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// A socket for a listener at an address, not bound yet.
pub(crate) fn at(
    address: SocketAddr,
    locality: Locality,
    kind: Type,
    protocol: Protocol,
) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        kind.nonblocking().cloexec(),
        Some(protocol),
    )?;
    if address.is_ipv6() {
        // IPv4 addresses get their own sockets.
        socket.set_only_v6(true)?;
        if locality == Locality::Routed {
            socket.set_freebind_v6(true)?;
        }
    }
    Ok(socket)
}

/// Accepts connections until the worker drains, then accepts what is still queued and returns.
///
/// Calls `on` with each connection; `on` must return quickly and do its work in a task. Calls `failed`
/// with each error. Out of descriptors or memory, the loop backs off.
pub async fn accept(
    listener: &TcpListener,
    worker: &Worker,
    on: impl FnMut(TcpStream, SocketAddr),
    failed: impl FnMut(&io::Error),
) {
    let mut accepting = AcceptLoop {
        timer: worker.timers.timer(Duration::MAX),
        backing_off: false,
        on,
        failed,
    };
    poll_fn(|cx| accepting.poll(cx, listener, worker)).await;
}

struct AcceptLoop<F, E> {
    /// Wakes the loop when the worker drains, and ends a back-off.
    timer: Timer,
    backing_off: bool,
    on: F,
    failed: E,
}

impl<F, E> AcceptLoop<F, E>
where
    F: FnMut(TcpStream, SocketAddr),
    E: FnMut(&io::Error),
{
    fn poll(&mut self, cx: &mut Context<'_>, listener: &TcpListener, worker: &Worker) -> Poll<()> {
        if self.backing_off {
            if worker.draining() {
                return Poll::Ready(());
            }
            if self.timer.poll_expired(cx).is_pending() {
                return Poll::Pending;
            }
            self.backing_off = false;
            self.timer.reset(Duration::MAX);
        }
        for _ in 0..BATCH {
            match listener.poll_accept(cx) {
                Poll::Ready(Ok((stream, peer))) => (self.on)(stream, peer),
                Poll::Ready(Err(e)) => {
                    (self.failed)(&e);
                    if !is_connection_error(&e) {
                        self.backing_off = true;
                        self.timer.reset(BACK_OFF);
                        break;
                    }
                }
                Poll::Pending if worker.draining() => {
                    self.take_queued(listener);
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    self.timer.register(cx);
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Accepts the connections in the accept queue, because closing the listener would reset them. Asks
    /// the kernel directly, because the runtime may not have seen them yet.
    fn take_queued(&mut self, listener: &TcpListener) {
        for _ in 0..BACKLOG {
            match accept_now(listener) {
                Ok((stream, peer)) => (self.on)(stream, peer),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) => {
                    (self.failed)(&e);
                    if !is_connection_error(&e) {
                        return;
                    }
                }
            }
        }
    }
}

fn accept_now(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let socket = accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let stream = TcpStream::from_std(socket.into())?;
    let peer = stream.peer_addr()?;
    Ok((stream, peer))
}

/// Whether the error concerns only the connection to be accepted, so that the next accept can succeed.
/// Any other error would recur at once.
fn is_connection_error(e: &io::Error) -> bool {
    [
        Errno::CONNABORTED,
        Errno::INTR,
        Errno::NETDOWN,
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::NONET,
        Errno::HOSTUNREACH,
        Errno::OPNOTSUPP,
        Errno::NETUNREACH,
        Errno::NOTCONN,
    ]
    .iter()
    .any(|errno| e.raw_os_error() == Some(errno.raw_os_error()))
}

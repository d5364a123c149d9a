//! Listening sockets, one per worker and address, and the loop that accepts from them.

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

/// Connections that the kernel completes before they are accepted; `net.core.somaxconn` may allow
/// less.
const BACKLOG: i32 = 4096;

/// Connections accepted at a time, so that a burst does not keep those that are open waiting.
const BATCH: usize = 16;

/// How long a loop that is out of descriptors or memory waits for some to come back.
const BACK_OFF: Duration = Duration::from_millis(100);

/// A listening socket of one worker: others may bind the same address and share the load.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // IPv4 has listeners of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Inherited by what is accepted, which saves a system call per connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until the worker drains, with what has been queued until then; dropping it stops too.
///
/// `on` gets each connection; it must not do work of its own, but start a task. `failed` is told
/// of each failure. Without descriptors or memory the loop backs off.
pub async fn accept(
    listener: &TcpListener,
    worker: &Worker,
    on: impl FnMut(TcpStream, SocketAddr),
    failed: impl FnMut(&io::Error),
) {
    let mut accepting = Accepting {
        timer: worker.timers.timer(Duration::MAX),
        backing_off: false,
        on,
        failed,
    };
    poll_fn(|cx| accepting.poll(cx, listener, worker)).await;
}

struct Accepting<F, E> {
    /// Wakes the loop at drain, and ends a back-off.
    timer: Timer,
    backing_off: bool,
    on: F,
    failed: E,
}

impl<F, E> Accepting<F, E>
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
                    if !is_of_one_connection(&e) {
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

    /// Accepts what the kernel has completed: closing the listener would reset it. The runtime may
    /// not know of it yet, so that the kernel itself is asked.
    fn take_queued(&mut self, listener: &TcpListener) {
        for _ in 0..BACKLOG {
            match accept_now(listener) {
                Ok((stream, peer)) => (self.on)(stream, peer),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) => {
                    (self.failed)(&e);
                    if !is_of_one_connection(&e) {
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

/// The failure is of the connection that would have been accepted: the next one may be fine.
/// Anything else would come back at once.
fn is_of_one_connection(e: &io::Error) -> bool {
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

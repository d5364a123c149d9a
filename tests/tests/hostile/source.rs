//! A target that sends endlessly to thousands of connections, in one thread.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use elbow_tests::Target;
use rustix::net::sockopt;

/// The send buffer of a connection, kept small because only elbow's memory matters.
const SEND_BUFFER: usize = 16 * 1024;
/// The pause between rounds, to leave the machine some CPU.
const PAUSE: Duration = Duration::from_millis(20);
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";

/// Sends an endless body on every connection, and reads nothing.
pub(crate) struct Source {
    /// Answers its health checks.
    pub(crate) health: Target,
    shared: Arc<Shared>,
    sending: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    over: AtomicBool,
}

impl Source {
    pub(crate) fn start() -> Self {
        let health = Target::refusing();
        let listener = TcpListener::bind(health.addr()).unwrap();
        sockopt::set_socket_send_buffer_size(&listener, SEND_BUFFER).unwrap();
        // The backlog of the standard library is too short.
        rustix::net::listen(&listener, 4096).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::<Shared>::default();
        let state = Arc::clone(&shared);
        Self {
            health,
            shared,
            sending: Some(thread::spawn(move || send(&listener, &state))),
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.health.addr()
    }

    /// The number of accepted connections.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(sending) = self.sending.take() {
            drop(sending.join());
        }
    }
}

fn send(listener: &TcpListener, state: &Shared) {
    let mut connections: Vec<TcpStream> = Vec::new();
    while !state.over.load(Ordering::Relaxed) {
        while let Ok((mut stream, _)) = listener.accept() {
            stream.set_nonblocking(true).unwrap();
            if stream.write_all(HEAD).is_ok() {
                connections.push(stream);
                state.connections.fetch_add(1, Ordering::Relaxed);
            }
        }
        connections.retain_mut(takes_more);
        thread::sleep(PAUSE);
    }
}

/// Fills a connection's buffer; `false` once it has ended.
fn takes_more(stream: &mut TcpStream) -> bool {
    io::copy(&mut io::repeat(b'x'), stream).is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
}

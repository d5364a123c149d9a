//! UDP targets and clients.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::{address, wait};

/// How often a target looks whether it is over.
const STEP: Duration = Duration::from_millis(20);

/// A UDP target on its own address that answers each datagram with its name, a colon and the datagram; it ends when dropped.
pub struct Echo {
    addr: SocketAddr,
    over: Arc<AtomicBool>,
    sources: Arc<Mutex<Vec<SocketAddr>>>,
    serving: Option<thread::JoinHandle<()>>,
}

impl Echo {
    /// A target called `name` at an unused address.
    pub fn start(name: &'static str) -> Self {
        Self::at(name, (address(), crate::target::PORT).into())
    }

    /// The same at `addr`.
    pub fn at(name: &'static str, addr: SocketAddr) -> Self {
        let socket = wait::until(&format!("{addr} to be free"), || UdpSocket::bind(addr).ok());
        let addr = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(STEP)).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let sources = Arc::new(Mutex::new(Vec::new()));
        let (ended, seen) = (Arc::clone(&over), Arc::clone(&sources));
        let serving = thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !ended.load(Ordering::SeqCst) {
                let Ok((n, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                seen.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(from);
                let answer = [name.as_bytes(), b":", &buffer[..n]].concat();
                drop(socket.send_to(&answer, from));
            }
        });
        Self {
            addr,
            over,
            sources,
            serving: Some(serving),
        }
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where its datagrams came from, each in its turn.
    pub fn sources(&self) -> Vec<SocketAddr> {
        let sources = self.sources.lock();
        sources.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(serving) = self.serving.take() {
            drop(serving.join());
        }
    }
}

/// A UDP client.
pub struct UdpClient {
    socket: UdpSocket,
    to: SocketAddr,
}

impl UdpClient {
    /// A client of `to` at `ip`.
    pub fn at(ip: impl Into<IpAddr>, to: SocketAddr) -> Self {
        let socket = UdpSocket::bind((ip.into(), 0)).unwrap();
        socket.set_read_timeout(Some(wait::TIMEOUT)).unwrap();
        Self { socket, to }
    }

    /// A client of `to` on this machine.
    pub fn of(to: SocketAddr) -> Self {
        let ip = if to.is_ipv6() { "::1" } else { "127.0.0.1" };
        Self::at(ip.parse::<IpAddr>().unwrap(), to)
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Sends a datagram.
    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        self.socket.send_to(bytes.as_ref(), self.to).unwrap();
    }

    /// The next datagram, which comes from the address that this client sends to.
    pub fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let (n, from) = self.socket.recv_from(&mut buffer).unwrap();
        assert_eq!(from, self.to, "the answer comes from another address");
        buffer.truncate(n);
        buffer
    }

    /// The answer to `text`.
    pub fn ask(&self, text: &str) -> String {
        self.send(text);
        String::from_utf8(self.receive()).unwrap()
    }

    /// The answer to `bytes` if there is one before `timeout`.
    pub fn try_ask(&self, bytes: impl AsRef<[u8]>, timeout: Duration) -> Option<String> {
        self.send(bytes);
        self.socket.set_read_timeout(Some(timeout)).unwrap();
        let mut buffer = [0; 2048];
        let answer = self.socket.recv_from(&mut buffer);
        self.socket.set_read_timeout(Some(wait::TIMEOUT)).unwrap();
        match answer {
            Ok((n, _)) => Some(String::from_utf8_lossy(&buffer[..n]).into_owned()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(e) => panic!("{e}"),
        }
    }

    /// The socket itself.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }
}

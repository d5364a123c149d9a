//! Sockets that another process bound: the previous process of an upgrade, or systemd.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use socket2::{Socket, Type};

use crate::datagram;

/// Sockets that another process bound, in the order in which they were passed.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Mutex<Vec<Passed>>,
}

/// One of them.
#[derive(Debug)]
struct Passed {
    name: String,
    kind: Kind,
    address: SocketAddr,
    socket: Socket,
    is_used: bool,
}

/// What a passed socket does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It listens for TCP connections.
    Tcp,
    Udp,
}

/// Which of the sockets.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// Those bound to this address.
    At(SocketAddr),
    /// Those with this name.
    Named(&'a str),
}

impl Inherited {
    /// Sockets with their names.
    ///
    /// # Errors
    /// One is neither a listening TCP socket nor a UDP socket.
    pub fn new(sockets: impl IntoIterator<Item = (String, OwnedFd)>) -> io::Result<Self> {
        let passed = |(name, socket): (String, OwnedFd)| {
            let socket = Socket::from(socket);
            let kind = kind(&socket).map_err(|e| io::Error::other(format!("{name}: {e}")))?;
            let address = socket.local_addr()?.as_socket();
            let unsupported = || io::Error::other(format!("{name}: expected an internet socket"));
            Ok(Passed {
                address: address.ok_or_else(unsupported)?,
                name,
                kind,
                socket,
                is_used: false,
            })
        };
        let sockets = sockets.into_iter().map(passed);
        Ok(Self {
            sockets: Mutex::new(sockets.collect::<io::Result<_>>()?),
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Whether a TCP socket listens at `address`.
    pub fn has_tcp(&self, address: SocketAddr) -> bool {
        let at = Which::At(address);
        self.lock().iter().any(|passed| passed.is(Kind::Tcp, at))
    }

    /// Whether a UDP socket is bound to `address`.
    pub fn has_udp(&self, address: SocketAddr) -> bool {
        let at = Which::At(address);
        self.lock().iter().any(|passed| passed.is(Kind::Udp, at))
    }

    /// Copies of the TCP sockets for `workers` workers; empty if no socket matches. Each socket is there at least once, or its
    /// connections would wait forever. If there are fewer sockets than workers, several workers share one.
    ///
    /// # Errors
    /// A socket cannot be copied.
    pub fn tcp(&self, which: Which<'_>, workers: usize) -> io::Result<Vec<TcpListener>> {
        let copies = self.copies(Kind::Tcp, which, workers)?;
        for socket in &copies {
            // As for sockets of our own; systemd sets neither.
            socket.set_nonblocking(true)?;
            socket.set_tcp_nodelay(true)?;
        }
        Ok(copies.into_iter().map(TcpListener::from).collect())
    }

    /// A copy of each UDP socket. Workers do not share one: the datagrams of a client would reach one or another, and each would
    /// begin a flow.
    ///
    /// # Errors
    /// A socket cannot be copied.
    pub fn udp(&self, which: Which<'_>) -> io::Result<Vec<UdpSocket>> {
        let copies = self.copies(Kind::Udp, which, 0)?;
        for socket in &copies {
            // As for sockets of our own; systemd sets none of it.
            socket.set_nonblocking(true)?;
            datagram::prepare(socket)?;
        }
        Ok(copies.into_iter().map(UdpSocket::from).collect())
    }

    /// Closes the sockets once what uses them has its copies: a listener that is removed later must not go on listening
    /// here. Returns those that nothing has asked for.
    pub fn close(&self) -> Vec<impl fmt::Display + use<>> {
        let mut sockets = std::mem::take(&mut *self.lock());
        sockets.retain(|passed| !passed.is_used);
        sockets
    }

    fn copies(&self, kind: Kind, which: Which<'_>, workers: usize) -> io::Result<Vec<Socket>> {
        let mut sockets = self.lock();
        let mut found = Vec::new();
        for passed in sockets.iter_mut().filter(|passed| passed.is(kind, which)) {
            passed.is_used = true;
            found.push(&passed.socket);
        }
        let number = found.len().max(workers);
        let copies = found.iter().cycle().take(number);
        copies.map(|socket| socket.try_clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Passed>> {
        // A panic elsewhere leaves the list consistent.
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passed {
    fn is(&self, kind: Kind, which: Which<'_>) -> bool {
        let is_asked = match which {
            Which::At(address) => self.address == address,
            Which::Named(name) => self.name == name,
        };
        is_asked && self.kind == kind
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.kind {
            Kind::Tcp => "TCP",
            Kind::Udp => "UDP",
        };
        write!(f, "{} ({protocol} {})", self.name, self.address)
    }
}

fn kind(socket: &Socket) -> io::Result<Kind> {
    match socket.r#type()? {
        Type::STREAM if socket.is_listener()? => Ok(Kind::Tcp),
        Type::STREAM => Err(io::Error::other(
            "the socket does not listen; use Accept=no",
        )),
        Type::DGRAM => Ok(Kind::Udp),
        other => Err(io::Error::other(format!(
            "unsupported socket type {other:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
    use std::os::fd::OwnedFd;

    use super::{Inherited, Which};

    fn passed(name: &str, socket: impl Into<OwnedFd>) -> (String, OwnedFd) {
        (name.to_owned(), socket.into())
    }

    #[test]
    fn workers_share_sockets_and_no_socket_is_left_alone() {
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let one = super::super::listen::bind(address, crate::listen::Locality::Assigned).unwrap();
        let address = one.local_addr().unwrap();
        let two = super::super::listen::bind(address, crate::listen::Locality::Assigned).unwrap();
        let udp = UdpSocket::bind(address).unwrap();
        let sockets = [passed("a", one), passed("b", two), passed("dns", udp)];
        let inherited = Inherited::new(sockets).unwrap();
        assert!(inherited.has_tcp(address));
        assert!(inherited.has_udp(address));
        for (workers, copies) in [(1, 2), (2, 2), (5, 5)] {
            let found = inherited.tcp(Which::At(address), workers).unwrap();
            assert_eq!(found.len(), copies);
        }
        assert_eq!(inherited.tcp(Which::Named("b"), 1).unwrap().len(), 1);
        assert_eq!(inherited.udp(Which::At(address)).unwrap().len(), 1);
        assert!(inherited.udp(Which::Named("b")).unwrap().is_empty());
        assert!(inherited.close().is_empty());
    }

    #[test]
    fn sockets_are_closed_and_unused_ones_named() {
        let [one, other] = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [used, unused] = [&one, &other].map(|listener| listener.local_addr().unwrap());
        let inherited = Inherited::new([passed("a", one), passed("b", other)]).unwrap();
        let copies = inherited.tcp(Which::At(used), 1).unwrap();
        let named: Vec<String> = inherited.close().iter().map(|s| s.to_string()).collect();
        assert_eq!(named, [format!("b (TCP {unused})")]);
        assert!(inherited.is_empty());
        assert!(TcpStream::connect(unused).is_err());
        TcpStream::connect(used).unwrap();
        drop(copies);
        assert!(TcpStream::connect(used).is_err());
    }

    #[test]
    fn sockets_that_do_not_listen_are_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let error = Inherited::new([passed("web", client)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "web: the socket does not listen; use Accept=no"
        );
        let (unix, _other) = std::os::unix::net::UnixDatagram::pair().unwrap();
        assert!(Inherited::new([passed("log", unix)]).is_err());
    }
}

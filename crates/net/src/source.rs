//! Connections from an address other than the one that the kernel would choose.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

use crate::sys::choose_port_late;

/// The address that a target sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The one that the kernel chooses.
    Any,
    /// An address of this machine.
    Own(IpAddr),
    /// The address of a client, which needs CAP_NET_RAW or CAP_NET_ADMIN, and rules by which the answers of the target come
    /// back.
    Client(SocketAddr),
}

impl Source {
    /// The source of connections to `target` for a load balancer at `own`, as far as that is certain without knowing the machine:
    /// loopback addresses reach only loopback addresses. [`Networks::source`](crate::networks::Networks::source) knows more.
    pub fn own(own: IpAddr, target: SocketAddr) -> Self {
        // The kernel chooses these two by itself.
        let first = [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
        let is_local = own.is_loopback() && target.ip().is_loopback() && !first.contains(&own);
        if is_local && own.is_ipv4() == target.is_ipv4() {
            Self::Own(own)
        } else {
            Self::Any
        }
    }

    /// The same address with any port.
    fn without_port(self) -> Self {
        match self {
            Self::Client(client) => Self::Client(SocketAddr::new(client.ip(), 0)),
            other => other,
        }
    }
}

/// Connects to `target` from `source`. An address that cannot be bound is as good as none, except that of a client.
///
/// # Errors
/// Those of connect(2), and `PermissionDenied` for the address of a client without the capability.
pub async fn connect(source: &Source, target: SocketAddr) -> io::Result<TcpStream> {
    match socket(*source, target)?.connect(target).await {
        // The client has a connection from this port to the target by another listener. Boxed: it is rare, and flows stay small.
        Err(error) if is_taken(&error) && *source != source.without_port() => {
            let socket = socket(source.without_port(), target)?;
            Box::pin(socket.connect(target)).await
        }
        done => done,
    }
}

/// A socket for connections to `target`, bound to `source`.
fn socket(source: Source, target: SocketAddr) -> io::Result<TcpSocket> {
    let any = || match target {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    match source {
        Source::Any => any(),
        Source::Own(own) => stream(SocketAddr::new(own, 0), false).or_else(|_| any()),
        Source::Client(client) => match stream(client, true) {
            // The client is on this machine.
            Err(error) if is_taken(&error) => stream(SocketAddr::new(client.ip(), 0), true),
            done => done,
        },
    }
}

fn stream(source: SocketAddr, is_transparent: bool) -> io::Result<TcpSocket> {
    let socket = bound(Type::STREAM, source, is_transparent)?;
    Ok(TcpSocket::from_std_stream(socket.into()))
}

/// A UDP socket bound to `source`, with another port if the client is on this machine. An address that cannot be bound is as good
/// as none, except that of a client.
pub(crate) fn datagrams(source: Source, target: SocketAddr) -> io::Result<Socket> {
    let any = || {
        let kind = Type::DGRAM.nonblocking().cloexec();
        Socket::new(Domain::for_address(target), kind, None)
    };
    let bound = |source, is_transparent| bound(Type::DGRAM, source, is_transparent);
    match source {
        Source::Any => any(),
        Source::Own(own) => bound(SocketAddr::new(own, 0), false).or_else(|_| any()),
        Source::Client(client) => match bound(client, true) {
            Err(error) if is_taken(&error) => bound(SocketAddr::new(client.ip(), 0), true),
            done => done,
        },
    }
}

fn is_taken(error: &io::Error) -> bool {
    let taken = [Errno::ADDRINUSE, Errno::ADDRNOTAVAIL];
    taken
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// A socket bound to `source`, which is transparent if that is not an address of this machine.
fn bound(kind: Type, source: SocketAddr, is_transparent: bool) -> io::Result<Socket> {
    let own = kind.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(source), own, None)?;
    if is_transparent {
        match source {
            SocketAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
            SocketAddr::V6(_) => socket.set_ip_transparent_v6(true)?,
        }
    }
    // Two UDP sockets of one port and target would take each other's answers.
    if kind == Type::STREAM {
        if source.port() == 0 {
            choose_port_late(&socket)?;
        } else {
            socket.set_reuse_address(true)?;
        }
    }
    socket.bind(&source.into())?;
    Ok(socket)
}

/// Whether this process may use addresses of clients (CAP_NET_RAW or CAP_NET_ADMIN).
///
/// # Errors
/// It may not, or the kernel has no such sockets.
pub fn may_be_transparent() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None)?;
    socket.set_ip_transparent_v4(true)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use tokio::net::TcpListener;

    use super::{Source, connect};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn own_address_is_used_only_within_the_machine() {
        let target = |text: &str| SocketAddr::new(ip(text), 80);
        let own = |own: &str, to: &str| Source::own(ip(own), target(to));
        assert_eq!(
            own("127.0.10.4", "127.0.0.1"),
            Source::Own(ip("127.0.10.4"))
        );
        assert_eq!(own("::1", "::1"), Source::Any);
        assert_eq!(own("127.0.0.1", "127.0.0.9"), Source::Any);
        assert_eq!(own("127.0.10.4", "192.0.2.1"), Source::Any);
        assert_eq!(own("192.0.2.9", "192.0.2.1"), Source::Any);
        assert_eq!(own("127.0.10.4", "::1"), Source::Any);
    }

    #[tokio::test]
    async fn target_sees_the_source() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let seen = async |source| {
            let client = connect(&source, target).await.unwrap();
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(client.local_addr().unwrap(), peer);
            peer.ip()
        };
        assert_eq!(seen(Source::Any).await, ip("127.0.0.1"));
        assert_eq!(seen(Source::Own(ip("127.0.10.4"))).await, ip("127.0.10.4"));
        // It is not on this machine.
        assert_eq!(seen(Source::Own(ip("192.0.2.1"))).await, ip("127.0.0.1"));
    }

    #[tokio::test]
    async fn taken_port_of_a_client_is_replaced() {
        if super::may_be_transparent().is_err() {
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let client = TcpListener::bind("127.0.0.8:0").await.unwrap();
        let taken = client.local_addr().unwrap();
        let _stream = connect(&Source::Client(taken), target).await.unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip(), taken.ip());
        assert_ne!(peer.port(), taken.port());
    }
}

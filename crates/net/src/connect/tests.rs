use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

use rustix::io::Errno;

use super::{Connect, ConnectErrorKind, Resource, TcpConnector, connect_error};

const CONNECTOR: TcpConnector = TcpConnector {
    timeout: Duration::from_secs(10),
};

async fn kind(target: SocketAddr, tls: bool) -> ConnectErrorKind {
    CONNECTOR.connect(target, tls).await.unwrap_err().kind
}

#[tokio::test]
async fn connects_with_nodelay() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = target.local_addr().unwrap();
    let stream = CONNECTOR.connect(address, false).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address);
    assert!(stream.nodelay().unwrap());
}

#[tokio::test]
async fn connect_error_has_its_kind() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = target.local_addr().unwrap();
    assert_eq!(kind(address, true).await, ConnectErrorKind::TlsHandshake);
    drop(target);
    assert_eq!(kind(address, false).await, ConnectErrorKind::Refused);
    // Linux has no route to a broadcast address for TCP.
    let nowhere = SocketAddr::from(([255, 255, 255, 255], 80));
    assert_eq!(kind(nowhere, false).await, ConnectErrorKind::Unreachable);
}

#[tokio::test(start_paused = true)]
async fn connect_times_out() {
    // One connection fills the accept queue; further SYNs are not answered.
    let target = TcpSocket::new_v4().unwrap();
    target.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let target = target.listen(0).unwrap();
    let address = target.local_addr().unwrap();
    let _queued = std::net::TcpStream::connect(address).unwrap();
    let started = Instant::now();
    assert_eq!(kind(address, false).await, ConnectErrorKind::Timeout);
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[test]
fn local_exhaustion_is_not_blamed_on_the_target() {
    let v4 = SocketAddr::from(([127, 0, 0, 1], 80));
    let v6 = "[2001:db8::1]:80".parse().unwrap();
    let own = ConnectErrorKind::Exhausted;
    for (errno, target, want) in [
        (Errno::MFILE, v4, own(Resource::OpenFiles)),
        (Errno::NFILE, v6, own(Resource::OpenFiles)),
        (Errno::NOBUFS, v4, own(Resource::Memory)),
        (Errno::NOMEM, v6, own(Resource::Memory)),
        (Errno::ADDRNOTAVAIL, v4, own(Resource::LocalPorts)),
        (Errno::AGAIN, v6, own(Resource::LocalPorts)),
        // No local address can reach the target.
        (Errno::ADDRNOTAVAIL, v6, ConnectErrorKind::Unreachable),
        (Errno::NETUNREACH, v6, ConnectErrorKind::Unreachable),
        (Errno::CONNREFUSED, v4, ConnectErrorKind::Refused),
        (Errno::TIMEDOUT, v4, ConnectErrorKind::Timeout),
    ] {
        let kind = connect_error(errno.into(), target).kind;
        assert_eq!(kind, want, "{errno:?} {target}");
        assert_eq!(
            kind.is_own(),
            matches!(want, ConnectErrorKind::Exhausted(_))
        );
    }
}

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

use rustix::io::Errno;

use super::{Connect, ConnectErrorKind, Lack, TcpConnector, connect_error};

const CONNECTOR: TcpConnector = TcpConnector {
    timeout: Duration::from_secs(10),
};

async fn kind(target: SocketAddr, tls: bool) -> ConnectErrorKind {
    CONNECTOR.connect(target, tls).await.unwrap_err().kind
}

#[tokio::test]
async fn connects_with_small_messages_undelayed() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = target.local_addr().unwrap();
    let stream = CONNECTOR.connect(address, false).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address);
    assert!(stream.nodelay().unwrap());
}

#[tokio::test]
async fn says_why_it_could_not_connect() {
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
async fn waits_no_longer_than_its_timeout() {
    // Its queue is full after one connection; then SYN is not answered.
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
fn a_lack_of_our_own_is_not_the_target_s() {
    let v4 = SocketAddr::from(([127, 0, 0, 1], 80));
    let v6 = "[2001:db8::1]:80".parse().unwrap();
    let own = ConnectErrorKind::Exhausted;
    for (errno, target, want) in [
        (Errno::MFILE, v4, own(Lack::OpenFiles)),
        (Errno::NFILE, v6, own(Lack::OpenFiles)),
        (Errno::NOBUFS, v4, own(Lack::Memory)),
        (Errno::NOMEM, v6, own(Lack::Memory)),
        (Errno::ADDRNOTAVAIL, v4, own(Lack::LocalPorts)),
        // No own address leads there.
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

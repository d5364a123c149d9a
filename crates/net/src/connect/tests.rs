use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

use super::{Connect, ConnectErrorKind, TcpConnector};

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

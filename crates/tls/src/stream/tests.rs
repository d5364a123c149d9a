use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;

use super::*;
use crate::testkit::raw_hello::RawHello;
use crate::testkit::records::Records;
use crate::testkit::{Key, LONG, acceptor, client, handshake, loaded, now};

/// A server stream and a client with `version`.
async fn pair(
    version: &'static rustls::SupportedProtocolVersion,
) -> (ServerTls, TlsStream<TcpStream>) {
    let acceptor = acceptor(
        "ELBSecurityPolicy-TLS13-1-2-2021-06",
        vec![loaded("a", &["a.example"], Key::P256)],
    );
    let (server, client) = handshake(&acceptor, &Arc::new(client(&[version])), "a.example").await;
    (server.unwrap().0, client.unwrap())
}

/// Bytes with a period that is not a power of two.
fn pattern(len: usize) -> Vec<u8> {
    (0..251).cycle().take(len).collect()
}

#[tokio::test]
async fn bulk_passes_in_both_directions_at_once() {
    let data = pattern(3_000_000);
    for version in [&TLS13, &TLS12] {
        let (server, client) = pair(version).await;
        let (mut from_client, mut to_client) = tokio::io::split(server);
        let (mut from_server, mut to_server) = tokio::io::split(client);
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let send_down = async {
            to_client.write_all(&data).await.unwrap();
            to_client.shutdown().await.unwrap();
        };
        let send_up = async {
            to_server.write_all(&data).await.unwrap();
            to_server.shutdown().await.unwrap();
        };
        let (_, _, up_len, down_len) = tokio::join!(
            send_down,
            send_up,
            from_client.read_to_end(&mut up),
            from_server.read_to_end(&mut down),
        );
        assert_eq!(
            (up_len.unwrap(), down_len.unwrap()),
            (data.len(), data.len())
        );
        assert!(up == data && down == data);
    }
}

/// Small reads leave decrypted bytes and whole records in the buffers; nothing is lost.
#[tokio::test]
async fn reads_of_any_size_see_every_byte() {
    let data = pattern(300_000);
    for size in [1, 100, 5_000, 20_000, 200_000] {
        let (mut server, mut client) = pair(&TLS13).await;
        let read = async {
            let (mut seen, mut buffer) = (Vec::new(), vec![0; size]);
            loop {
                match server.read(&mut buffer).await.unwrap() {
                    0 => break seen,
                    n => seen.extend_from_slice(&buffer[..n]),
                }
            }
        };
        let write = async {
            client.write_all(&data).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let (seen, ()) = tokio::join!(read, write);
        assert!(seen == data, "{size}");
    }
}

#[tokio::test]
async fn vectored_writes_arrive_in_order() {
    let (mut server, mut client) = pair(&TLS13).await;
    assert!(server.is_write_vectored());
    let parts = [io::IoSlice::new(b"head "), io::IoSlice::new(b"body")];
    assert_eq!(server.write_vectored(&parts).await.unwrap(), 9);
    let mut read = [0; 9];
    client.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"head body");
}

/// close_notify in one direction leaves the other open (RFC 8446, 6.1).
#[tokio::test]
async fn half_close_leaves_the_other_direction_open() {
    let (mut server, mut client) = pair(&TLS13).await;
    server.write_all(b"last").await.unwrap();
    server.shutdown().await.unwrap();
    let mut rest = Vec::new();
    // The client reports an error for FIN without close_notify.
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"last");
    client.write_all(b"answer").await.unwrap();
    let mut read = [0; 6];
    server.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"answer");
    let error = server.write(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn close_without_close_notify_ends_the_stream() {
    let (mut server, mut client) = pair(&TLS13).await;
    client.write_all(b"bye").await.unwrap();
    client.flush().await.unwrap();
    client.get_mut().0.shutdown().await.unwrap();
    let mut read = Vec::new();
    server.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"bye");
    // Further reads also return the end.
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn reset_is_reported() {
    let (mut server, client) = pair(&TLS13).await;
    client.get_ref().0.set_zero_linger().unwrap();
    drop(client);
    let error = server.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);

    let (server, mut client) = pair(&TLS13).await;
    server.reset_on_close();
    drop(server);
    let error = client.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn broken_record_causes_an_error_and_an_alert() {
    let (mut server, mut client) = pair(&TLS13).await;
    client
        .get_mut()
        .0
        .write_all(&[0x17, 3, 3, 0, 20])
        .await
        .unwrap();
    client.get_mut().0.write_all(&[0; 20]).await.unwrap();
    let error = server.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let error = client.read(&mut [0; 8]).await.unwrap_err();
    let alert = error.get_ref().unwrap().downcast_ref::<rustls::Error>();
    let want = rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac);
    assert_eq!(alert, Some(&want));
}

/// Parity 2.3: a client that asks to renegotiate is refused at once, even if it sends nothing more, and the connection continues
/// (RFC 5246, 7.2.2).
#[tokio::test]
async fn renegotiation_is_refused_at_once() {
    let acceptor = acceptor(
        "ELBSecurityPolicy-2016-08",
        vec![loaded("a", &["a.example"], Key::P256)],
    );
    let mut config = client(&[&TLS12]);
    config.enable_secret_extraction = true;
    let (server, client) = handshake(&acceptor, &Arc::new(config), "a.example").await;
    let (mut server, _) = server.unwrap();
    let (mut socket, connection) = client.unwrap().into_inner();
    let mut records = Records::new(connection.dangerous_extract_secrets().unwrap());

    let hello = records.seal(0x16, &RawHello::tls12().message());
    socket.write_all(&hello).await.unwrap();
    let mut byte = [0];
    let alert = tokio::select! {
        read = server.read(&mut byte) => panic!("{read:?}"),
        alert = records.read(&mut socket) => alert,
        () = tokio::time::sleep(LONG) => panic!("no alert"),
    };
    let (warning, no_renegotiation) = (1, 100);
    assert_eq!(alert, (0x15, vec![warning, no_renegotiation]));

    let data = records.seal(0x17, b"!");
    socket.write_all(&data).await.unwrap();
    server.read_exact(&mut byte).await.unwrap();
    assert_eq!(&byte, b"!");
}

/// Records left in the buffer by a write are sent while the stream is read.
#[tokio::test]
async fn read_sends_buffered_records() {
    let (mut server, mut client) = pair(&TLS13).await;
    let chunk = vec![7; WRITE_BUFFER];
    let mut sent = 0;
    // Write until a write has to wait, which leaves records of earlier writes in the buffer.
    while let Some(written) = now(server.write(&chunk)).await {
        sent += written.unwrap();
    }
    assert!(server.connection.wants_write());
    let mut received = vec![0; sent];
    let (read, ()) = tokio::join!(
        async {
            let mut byte = [0; 1];
            server.read(&mut byte).await.map(|_| byte)
        },
        async {
            client.read_exact(&mut received).await.unwrap();
            client.write_all(b"!").await.unwrap();
        }
    );
    assert_eq!(&read.unwrap(), b"!");
    assert!(received.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn tls_stream_is_not_plain() {
    let (server, client) = pair(&TLS13).await;
    assert!(server.plain().is_none());
    let peer = server.socket().peer_addr().unwrap();
    assert_eq!(peer, client.get_ref().0.local_addr().unwrap());
}

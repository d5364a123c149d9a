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

/// A server stream of TLS 1.2, and the socket and the record layer of its client.
async fn raw_pair() -> (ServerTls, TcpStream, Records) {
    let acceptor = acceptor(
        "ELBSecurityPolicy-2016-08",
        vec![loaded("a", &["a.example"], Key::P256)],
    );
    let mut config = client(&[&TLS12]);
    config.enable_secret_extraction = true;
    let (server, client) = handshake(&acceptor, &Arc::new(config), "a.example").await;
    let (socket, connection) = client.unwrap().into_inner();
    let records = Records::new(connection.dangerous_extract_secrets().unwrap());
    (server.unwrap().0, socket, records)
}

/// Reads until `count` bytes wait for the rest of their record or message.
async fn read_incomplete(server: &mut ServerTls, count: usize) {
    while server.session.received().len() < count {
        assert!(now(server.read(&mut [0])).await.is_none());
        tokio::task::yield_now().await;
    }
    assert_eq!(server.session.received().len(), count);
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
    let parts = [IoSlice::new(b"head "), IoSlice::new(b"body")];
    assert_eq!(server.write_vectored(&parts).await.unwrap(), 9);
    let mut read = [0; 9];
    client.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"head body");
}

/// Parts fill records as one part would; a write takes four records.
#[tokio::test]
async fn vectored_writes_fill_records() {
    let (mut server, mut socket, mut records) = raw_pair().await;
    let data = pattern(70_000);
    let (head, body) = data.split_at(100);
    let (body, tail) = body.split_at(40_000);
    let parts = [head, body, &[], tail].map(IoSlice::new);
    assert_eq!(server.write_vectored(&parts).await.unwrap(), 65_536);
    for want in data[..65_536].chunks(16_384) {
        assert!(records.read(&mut socket).await == (0x17, want.to_vec()));
    }
    assert_eq!(server.write_vectored(&parts[2..3]).await.unwrap(), 0);
    assert_eq!(server.write(&data).await.unwrap(), 65_536);
    for want in data[..65_536].chunks(16_384) {
        assert!(records.read(&mut socket).await == (0x17, want.to_vec()));
    }
}

#[tokio::test]
async fn write_passes_while_a_record_is_incomplete() {
    let (mut server, mut socket, mut records) = raw_pair().await;
    let data = pattern(1_000);
    let record = records.seal(0x17, &data);
    let (first, rest) = record.split_at(500);
    socket.write_all(first).await.unwrap();
    read_incomplete(&mut server, 500).await;
    server.write_all(b"answer").await.unwrap();
    let answer = records.read(&mut socket).await;
    assert_eq!(answer, (0x17, b"answer".to_vec()));
    socket.write_all(rest).await.unwrap();
    let mut read = vec![0; 1_000];
    server.read_exact(&mut read).await.unwrap();
    assert!(read == data);
    assert!(server.session.received().is_empty());
}

/// Most reads of bulk data end in the middle of a record.
#[tokio::test]
async fn first_part_of_a_record_uses_the_memory_of_the_one_before() {
    let (mut server, mut socket, mut records) = raw_pair().await;
    let record = records.seal(0x17, &pattern(1_000));
    let half = record.len() / 2;
    socket.write_all(&record[..half]).await.unwrap();
    read_incomplete(&mut server, half).await;
    let memory = server.session.received().as_ptr();
    let mut rest = record[half..].to_vec();
    for _ in 0..3 {
        let record = records.seal(0x17, &pattern(1_000));
        rest.extend_from_slice(&record[..half]);
        socket.write_all(&rest).await.unwrap();
        server.socket().readable().await.unwrap();
        while server.socket().peek(&mut [0; 2_000]).await.unwrap() < rest.len() {}
        assert_eq!(server.read(&mut [0; 2_000]).await.unwrap(), 1_000);
        assert_eq!(server.session.received(), &record[..half]);
        assert_eq!(server.session.received().as_ptr(), memory);
        rest = record[half..].to_vec();
    }
    // Without one, it holds none.
    socket.write_all(&rest).await.unwrap();
    server.read_exact(&mut [0; 1_000]).await.unwrap();
    assert_ne!(server.session.received().as_ptr(), memory);
}

#[tokio::test]
async fn write_passes_while_whole_records_wait_for_the_reader() {
    let (mut server, mut socket, mut records) = raw_pair().await;
    let data = pattern(3_000);
    let sent: Vec<u8> = data
        .chunks(1_000)
        .flat_map(|part| records.seal(0x17, part))
        .collect();
    socket.write_all(&sent).await.unwrap();
    let mut read = vec![0; 3_000];
    server.read_exact(&mut read[..1]).await.unwrap();
    server.write_all(b"answer").await.unwrap();
    let answer = records.read(&mut socket).await;
    assert_eq!(answer, (0x17, b"answer".to_vec()));
    server.read_exact(&mut read[1..]).await.unwrap();
    assert!(read == data);
}

/// rustls counts from the beginning of an incomplete message, so that its bytes must outlive the end of the stream.
#[tokio::test]
async fn write_passes_after_half_a_message_and_fin() {
    let (mut server, mut socket, mut records) = raw_pair().await;
    let hello = RawHello::tls12().message();
    let half = records.seal(0x16, &hello[..9]);
    socket.write_all(&half).await.unwrap();
    read_incomplete(&mut server, half.len()).await;
    socket.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    server.write_all(b"answer").await.unwrap();
    server.shutdown().await.unwrap();
    let answer = records.read(&mut socket).await;
    assert_eq!(answer, (0x17, b"answer".to_vec()));
    let (warning, close_notify) = (1, 0);
    let alert = records.read(&mut socket).await;
    assert_eq!(alert, (0x15, vec![warning, close_notify]));
}

#[tokio::test]
async fn message_without_end_is_refused() {
    let (mut server, mut socket, mut records) = raw_pair().await;
    let mut sent = records.seal(0x16, &[1, 0, 0xff, 0xff]);
    for _ in 0..600 {
        sent.extend(records.seal(0x16, &[0; 100]));
    }
    let send = async {
        socket.write_all(&sent).await.unwrap();
        socket.shutdown().await.unwrap();
    };
    let mut byte = [0];
    let ((), read) = tokio::join!(send, server.read(&mut byte));
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert!(server.session.received().len() < MAX_INCOMPLETE + MIN_READ);
}

/// RFC 8446, 4.6.3: each side changes its keys, the server before its next data.
#[tokio::test]
async fn keys_are_updated() {
    let (mut server, mut client) = pair(&TLS13).await;
    // The server's tickets come first.
    server.write_all(b"hello").await.unwrap();
    client.read_exact(&mut [0; 5]).await.unwrap();
    for _ in 0..3 {
        client.get_mut().1.refresh_traffic_keys().unwrap();
        client.write_all(b"request").await.unwrap();
        let mut request = [0; 7];
        // Whole records wait at times.
        server.read_exact(&mut request[..2]).await.unwrap();
        server.write_all(b"answer").await.unwrap();
        server.read_exact(&mut request[2..]).await.unwrap();
        assert_eq!(&request, b"request");
        let (socket, connection) = client.get_mut();
        let (key_update, answer) = (5, 6);
        for content in [key_update, answer] {
            let record = read_record(socket).await;
            assert_eq!(record.len(), HEADER + content + TYPE_AND_TAG);
            connection.read_tls(&mut &record[..]).unwrap();
            connection.process_new_packets().unwrap();
        }
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }
}

/// Bytes before the content of a record of TLS 1.3, and behind it (RFC 8446, 5.2).
const HEADER: usize = 5;
const TYPE_AND_TAG: usize = 1 + 16;

async fn read_record(socket: &mut TcpStream) -> Vec<u8> {
    let mut record = vec![0; HEADER];
    socket.read_exact(&mut record).await.unwrap();
    let length = u16::from_be_bytes([record[3], record[4]]);
    record.resize(HEADER + usize::from(length), 0);
    socket.read_exact(&mut record[HEADER..]).await.unwrap();
    record
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
    let want = rustls::Error::AlertReceived(AlertDescription::BadRecordMac);
    assert_eq!(alert, Some(&want));
}

#[tokio::test]
async fn data_before_a_broken_record_is_read() {
    let (mut server, mut socket, mut records) = raw_pair().await;
    let mut sent = records.seal(0x17, b"data");
    sent.extend_from_slice(&[0x17, 3, 3, 0, 40]);
    sent.extend_from_slice(&[0; 40]);
    socket.write_all(&sent).await.unwrap();
    let mut read = [0; 8];
    assert_eq!(server.read(&mut read).await.unwrap(), 4);
    assert_eq!(&read[..4], b"data");
    for _ in 0..2 {
        let error = server.read(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
    let error = server.write(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let (fatal, bad_record_mac) = (2, 20);
    let alert = records.read(&mut socket).await;
    assert_eq!(alert, (0x15, vec![fatal, bad_record_mac]));
}

/// Parity 2.3: a client that asks to renegotiate is refused at once, even if it sends nothing more, and the connection continues
/// (RFC 5246, 7.2.2).
#[tokio::test]
async fn renegotiation_is_refused_at_once() {
    let (mut server, mut socket, mut records) = raw_pair().await;
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
    assert!(!server.session.output.is_empty());
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

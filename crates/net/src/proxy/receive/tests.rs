use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::proxy;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(client, listener.accept());
    (client.unwrap(), server.unwrap().0)
}

/// What the peer receives when these pieces are sent one after another, and the bytes behind the header.
async fn received(pieces: &[&[u8]]) -> (Result<Option<Header>, ReceiveError>, Vec<u8>) {
    let (mut client, mut server) = pair().await;
    client.set_nodelay(true).unwrap();
    let send = async {
        for piece in pieces {
            client.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        client.shutdown().await.unwrap();
    };
    let (header, ()) = tokio::join!(receive(&server), send);
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).await.unwrap();
    (header, rest)
}

#[tokio::test]
async fn only_the_header_is_taken_however_it_arrives() {
    let (from, to) = (
        "192.0.2.1:5001".parse().unwrap(),
        "192.0.2.2:443".parse().unwrap(),
    );
    let long = "v".repeat(1000);
    for header in [
        proxy::v1(from, to),
        proxy::v2(from, to, None),
        proxy::v2(from, to, Some(&long)),
    ] {
        let whole = [&header[..], b"hello"].concat();
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        for pieces in [
            &[&whole[..]][..],
            &bytes,
            &[&header, b"hello"],
            &[&whole[..20], &whole[20..]],
        ] {
            let (found, rest) = received(pieces).await;
            let expected = Header::Proxied {
                client: from,
                server: to,
            };
            assert_eq!(found.unwrap(), Some(expected));
            assert_eq!(rest, b"hello");
        }
    }
}

#[tokio::test]
async fn a_closed_connection_is_an_error_only_within_the_header() {
    assert!(matches!(received(&[]).await.0, Ok(None)));
    let (found, _) = received(&[b"PROXY TCP4"]).await;
    assert!(matches!(found, Err(ReceiveError::Closed(_))), "{found:?}");
    let (found, _) = received(&[b"GET / HTTP/1.1\r\n"]).await;
    assert!(
        matches!(found, Err(ReceiveError::Malformed(_))),
        "{found:?}"
    );
}

//! Bodies both ways at once, and `Expect: 100-continue`.

use elbow_model::LoadBalancerAttributes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::forwarding::{OK, OK_CLOSED, OK_KEPT, unchunk};
use crate::kit::{Alb, FORWARDED, Pod, error_page, expect, find, read_to_end, run, soon};

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const EXPECTING: &[u8] =
    b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";

/// Bytes that depend on their position.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| ((i / 251) ^ i) as u8).collect()
}

// Parity 1.11 and check 16.
#[test]
fn a_client_that_waits_gets_100_before_any_contact_with_the_target() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        for _ in 0..2 {
            client.write_all(EXPECTING).await.unwrap();
            expect(&mut client, CONTINUE).await;
            client.write_all(b"body").await.unwrap();
            expect(&mut client, OK_KEPT).await;
        }
        let seen = format!("PUT / HTTP/1.1\r\nHost: h\r\n{FORWARDED}Content-Length: 4\r\n\r\nbody");
        assert_eq!(pod.seen(), [seen.clone(), seen]);
    });
}

#[test]
fn every_http_1_1_client_that_expects_100_gets_it() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        // Also one that has begun to send its body.
        client
            .write_all(&[EXPECTING, b"body"].concat())
            .await
            .unwrap();
        expect(&mut client, "HTTP/1.1 100 Continue\r\n\r\n").await;
        expect(&mut client, OK_KEPT).await;
        // HTTP/1.0 and a request without a body get none.
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n")
            .await
            .unwrap();
        expect(&mut client, OK_KEPT).await;
        client
            .write_all(b"PUT / HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
            .await
            .unwrap();
        client.write_all(b"body").await.unwrap();
        assert_eq!(read_to_end(&mut client).await, OK_CLOSED);
    });
}

#[test]
fn local_responses_come_without_100() {
    run(async {
        let alb = Alb::new(&[], LoadBalancerAttributes::default()).await;
        let page = error_page(503, "Service Temporarily Unavailable", true);
        assert_eq!(alb.talk(EXPECTING).await, page);
    });
}

#[test]
fn an_interim_100_of_the_target_is_not_sent_twice() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.head().await;
            peer.send(CONTINUE.as_bytes()).await;
            while peer.unread() < 4 && peer.more().await.is_some() {}
            peer.send(OK).await;
            peer.more().await;
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        client.write_all(EXPECTING).await.unwrap();
        expect(&mut client, CONTINUE).await;
        client.write_all(b"body").await.unwrap();
        expect(&mut client, OK_KEPT).await;
    });
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.head().await;
            peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
                .await;
            // Reads no more and stays open, so that the upload fills the buffers.
            std::future::pending::<()>().await;
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        client
            .write_all(
                b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\
                  Expect: 100-continue\r\n\r\n",
            )
            .await
            .unwrap();
        expect(&mut client, CONTINUE).await;
        let (mut read, mut write) = client.split();
        let sending = async {
            let piece = vec![b'x'; 1 << 20];
            while write.write_all(&piece).await.is_ok() {}
        };
        let answer = async {
            let mut answer = Vec::new();
            read.read_to_end(&mut answer).await.unwrap();
            answer
        };
        tokio::select! {
            answer = answer => assert_eq!(
                String::from_utf8_lossy(&answer),
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
            ),
            () = sending => panic!("reset before the answer was read"),
        }
        drop(client);
        assert_eq!(alb.pools.idle(), 0);
    });
}

#[test]
fn an_early_answer_and_a_close_reach_the_client() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.head().await;
            peer.send(b"HTTP/1.1 412 Precondition Failed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .await;
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        client
            .write_all(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf")
            .await
            .unwrap();
        let answer = "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\
                      Connection: close\r\n\r\n";
        assert_eq!(read_to_end(&mut client).await, answer);
    });
}

#[test]
fn a_response_may_flow_while_the_request_still_comes() {
    run(async {
        // Sends a head at once, and then echoes the body.
        let pod = Pod::scripted(|mut peer| async move {
            peer.head().await;
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n")
                .await;
            let mut buffer = vec![0; 65536];
            let mut left = 600_000 - peer.unread();
            peer.send(&pattern(peer.unread())).await;
            while left > 0 {
                let n = peer.stream.read(&mut buffer).await.unwrap();
                peer.send(&buffer[..n]).await;
                left -= n;
            }
            peer.more().await;
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        let body = pattern(600_000);
        client
            .write_all(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 600000\r\n\r\n")
            .await
            .unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 600000\r\nConnection: close\r\n\r\n";
        expect(&mut client, head).await;
        for piece in body.chunks(100_000) {
            client.write_all(piece).await.unwrap();
            let mut echo = vec![0; piece.len()];
            soon(client.read_exact(&mut echo)).await.unwrap();
            assert!(echo == piece);
        }
        assert_eq!(read_to_end(&mut client).await, "");
    });
}

#[test]
fn large_bodies_arrive_unchanged_in_both_framings() {
    const LENGTH: usize = 5_000_001;
    run(async {
        for chunked in [false, true] {
            let pod = Pod::scripted(move |mut peer| async move {
                while let Some(head) = peer.head().await {
                    assert_eq!(head.contains("Transfer-Encoding: chunked"), chunked);
                    let mut body = Vec::new();
                    if chunked {
                        while !peer.input().ends_with(b"\r\n0\r\n\r\n") {
                            peer.more().await.unwrap();
                        }
                        let bytes = peer.take();
                        body.extend(decode(&bytes));
                    } else {
                        while peer.unread() < LENGTH {
                            peer.more().await.unwrap();
                        }
                        body.extend(peer.take());
                    }
                    assert!(body == pattern(LENGTH));
                    let mut response = b"HTTP/1.1 200 OK\r\n".to_vec();
                    response.extend(framed(&body, chunked));
                    peer.send(&response).await;
                }
            })
            .await;
            let alb = Alb::with_defaults(pod.address).await;
            let mut client = alb.connect().await;
            for _ in 0..2 {
                let mut request = b"PUT / HTTP/1.1\r\nHost: h\r\n".to_vec();
                request.extend(framed(&pattern(LENGTH), chunked));
                client.write_all(&request).await.unwrap();
                let mut response = Vec::new();
                let head_end = loop {
                    soon(client.read_buf(&mut response)).await.unwrap();
                    if let Some(at) = find(&response, b"\r\n\r\n") {
                        break at + 4;
                    }
                };
                let body = if chunked {
                    while !response.ends_with(b"\r\n0\r\n\r\n") {
                        soon(client.read_buf(&mut response)).await.unwrap();
                    }
                    decode(&response[head_end..])
                } else {
                    while response.len() < head_end + LENGTH {
                        soon(client.read_buf(&mut response)).await.unwrap();
                    }
                    response.split_off(head_end)
                };
                assert!(body == pattern(LENGTH), "chunked: {chunked}");
            }
            assert_eq!(*pod.connections.borrow(), 1);
            assert_eq!(alb.worker.buffers.in_use(), 0);
        }
    });
}

fn framed(body: &[u8], chunked: bool) -> Vec<u8> {
    if !chunked {
        let mut bytes = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend(body);
        return bytes;
    }
    let mut bytes = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
    // Sizes that divide no buffer evenly.
    for (i, chunk) in body.chunks(70_001).enumerate() {
        bytes.extend(format!("{:x};i={i}\r\n", chunk.len()).into_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\nX-Trailer: dropped\r\n\r\n");
    bytes
}

fn decode(mut bytes: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let end = find(bytes, b"\r\n").unwrap();
        let size = std::str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        bytes = &bytes[end + 2..];
        data.extend(&bytes[..size]);
        assert_eq!(&bytes[size..size + 2], b"\r\n");
        bytes = &bytes[size + 2..];
        if size == 0 {
            assert!(bytes.is_empty());
            return data;
        }
    }
}

#[test]
fn a_body_until_close_is_chunked_for_http11_alone() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.request().await;
            peer.send(b"HTTP/1.1 200 OK\r\n\r\nab").await;
            peer.send(b"cd").await;
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let response = alb
            .talk(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            .await;
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close"
        );
        assert_eq!(unchunk(body), "abcd");
        let response = alb
            .talk(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .await;
        assert_eq!(response, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcd");
    });
}

#[test]
fn a_chunked_body_loses_its_chunks_for_http10() {
    run(async {
        let pod = Pod::answering(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        )
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let response = alb.talk(b"GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(response, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
        // The connection to the target is reusable.
        assert_eq!(alb.pools.idle(), 1);
    });
}

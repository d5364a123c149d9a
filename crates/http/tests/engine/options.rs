//! Options that pass more than AWS does: trailers and interim responses.

use std::rc::Rc;
use std::time::Duration;

use elbow_model::LoadBalancerAttributes;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use crate::forwarding::{OK, OK_CLOSED, OK_KEPT};
use crate::kit::{Alb, FORWARDED, Pod, error_page, expect, find, read_to_end, run};

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
                         2\r\nhi\r\n0\r\nx-sum: 7\r\nContent-Length: 9\r\n\r\n";

fn trailers() -> LoadBalancerAttributes {
    LoadBalancerAttributes {
        passes_trailers: true,
        ..LoadBalancerAttributes::default()
    }
}

fn interim() -> LoadBalancerAttributes {
    LoadBalancerAttributes {
        passes_interim_responses: true,
        ..LoadBalancerAttributes::default()
    }
}

/// A target that records chunked requests with their trailers, and answers them.
async fn chunk_reader() -> Pod {
    Pod::scripted(|mut peer| async move {
        while let Some(head) = peer.head().await {
            while find(peer.input(), b"\r\n\r\n").is_none() && peer.more().await.is_some() {}
            let body = String::from_utf8(peer.take()).unwrap();
            peer.note(head + &body);
            peer.send(OK).await;
        }
    })
    .await
}

fn get(version: &str, fields: &str) -> Vec<u8> {
    format!("GET / HTTP/{version}\r\nHost: h\r\nConnection: close\r\n{fields}\r\n").into_bytes()
}

// `elbow.trailers.enabled`; RFC 9110, 6.5.1.
#[test]
fn response_trailers_reach_clients_that_take_them() {
    run(async {
        let pod = Pod::answering(CHUNKED).await;
        let head = "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\n";
        let chunked = format!("{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
        let passed = format!("{chunked}2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n");
        let dropped = format!("{chunked}2\r\nhi\r\n0\r\n\r\n");
        let unframed = format!("{head}Connection: close\r\n\r\nhi");
        let on = Alb::new(&[pod.address], trailers()).await;
        let off = Alb::with_defaults(pod.address).await;
        let table = [
            (&on, get("1.1", "TE: gzip, trailers\r\n"), &passed),
            (&on, get("1.1", ""), &dropped),
            (&on, get("1.0", "TE: trailers\r\n"), &unframed),
            (&off, get("1.1", "TE: trailers\r\n"), &dropped),
        ];
        for (i, (alb, request, expected)) in table.into_iter().enumerate() {
            assert_eq!(alb.talk(&request).await, *expected, "row {i}");
        }
        assert_eq!((on.pools.idle(), off.pools.idle()), (1, 1));
        let te: Vec<_> = pod
            .seen()
            .iter()
            .map(|head| head.contains("TE: "))
            .collect();
        assert_eq!(te, [true, false, true, false]);
        assert!(pod.seen()[0].ends_with("TE: trailers\r\nConnection: TE\r\n\r\n"));
    });
}

#[test]
fn request_trailers_reach_the_target() {
    run(async {
        let pod = chunk_reader().await;
        for attributes in [trailers(), LoadBalancerAttributes::default()] {
            let alb = Alb::new(&[pod.address], attributes).await;
            let mut client = alb.connect().await;
            let head = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
            client.write_all(head).await.unwrap();
            // The trailers arrive in pieces.
            client.write_all(b"2\r\nhi\r\n0\r\nx-su").await.unwrap();
            tokio::task::yield_now().await;
            client
                .write_all(b"m: 7\r\nX-Forwarded-For: 6.6.6.6\r\nHost: evil\r\n\r\n")
                .await
                .unwrap();
            expect(&mut client, OK_KEPT).await;
        }
        let head = format!("PUT / HTTP/1.1\r\nHost: h\r\n{FORWARDED}");
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n");
        assert_eq!(
            pod.seen(),
            [
                format!("{chunked}x-sum: 7\r\n\r\n"),
                format!("{chunked}\r\n")
            ]
        );
    });
}

#[test]
fn malformed_trailers_are_a_bad_request() {
    run(async {
        let pod = chunk_reader().await;
        let alb = Alb::new(&[pod.address], trailers()).await;
        let request = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
                        0\r\nno colon\r\n\r\n";
        let page = error_page(400, "Bad Request", true);
        assert_eq!(alb.talk(request).await, page);
        assert!(pod.seen().is_empty());
    });
}

// `elbow.interim_responses.enabled`; RFC 9110, 15.2.
#[test]
fn interim_responses_reach_clients_of_http11() {
    run(async {
        let pod = Pod::answering(
            b"HTTP/1.1 100 Continue\r\n\r\n\
              HTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n\
              HTTP/1.1 102 Processing\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        )
        .await;
        let alb = Alb::new(&[pod.address], interim()).await;
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
        let answer = alb.talk(&get("1.1", "")).await;
        assert_eq!(answer, format!("{hints}{OK_CLOSED}"));
        assert_eq!(alb.talk(&get("1.0", "")).await, OK_CLOSED);
        assert_eq!(alb.pools.idle(), 1);
    });
}

#[test]
fn an_interim_response_does_not_wait_for_the_final_one() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.request().await;
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
                .await;
            // No final response follows.
            peer.more().await;
        })
        .await;
        let alb = Alb::new(&[pod.address], interim()).await;
        let mut client = alb.connect().await;
        client.write_all(&get("1.1", "")).await.unwrap();
        expect(&mut client, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n").await;
    });
}

#[test]
fn a_target_that_fails_after_an_interim_response_is_still_502() {
    run(async {
        let seen = Rc::new(Notify::new());
        let told = Rc::clone(&seen);
        let pod = Pod::scripted(move |mut peer| {
            let told = Rc::clone(&told);
            async move {
                peer.request().await;
                peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n").await;
                told.notified().await;
            }
        })
        .await;
        let alb = Alb::new(&[pod.address], interim()).await;
        let mut client = alb.connect().await;
        client.write_all(&get("1.1", "")).await.unwrap();
        expect(&mut client, "HTTP/1.1 103 Early Hints\r\n\r\n").await;
        seen.notify_one();
        let page = error_page(502, "Bad Gateway", true);
        assert_eq!(read_to_end(&mut client).await, page);
    });
}

// A target must not keep its client waiting without end.
#[test]
fn interim_responses_without_end_are_502() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.request().await;
            let some = b"HTTP/1.1 102 P\r\n\r\n".repeat(1001);
            for _ in 0..10 {
                peer.send(&some).await;
            }
            peer.more().await;
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let page = error_page(502, "Bad Gateway", true);
        assert_eq!(alb.talk(&get("1.1", "")).await, page);
    });
}

// Backpressure: what the client does not read, the target cannot send.
#[test]
fn a_stalled_client_stops_the_target() {
    run(async {
        const PIECES: usize = 1024;
        let pod = Pod::scripted(|mut peer| async move {
            peer.head().await;
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            let piece = [b"8000\r\n".as_slice(), &[b'x'; 0x8000], b"\r\n"].concat();
            for _ in 0..PIECES {
                peer.send(&piece).await;
                peer.note(String::new());
            }
            peer.send(b"0\r\n\r\n").await;
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        client.write_all(&get("1.1", "")).await.unwrap();
        let mut sent = usize::MAX;
        while sent != pod.seen().len() {
            sent = pod.seen().len();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(sent < PIECES, "the sockets took all of it");
        assert!(alb.worker.buffers.in_use() <= 1);
        let answer = read_to_end(&mut client).await;
        assert!(answer.ends_with("\r\n0\r\n\r\n"));
        assert_eq!(pod.seen().len(), PIECES);
    });
}

//! Limits, timeouts and ends of connections.

use std::time::Duration;

use elbow_model::{Action, ContentType, FixedResponse};
use elbow_telemetry::ShedReason;

use crate::alb::{Alb, flag, get, until};
use crate::kit::{Pod, run, soon};

fn fixed() -> Action {
    Action::FixedResponse(FixedResponse {
        status: 200,
        content_type: ContentType::TextPlain,
        body: "ok".into(),
    })
}

/// A target that responds when the test tells it to.
async fn patient() -> (Pod, impl Fn() -> bool, tokio::sync::watch::Sender<bool>) {
    let (flag, waiting) = flag();
    let (go, wait) = tokio::sync::watch::channel(false);
    let pod = Pod::scripted(move |mut peer| {
        let (flag, mut wait) = (flag.clone(), wait.clone());
        async move {
            while peer.request().await.is_some() {
                *flag.borrow_mut() = true;
                if wait.wait_for(|go| *go).await.is_err() {
                    return;
                }
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                    .await;
            }
        }
    })
    .await;
    (pod, waiting, go)
}

// Parity check 33.
#[test]
fn a_client_may_have_128_streams() {
    run(async {
        let (pod, waiting, go) = patient().await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        client.settle().await;
        assert_eq!(client.send.current_max_send_streams(), 128);
        let mut responses = Vec::new();
        for _ in 0..128 {
            responses.push(client.start(get("/"), false).await.0);
        }
        until("the first is there", waiting).await;
        let pods = || alb.group.targets[0].in_flight();
        until("all are there", || pods() == 128).await;
        go.send(true).unwrap();
        for response in responses {
            assert_eq!(soon(response).await.unwrap().status(), 200);
        }
        assert_eq!(alb.metrics.worker(0).target_responses.get(200), 128);
    });
}

impl crate::alb::Client {
    /// Waits until the ALB's settings are known: they come before its first answer to PING.
    async fn settle(&mut self) {
        soon(self.ping.ping(h2::Ping::opaque())).await.unwrap();
    }
}

// Parity 1.1: GOAWAY and FIN after 10,000 requests.
#[test]
fn a_connection_ends_after_10_000_requests() {
    run(async {
        let alb = Alb::new(fixed(), &[], |_| {});
        let mut client = alb.client().await;
        for _ in 0..10_000 {
            assert_eq!(client.get("/").await.status, 200);
        }
        soon(client.connection).await.unwrap().unwrap();
        soon(client.served).await.unwrap();
        assert!(client.send.ready().await.is_err());
        assert_eq!(alb.metrics.worker(0).elb_responses.get(200), 10_000);
    });
}

// Parity check 34 and 1.13.
#[test]
fn after_the_keep_alive_duration_one_more_request_is_served() {
    run(async {
        let alb = Alb::new(fixed(), &[], |attributes| {
            attributes.client_keep_alive = Duration::ZERO;
        });
        let mut client = alb.client().await;
        assert_eq!(client.get("/").await.status, 200);
        soon(client.connection).await.unwrap().unwrap();
        soon(client.served).await.unwrap();
    });
}

#[test]
fn a_drain_lets_requests_finish_and_then_ends_the_connection() {
    run(async {
        let (pod, waiting, go) = patient().await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        let (response, _) = client.start(get("/"), false).await;
        until("the target waits", waiting).await;
        alb.worker.drain();
        go.send(true).unwrap();
        assert_eq!(soon(response).await.unwrap().status(), 200);
        soon(client.connection).await.unwrap().unwrap();
        soon(client.served).await.unwrap();
        assert_eq!(alb.pools.idle(), 0);
        let idle = Alb::to(&[]);
        let client = idle.client().await;
        idle.worker.drain();
        soon(client.served).await.unwrap();
    });
}

#[test]
fn a_worker_that_stops_answers_503_and_ends_the_connection() {
    run(async {
        let (pod, waiting, _go) = patient().await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        let (response, _) = client.start(get("/"), false).await;
        until("the target waits", waiting).await;
        alb.worker.drain();
        alb.worker.stop();
        assert_eq!(soon(response).await.unwrap().status(), 503);
        soon(client.served).await.unwrap();
        assert_eq!(alb.metrics.worker(0).elb_responses.get(503), 1);
    });
}

// Parity 1.13: idle timeout; PING does not reset it.
#[test]
fn an_idle_connection_ends_whatever_it_pings() {
    run(async {
        let alb = Alb::new(fixed(), &[], |_| {});
        let mut client = alb.client().await;
        assert_eq!(client.get("/").await.status, 200);
        alb.pass(Duration::from_secs(50));
        soon(client.ping.ping(h2::Ping::opaque())).await.unwrap();
        assert!(!client.served.is_finished());
        alb.pass(Duration::from_secs(11));
        soon(client.connection).await.unwrap().unwrap();
        soon(client.served).await.unwrap();
    });
}

#[test]
fn requests_reset_the_idle_timeout() {
    run(async {
        let alb = Alb::new(fixed(), &[], |_| {});
        let mut client = alb.client().await;
        for _ in 0..3 {
            alb.pass(Duration::from_secs(50));
            assert_eq!(client.get("/").await.status, 200);
        }
    });
}

// A client that does not speak HTTP/2 despite ALPN.
#[test]
fn garbage_ends_the_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    run(async {
        let alb = Alb::new(fixed(), &[], |_| {});
        let (mut stream, served) = alb.raw().await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        soon(served).await.unwrap();
    });
}

/// A frame of HTTP/2 with `flags`.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

// CVE-2023-44487: streams that are reset as soon as they are opened.
#[test]
fn rapid_resets_end_the_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const ENHANCE_YOUR_CALM: u32 = 11;
    run(async {
        let (pod, _, _go) = patient().await;
        let alb = Alb::to(&[pod.address]);
        let (mut stream, served) = alb.raw().await;
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, 0, &[]));
        for id in (1..400).step_by(2) {
            // HEADERS that end headers and stream: GET https / with authority h; then RST_STREAM.
            bytes.extend(frame(1, 0x5, id, &[0x82, 0x87, 0x84, 0x41, 1, b'h']));
            bytes.extend(frame(3, 0, id, &8_u32.to_be_bytes()));
        }
        stream.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        soon(served).await.unwrap();
        let calm = ENHANCE_YOUR_CALM.to_be_bytes();
        let goaway = answer.windows(17).any(|w| w[3] == 7 && w[13..17] == calm);
        assert!(goaway, "GOAWAY in {answer:?}");
        assert_eq!(alb.telemetry.shed.get(ShedReason::Http2Flood), 1);
        let in_flight = || alb.group.targets[0].in_flight();
        until("nothing is left in progress", || in_flight() == 0).await;
    });
}

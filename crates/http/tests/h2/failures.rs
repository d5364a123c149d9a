//! Requests that fail.

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use elbow_model::ProtocolVersion;

use crate::alb::{Alb, flag, get, method, until, whole};
use crate::kit::{Pod, error_page, run, soon};
use crate::requests::OK;

/// The body of an error page.
fn body(status: u16, text: &str) -> String {
    let page = error_page(status, text, false);
    page.split_once("\r\n\r\n").unwrap().1.to_owned()
}

// Parity checks 1, 2, 5 and 1.10.
#[test]
fn targets_that_fail_are_answered_with_pages() {
    run(async {
        let none = Alb::to(&[]);
        let answer = none.client().await.get("/").await;
        assert_eq!(answer.status, 503);
        let page = body(503, "Service Temporarily Unavailable");
        assert_eq!(answer.body, page.as_bytes());

        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = unused.local_addr().unwrap();
        drop(unused);
        let alb = Alb::to(&[refused]);
        let answer = alb.client().await.get("/").await;
        assert_eq!(answer.status, 502);
        assert_eq!(answer.body, body(502, "Bad Gateway").as_bytes());
        assert_eq!(alb.metrics.worker(0).connect_errors.get(), 1);
        assert!(alb.lines()[0].contains(" -1 -1 -1 502 - "));

        for response in [
            "",
            "HTTP/1.1 200 OK\r\nContent-",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        ] {
            let pod = Pod::scripted(move |mut peer| async move {
                peer.request().await;
                peer.send(response.as_bytes()).await;
            })
            .await;
            let alb = Alb::to(&[pod.address]);
            let answer = alb.client().await.get("/").await;
            assert_eq!(answer.status, 502, "{response:?}");
            assert_eq!(pod.seen().len(), 1);
            assert_eq!(alb.metrics.worker(0).elb_responses.get(502), 1);
        }
    });
}

// Parity 1.1: whole response header 32 K.
#[test]
fn a_response_head_beyond_32_k_is_502() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.request().await;
            peer.send(b"HTTP/1.1 200 OK\r\n").await;
            for i in 0..40 {
                let line = format!("X-{i}: {}\r\n", "a".repeat(1024));
                peer.send(line.as_bytes()).await;
            }
        })
        .await;
        let alb = Alb::to(&[pod.address]);
        assert_eq!(alb.client().await.get("/").await.status, 502);
    });
}

// Parity 1.1 and 1.10: limits of a request; TRACE.
#[test]
fn requests_beyond_the_limits_are_refused() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        let long = "a".repeat(16 * 1024);
        assert_eq!(client.get(&format!("/{long}")).await.status, 414);
        let mut request = get("/");
        request
            .headers_mut()
            .insert("x-long", long.parse().unwrap());
        assert_eq!(client.ask(request).await.unwrap().status, 400);
        let answer = client.ask(method("TRACE", "/")).await.unwrap();
        assert_eq!(answer.status, 405);
        let list = ["10.0.0.1"; 31].join(",");
        let mut request = get("/");
        let value = list.parse().unwrap();
        request.headers_mut().insert("x-forwarded-for", value);
        assert_eq!(client.ask(request).await.unwrap().status, 463);
        // The connection still works.
        assert_eq!(client.get("/").await.status, 200);
        assert_eq!(pod.seen().len(), 1);
    });
}

// Parity 1.2 and check 33: gRPC to an HTTP1 group.
#[test]
fn grpc_to_an_http1_group_is_464() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::to(&[pod.address]);
        let mut request = method("POST", "/pkg.Service/Call");
        let value = "application/grpc+proto".parse().unwrap();
        request.headers_mut().insert("content-type", value);
        let answer = alb.client().await.ask(request).await.unwrap();
        assert_eq!(answer.status, 464);
        assert_eq!(answer.fields["grpc-status"], "2");
        assert!(pod.seen().is_empty());
    });
}

#[test]
fn grpc_without_targets_is_503_and_unavailable() {
    run(async {
        let none = Alb::speaking(ProtocolVersion::Grpc, &[]);
        let mut request = method("POST", "/pkg.Service/Call");
        let value = "application/grpc".parse().unwrap();
        request.headers_mut().insert("content-type", value);
        let answer = none.client().await.ask(request).await.unwrap();
        assert_eq!(answer.status, 503);
        assert_eq!(answer.fields["grpc-status"], "14");
        assert_eq!(answer.fields["grpc-message"], "unavailable");
    });
}

// Parity check 4.
#[test]
fn a_silent_target_is_504() {
    run(async {
        let (flag, waiting) = flag();
        let pod = Pod::scripted(move |mut peer| {
            let flag = flag.clone();
            async move {
                peer.request().await;
                *flag.borrow_mut() = true;
                peer.more().await;
            }
        })
        .await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        let (response, _) = client.start(get("/"), false).await;
        until("the target waits", waiting).await;
        alb.pass(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert_eq!(alb.metrics.worker(0).elb_responses.get(504), 0);
        alb.pass(Duration::from_secs(2));
        let answer = whole(soon(response).await.unwrap()).await.unwrap();
        assert_eq!(answer.status, 504);
        assert_eq!(answer.body, body(504, "Gateway Time-out").as_bytes());
        drop(client);
        assert!(alb.lines()[0].contains(" -1 -1 -1 504 - "));
    });
}

// Parity 1.10: the client has not sent all of its body.
#[test]
fn a_client_that_is_silent_in_its_body_is_504() {
    run(async {
        let (flag, waiting) = flag();
        let pod = Pod::scripted(move |mut peer| {
            let flag = flag.clone();
            async move {
                peer.head().await;
                while peer.unread() < 3 && peer.more().await.is_some() {}
                *flag.borrow_mut() = true;
                peer.more().await;
            }
        })
        .await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        let mut request = method("PUT", "/");
        let length = "5".parse().unwrap();
        request.headers_mut().insert("content-length", length);
        let (response, mut upload) = client.start(request, true).await;
        upload.send_data(Bytes::from_static(b"abc"), false).unwrap();
        until("the target waits", waiting).await;
        alb.pass(Duration::from_secs(61));
        let answer = whole(soon(response).await.unwrap()).await.unwrap();
        assert_eq!(answer.status, 504);
    });
}

// Parity 1.10: once the head is sent, the stream can only be reset.
#[test]
fn a_response_that_breaks_off_resets_its_stream_alone() {
    run(async {
        let (go, wait) = tokio::sync::watch::channel(false);
        let pod = Pod::scripted(move |mut peer| {
            let mut wait = wait.clone();
            async move {
                let request = peer.request().await.unwrap();
                if request.starts_with("GET /ok ") {
                    return peer.send(OK).await;
                }
                let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
                peer.send(half).await;
                wait.wait_for(|go| *go).await.unwrap();
            }
        })
        .await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        let (response, _) = client.start(get("/"), false).await;
        let response = soon(response).await.unwrap();
        go.send(true).unwrap();
        let error = whole(response).await.unwrap_err();
        assert!(error.is_reset() && error.is_remote(), "{error}");
        assert_eq!(client.get("/ok").await.body, b"hi");
    });
}

// Parity 1.10: 460, only in the log.
#[test]
fn a_stream_reset_by_the_client_frees_its_target() {
    run(async {
        let (started, has_started) = flag();
        let (ended, has_ended) = flag();
        let pod = Pod::scripted(move |mut peer| {
            let (started, ended) = (started.clone(), ended.clone());
            async move {
                peer.request().await;
                *started.borrow_mut() = true;
                assert!(peer.more().await.is_none());
                *ended.borrow_mut() = true;
            }
        })
        .await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        let (response, mut body) = client.start(get("/"), false).await;
        until("the request is there", has_started).await;
        body.send_reset(h2::Reason::CANCEL);
        assert!(soon(response).await.is_err());
        until("the target is free", has_ended).await;
        assert_eq!(alb.metrics.worker(0).elb_responses.get(460), 1);
        assert_eq!(alb.group.targets[0].in_flight(), 0);
        drop(client);
        assert!(alb.lines()[0].contains(" -1 -1 -1 460 - "));
    });
}

// An S3 target may refuse a PUT before it has read it. A client with little left to send ends its request itself.
#[test]
fn an_early_answer_does_not_wait_for_the_body() {
    for (length, is_reset) in [(9, false), (10_000_000, true)] {
        run(async {
            let pod = Pod::scripted(|mut peer| async move {
                peer.head().await;
                peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
                    .await;
                while peer.more().await.is_some() {}
            })
            .await;
            let alb = Alb::to(&[pod.address]);
            let mut client = alb.client().await;
            let mut request = method("PUT", "/key");
            let fields = request.headers_mut();
            fields.insert("content-length", length.into());
            let (response, mut body) = client.start(request, true).await;
            body.send_data(Bytes::from_static(b"half"), false).unwrap();
            let answer = whole(soon(response).await.unwrap()).await.unwrap();
            assert_eq!((answer.status.as_u16(), &*answer.body), (403, &b"no"[..]));
            assert_eq!(alb.pools.idle(), 0);
            let mut reset = std::pin::pin!(std::future::poll_fn(|cx| body.poll_reset(cx)));
            if is_reset {
                assert_eq!(soon(reset).await.unwrap(), h2::Reason::NO_ERROR);
                return;
            }
            // Whatever came before the next response is here.
            assert_eq!(client.get("/").await.status, 403);
            assert!(
                std::future::poll_fn(|cx| Poll::Ready(reset.as_mut().poll(cx)))
                    .await
                    .is_pending()
            );
        });
    }
}

// Parity check 31: still-running requests are cut at the end of the deregistration delay.
#[test]
fn terminated_connection_fails_its_requests() {
    run(async {
        let (flag, waiting) = flag();
        let pod = Pod::scripted(move |mut peer| {
            let flag = flag.clone();
            async move {
                peer.request().await;
                *flag.borrow_mut() = true;
                peer.more().await;
            }
        })
        .await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        let (response, _) = client.start(get("/"), false).await;
        until("the target waits", waiting).await;
        alb.group.targets[0].terminate_connections();
        alb.worker.timers.wake_all();
        assert_eq!(soon(response).await.unwrap().status(), 502);
    });
}

//! Sequences of requests: reuse, pipelining, heads, interim responses, log lines.

use elbow_model::LoadBalancerAttributes;
use tokio::io::AsyncWriteExt;

use crate::kit::{Alb, FORWARDED, Pod, error_page, expect, read_to_end, run, soon};

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
pub(crate) const OK_KEPT: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi";
pub(crate) const OK_CLOSED: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";

#[test]
fn a_request_reaches_the_target_byte_for_byte() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::with_defaults(pod.address).await;
        let request = "GET /a%2Fb//c/../d?x=%20&y HTTP/1.1\r\nHost: H:80\r\nUser-Agent: t\r\n\
                       Connection: close\r\n\r\n";
        assert_eq!(alb.talk(request.as_bytes()).await, OK_CLOSED);
        let seen = format!(
            "GET /a%2Fb//c/../d?x=%20&y HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\n{FORWARDED}\r\n"
        );
        assert_eq!(pod.seen(), [seen]);
    });
}

#[test]
fn connections_are_kept_on_both_sides() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        for _ in 0..5 {
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                .await
                .unwrap();
            expect(&mut client, OK_KEPT).await;
        }
        assert_eq!(alb.pools.idle(), 1);
        // Another client uses the same connection to the target.
        let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        assert_eq!(alb.talk(request).await, OK_CLOSED);
        assert_eq!((pod.seen().len(), *pod.connections.borrow()), (6, 1));
        let cells = alb.metrics.worker(0);
        assert_eq!((cells.pool_opened.get(), cells.pool_reused.get()), (1, 5));
        assert_eq!(cells.target_responses.get(200), 6);
    });
}

// Parity 1.1: pipelining is accepted on the front, and never used to targets.
#[test]
fn pipelined_requests_are_answered_in_order() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            while let Some(request) = peer.request().await {
                // The second request must not arrive before the first response is sent.
                assert_eq!(peer.unread(), 0);
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", path.len());
                peer.send((head + &path).as_bytes()).await;
            }
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let response = alb
            .talk(
                b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\n\
                  Content-Length: 3\r\n\r\nabc\r\nPUT /3 HTTP/1.1\r\nHost: h\r\n\
                  Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n\
                  GET /4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            )
            .await;
        let answer = |path, connection| {
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: {connection}\r\n\r\n{path}"
            )
        };
        let kept = ["/1", "/2", "/3"].map(|path| answer(path, "keep-alive"));
        assert_eq!(response, kept.concat() + &answer("/4", "close"));
    });
}

#[test]
fn peers_that_send_one_byte_at_a_time_are_served() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            while peer.request().await.is_some() {
                let response =
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
                for byte in response {
                    peer.send(&[*byte]).await;
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        let request = b"PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
                        Connection: close\r\n\r\n5;x=y\r\nhello\r\n0\r\nt: 1\r\n\r\n";
        for byte in request {
            client.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let response = read_to_end(&mut client).await;
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close"
        );
        assert_eq!(unchunk(body), "abc");
        let seen = pod.seen().concat();
        let (head, body) = seen.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with("\r\nTransfer-Encoding: chunked"), "{head}");
        assert_eq!(unchunk(body), "hello");
    });
}

/// The data of a complete chunked body.
pub(crate) fn unchunk(body: &str) -> String {
    let mut rest = body;
    let mut data = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        data += &after[..size];
        rest = after[size..].strip_prefix("\r\n").unwrap();
        if size == 0 {
            assert_eq!(rest, "");
            return data;
        }
    }
}

#[test]
fn responses_without_a_body_end_with_their_head() {
    run(async {
        let table: &[(&str, &[u8], &str)] = &[
            (
                "HEAD",
                b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: keep-alive\r\n\r\n",
            ),
            (
                "HEAD",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n",
            ),
            (
                "GET",
                b"HTTP/1.1 204 No Content\r\n\r\n",
                "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n",
            ),
            (
                "GET",
                b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 7\r\n\r\n",
                "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 7\r\n\
                 Connection: keep-alive\r\n\r\n",
            ),
            (
                "GET",
                b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 200 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            ),
        ];
        for (method, response, expected) in table {
            let pod = Pod::answering(response).await;
            let alb = Alb::with_defaults(pod.address).await;
            let mut client = alb.connect().await;
            for _ in 0..2 {
                let request = format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n");
                client.write_all(request.as_bytes()).await.unwrap();
                expect(&mut client, expected).await;
            }
            assert_eq!(*pod.connections.borrow(), 1, "{expected}");
        }
    });
}

#[test]
fn interim_responses_of_targets_are_dropped() {
    run(async {
        let pod = Pod::answering(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        )
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        assert_eq!(alb.talk(request).await, OK_CLOSED);
    });
}

#[test]
fn hop_by_hop_fields_of_targets_are_dropped() {
    run(async {
        let pod = Pod::answering(
            b"HTTP/1.1 200 Fine\r\nServer: pod\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
              Keep-Alive: timeout=5\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nhi",
        )
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        assert_eq!(
            alb.talk(request).await,
            "HTTP/1.1 200 Fine\r\nServer: pod\r\nX-B: 2\r\nContent-Length: 2\r\n\
             Connection: close\r\n\r\nhi"
        );
    });
}

// Parity 1.1: ALB creates a Host header with its DNS name.
#[test]
fn http10_is_served() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::with_defaults(pod.address).await;
        assert_eq!(alb.talk(b"GET / HTTP/1.0\r\n\r\n").await, OK_CLOSED);
        assert_eq!(
            pod.seen(),
            [format!(
                "GET / HTTP/1.1\r\nHost: lb.localhost\r\n{FORWARDED}\r\n"
            )]
        );
        let mut client = alb.connect().await;
        for _ in 0..2 {
            client
                .write_all(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                .await
                .unwrap();
            expect(&mut client, OK_KEPT).await;
        }
    });
}

#[test]
fn an_absolute_target_is_forwarded_in_origin_form() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::with_defaults(pod.address).await;
        let request = b"GET http://Dns_Name/x?y HTTP/1.1\r\nHost: example.com\r\n\
                        Connection: close\r\n\r\n";
        assert_eq!(alb.talk(request).await, OK_CLOSED);
        assert_eq!(
            pod.seen(),
            [format!(
                "GET /x?y HTTP/1.1\r\nHost: dns_name\r\n{FORWARDED}\r\n"
            )]
        );
    });
}

#[test]
fn a_fixed_response_keeps_the_connection_when_the_body_is_here() {
    run(async {
        let alb = Alb::fixed().await;
        let response = alb
            .talk(
                b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody\
                  HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            )
            .await;
        let page = |connection: &str| {
            format!(
                "HTTP/1.1 200 OK\r\nServer: awselb/2.0\r\nDate: DATE\r\n\
                 Content-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\
                 Connection: {connection}\r\n\r\n"
            )
        };
        assert_eq!(response, page("keep-alive") + "ok" + &page("close"));
    });
}

// Parity 1.13 and check 34: one more request is served, with `Connection: close`.
#[test]
fn the_keep_alive_limit_ends_with_a_last_request() {
    run(async {
        let pod = Pod::answering(OK).await;
        let attributes = LoadBalancerAttributes {
            client_keep_alive: std::time::Duration::ZERO,
            ..LoadBalancerAttributes::default()
        };
        let alb = Alb::new(&[pod.address], attributes).await;
        let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(alb.talk(request).await, OK_CLOSED);
    });
}

#[test]
fn draining_ends_idle_connections_and_lets_requests_finish() {
    run(async {
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let wait = std::rc::Rc::new(std::cell::RefCell::new(Some(wait)));
        let pod = Pod::scripted(move |mut peer| {
            let wait = wait.borrow_mut().take();
            async move {
                peer.request().await;
                if let Some(wait) = wait {
                    let _ = wait.await;
                }
                peer.send(OK).await;
                peer.request().await;
            }
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut idle = alb.connect().await;
        let mut busy = alb.connect().await;
        busy.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .unwrap();
        while pod.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        alb.worker.drain();
        assert_eq!(read_to_end(&mut idle).await, "");
        go.send(()).unwrap();
        assert_eq!(read_to_end(&mut busy).await, OK_CLOSED);
        assert_eq!(alb.pools.idle(), 0);
    });
}

// Parity 1.15, and the log lines of checks 1, 2 and 19.
#[test]
fn requests_are_logged_with_their_outcome() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::with_defaults(pod.address).await;
        alb.talk(
            b"POST /p?q HTTP/1.1\r\nHost: h\r\nUser-Agent: a \"b\"\r\nContent-Length: 1\r\n\
              Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        )
        .await;
        alb.talk(b"BROKEN\r\n\r\n").await;
        let lines = alb.lines();
        let fields: Vec<&str> = lines[0].split(' ').collect();
        assert_eq!(fields[0], "http");
        assert!(fields[2].starts_with("app/demo/"), "{}", fields[2]);
        assert_eq!(fields[4], pod.address.to_string());
        assert_eq!((fields[8], fields[9]), ("200", "200"));
        // Head 97 and body 11; head 57 and body 2.
        assert_eq!(fields[10..12], ["108", "59"]);
        assert!(
            lines[0].contains(" \"POST http://h:80/p?q HTTP/1.1\" \"a \\x22b\\x22\" - - arn:"),
            "{}",
            lines[0]
        );
        assert!(lines[0].contains(" \"Root=1-"), "{}", lines[0]);
        assert!(
            lines[0].contains(" \"Ambiguous\" \"BothTeClPresent\" TID_"),
            "{}",
            lines[0]
        );
        assert!(lines[1].contains(" - -1 -1 -1 400 - "), "{}", lines[1]);
        assert!(
            lines[1].contains(" \"Severe\" \"BadMethod\" TID_"),
            "{}",
            lines[1]
        );
    });
}

#[test]
fn an_empty_group_is_503_and_a_refused_connect_502() {
    run(async {
        let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        let alb = Alb::new(&[], LoadBalancerAttributes::default()).await;
        let page = error_page(503, "Service Temporarily Unavailable", true);
        assert_eq!(alb.talk(request).await, page);
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let alb = Alb::with_defaults(address).await;
        assert_eq!(
            alb.talk(request).await,
            error_page(502, "Bad Gateway", true)
        );
        assert_eq!(alb.metrics.worker(0).connect_errors.get(), 1);
        let lines = alb.lines();
        assert!(
            lines[0].contains(&format!(" {address} -1 -1 -1 502 - ")),
            "{}",
            lines[0]
        );
    });
}

#[test]
fn a_websocket_is_relayed_until_it_ends() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.request().await;
            peer.send(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                  Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nearly",
            )
            .await;
            while peer.unread() < 4 && peer.more().await.is_some() {}
            peer.send(b"pong").await;
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        client
            .write_all(
                b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n\
                  Upgrade: websocket\r\n\r\n",
            )
            .await
            .unwrap();
        let switched = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\
                        Connection: upgrade\r\nUpgrade: websocket\r\n\r\nearly";
        expect(&mut client, switched).await;
        client.write_all(b"ping").await.unwrap();
        expect(&mut client, "pong").await;
        assert!(
            pod.seen()[0].contains("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"),
            "{:?}",
            pod.seen()
        );
        drop(client);
        soon(async {
            while alb.group.targets[0].in_flight() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let lines = alb.lines();
        assert!(lines[0].starts_with("ws "), "{}", lines[0]);
        assert!(lines[0].contains(" 101 101 "), "{}", lines[0]);
    });
}

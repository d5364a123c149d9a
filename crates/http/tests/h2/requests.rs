//! Single requests and their responses.

use bytes::Bytes;
use elbow_model::{
    Action, ContentType, FixedResponse, Redirect, RedirectStatus, XffHeaderProcessingMode,
};
use http::Request;

use crate::alb::{Alb, get, method, until, whole};
use crate::kit::{Pod, run, soon};

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nServer: pod\r\nContent-Length: 2\r\n\r\nhi";

/// The lines that a target gets behind the client's own.
pub(crate) const FORWARDED: &str = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n\
                         X-Forwarded-Port: 443\r\nX-Amzn-Trace-Id: TRACE\r\n";

// Parity 1.7 and 1.8: cookies and added fields are those of HTTP/1.1, on responses of targets and on local ones.
#[test]
fn cookies_and_added_fields_are_those_of_http_1_1() {
    const POD: &[u8] = b"HTTP/1.1 200 OK\r\nX-Frame-Options: SAMEORIGIN\r\nSet-Cookie: a=b\r\n\
                         Server: pod\r\nContent-Length: 2\r\n\r\nhi";
    run(async {
        let pods = [Pod::answering(POD).await, Pod::answering(POD).await];
        let more = elbow_model::ListenerAttributes {
            hides_server: true,
            response_headers: vec![("X-Frame-Options", "DENY".into())],
            ..Default::default()
        };
        let alb = Alb::sticky(&pods.each_ref().map(|pod| pod.address), more);
        let mut client = alb.client().await;
        let answer = client.get("/").await;
        let lines = answer.lines();
        let (cookies, others): (Vec<_>, Vec<_>) = lines
            .iter()
            .partition(|line| line.starts_with("set-cookie: AWSALB"));
        let expected = [
            "content-length: 2",
            "server: pod",
            "set-cookie: a=b",
            "x-frame-options: DENY",
        ];
        assert_eq!(others, expected.each_ref());
        assert_eq!(cookies.len(), 2, "{cookies:?}");
        let pair = cookies[0].split([' ', ';']).nth(1).unwrap();
        for _ in 0..3 {
            let mut request = get("/");
            let value = pair.parse().unwrap();
            request.headers_mut().insert("cookie", value);
            assert_eq!(client.ask(request).await.unwrap().status, 200);
        }
        let mut seen = pods.each_ref().map(|pod| pod.seen().len());
        seen.sort_unstable();
        assert_eq!(seen, [0, 4]);
        for target in &alb.group.targets {
            target.set_state(elbow_model::TargetState::Draining);
        }
        let answer = client.get("/").await;
        assert_eq!(answer.status, 503);
        assert!(answer.fields.get("server").is_none());
        assert_eq!(answer.fields["x-frame-options"], "DENY");
        assert!(answer.fields.get("set-cookie").is_none());
    });
}

// Parity 1.11: names, Host, cookie crumbs; 1.15: type h2.
#[test]
fn a_request_goes_on_in_http_1_1() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        let request = Request::get("https://H.example:443/a%2Fb//../c?x=%20&y")
            .header("User-Agent", "t")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("te", "trailers")
            .header("expect", "100-continue")
            .header("x-amz-date", "d")
            .body(())
            .unwrap();
        let answer = client.ask(request).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, b"hi");
        assert_eq!(answer.lines(), ["content-length: 2", "server: pod"]);
        assert_eq!(
            pod.seen(),
            [format!(
                "GET /a%2Fb//../c?x=%20&y HTTP/1.1\r\nHost: h.example\r\nuser-agent: t\r\n\
                 cookie: a=1; b=2\r\nx-amz-date: d\r\n{FORWARDED}\r\n"
            )]
        );
        drop(client);
        let lines = alb.lines();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("h2 "), "{}", lines[0]);
        let expected = "\"GET https://h.example:443/a%2Fb//../c?x=%20&y HTTP/2.0\" \"t\" \
                        TLS_AES_128_GCM_SHA256 TLSv1.3";
        assert!(
            lines[0].to_lowercase().contains(&expected.to_lowercase()),
            "{}",
            lines[0]
        );
    });
}

#[test]
fn requests_share_a_connection_to_the_target() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        for _ in 0..3 {
            assert_eq!(client.get("/").await.body, b"hi");
        }
        assert_eq!(*pod.connections.borrow(), 1);
        assert_eq!(alb.pools.idle(), 1);
        let cells = alb.metrics.worker(0);
        assert_eq!((cells.pool_opened.get(), cells.pool_reused.get()), (1, 2));
        assert_eq!(cells.target_responses.get(200), 3);
    });
}

// Parity 1.11: hop-by-hop fields stay between neighbours.
#[test]
fn responses_lose_fields_that_http_2_forbids() {
    run(async {
        let pod = Pod::answering(
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive, x-private\r\nKeep-Alive: timeout=5\r\n\
              X-Private: 1\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\nX-Mixed: Kept\r\n\
              Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n5;ext\r\nhello\r\n6\r\n world\r\n0\r\n\
              X-Trailer: t\r\n\r\n",
        )
        .await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        let answer = client.get("/").await;
        assert_eq!(answer.body, b"hello world");
        assert_eq!(
            answer.lines(),
            ["set-cookie: a=1", "set-cookie: b=2", "x-mixed: Kept"]
        );
        assert_eq!(alb.pools.idle(), 1);
    });
}

#[test]
fn responses_without_a_body_end_with_their_head() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            while let Some(request) = peer.request().await {
                peer.send(match &request[..9] {
                    "HEAD / HT" => b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
                    "GET /204 " => b"HTTP/1.1 204 No Content\r\n\r\n",
                    "GET /304 " => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
                    _ => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".as_slice(),
                })
                .await;
            }
        })
        .await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        for (request, status, length) in [
            (method("HEAD", "/"), 200, Some("7")),
            (get("/204"), 204, None),
            (get("/304"), 304, Some("9")),
            (get("/empty"), 200, Some("0")),
        ] {
            let answer = client.ask(request).await.unwrap();
            assert_eq!(answer.status, status);
            let found = answer.fields.get("content-length");
            assert_eq!(found.map(|l| l.to_str().unwrap()), length, "{status}");
            assert!(answer.body.is_empty());
        }
        assert_eq!(*pod.connections.borrow(), 1);
    });
}

// HTTP/2 clients get no interim responses (parity 1.11).
#[test]
fn interim_responses_are_dropped() {
    run(async {
        let pod = Pod::answering(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
              HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\n!",
        )
        .await;
        let alb = Alb::to(&[pod.address]);
        let answer = alb.client().await.get("/").await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (201, &b"!"[..]));
        assert_eq!(alb.pools.idle(), 1);
    });
}

#[test]
fn a_body_until_close_ends_with_the_connection() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.request().await;
            peer.send(b"HTTP/1.0 200 OK\r\n\r\nall of it").await;
        })
        .await;
        let alb = Alb::to(&[pod.address]);
        let answer = alb.client().await.get("/").await;
        assert_eq!(answer.body, b"all of it");
        assert_eq!(alb.pools.idle(), 0);
    });
}

#[test]
fn bodies_go_up_with_their_length_or_in_chunks() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        for length in [Some("11"), None] {
            let mut request = method("PUT", "/key");
            if let Some(length) = length {
                let value = length.parse().unwrap();
                request.headers_mut().insert("content-length", value);
            }
            let (response, mut body) = client.start(request, true).await;
            body.send_data(Bytes::from_static(b"hello "), false)
                .unwrap();
            body.send_data(Bytes::from_static(b"world"), false).unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("x-checksum", "1".parse().unwrap());
            body.send_trailers(trailers).unwrap();
            assert_eq!(soon(response).await.unwrap().status(), 200);
        }
        let seen = pod.seen();
        let head = "PUT /key HTTP/1.1\r\nHost: h.example\r\n";
        assert_eq!(
            seen[0],
            format!("{head}{FORWARDED}Content-Length: 11\r\n\r\nhello world")
        );
        let chunked = format!("{head}{FORWARDED}Transfer-Encoding: chunked\r\n\r\n");
        let body = seen[1].strip_prefix(&chunked).unwrap();
        // What came at once is one chunk.
        let bodies = [
            "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n",
            "b\r\nhello world\r\n0\r\n\r\n",
        ];
        assert!(bodies.contains(&body), "{body:?}");
        until("both are reusable", || alb.pools.idle() == 1).await;
        assert_eq!(*pod.connections.borrow(), 1);
    });
}

#[test]
fn a_put_without_a_body_says_so() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::to(&[pod.address]);
        alb.client().await.ask(method("PUT", "/")).await.unwrap();
        let expected =
            format!("PUT / HTTP/1.1\r\nHost: h.example\r\n{FORWARDED}Content-Length: 0\r\n\r\n");
        assert_eq!(pod.seen(), [expected]);
    });
}

#[test]
fn large_bodies_pass_both_ways_at_once() {
    run(async {
        const LENGTH: usize = 3 << 20;
        let pod = Pod::scripted(|mut peer| async move {
            peer.head().await;
            // Bytes that came with the head are not echoed.
            let length = LENGTH - peer.unread();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            peer.send(head.as_bytes()).await;
            let (mut from, mut to) = peer.stream.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
        })
        .await;
        let alb = Alb::to(&[pod.address]);
        let mut client = alb.client().await;
        let mut request = method("POST", "/echo");
        request
            .headers_mut()
            .insert("content-length", LENGTH.into());
        let (response, mut body) = client.start(request, true).await;
        let sent: Vec<u8> = (0..LENGTH).map(|i| (i * 7 + i / 251) as u8).collect();
        let bytes = Bytes::from(sent.clone());
        let upload = async {
            let mut rest = bytes;
            while !rest.is_empty() {
                body.reserve_capacity(rest.len());
                let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await;
                let piece = rest.split_to(room.unwrap().unwrap().min(rest.len()));
                body.send_data(piece, rest.is_empty()).unwrap();
            }
        };
        let download = async { whole(response.await.unwrap()).await.unwrap() };
        let ((), answer) = soon(async { tokio::join!(upload, download) }).await;
        assert!(sent.ends_with(&answer.body), "other bytes came back");
        assert!(answer.body.len() > LENGTH / 2, "{}", answer.body.len());
    });
}

// Parity check 28, 27 and 1.10, over HTTP/2: the same answers without Connection.
#[test]
fn local_responses_are_those_of_http_1_1() {
    run(async {
        let fixed = Action::FixedResponse(FixedResponse {
            status: 403,
            content_type: ContentType::TextPlain,
            body: "no".into(),
        });
        let alb = Alb::new(fixed, &[], |_| {});
        let mut client = alb.client().await;
        let expected = [
            "content-length: 2",
            "content-type: text/plain; charset=utf-8",
            "date: DATE",
            "server: awselb/2.0",
        ];
        let answer = client.get("/").await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (403, &b"no"[..]));
        assert_eq!(answer.lines(), expected);
        let answer = client.ask(method("HEAD", "/")).await.unwrap();
        assert_eq!((answer.status.as_u16(), &*answer.body), (403, &b""[..]));
        assert_eq!(answer.lines(), expected);
        assert_eq!(alb.metrics.worker(0).fixed_responses.get(), 2);
        assert_eq!(alb.metrics.worker(0).elb_responses.get(403), 2);

        let redirect = Action::Redirect(Redirect {
            protocol: "#{protocol}".into(),
            port: "#{port}".into(),
            host: "new.#{host}".into(),
            path: "/#{path}".into(),
            query: "#{query}".into(),
            status: RedirectStatus::Moved,
        });
        let alb = Alb::new(redirect, &[], |_| {});
        let answer = alb.client().await.get("/a?b").await;
        assert_eq!(answer.status, 301);
        assert_eq!(answer.fields["location"], "https://new.h.example:443/a?b");
        assert_eq!(answer.body.len(), 134);
        let line = &alb.lines()[0];
        assert!(
            line.contains("\"redirect\" \"https://new.h.example:443/a?b\""),
            "{line}"
        );
        // Parity 1.15, field 18: with a target or without.
        assert!(line.contains(" \"Root=1-"), "{line}");
    });
}

// Parity check 11, over HTTP/2.
#[test]
fn attributes_hold_for_http_2() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::new(crate::alb::forward(), &[pod.address], |attributes| {
            attributes.xff_header_processing_mode = XffHeaderProcessingMode::Remove;
            attributes.tls_version_and_cipher_headers = true;
            attributes.drop_invalid_header_fields = true;
        });
        let mut request = get("/");
        request
            .headers_mut()
            .insert("x_invalid", "1".parse().unwrap());
        alb.client().await.ask(request).await.unwrap();
        let expected = "GET / HTTP/1.1\r\nHost: h.example\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Port: 443\r\nx-amzn-tls-version: TLSv1.3\r\n\
             x-amzn-tls-cipher-suite: TLS_AES_128_GCM_SHA256\r\nX-Amzn-Trace-Id: TRACE\r\n\r\n";
        assert_eq!(pod.seen(), [expected]);
    });
}

//! Target groups of HTTP/2 and gRPC.

use bytes::Bytes;
use elbow_model::ProtocolVersion;
use h2::Reason;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::task::{spawn_local, yield_now};

use crate::alb::{Alb, Answer, Client, get, method, until, whole};
use crate::kit::{run, soon};
use crate::target::{Call, Target, frame};

/// A message as gRPC frames it.
fn message(text: &str) -> Bytes {
    let mut message = vec![0];
    message.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
    message.extend_from_slice(text.as_bytes());
    message.into()
}

/// A call of the method at `path`.
fn call(path: &str) -> Request<()> {
    let mut request = method("POST", path);
    let fields = request.headers_mut();
    fields.insert("content-type", "application/grpc".parse().unwrap());
    fields.insert("te", "trailers".parse().unwrap());
    request
}

/// Sends one message, and waits for the whole response with its trailers.
pub(crate) async fn unary(client: &mut Client, text: &str) -> (Answer, Option<HeaderMap>) {
    let (response, mut body) = client.start(call("/echo.Echo/Say"), true).await;
    body.send_data(message(text), true).unwrap();
    let mut response = soon(response).await.unwrap();
    let stream = response.body_mut();
    let mut data = Vec::new();
    while let Some(part) = soon(stream.data()).await {
        let part = part.unwrap();
        stream.flow_control().release_capacity(part.len()).unwrap();
        data.extend_from_slice(&part);
    }
    let trailers = soon(stream.trailers()).await.unwrap();
    let answer = Answer {
        status: response.status(),
        fields: response.headers().clone(),
        body: data,
    };
    (answer, trailers)
}

fn grpc_status(trailers: Option<HeaderMap>) -> Option<HeaderValue> {
    trailers?.get("grpc-status").cloned()
}

/// Returns the message it gets.
async fn echo(mut call: Call) {
    let (body, _) = call.body().await;
    call.answer(&body, Some("0"));
}

#[test]
fn a_unary_call_passes_with_metadata_and_trailers() {
    run(async {
        let target = Target::new(|call: Call| async move {
            let request = &call.request;
            let mut fields: Vec<_> = request
                .headers()
                .iter()
                .filter(|(name, _)| **name != "x-amzn-trace-id")
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                .collect();
            fields.sort();
            let (method, uri) = (request.method(), request.uri());
            call.notes
                .push(format!("{method} {uri} {}", fields.join(" ")));
            echo(call).await;
        })
        .await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        let mut request = call("/echo.Echo/Say");
        let metadata = request.headers_mut();
        metadata.insert("key-bin", "AAECAw".parse().unwrap());
        metadata.insert("grpc-timeout", "10S".parse().unwrap());
        let (response, mut body) = client.start(request, true).await;
        body.send_data(message("hello"), true).unwrap();
        let mut response = soon(response).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let stream = response.body_mut();
        assert_eq!(
            soon(stream.data()).await.unwrap().unwrap(),
            message("hello")
        );
        let trailers = soon(stream.trailers()).await.unwrap();
        assert_eq!(grpc_status(trailers).unwrap(), "0");
        assert_eq!(
            target.notes.all(),
            [
                "connection",
                "POST http://h.example/echo.Echo/Say content-type=application/grpc \
                 grpc-timeout=10S key-bin=AAECAw te=trailers x-forwarded-for=127.0.0.1 \
                 x-forwarded-port=443 x-forwarded-proto=https"
            ]
        );
    });
}

#[test]
fn a_response_that_is_only_a_head_ends_with_it() {
    run(async {
        let target = Target::new(|call: Call| async move {
            let mut respond = call.respond;
            let response = Response::builder().header("grpc-status", "12");
            let response = response.header("content-type", "application/grpc");
            respond
                .send_response(response.body(()).unwrap(), true)
                .unwrap();
        })
        .await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        let (response, mut body) = client.start(call("/echo.Echo/None"), true).await;
        body.send_data(message("x"), true).unwrap();
        let response = soon(response).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "12");
        assert!(response.body().is_end_stream());
    });
}

#[test]
fn requests_of_http2_pass_whatever_their_method() {
    run(async {
        let target = Target::new(|call: Call| async move {
            let method = call.request.method().clone();
            if method == "HEAD" {
                let mut respond = call.respond;
                respond.send_response(Response::new(()), true).unwrap();
                return;
            }
            call.answer(method.as_str().as_bytes(), None);
        })
        .await;
        let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
        let mut client = alb.client().await;
        for name in ["GET", "DELETE", "POST"] {
            let answer = client.ask(method(name, "/")).await.unwrap();
            assert_eq!((answer.status.as_u16(), answer.body), (200, name.into()));
        }
        let head = client.ask(method("HEAD", "/")).await.unwrap();
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        assert_eq!(target.notes.all(), ["connection"]);
        assert_eq!(alb.pools.multiplexed(), 1);
    });
}

// Parity 1.2: the table of what may meet what.
#[test]
fn a_grpc_group_takes_post_alone() {
    run(async {
        let target = Target::new(echo).await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        assert_eq!(client.get("/").await.status, 464);
        let (response, mut body) = client.start(method("POST", "/"), true).await;
        body.send_data(message("x"), true).unwrap();
        assert_eq!(soon(response).await.unwrap().status(), 200);
    });
}

#[test]
fn messages_stream_both_ways_at_the_same_time() {
    run(async {
        let target = Target::new(|mut call: Call| async move {
            let response = Response::builder().header("content-type", "application/grpc");
            let response = response.body(()).unwrap();
            let mut out = call.respond.send_response(response, false).unwrap();
            let stream = call.request.body_mut();
            while let Some(data) = soon(stream.data()).await {
                let data = data.unwrap();
                stream.flow_control().release_capacity(data.len()).unwrap();
                out.send_data(data, false).unwrap();
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            out.send_trailers(trailers).unwrap();
        })
        .await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        let (response, mut body) = client.start(call("/echo.Echo/Chat"), true).await;
        let mut response = soon(response).await.unwrap();
        for text in ["one", "two", "three"] {
            body.send_data(message(text), false).unwrap();
            let answer = soon(response.body_mut().data()).await.unwrap().unwrap();
            assert_eq!(answer, message(text));
        }
        body.send_data(Bytes::new(), true).unwrap();
        let trailers = soon(response.body_mut().trailers()).await.unwrap();
        assert_eq!(grpc_status(trailers).unwrap(), "0");
    });
}

#[test]
fn a_large_message_passes_both_ways() {
    run(async {
        let target = Target::new(echo).await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        let text = "0123456789abcdef".repeat(64 * 1024);
        let (answer, trailers) = unary(&mut client, &text).await;
        assert!(answer.body == message(&text), "{} bytes", answer.body.len());
        assert_eq!(grpc_status(trailers).unwrap(), "0");
    });
}

#[test]
fn a_cancelled_call_is_cancelled_at_the_target() {
    run(async {
        let target = Target::new(|mut call: Call| async move {
            let reason = std::future::poll_fn(|cx| call.respond.poll_reset(cx)).await;
            call.notes.push(format!("{:?}", reason.unwrap()));
        })
        .await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        let (response, mut body) = client.start(call("/echo.Echo/Wait"), true).await;
        body.send_data(message("hello"), true).unwrap();
        until("a connection", || alb.pools.multiplexed() == 1).await;
        drop(response);
        body.send_reset(Reason::CANCEL);
        let notes = target.notes.clone();
        until("the target knows", || notes.count("CANCEL") == 1).await;
        // The connection serves others.
        assert_eq!(alb.pools.multiplexed(), 1);
    });
}

#[test]
fn a_call_that_the_target_never_saw_is_sent_again() {
    run(async {
        let target = Target::new(|mut call: Call| async move {
            if call.notes.count("refused") < 2 {
                call.notes.push("refused");
                return call.reset(Reason::REFUSED_STREAM);
            }
            echo(call).await;
        })
        .await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        let (answer, trailers) = unary(&mut client, "again").await;
        assert_eq!(answer.body, message("again"));
        assert_eq!(grpc_status(trailers).unwrap(), "0");
        assert_eq!(target.notes.count("refused"), 2);
    });
}

#[test]
fn a_call_that_is_always_refused_fails_as_unavailable() {
    run(async {
        let target = Target::new(|mut call: Call| async move {
            call.notes.push("refused");
            call.reset(Reason::REFUSED_STREAM);
        })
        .await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        let (answer, _) = unary(&mut client, "never").await;
        assert_eq!(answer.status, 502);
        assert_eq!(answer.fields["grpc-status"], "14");
        assert_eq!(answer.fields["grpc-message"], "unavailable");
        assert_eq!(target.notes.count("refused"), 4);
    });
}

#[test]
fn a_reset_call_is_not_sent_again() {
    run(async {
        let target = Target::new(|mut call: Call| async move {
            call.notes.push("call");
            call.reset(Reason::INTERNAL_ERROR);
        })
        .await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        let (answer, _) = unary(&mut client, "once").await;
        assert_eq!(answer.status, 502);
        assert_eq!(target.notes.count("call"), 1);
    });
}

#[test]
fn a_full_connection_gets_a_second_one_beside_it() {
    run(async {
        let target = Target::limited(2, |mut call: Call| async move {
            let (body, _) = call.body().await;
            call.notes.push("call");
            let all = call.notes.clone();
            until("all calls", || all.count("call") == 5).await;
            call.answer(&body, Some("0"));
        })
        .await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        let mut responses = Vec::new();
        for _ in 0..5 {
            let (response, mut body) = client.start(call("/echo.Echo/Say"), true).await;
            body.send_data(message("x"), true).unwrap();
            responses.push(spawn_local(response));
        }
        for response in responses {
            assert_eq!(soon(response).await.unwrap().unwrap().status(), 200);
        }
        assert!(target.notes.count("connection") >= 3);
    });
}

#[test]
fn a_slow_client_does_not_block_other_calls() {
    run(async {
        let target = Target::new(|call: Call| async move {
            let size = match call.request.uri().path() {
                "/large" => 4 << 20,
                _ => 10,
            };
            let mut respond = call.respond;
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(vec![b'x'; size].into(), true).unwrap();
            // The stream lives until all is sent.
            let _ = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
        })
        .await;
        let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
        let mut slow = alb.client().await;
        let (response, _) = slow.start(get("/large"), false).await;
        // Its body is not read.
        let large = soon(response).await.unwrap();
        let mut client = alb.client().await;
        for _ in 0..3 {
            let answer = client.get("/").await;
            assert_eq!(answer.body, b"xxxxxxxxxx");
        }
        assert_eq!(alb.pools.multiplexed(), 1);
        assert!(alb.pools.waiting() < 1 << 20);
        let large = whole(large).await.unwrap();
        assert_eq!(large.body.len(), 4 << 20);
    });
}

#[test]
fn a_response_before_the_end_of_the_request_passes() {
    run(async {
        let target = Target::new(|call: Call| async move {
            // The h2 crate resets the stream, since the request is not read.
            let mut respond = call.respond;
            let response = Response::builder().status(413).body(()).unwrap();
            respond.send_response(response, true).unwrap();
        })
        .await;
        let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
        let mut client = alb.client().await;
        let (response, mut body) = client.start(method("POST", "/"), true).await;
        body.send_data(Bytes::from_static(b"part"), false).unwrap();
        let answer = whole(soon(response).await.unwrap()).await.unwrap();
        assert_eq!(answer.status, 413);
    });
}

#[test]
fn a_target_that_breaks_off_resets_the_client() {
    run(async {
        let target = Target::new(|mut call: Call| async move {
            let mut stream = call
                .respond
                .send_response(Response::new(()), false)
                .unwrap();
            stream
                .send_data(Bytes::from_static(b"half"), false)
                .unwrap();
            yield_now().await;
            stream.send_reset(Reason::INTERNAL_ERROR);
        })
        .await;
        let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
        let mut client = alb.client().await;
        let (response, _) = client.start(get("/"), false).await;
        let ended = match soon(response).await {
            Ok(response) => whole(response).await.map(|answer| answer.status),
            Err(error) => Err(error),
        };
        // The reset may come before or after the head is passed on.
        assert!(ended.is_err() || ended.unwrap() == 502);
    });
}

#[test]
fn goaway_moves_a_call_that_the_target_did_not_see() {
    run(async {
        let target = Target::leaving(echo).await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        let (answer, trailers) = unary(&mut client, "moved").await;
        assert_eq!(answer.body, message("moved"));
        assert_eq!(grpc_status(trailers).unwrap(), "0");
        let noted = ["connection", "request", "connection"];
        assert_eq!(target.notes.all(), noted);
    });
}

#[test]
fn goaway_lets_calls_in_progress_end() {
    run(async {
        let target = Target::one_each(echo).await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        for text in ["one", "two", "three"] {
            let (answer, trailers) = unary(&mut client, text).await;
            assert_eq!(answer.body, message(text));
            assert_eq!(grpc_status(trailers).unwrap(), "0");
        }
        assert_eq!(target.notes.count("connection"), 3);
        until("all are closed", || alb.pools.multiplexed() == 0).await;
    });
}

#[test]
fn an_idle_connection_closes_after_the_idle_timeout() {
    run(async {
        let target = Target::new(echo).await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[target.address]);
        let mut client = alb.client().await;
        unary(&mut client, "x").await;
        alb.pass(std::time::Duration::from_secs(30));
        yield_now().await;
        assert_eq!(alb.pools.multiplexed(), 1);
        unary(&mut client, "x").await;
        alb.pass(std::time::Duration::from_secs(61));
        until("closed", || alb.pools.multiplexed() == 0).await;
    });
}

// RFC 7541, 6.2.3: what a client keeps out of tables stays out of them.
#[test]
fn fields_that_must_enter_no_table_enter_none_at_the_target() {
    run(async {
        let target = Target::raw(frame(4, 0, 0, &[]), frame(1, 5, 1, &[0x88])).await;
        let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
        let mut client = alb.client().await;
        let mut request = get("/");
        for (name, is_sensitive) in [("x-secret", true), ("x-a", false), ("authorization", false)] {
            let mut value: HeaderValue = "value".parse().unwrap();
            value.set_sensitive(is_sensitive);
            request.headers_mut().insert(name, value);
        }
        assert_eq!(client.ask(request).await.unwrap().status, 200);
        let mut noted = target.notes.all();
        noted.sort();
        let expected = [
            "connection",
            "never indexed: authorization",
            "never indexed: x-secret",
        ];
        assert_eq!(noted, expected);
    });
}

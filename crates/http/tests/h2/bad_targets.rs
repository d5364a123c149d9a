//! Targets that break the rules of HTTP/2, or do not speak it.

use elbow_model::{ProtocolVersion, TargetGroupAttributes};
use h2::Reason;

use crate::alb::{Alb, get, whole};
use crate::grpc::unary;
use crate::kit::{Pod, run, soon};
use crate::target::{Call, Target, frame};

#[test]
fn a_target_of_http1_is_told_apart() {
    run(async {
        let pod = Pod::answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        let alb = Alb::speaking(ProtocolVersion::Grpc, &[pod.address]);
        let mut client = alb.client().await;
        let (answer, _) = unary(&mut client, "x").await;
        assert_eq!(answer.status, 502);
        assert_eq!(answer.fields["grpc-status"], "14");
        drop(client);
        let line = alb.lines().remove(0);
        assert!(line.contains("\"ElbowTargetProtocol\""), "{line}");
    });
}

/// The reasons in the access log; AWS's has none for a 502.
const PROTOCOL: &str = "ElbowTargetProtocol";
const NONE: &str = "-";

#[test]
fn targets_that_break_the_rules_are_answered_with_502() {
    let settings = || frame(4, 0, 0, &[]);
    let head = |block: &[u8]| frame(1, 4, 1, block);
    // `:status: 200` is entry 8 of the static table.
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("garbage", b"SSH-2.0-OpenSSH\r\n".to_vec(), PROTOCOL),
        ("no streams", frame(4, 0, 0, &[0, 3, 0, 0, 0, 0]), NONE),
        ("GOAWAY at once", frame(7, 0, 0, &[0; 8]), NONE),
        ("no status", head(&[0x00, 1, b'a', 1, b'b']), NONE),
        (
            "uppercase name",
            head(&[0x88, 0x00, 1, b'A', 1, b'b']),
            NONE,
        ),
        (
            "connection field",
            head(b"\x88\x00\x0aconnection\x05close"),
            NONE,
        ),
        ("bad HPACK", head(&[0xff, 0xff, 0xff, 0xff, 0xff]), PROTOCOL),
        ("DATA before a head", frame(0, 1, 1, b"x"), PROTOCOL),
        ("push", frame(5, 4, 1, &[0, 0, 0, 2, 0x82]), PROTOCOL),
        (
            "settings of zero",
            frame(4, 0, 0, &[0, 5, 0, 0, 0, 0]),
            PROTOCOL,
        ),
    ];
    for (name, bytes, reason) in table {
        run(async {
            let target = if matches!(name, "garbage" | "no streams") {
                Target::raw(bytes, Vec::new()).await
            } else {
                Target::raw(settings(), bytes).await
            };
            let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
            let mut client = alb.client().await;
            assert_eq!(client.get("/").await.status, 502, "{name}");
            assert_eq!(alb.metrics.worker(0).elb_responses.get(502), 1, "{name}");
            drop(client);
            let line = alb.lines().remove(0);
            assert!(
                line.contains(&format!(" \"forward\" \"-\" \"{reason}\" ")),
                "{name}: {line}"
            );
        });
    }
}

/// A field of 4,000 bytes that enters the table, and is repeated `times` times for a byte each.
fn large_head(times: usize) -> Vec<u8> {
    let mut block = vec![0x88, 0x40, 3, b'x', b'-', b'a', 0x7f, 0xa1, 0x1e];
    block.extend([b'v'; 4000]);
    block.resize(block.len() + times, 0xbe);
    block
}

#[test]
fn heads_of_a_megabyte_from_a_target_are_answered_with_502() {
    let compressed = frame(1, 4, 1, &large_head(250));
    let mut plain = frame(1, 0, 1, &[0x88]);
    for _ in 0..64 {
        plain.extend(frame(9, 0, 1, &[0; 16_384]));
    }
    for (bytes, reason) in [(compressed, "\"-\""), (plain, "\"ElbowTargetProtocol\"")] {
        run(async {
            let target = Target::raw(frame(4, 0, 0, &[]), bytes).await;
            let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
            let mut client = alb.client().await;
            assert_eq!(client.get("/").await.status, 502);
            assert!(alb.pools.waiting() < 64 * 1024);
            assert_eq!(alb.metrics.worker(0).elb_responses.get(502), 1);
            drop(client);
            let line = alb.lines().remove(0);
            assert!(line.contains(reason), "{line}");
        });
    }
}

#[test]
fn what_follows_the_end_of_a_response_changes_nothing() {
    let head = |flags, block: &[u8]| frame(1, flags, 1, block);
    let trailers = head(5, &[0x00, 1, b't', 1, b'1']);
    for more in [trailers.clone(), frame(0, 1, 1, b"x")] {
        run(async {
            let bytes = [&head(4, &[0x88])[..], &trailers, &more].concat();
            let target = Target::raw(frame(4, 0, 0, &[]), bytes).await;
            let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
            let mut client = alb.client().await;
            let answer = client.get("/").await;
            assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b""[..]));
        });
    }
}

#[test]
fn a_body_shorter_than_announced_resets_the_client() {
    run(async {
        // `content-length: 5`, and one byte.
        let head = frame(1, 4, 1, &[0x88, 0x0f, 0x0d, 1, b'5']);
        let bytes = [head, frame(0, 1, 1, b"x")].concat();
        let target = Target::raw(frame(4, 0, 0, &[]), bytes).await;
        let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
        let mut client = alb.client().await;
        let (response, _) = client.start(get("/"), false).await;
        let response = soon(response).await.unwrap();
        let error = whole(response).await.unwrap_err();
        assert!(error.is_reset() && error.is_remote(), "{error}");
    });
}

/// ELBv2 API, TargetGroupAttribute: `routing.http2.rst_stream_error_forwarding.enabled`. The client gets the code of the
/// target in place of 502, and no status is counted.
#[test]
fn codes_of_targets_that_reset_are_forwarded() {
    let reset = |code: u8| frame(3, 0, 1, &[0, 0, 0, code]);
    let begun = [frame(1, 4, 1, &[0x88]), frame(0, 0, 1, b"x"), reset(8)].concat();
    for (forwards_stream_resets, bytes, code, status, counted) in [
        (true, reset(11), Some(Reason::ENHANCE_YOUR_CALM), "-", 0),
        // The connection ends, and no stream is reset.
        (true, frame(7, 0, 0, &[0; 8]), None, "502", 1),
        (true, begun.clone(), Some(Reason::CANCEL), "200", 0),
        (false, reset(11), None, "502", 1),
        (false, begun, Some(Reason::INTERNAL_ERROR), "200", 0),
    ] {
        run(async {
            let target = Target::raw(frame(4, 0, 0, &[]), bytes).await;
            let attributes = TargetGroupAttributes {
                forwards_stream_resets,
                ..TargetGroupAttributes::default()
            };
            let alb = Alb::speaking_with(ProtocolVersion::Http2, &[target.address], attributes);
            let mut client = alb.client().await;
            let answer = client.ask(get("/")).await;
            assert_eq!(answer.err().and_then(|e| e.reason()), code);
            assert_eq!(alb.metrics.worker(0).elb_responses.get(502), counted);
            drop(client);
            let line = alb.lines().remove(0);
            assert_eq!(line.split(' ').nth(8), Some(status), "{line}");
        });
    }
}

/// A request that the target refuses unseen is sent again first.
#[test]
fn code_of_a_stream_that_is_always_refused_is_forwarded() {
    run(async {
        let target = Target::new(|mut call: Call| async move {
            call.notes.push("refused");
            call.reset(Reason::REFUSED_STREAM);
        })
        .await;
        let attributes = TargetGroupAttributes {
            forwards_stream_resets: true,
            ..TargetGroupAttributes::default()
        };
        let alb = Alb::speaking_with(ProtocolVersion::Http2, &[target.address], attributes);
        let error = alb.client().await.ask(get("/")).await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM));
        assert_eq!(target.notes.count("refused"), 4);
    });
}

//! Requests that break the rules of HTTP/2: their streams are reset, or they are answered 400, and
//! no target sees them (RFC 9113, 8.1.1 and 8.2).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::alb::Alb;
use crate::connection::frame;
use crate::kit::{Pod, run, soon};
use crate::requests::OK;

/// How one stream ended.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Status(u16),
    Reset(u32),
    /// The end of the connection, which an error of a stream may be, too (RFC 9113, 5.4.2).
    End,
}

/// PROTOCOL_ERROR.
const RESET: Got = Got::Reset(1);

/// A block of literal fields, nothing compressed.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let string = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let literal = |(name, value): &(&str, &str)| [vec![0], string(name), string(value)].concat();
    fields.iter().flat_map(literal).collect()
}

/// Sends HEADERS with these fields, and DATA when there is some, on stream `id`.
async fn ask(stream: &mut TcpStream, id: u32, fields: &[(&str, &str)], data: Option<&[u8]>) -> Got {
    let ends = u8::from(data.is_none());
    let mut bytes = frame(1, 4 | ends, id, &block(fields));
    if let Some(data) = data {
        bytes.extend(frame(0, 1, id, data));
    }
    stream.write_all(&bytes).await.unwrap();
    loop {
        let mut head = [0; 9];
        if soon(stream.read_exact(&mut head)).await.is_err() {
            return Got::End;
        }
        let [a, b, c, kind, _, _, _, _, _] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let mut payload = vec![0; length];
        soon(stream.read_exact(&mut payload)).await.unwrap();
        if head[5..] != id.to_be_bytes() {
            continue;
        }
        match kind {
            // `:status` is the first field: from the static table, or a literal with its name.
            1 => return Got::Status(status(&payload)),
            3 => return Got::Reset(u32::from_be_bytes(payload.try_into().unwrap())),
            _ => {}
        }
    }
}

fn status(block: &[u8]) -> u16 {
    match block[0] {
        0x88 => 200,
        0x8c => 400,
        other => panic!("a field {other:#x}"),
    }
}

const GET: (&str, &str) = (":method", "GET");
const PUT: (&str, &str) = (":method", "PUT");
const HTTPS: (&str, &str) = (":scheme", "https");
const HOST: (&str, &str) = (":authority", "h.example");
const ROOT: (&str, &str) = (":path", "/");

#[test]
fn malformed_requests_reach_no_target_and_harm_no_other_stream() {
    let with = |field| vec![GET, HTTPS, HOST, ROOT, field];
    let table = [
        (
            "an asterisk",
            vec![GET, HTTPS, HOST, (":path", "*")],
            Got::Status(400),
        ),
        (
            "a query alone",
            vec![GET, HTTPS, HOST, (":path", "?x")],
            Got::Status(400),
        ),
        ("no authority", vec![GET, HTTPS, ROOT], Got::Status(400)),
        (
            "an authority form",
            vec![(":method", "CONNECT"), HOST],
            Got::Status(400),
        ),
        (
            "an absolute form",
            vec![GET, HTTPS, HOST, (":path", "http://h/")],
            RESET,
        ),
        (
            "an empty path",
            vec![GET, HTTPS, HOST, (":path", "")],
            RESET,
        ),
        (
            "a space in the path",
            vec![GET, HTTPS, HOST, (":path", "/a b")],
            RESET,
        ),
        ("no path", vec![GET, HTTPS, HOST], RESET),
        ("no method", vec![HTTPS, HOST, ROOT], RESET),
        ("no scheme", vec![GET, HOST, ROOT], RESET),
        ("two paths", with(ROOT), RESET),
        (
            "a pseudo field at the end",
            vec![GET, HTTPS, HOST, ("x-a", "1"), ROOT],
            RESET,
        ),
        ("an unknown pseudo field", with((":status", "200")), RESET),
        ("Connection", with(("connection", "close")), RESET),
        (
            "Transfer-Encoding",
            with(("transfer-encoding", "chunked")),
            RESET,
        ),
        ("Upgrade", with(("upgrade", "h2c")), RESET),
        ("Keep-Alive", with(("keep-alive", "1")), RESET),
        (
            "Proxy-Connection",
            with(("proxy-connection", "close")),
            RESET,
        ),
        ("TE of another kind", with(("te", "gzip")), RESET),
        ("upper case", with(("X-A", "1")), RESET),
        ("a space in a name", with(("x a", "1")), RESET),
        ("an empty name", with(("", "1")), RESET),
        (
            "a line break in a value",
            with(("x-a", "1\r\nx-b: 2")),
            RESET,
        ),
    ];
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::to(&[pod.address]);
        for (what, fields, expected) in table {
            let (mut stream, _served) = alb.raw().await;
            let preface = [
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
                frame(4, 0, 0, &[]),
            ];
            stream.write_all(&preface.concat()).await.unwrap();
            let got = ask(&mut stream, 1, &fields, None).await;
            assert_eq!(got, expected, "{what}");
            assert!(pod.seen().is_empty(), "{what}: {:?}", pod.seen());
            // The connection still works.
            let good = with(("te", "trailers"));
            assert_eq!(
                ask(&mut stream, 3, &good, None).await,
                Got::Status(200),
                "after {what}"
            );
            assert!(!pod.seen.take()[0].contains("trailers"));
        }
    });
}

#[test]
fn a_body_of_another_length_than_announced_is_refused() {
    run(async {
        let alb = Alb::to(&[Pod::answering(OK).await.address]);
        let (mut stream, _served) = alb.raw().await;
        let preface = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, 0, &[]),
        ];
        stream.write_all(&preface.concat()).await.unwrap();
        for (id, length, data) in [(1, "5", "hell"), (3, "5", "hello!"), (5, "0", "h")] {
            let fields = [PUT, HTTPS, HOST, ROOT, ("content-length", length)];
            let got = ask(&mut stream, id, &fields, Some(data.as_bytes())).await;
            assert_eq!(got, RESET, "{length} {data}");
        }
        let fields = [PUT, HTTPS, HOST, ROOT, ("content-length", "5")];
        let got = ask(&mut stream, 7, &fields, Some(b"hello")).await;
        assert_eq!(got, Got::Status(200));
    });
}

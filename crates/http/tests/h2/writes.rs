//! What one turn has to say leaves in one write.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use elbow_model::{Action, ContentType, FixedResponse};
use elbow_net::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::alb::{Alb, until};
use crate::connection::frame;
use crate::kit::{Pod, run, soon};

/// Requests that are sent at once.
const REQUESTS: usize = 16;

/// A socket that counts what is written to it.
struct Counted {
    socket: TcpStream,
    writes: Rc<Cell<usize>>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, into)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.set(self.writes.get() + 1);
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl Stream for Counted {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

/// A client whose preface was answered, and the count of the ALB's writes to it.
async fn client(alb: &Alb) -> (TcpStream, Rc<Cell<usize>>) {
    let writes = Rc::new(Cell::new(0));
    let counter = Rc::clone(&writes);
    let wrap = |socket| Counted {
        socket,
        writes: counter,
    };
    let (mut stream, _) = alb.raw_through(wrap).await;
    let preface = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        frame(8, 0, 0, &(1_u32 << 30).to_be_bytes()),
    ];
    stream.write_all(&preface.concat()).await.unwrap();
    read_until(&mut stream, |kind, flags| (kind, flags) == (4, 1), 1).await;
    writes.set(0);
    (stream, writes)
}

/// Reads frames until `count` of them are `wanted`.
async fn read_until(stream: &mut TcpStream, wanted: impl Fn(u8, u8) -> bool, count: usize) {
    let mut seen = 0;
    while seen < count {
        let mut head = [0; 9];
        soon(stream.read_exact(&mut head)).await.unwrap();
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        soon(stream.read_exact(&mut payload)).await.unwrap();
        seen += usize::from(wanted(kind, flags));
    }
}

fn ends_stream(kind: u8, flags: u8) -> bool {
    matches!(kind, 0 | 1) && flags & 1 != 0
}

/// GET https://h/ on `REQUESTS` streams.
fn requests(first: u32) -> Vec<u8> {
    let ids = (first..).step_by(2).take(REQUESTS);
    ids.flat_map(|id| frame(1, 5, id, &[0x82, 0x87, 0x84, 0x41, 1, b'h']))
        .collect()
}

#[test]
fn local_responses_of_a_turn_leave_in_one_write() {
    run(async {
        let fixed = Action::FixedResponse(FixedResponse {
            status: 200,
            content_type: ContentType::TextPlain,
            body: "x".repeat(1000).into(),
        });
        let alb = Alb::new(fixed, &[], |_| {});
        let (mut stream, writes) = client(&alb).await;
        for round in 0..10_u32 {
            let bytes = requests(1 + round * 2 * REQUESTS as u32);
            stream.write_all(&bytes).await.unwrap();
            read_until(&mut stream, ends_stream, REQUESTS).await;
        }
        assert_eq!(writes.get(), 10);
    });
}

#[test]
fn responses_of_targets_that_are_ready_together_leave_together() {
    run(async {
        let (go, wait) = watch::channel(0);
        let waiting = Rc::new(Cell::new(0));
        let count = Rc::clone(&waiting);
        let pod = Pod::scripted(move |mut peer| {
            let (mut wait, count) = (wait.clone(), Rc::clone(&count));
            async move {
                let body = "x".repeat(1024);
                let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n{body}");
                while peer.request().await.is_some() {
                    count.set(count.get() + 1);
                    if wait.changed().await.is_err() {
                        return;
                    }
                    peer.send(response.as_bytes()).await;
                }
            }
        })
        .await;
        let alb = Alb::to(&[pod.address]);
        let (mut stream, writes) = client(&alb).await;
        for round in 0..10_u32 {
            let bytes = requests(1 + round * 2 * REQUESTS as u32);
            stream.write_all(&bytes).await.unwrap();
            let all = || waiting.get() == REQUESTS;
            until("all targets have a request", all).await;
            waiting.set(0);
            go.send(round + 1).unwrap();
            read_until(&mut stream, ends_stream, REQUESTS).await;
        }
        // One write for each round, or two when the sockets are not all ready in one turn.
        let writes = writes.get();
        assert!(writes <= 20, "{writes} writes");
    });
}

#[test]
fn answers_to_control_frames_leave_together() {
    run(async {
        let alb = Alb::to(&[]);
        let (mut stream, writes) = client(&alb).await;
        let mut bytes = Vec::new();
        for _ in 0..20 {
            bytes.extend(frame(6, 0, 0, &[0; 8]));
            bytes.extend(frame(4, 0, 0, &[]));
        }
        stream.write_all(&bytes).await.unwrap();
        read_until(&mut stream, |_, flags| flags == 1, 40).await;
        assert_eq!(writes.get(), 1);
    });
}

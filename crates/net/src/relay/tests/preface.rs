//! Bytes that go to the target together with the client's first data.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;

const PREFACE: &[u8] = b"preface";

fn flow<A: Stream>(
    idle: Duration,
    pairs: [(TcpStream, TcpStream); 2],
    front: fn(TcpStream) -> A,
) -> Flow {
    let [(client, accepted), (mut connected, target)] = pairs;
    let mut accepted = front(accepted);
    let worker = Worker::new(0);
    let of_task = Rc::clone(&worker);
    let relayed = spawn_local(async move {
        let idle = Idle {
            timeout: idle,
            answers_probes: false,
        };
        let (front, back) = (&mut accepted, &mut connected);
        relay_counted(
            &of_task,
            front,
            back,
            PREFACE.to_vec(),
            idle,
            || false,
            |_, _| {},
        )
        .await
    });
    Flow {
        worker,
        client,
        target,
        cut: Rc::default(),
        relayed,
    }
}

async fn plain(idle: Duration) -> Flow {
    flow(idle, [pair().await, pair().await], |s| s)
}

/// Makes the target greet the client, which shows that the relay runs.
async fn greet(flow: &mut Flow) {
    flow.target.write_all(b"220").await.unwrap();
    soon(flow.client.read_exact(&mut [0; 3])).await.unwrap();
    let error = flow.target.try_read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "nothing is sent yet");
}

async fn comes_with_the_first_data<A: Stream>(front: fn(TcpStream) -> A) {
    let mut flow = flow(DAY, [pair().await, pair().await], front);
    greet(&mut flow).await;
    assert_eq!(
        flow.worker.buffers.in_use(),
        0,
        "a waiting flow holds no buffer"
    );
    flow.client.write_all(b"data").await.unwrap();
    let mut read = [0; 64];
    let n = soon(flow.target.read(&mut read)).await.unwrap();
    assert_eq!(&read[..n], b"prefacedata");
    flow.client.write_all(b"more").await.unwrap();
    let n = soon(flow.target.read(&mut read)).await.unwrap();
    assert_eq!(&read[..n], b"more");
    flow.client.shutdown().await.unwrap();
    flow.target.shutdown().await.unwrap();
    let relayed = flow.end().await;
    assert_eq!((relayed.client_to_target, relayed.target_to_client), (8, 3));
}

#[test]
fn preface_comes_in_one_write_with_the_first_data() {
    run(async {
        comes_with_the_first_data(|s| s).await;
        comes_with_the_first_data(Opaque::new).await;
    });
}

async fn precedes_fin<A: Stream>(front: fn(TcpStream) -> A) {
    let mut flow = flow(DAY, [pair().await, pair().await], front);
    greet(&mut flow).await;
    flow.client.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    soon(flow.target.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes, PREFACE);
    flow.target.write_all(b"bye").await.unwrap();
    flow.target.shutdown().await.unwrap();
    bytes.clear();
    soon(flow.client.read_to_end(&mut bytes)).await.unwrap();
    assert_eq!(bytes, b"bye");
    let relayed = flow.end().await;
    assert_eq!(
        (relayed.end, relayed.client_to_target),
        (RelayEnd::Closed, 0)
    );
}

#[test]
fn preface_precedes_fin_of_a_client_without_data() {
    run(async {
        precedes_fin(|s| s).await;
        precedes_fin(Opaque::new).await;
        precedes_fin(Torn).await;
    });
}

#[test]
fn client_reset_without_data_brings_no_preface() {
    run(async {
        let mut flow = plain(DAY).await;
        greet(&mut flow).await;
        flow.client.set_zero_linger().unwrap();
        drop(flow.client);
        assert!(is_reset(&mut flow.target).await);
        let relayed = soon(flow.relayed).await.unwrap();
        assert_eq!(relayed.end, RelayEnd::ClientReset);
    });
}

#[test]
fn expired_flow_never_sends_the_preface() {
    run(async {
        let mut flow = plain(IDLE).await;
        greet(&mut flow).await;
        for _ in 0..3 {
            flow.advance(3).await;
        }
        assert!(!flow.relayed.is_finished(), "expired silently");
        flow.client.write_all(b"late").await.unwrap();
        assert!(is_reset(&mut flow.target).await);
        assert_eq!(flow.end().await.end, RelayEnd::IdleReset);
    });
}

#[test]
fn bulk_after_a_preface_is_spliced_and_arrives_unchanged() {
    run(async {
        let mut flow = plain(DAY).await;
        let bulk = Pattern::new(3);
        let len = 64 << 20;
        let receiving = async {
            let mut preface = [0; PREFACE.len()];
            soon(flow.target.read_exact(&mut preface)).await.unwrap();
            assert_eq!(preface, PREFACE);
            bulk.receive_exactly(&mut flow.target, len).await;
        };
        tokio::join!(bulk.send(&mut flow.client, len), receiving);
        flow.client.shutdown().await.unwrap();
        flow.target.shutdown().await.unwrap();
        assert!(flow.worker.pipes.kept() >= 1, "a pipe was used");
        assert_eq!(flow.end().await.client_to_target, len as u64);
    });
}

/// A TLS stream whose peer closes without close_notify.
struct Torn(TcpStream);

impl Stream for Torn {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }

    fn socket(&self) -> &TcpStream {
        &self.0
    }
}

impl AsyncRead for Torn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, into))?;
        Poll::Ready(if into.filled().len() > before {
            Ok(())
        } else {
            Err(ErrorKind::UnexpectedEof.into())
        })
    }
}

impl AsyncWrite for Torn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

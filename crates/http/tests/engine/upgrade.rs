//! A connection that is upgraded to WebSocket while its client does not read.

use std::time::Duration;

use elbow_model::LoadBalancerAttributes;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::kit::stalled::Stalled;
use crate::kit::{Alb, Pod, run, soon};

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\n\
                        Connection: upgrade\r\nUpgrade: websocket\r\n\r\n";

/// An ALB, and a WebSocket whose client has read the head of the 101 but not the bytes behind it.
async fn stalled(idle: Duration) -> (Alb, Stalled, TcpStream) {
    let pod = Pod::scripted(|mut peer| async move {
        peer.request().await;
        peer.send(&[SWITCHED.as_bytes(), b"early"].concat()).await;
        while peer.more().await.is_some() {}
    })
    .await;
    let attributes = LoadBalancerAttributes {
        idle_timeout: idle,
        ..LoadBalancerAttributes::default()
    };
    let alb = Alb::new(&[pod.address], attributes).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    client
        .write_all(
            b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .await
        .unwrap();
    let room = SWITCHED.len();
    (alb, Stalled { socket, room }, client)
}

// Parity 1.1: the idle timeout still applies.
#[test]
fn a_websocket_with_unread_early_bytes_ends_at_the_idle_timeout() {
    run(async {
        let (alb, stream, client) = stalled(Duration::from_millis(200)).await;
        soon(alb.serve(stream)).await;
        assert_eq!(alb.group.targets[0].in_flight(), 0);
        assert_eq!(alb.worker.buffers.in_use(), 0);
        drop(client);
        let lines = alb.lines();
        assert!(lines[0].contains(" 101 101 "), "{}", lines[0]);
    });
}

// Parity 1.9: after the deregistration delay connections are closed.
#[test]
fn websocket_with_unread_early_bytes_ends_when_connections_are_terminated() {
    run(async {
        let (alb, stream, client) = stalled(Duration::from_secs(3600)).await;
        let target = alb.group.targets[0].clone();
        let worker = alb.worker.clone();
        let cut = async {
            // One buffer is in use: the target's early bytes, which the client does not take.
            while worker.buffers.in_use() == 0 {
                tokio::task::yield_now().await;
            }
            target.terminate_connections();
            worker.timers.wake_all();
        };
        soon(async { tokio::join!(alb.serve(stream), cut) }).await;
        assert_eq!(target.in_flight(), 0);
        drop(client);
    });
}

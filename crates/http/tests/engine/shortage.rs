//! Without free buffers, a valid request gets 503, never 4xx.

use elbow_net::{Buffer, LARGE, Worker};
use elbow_telemetry::ShedReason;
use tokio::io::AsyncWriteExt;

use crate::forwarding::{OK, OK_CLOSED, OK_KEPT};
use crate::kit::{Alb, Pod, error_page, expect, run, soon};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// A request whose head has 40 KB.
fn large(connection: &str) -> Vec<u8> {
    let field = format!("X: {}\r\n", "v".repeat(8000));
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: {connection}\r\n");
    (head + &field.repeat(5) + "\r\n").into_bytes()
}

/// Takes all large buffers of `worker`, as slow readers do.
fn large_buffers(worker: &Worker) -> Vec<Buffer> {
    let buffers = std::iter::repeat_with(|| worker.buffers.take_large());
    buffers.take_while(|b| b.capacity() == LARGE).collect()
}

/// Takes all head buffers of `worker`.
fn head_buffers(worker: &Worker) -> Vec<Buffer> {
    std::iter::from_fn(|| worker.buffers.take_head()).collect()
}

#[test]
fn a_large_head_needs_no_buffer_that_slow_readers_keep() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::with_defaults(pod.address).await;
        let kept = large_buffers(&alb.worker);
        assert_eq!(kept.len(), 64);
        assert_eq!(alb.talk(&large("close")).await, OK_CLOSED);
    });
}

#[test]
fn a_large_head_is_shed_with_503_when_its_buffers_are_out() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::with_defaults(pod.address).await;
        let kept = head_buffers(&alb.worker);
        let page = error_page(503, "Service Temporarily Unavailable", true);
        assert_eq!(alb.talk(&large("close")).await, page);
        assert_eq!(alb.telemetry.shed.get(ShedReason::Buffers), 1);
        assert_eq!(alb.metrics.worker(0).elb_responses.get(503), 1);
        assert_eq!(alb.talk(GET).await, OK_CLOSED, "others are served");
        let held = kept.len();
        assert_eq!(alb.worker.buffers.in_use(), held);
        drop(kept);
        assert_eq!(alb.talk(&large("close")).await, OK_CLOSED);
        assert_eq!(head_buffers(&alb.worker).len(), held);
    });
}

#[test]
fn the_next_request_behind_a_large_head_keeps_no_buffer_for_heads() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::with_defaults(pod.address).await;
        let all = head_buffers(&alb.worker).len();
        let mut client = alb.connect().await;
        let mut request = large("keep-alive");
        request.extend_from_slice(b"GET / HTTP/1.1\r\n");
        client.write_all(&request).await.unwrap();
        expect(&mut client, OK_KEPT).await;
        soon(async {
            while head_buffers(&alb.worker).len() < all {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(alb.worker.buffers.in_use(), 1, "half a head");
    });
}

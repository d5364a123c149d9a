//! What a request allocates. A program of its own, because it counts the heap of the whole process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use elbow_model::{Action, Forward, LoadBalancerAttributes};
use elbow_net::TcpConnector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::{LocalSet, spawn_local};

#[allow(dead_code, unreachable_pub, reason = "the fuzz targets use more of it")]
#[path = "../../../fuzz/src/peak.rs"]
mod peak;

mod kit;

/// Requests that are measured together. All lines together are less than a batch.
const REQUESTS: usize = 10;
/// How often they are measured.
const RUNS: usize = 5;
/// Requests before, for which connections, buffers and vectors are made.
const WARM_UP: usize = 3;

const REQUEST: &[u8] = b"GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: test\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn access_log_allocates_nothing_for_a_request() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let tasks = LocalSet::new();
    let (alb, mut logged, mut unlogged) = tasks.block_on(&runtime, async {
        let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let alb = kit::Alb::with_defaults(target.local_addr().unwrap()).await;
        spawn_local(serve(target));
        let logged = alb.connect().await;
        let unlogged = connect_without_log(&alb).await;
        (alb, logged, unlogged)
    });
    let without = held(&runtime, &tasks, &mut unlogged);
    let with = held(&runtime, &tasks, &mut logged);
    assert_eq!(with, without, "bytes at once");
    let lines = alb.lines();
    assert_eq!(lines.len(), WARM_UP + RUNS * REQUESTS);
    let request = "\"GET http://shop.example:80/a?b=c HTTP/1.1\" \"test\"";
    assert!(lines.iter().all(|line| line.contains(request)), "{lines:?}");
}

/// Peak heap of requests on the kept connection `client`, in bytes.
fn held(runtime: &Runtime, tasks: &LocalSet, client: &mut TcpStream) -> usize {
    let mut response = [0; 1024];
    let mut exchanges = |count| {
        tasks.block_on(runtime, async {
            for _ in 0..count {
                client.write_all(REQUEST).await.unwrap();
                let mut length = 0;
                while !response[..length].ends_with(b"ok") {
                    length += client.read(&mut response[length..]).await.unwrap();
                }
            }
        });
    };
    exchanges(WARM_UP);
    let once = || peak::peak(|| exchanges(REQUESTS)).1;
    // In some of them the worker ticks, which allocates.
    std::iter::repeat_with(once).take(RUNS).min().unwrap()
}

/// A connection that the ALB's worker serves for a listener without an access log.
async fn connect_without_log(alb: &kit::Alb) -> TcpStream {
    let action = Action::Forward(Forward::to("pods".into()));
    let listener = kit::listener(LoadBalancerAttributes::default(), action, &alb.group);
    let listener = Arc::new(listener);
    let connector = TcpConnector {
        timeout: Duration::from_secs(10),
    };
    let context = alb.context_with(&Rc::new(connector), move || Arc::clone(&listener));
    kit::connect(&context).await
}

/// Answers every request of one connection. The head of a request arrives in one piece.
async fn serve(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 1024];
    while stream.read(&mut request).await.unwrap() > 0 {
        stream.write_all(RESPONSE).await.unwrap();
    }
}

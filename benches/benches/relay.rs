//! Measures the relay between a client and an echo server on the loopback.

#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group};
use elbow_net::{Worker, relay};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::{LocalSet, spawn_local};

/// Returns a client of an echo server behind a relay.
async fn relayed() -> TcpStream {
    let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = backend.local_addr().unwrap();
    let client = TcpStream::connect(front.local_addr().unwrap())
        .await
        .unwrap();
    client.set_nodelay(true).unwrap();
    spawn_local(async move {
        let (mut accepted, _) = front.accept().await.unwrap();
        let mut target = TcpStream::connect(target).await.unwrap();
        accepted.set_nodelay(true).unwrap();
        target.set_nodelay(true).unwrap();
        let worker = Worker::new(0);
        let idle = Duration::from_secs(350);
        relay(&worker, &mut accepted, &mut target, idle, || false).await;
    });
    spawn_local(async move {
        let (mut echo, _) = backend.accept().await.unwrap();
        echo.set_nodelay(true).unwrap();
        let mut buffer = vec![0; 256 << 10];
        while let Ok(n @ 1..) = echo.read(&mut buffer).await {
            echo.write_all(&buffer[..n]).await.unwrap();
        }
    });
    client
}

/// Sends `bytes` and reads the same number of bytes.
async fn round_trip(client: &mut TcpStream, bytes: &[u8], into: &mut [u8]) {
    let (mut read, mut write) = client.split();
    let (written, received) = tokio::join!(write.write_all(bytes), read.read_exact(into));
    written.unwrap();
    received.unwrap();
}

fn round_trips(c: &mut Criterion) {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut group = c.benchmark_group("relay");
    for (name, size) in [("128 B", 128), ("1 MiB", 1 << 20), ("16 MiB", 16 << 20)] {
        group.throughput(Throughput::Bytes(size as u64));
        if size > 1 << 20 {
            group.sample_size(20);
        }
        group.bench_function(name, |b| {
            let local = LocalSet::new();
            let mut client = local.block_on(&runtime, relayed());
            let (bytes, mut into) = (vec![7; size], vec![0; size]);
            b.iter(|| local.block_on(&runtime, round_trip(&mut client, &bytes, &mut into)));
        });
    }
}

criterion_group!(benches, round_trips);
elbow_benches::main!(benches);

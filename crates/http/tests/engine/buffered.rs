//! Streams that are not plain sockets: they read and write little at a time, and buffer what is
//! written until they are flushed, as TLS may.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use elbow_http::Pools;
use elbow_net::{ConnMeta, Connect, ConnectError, Stream, TcpConnector};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::forwarding::{OK, OK_KEPT};
use crate::kit::{Alb, Pod, error_page, expect, read_to_end, run, soon};

/// The most bytes of one read, and of one write.
const LITTLE: usize = 1000;
/// Bytes that are buffered until a flush.
const KEPT: usize = 4096;

struct Buffered {
    socket: TcpStream,
    kept: Vec<u8>,
}

impl Stream for Buffered {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

impl AsyncRead for Buffered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = buf.remaining().min(LITTLE);
        let mut little = ReadBuf::new(buf.initialize_unfilled_to(n));
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut little))?;
        let n = little.filled().len();
        buf.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.kept.len() >= KEPT {
            ready!(self.as_mut().poll_flush(cx))?;
        }
        let n = bytes.len().min(LITTLE);
        self.kept.extend_from_slice(&bytes[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, kept } = &mut *self;
        while !kept.is_empty() {
            let n = ready!(Pin::new(&mut *socket).poll_write(cx, kept))?;
            kept.drain(..n);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

struct Connector(TcpConnector);

impl Connect for Connector {
    type Io = Buffered;

    async fn connect_with(
        &self,
        target: SocketAddr,
        tls: bool,
        _preface: &[u8],
    ) -> Result<Buffered, ConnectError> {
        let socket = self.0.connect(target, tls).await?;
        Ok(Buffered {
            socket,
            kept: Vec::new(),
        })
    }
}

/// A connection to an ALB whose streams to client and target both buffer.
async fn connect(alb: &Alb) -> TcpStream {
    let listener = Arc::clone(&alb.listener);
    let context = Rc::new(elbow_http::Context {
        worker: Rc::clone(&alb.worker),
        connector: Rc::new(Connector(TcpConnector {
            timeout: std::time::Duration::from_secs(10),
        })),
        pools: Pools::new(),
        listener: Rc::new(move || Arc::clone(&listener)),
        http09: false,
        metrics: Arc::clone(&alb.metrics),
        logs: Rc::default(),
    });
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    let (server, peer) = socket.accept().await.unwrap();
    let meta = ConnMeta {
        client: peer,
        server: address,
        accepted: Instant::now(),
        tls: None,
    };
    let stream = Buffered {
        socket: server,
        kept: Vec::new(),
    };
    spawn_local(elbow_http::serve(context, stream, meta, ()));
    client
}

#[test]
fn every_byte_is_flushed_before_a_wait() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            while let Some(request) = peer.request().await {
                if request.starts_with("GET /slow") {
                    // Each half must arrive on its own.
                    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
                        .await;
                    peer.request().await;
                } else {
                    peer.send(OK).await;
                }
            }
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = connect(&alb).await;
        for request in [
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab",
            "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        ] {
            client.write_all(request.as_bytes()).await.unwrap();
            expect(&mut client, OK_KEPT).await;
        }
        client
            .write_all(
                b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
            )
            .await
            .unwrap();
        expect(&mut client, "HTTP/1.1 100 Continue\r\n\r\n").await;
        client.write_all(b"ab").await.unwrap();
        expect(&mut client, OK_KEPT).await;
        client
            .write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .unwrap();
        let half = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n\
                    1\r\na\r\n";
        expect(&mut client, half).await;
    });
}

#[test]
fn large_bodies_arrive_unchanged() {
    const LENGTH: usize = 1_000_003;
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            while peer.head().await.is_some() {
                while peer.unread() < LENGTH {
                    peer.more().await.unwrap();
                }
                let body = peer.take();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
                peer.send(&[head.into_bytes(), body].concat()).await;
            }
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = connect(&alb).await;
        let body: Vec<u8> = (0..LENGTH).map(|i| (i * 31 / 7) as u8).collect();
        for _ in 0..2 {
            let head = format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {LENGTH}\r\n\r\n");
            client.write_all(head.as_bytes()).await.unwrap();
            client.write_all(&body).await.unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\nConnection: keep-alive\r\n\r\n"
            );
            expect(&mut client, &head).await;
            let mut echo = vec![0; LENGTH];
            soon(client.read_exact(&mut echo)).await.unwrap();
            assert!(echo == body);
        }
        assert_eq!(*pod.connections.borrow(), 1);
    });
}

#[test]
fn pages_and_closes_are_flushed() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.request().await;
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = connect(&alb).await;
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let page = error_page(502, "Bad Gateway", true);
        assert_eq!(read_to_end(&mut client).await, page);
    });
}

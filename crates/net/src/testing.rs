//! Test helpers: loopback sockets, and a stream that behaves like TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::Stream;

/// A step that takes this long hangs.
const HANG: Duration = Duration::from_secs(60);

/// The two ends of a loopback connection.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    join(TcpSocket::new_v4().unwrap(), &listener).await
}

/// Like [`pair`], with small socket buffers that fill up quickly.
pub(crate) async fn tight_pair() -> (TcpStream, TcpStream) {
    let listening = TcpSocket::new_v4().unwrap();
    listening.set_recv_buffer_size(8192).unwrap();
    listening.set_send_buffer_size(8192).unwrap();
    listening
        .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8192).unwrap();
    socket.set_send_buffer_size(8192).unwrap();
    join(socket, &listening.listen(1).unwrap()).await
}

async fn join(socket: TcpSocket, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(socket.connect(address), listener.accept());
    let (near, far) = (near.unwrap(), far.unwrap().0);
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    (near, far)
}

/// Awaits `future`, and panics instead of hanging.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future).await.expect("hangs")
}

/// Runs all tasks until none can proceed.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// A byte pattern in which misplaced, lost or repeated bytes show.
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed | 1;
        // A prime length, so that no power of two aligns with it.
        let block = (0..1_000_003).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        });
        Self(block.collect())
    }

    /// The bytes from `offset` on, at most `most`.
    fn at(&self, offset: usize, most: usize) -> &[u8] {
        let start = offset % self.0.len();
        &self.0[start..self.0.len().min(start + most)]
    }

    /// Writes `len` bytes.
    pub(crate) async fn send(&self, to: &mut (impl AsyncWrite + Unpin), len: usize) {
        let mut sent = 0;
        while sent < len {
            sent += soon(to.write(self.at(sent, len - sent))).await.unwrap();
        }
    }

    /// Reads until the end, and checks every byte.
    pub(crate) async fn receive(&self, from: &mut (impl AsyncRead + Unpin)) -> usize {
        let (received, end) = self.receive_all(from).await;
        end.unwrap();
        received
    }

    /// Reads `len` bytes, and checks every byte.
    pub(crate) async fn receive_exactly(&self, from: &mut (impl AsyncRead + Unpin), len: usize) {
        let received = self.receive(&mut from.take(len as u64)).await;
        assert_eq!(received, len);
    }

    /// Reads until a reset, and checks every byte.
    pub(crate) async fn receive_until_reset(&self, from: &mut (impl AsyncRead + Unpin)) -> usize {
        let (received, end) = self.receive_all(from).await;
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        received
    }

    async fn receive_all(&self, from: &mut (impl AsyncRead + Unpin)) -> (usize, io::Result<()>) {
        let mut buffer = vec![0; 1 << 20];
        let mut received = 0;
        loop {
            let n = match soon(from.read(&mut buffer)).await {
                Ok(0) => return (received, Ok(())),
                Ok(n) => n,
                Err(e) => return (received, Err(e)),
            };
            let mut got = &buffer[..n];
            while !got.is_empty() {
                let wanted = self.at(received, got.len());
                assert!(got.starts_with(wanted), "differs after {received} bytes");
                got = &got[wanted.len()..];
                received += wanted.len();
            }
        }
    }
}

/// A stream that behaves like TLS: it cannot be spliced, returns little per read, and buffers writes
/// until flushed.
pub(crate) struct Opaque {
    socket: TcpStream,
    unsent: Vec<u8>,
}

impl Opaque {
    const RECORD: usize = 16 * 1024;

    pub(crate) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            unsent: Vec::new(),
        }
    }
}

impl Stream for Opaque {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

impl AsyncRead for Opaque {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut record = [0; Self::RECORD];
        let most = buf.remaining().min(Self::RECORD);
        let mut into = ReadBuf::new(&mut record[..most]);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut into))?;
        buf.put_slice(into.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Opaque {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.unsent.len() >= Self::RECORD {
            ready!(self.as_mut().poll_flush(cx))?;
        }
        let n = buf.len().min(Self::RECORD);
        self.unsent.extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.unsent.is_empty() {
            let n = ready!(Pin::new(&mut this.socket).poll_write(cx, &this.unsent))?;
            this.unsent.drain(..n);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

//! Streams in memory, and peers that follow a script.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use elbow_net::{Connect, ConnectError, ConnectErrorKind, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::strict::{self, Extras};

/// A step of a peer.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// A pause in milliseconds.
    Pause(u64),
    /// Waits until this number of heads has arrived.
    AwaitHeads(usize),
    /// Stops sending, and continues to read.
    Shutdown,
    Close,
    StopReading,
}

/// The buffer size of a stream, and the maximum length of one read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) room: usize,
    pub(crate) step: usize,
}

/// A stream in memory.
pub(crate) struct Memory {
    io: DuplexStream,
    step: usize,
    /// Stands in for the TCP socket; it never has events.
    socket: Rc<TcpStream>,
}

impl Memory {
    /// Returns a stream and its other end.
    pub(crate) fn pair(shape: Shape, socket: &Rc<TcpStream>) -> (Self, DuplexStream) {
        let (io, far) = tokio::io::duplex(shape.room);
        let near = Self {
            io,
            step: shape.step,
            socket: Rc::clone(socket),
        };
        (near, far)
    }
}

/// Returns a socket and its peer. The peer keeps it open.
pub(crate) async fn silent_socket() -> (Rc<TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (Rc::new(near.unwrap()), far.unwrap().0)
}

impl Stream for Memory {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4096];
        let most = bytes.len().min(self.step).min(into.remaining());
        let mut part = ReadBuf::new(&mut bytes[..most]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut part))?;
        into.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The bytes that a peer received.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    /// The start of each piece, and its number in the order of arrival at all targets.
    pub(crate) pieces: Vec<(usize, u64)>,
    is_over: bool,
}

/// The targets of an exchange: one script per connection. A connection without a script answers 200.
pub(crate) struct Targets {
    pub(crate) scripts: RefCell<VecDeque<Vec<Step>>>,
    pub(crate) seen: RefCell<Vec<Rc<RefCell<Seen>>>>,
    /// Two bits for each future connection: the way it fails.
    pub(crate) refuse: Cell<u8>,
    pub(crate) shape: Shape,
    pub(crate) socket: Rc<TcpStream>,
    /// The number of pieces so far.
    pub(crate) count: Rc<Cell<u64>>,
}

impl Connect for Targets {
    type Io = Memory;

    async fn connect_with(&self, _: SocketAddr, _: bool, _: &[u8]) -> Result<Memory, ConnectError> {
        let bits = self.refuse.get();
        self.refuse.set(bits >> 2);
        let kind = match bits & 3 {
            1 => ConnectErrorKind::Refused,
            2 => ConnectErrorKind::Timeout,
            _ => {
                let (near, far) = Memory::pair(self.shape, &self.socket);
                let seen = Rc::new(RefCell::new(Seen::default()));
                self.seen.borrow_mut().push(Rc::clone(&seen));
                let script = self.scripts.borrow_mut().pop_front();
                spawn_local(follow(far, script, seen, Rc::clone(&self.count)));
                return Ok(near);
            }
        };
        Err(ConnectError { kind, source: None })
    }
}

/// Plays a peer until its script or the other side ends the connection.
pub(crate) async fn follow(
    io: DuplexStream,
    script: Option<Vec<Step>>,
    seen: Rc<RefCell<Seen>>,
    count: Rc<Cell<u64>>,
) {
    let (mut reader, mut writer) = tokio::io::split(io);
    let (news, is_reading) = (Notify::new(), Cell::new(true));
    let read = async {
        let mut buffer = [0; 4096];
        while is_reading.get() {
            let read = reader.read(&mut buffer).await.unwrap_or_default();
            let mut seen = seen.borrow_mut();
            count.set(count.get() + 1);
            let at = seen.bytes.len();
            seen.pieces.push((at, count.get()));
            seen.bytes.extend_from_slice(&buffer[..read]);
            seen.is_over = read == 0;
            news.notify_one();
            if read == 0 {
                return;
            }
        }
        std::future::pending().await
    };
    let write = async {
        let Some(script) = script else {
            return answer(&mut writer, &seen, &news).await;
        };
        for step in script {
            match step {
                Step::Send(bytes) => {
                    if writer.write_all(&bytes).await.is_err() {
                        return;
                    }
                    // The next bytes arrive as a separate piece.
                    for _ in 0..4 {
                        tokio::task::yield_now().await;
                    }
                }
                Step::Pause(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                Step::AwaitHeads(heads) => {
                    while !seen.borrow().is_over && heads_in(&seen.borrow().bytes) < heads {
                        news.notified().await;
                    }
                }
                Step::Shutdown => {
                    let _ = writer.shutdown().await;
                }
                Step::Close => return,
                Step::StopReading => is_reading.set(false),
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        () = read => {}
        () = write => {}
    }
}

fn heads_in(bytes: &[u8]) -> usize {
    bytes.windows(4).filter(|end| end == b"\r\n\r\n").count()
}

/// Answers every complete request.
async fn answer(writer: &mut (impl AsyncWrite + Unpin), seen: &RefCell<Seen>, news: &Notify) {
    let mut answered = 0;
    while !seen.borrow().is_over {
        let (requests, _) = strict::requests(&seen.borrow().bytes, Extras::Refused);
        let whole = requests.iter().filter(|request| request.is_whole).count();
        while answered < whole {
            answered += 1;
            let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            if writer.write_all(response).await.is_err() {
                return;
            }
        }
        news.notified().await;
    }
}

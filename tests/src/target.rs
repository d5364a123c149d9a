//! Targets with scripted behaviour, which record what they receive.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::message::Reader;
use crate::{Ca, Request, address, client, wait};

/// The traffic port of a target.
pub const PORT: u16 = 9000;
/// The health check port of a target, independent of its traffic port.
pub const HEALTH_PORT: u16 = 9001;

/// How a target handles a connection.
pub type Script = Arc<dyn Fn(&mut Peer) -> io::Result<()> + Send + Sync>;

/// A target on its own address; it ends when dropped.
pub struct Target {
    ip: Ipv4Addr,
    script: Script,
    tls: Option<Arc<ServerConfig>>,
    log: Arc<Log>,
    health: Arc<AtomicU16>,
    servers: Vec<Server>,
}

/// What a target received.
#[derive(Debug, Default)]
struct Log {
    requests: Mutex<Vec<Request>>,
    connections: Mutex<usize>,
}

impl Target {
    /// Runs `script` on every connection.
    pub fn start(script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::build(script, None)
    }

    /// Runs `script` behind TLS.
    pub fn start_tls(
        tls: Arc<ServerConfig>,
        script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::build(script, Some(tls))
    }

    /// Answers every request with the bytes from `answer`.
    pub fn http(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(serve(answer))
    }

    /// Answers every request with the bytes from `answer`, with a certificate of `ca` for its address.
    pub fn http_tls(ca: &Ca, answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let mut target = Self::new(serve(answer), None);
        target.tls = Some(ca.leaf(&[&target.ip.to_string()]).server(&[]));
        target.restart();
        target
    }

    /// Answers every request with 200 and `text`.
    pub fn ok(text: &'static str) -> Self {
        Self::http(move |_| ok(text))
    }

    /// Refuses connections on its traffic port.
    pub fn refusing() -> Self {
        let mut target = Self::new(serve(|_| ok("")), None);
        // The port is never bound, so that a test may bind it.
        target.servers.push(target.serve_health());
        target
    }

    fn build(
        script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let mut target = Self::new(script, tls);
        target.restart();
        target
    }

    fn new(
        script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        Self {
            ip: address(),
            script: Arc::new(script),
            tls,
            log: Arc::default(),
            health: Arc::new(AtomicU16::new(200)),
            servers: Vec::new(),
        }
    }

    /// Its traffic address.
    pub fn addr(&self) -> SocketAddr {
        (self.ip, PORT).into()
    }

    /// Sets the status of health checks on the health port.
    pub fn set_health(&self, status: u16) {
        self.health.store(status, Ordering::Relaxed);
    }

    /// Stops listening and cuts all connections.
    pub fn stop(&mut self) {
        self.servers.clear();
    }

    /// Listens again at the same address.
    pub fn restart(&mut self) {
        let (script, tls, log) = (
            Arc::clone(&self.script),
            self.tls.clone(),
            Arc::clone(&self.log),
        );
        let traffic = Server::start(self.addr(), move |stream| {
            *lock(&log.connections) += 1;
            let io = match &tls {
                None => Io::Plain(stream),
                Some(config) => {
                    let tls =
                        ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                    Io::Tls(Box::new(StreamOwned::new(tls, stream)))
                }
            };
            script(&mut Peer {
                io,
                reader: Reader::default(),
                log: Arc::clone(&log),
            })
        });
        self.servers = vec![traffic, self.serve_health()];
    }

    fn serve_health(&self) -> Server {
        let status = Arc::clone(&self.health);
        Server::start((self.ip, HEALTH_PORT).into(), move |mut stream| {
            let status = Arc::clone(&status);
            while Reader::default().request(&mut stream)?.is_some() {
                let status = status.load(Ordering::Relaxed);
                write!(
                    stream,
                    "HTTP/1.1 {status} Health\r\nContent-Length: 0\r\n\r\n"
                )?;
            }
            Ok(())
        })
    }

    /// Requests on its traffic port, without health checks.
    pub fn requests(&self) -> Vec<Request> {
        let all = lock(&self.log.requests);
        all.iter()
            .filter(|r| !r.is_health_check())
            .cloned()
            .collect()
    }

    /// Health checks on its traffic port.
    pub fn health_checks(&self) -> Vec<Request> {
        let all = lock(&self.log.requests);
        all.iter()
            .filter(|r| r.is_health_check())
            .cloned()
            .collect()
    }

    /// The only request.
    pub fn request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "expected one request: {requests:#?}");
        requests.remove(0)
    }

    /// Waits for `n` requests.
    pub fn wait_for_requests(&self, n: usize) -> Vec<Request> {
        wait::until(&format!("{n} requests at the target"), || {
            Some(self.requests()).filter(|r| r.len() >= n)
        })
    }

    /// The number of connections to its traffic port.
    pub fn connections(&self) -> usize {
        *lock(&self.log.connections)
    }
}

/// A script that answers every request, until the peer closes.
pub fn serve(
    answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
) -> impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static {
    move |peer| {
        while let Some(request) = peer.request()? {
            peer.send(answer(&request))?;
        }
        Ok(())
    }
}

/// A 200 with `text` as its body.
pub fn ok(text: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )
    .into_bytes()
}

/// The connection of a script.
pub struct Peer {
    io: Io,
    reader: Reader,
    log: Arc<Log>,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Peer {
    /// Reads and records the next request; `None` if the peer closed.
    pub fn request(&mut self) -> io::Result<Option<Request>> {
        self.request_with(|_, _| Ok(()))
    }

    /// Reads and records the next request; `on_head` may answer before the body is read.
    pub fn request_with(
        &mut self,
        on_head: impl FnOnce(&mut dyn Write, &str) -> io::Result<()>,
    ) -> io::Result<Option<Request>> {
        let mut reader = std::mem::take(&mut self.reader);
        let mut writer = self.socket().try_clone()?;
        let request = reader.request_with(self, |head| on_head(&mut writer, head));
        self.reader = reader;
        let request = request?;
        lock(&self.log.requests).extend(request.clone());
        Ok(request)
    }

    /// Sends `bytes`.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.write_all(bytes.as_ref())?;
        self.flush()
    }

    /// Reads until the peer closes.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut reader = std::mem::take(&mut self.reader);
        let rest = reader.rest(self);
        self.reader = reader;
        rest
    }

    /// Closes the sending direction.
    pub fn finish(&self) -> io::Result<()> {
        self.socket().shutdown(Shutdown::Write)
    }

    /// Makes the close of this connection a reset.
    pub fn reset(&self) {
        client::reset(self.socket());
    }

    /// The socket itself.
    pub fn socket(&self) -> &TcpStream {
        match &self.io {
            Io::Plain(stream) => stream,
            Io::Tls(tls) => &tls.sock,
        }
    }
}

impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.io {
            Io::Plain(stream) => stream.read(buffer),
            Io::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.io {
            Io::Plain(stream) => stream.write(bytes),
            Io::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.io {
            Io::Plain(stream) => stream.flush(),
            Io::Tls(tls) => tls.flush(),
        }
    }
}

/// An accepting thread and one thread per connection; all end when dropped.
struct Server {
    addr: SocketAddr,
    over: Arc<AtomicBool>,
    accepting: Option<thread::JoinHandle<()>>,
    /// Clones of the open sockets, to cut them.
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Server {
    fn start(
        addr: SocketAddr,
        on: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        // A child process of another test may hold the old socket until it executes its program.
        let listener = wait::until(&format!("{addr} to be free"), || {
            match TcpListener::bind(addr) {
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => None,
                bound => Some(bound.unwrap_or_else(|e| panic!("bind {addr}: {e}"))),
            }
        });
        let over = Arc::new(AtomicBool::new(false));
        let open = Arc::new(Mutex::new(Vec::new()));
        let (ended, sockets, on) = (Arc::clone(&over), Arc::clone(&open), Arc::new(on));
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                drop(stream.set_nodelay(true));
                // The server keeps only the clone, so that a script's reset takes effect at once.
                if let Ok(clone) = stream.try_clone() {
                    lock(&sockets).push(clone);
                }
                let (on, sockets) = (Arc::clone(&on), Arc::clone(&sockets));
                thread::spawn(move || {
                    let peer = stream.peer_addr().ok();
                    drop(on(stream));
                    lock(&sockets).retain(|s| s.peer_addr().ok() != peer);
                });
            }
        });
        Self {
            addr,
            over,
            accepting: Some(accepting),
            open,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.addr));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
        for socket in lock(&self.open).drain(..) {
            drop(socket.shutdown(Shutdown::Both));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

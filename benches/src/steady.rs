//! A steady load that counts every connection and request that is lost, for upgrades under load.
//!
//! New connections arrive on a fixed schedule, each for one request. As many requests arrive on kept connections.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use serde::Serialize;
use socket2::{Domain, Socket, Type};

/// Connections that are kept for many requests.
const KEPT: usize = 64;
/// Clients have so many addresses, because each has only 28,000 ports and a port rests for a minute.
const SOURCES: u64 = 64;
/// Connections and requests started in one turn, so that responses are read in between.
const BURST: u64 = 64;
/// How long to wait for the last responses.
const PATIENCE: Duration = Duration::from_secs(5);

const ONCE: &[u8] = b"GET / HTTP/1.1\r\nHost: bench.localhost\r\nConnection: close\r\n\r\n";
const AGAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: bench.localhost\r\n\r\n";

/// What became of the connections and requests.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    /// Connections for one request.
    pub connects: u64,
    /// Requests on kept connections.
    pub requests: u64,
    /// Responses.
    pub answered: u64,
    /// Lost connections and requests by reason.
    pub lost: BTreeMap<String, u64>,
    /// Kept connections that were closed between two requests without `Connection: close`.
    pub closed_idle: u64,
    /// The longest time from a request's start, with its connect, to its response, in milliseconds.
    pub slowest_ms: u64,
    /// The most connections and requests that were due and not started: the load itself was late.
    pub backlog: u64,
}

struct Connection {
    stream: TcpStream,
    is_kept: bool,
    state: State,
    started: Instant,
    received: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Idle,
    Waiting,
}

/// Sends `rate` connections and `rate` requests per second to `target` for `seconds`.
///
/// # Errors
/// The load cannot be set up.
pub fn run(target: SocketAddr, rate: f64, seconds: f64) -> io::Result<Tally> {
    let mut load = Load {
        target,
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        open: HashMap::new(),
        idle: VecDeque::new(),
        next: 0,
        tally: Tally::default(),
    };
    for _ in 0..KEPT {
        load.connect(true);
    }
    let began = Instant::now();
    loop {
        let now = began.elapsed().as_secs_f64();
        let is_over = now >= seconds;
        let is_waiting = load
            .open
            .values()
            .any(|one| one.state == State::Waiting || !one.is_kept);
        if is_over && (!is_waiting || now > seconds + PATIENCE.as_secs_f64()) {
            break;
        }
        let due = if is_over { 0 } else { (now * rate) as u64 };
        let late = load.start(due);
        load.turn(!late)?;
    }
    let left = load.open.values();
    let unanswered = left
        .filter(|one| one.state == State::Waiting || !one.is_kept)
        .count();
    if unanswered > 0 {
        load.tally
            .lost
            .insert("unanswered".to_owned(), unanswered as u64);
    }
    Ok(load.tally)
}

struct Load {
    target: SocketAddr,
    epoll: std::os::fd::OwnedFd,
    open: HashMap<u64, Connection>,
    /// Kept connections without a request.
    idle: VecDeque<u64>,
    next: u64,
    tally: Tally,
}

impl Load {
    /// Starts what is due; returns whether something could not be started.
    fn start(&mut self, due: u64) -> bool {
        for _ in 0..BURST {
            if self.tally.connects < due {
                self.tally.connects += 1;
                self.connect(false);
            }
            if self.tally.requests < due {
                let Some(token) = self.idle.pop_front() else {
                    break;
                };
                self.tally.requests += 1;
                self.request(token, AGAIN);
            }
        }
        let behind = due.saturating_sub(self.tally.connects.min(self.tally.requests));
        self.tally.backlog = self.tally.backlog.max(behind);
        self.tally.connects < due
    }

    fn connect(&mut self, is_kept: bool) {
        self.next += 1;
        let token = self.next;
        match self.open(token) {
            Ok(stream) => {
                let connection = Connection {
                    stream,
                    is_kept,
                    state: State::Connecting,
                    started: Instant::now(),
                    received: Vec::new(),
                };
                self.open.insert(token, connection);
            }
            Err(error) => self.lose(&format!("connect: {error}")),
        }
    }

    fn open(&self, token: u64) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking().cloexec(), None)?;
        let last = u8::try_from(token % SOURCES + 1).unwrap_or(1);
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 5, 0, last), 0)).into())?;
        match socket.connect(&self.target.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error);
            }
            _ => {}
        }
        let stream = TcpStream::from(socket);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(
            &self.epoll,
            &stream,
            epoll::EventData::new_u64(token),
            flags,
        )?;
        Ok(stream)
    }

    fn request(&mut self, token: u64, request: &[u8]) {
        let Some(connection) = self.open.get_mut(&token) else {
            return;
        };
        connection.state = State::Waiting;
        if request == AGAIN {
            connection.started = Instant::now();
        }
        if let Err(error) = connection.stream.write_all(request) {
            self.end(token, Some(format!("request: {error}")));
        }
    }

    fn turn(&mut self, may_wait: bool) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: if may_wait { 1_000_000 } else { 0 },
        };
        epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&wait),
        )?;
        for event in events {
            let token = event.data.u64();
            let Some(connection) = self.open.get_mut(&token) else {
                continue;
            };
            if connection.state == State::Connecting {
                match connection.stream.take_error() {
                    Ok(None) if connection.is_kept => {
                        connection.state = State::Idle;
                        self.idle.push_back(token);
                    }
                    Ok(None) => self.request(token, ONCE),
                    Ok(Some(error)) | Err(error) => {
                        self.end(token, Some(format!("connect: {error}")));
                        continue;
                    }
                }
            }
            self.read(token);
        }
        Ok(())
    }

    fn read(&mut self, token: u64) {
        let mut chunk = [0; 4096];
        while let Some(connection) = self.open.get_mut(&token) {
            match connection.stream.read(&mut chunk) {
                Ok(0) if connection.state == State::Idle => return self.closed_idle(token),
                Ok(0) => return self.end(token, Some("closed without a response".to_owned())),
                Ok(n) => {
                    connection.received.extend_from_slice(&chunk[..n]);
                    if let Some(is_last) = complete(&connection.received) {
                        return self.answered(token, is_last);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) if connection.state == State::Idle => return self.closed_idle(token),
                Err(error) => return self.end(token, Some(format!("response: {error}"))),
            }
        }
    }

    fn answered(&mut self, token: u64, is_last: bool) {
        let Some(connection) = self.open.get_mut(&token) else {
            return;
        };
        self.tally.answered += 1;
        let took = u64::try_from(connection.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tally.slowest_ms = self.tally.slowest_ms.max(took);
        if connection.is_kept && !is_last {
            connection.received.clear();
            connection.state = State::Idle;
            self.idle.push_back(token);
        } else {
            self.end(token, None);
        }
    }

    fn closed_idle(&mut self, token: u64) {
        self.tally.closed_idle += 1;
        self.end(token, None);
    }

    /// Closes a connection; a kept one is opened again.
    fn end(&mut self, token: u64, lost: Option<String>) {
        if let Some(reason) = lost {
            self.lose(&reason);
        }
        self.idle.retain(|idle| *idle != token);
        if self.open.remove(&token).is_some_and(|one| one.is_kept) {
            self.connect(true);
        }
    }

    fn lose(&mut self, reason: &str) {
        *self.tally.lost.entry(reason.to_owned()).or_default() += 1;
    }
}

/// Whether a response is complete, and then whether it is the last of its connection.
fn complete(received: &[u8]) -> Option<bool> {
    let end = memchr::memmem::find(received, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
    let field = |name: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| line.strip_prefix(name).map(str::trim))
    };
    let length: usize = field("content-length:")?.parse().ok()?;
    let is_last = field("connection:") == Some("close");
    (received.len() >= end + length).then_some(is_last)
}

#[cfg(test)]
mod tests {
    use super::complete;

    #[test]
    fn response_is_complete_with_its_body() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n";
        let of = |rest: &str| complete(format!("{head}{rest}").as_bytes());
        assert_eq!(of(""), None);
        assert_eq!(of("\r\no"), None);
        assert_eq!(of("\r\nok"), Some(false));
        assert_eq!(of("Connection: close\r\n\r\nok"), Some(true));
    }
}

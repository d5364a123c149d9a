//! The event loop: one thread and one edge-triggered epoll for all clients and servers.

use std::collections::VecDeque;
use std::io::{BufRead, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustls::pki_types::ServerName;
use slab::Slab;
use socket2::{Domain, Socket, Type};

use crate::certificates::HOST;
use crate::client::Client;
use crate::datagrams::Datagrams;
use crate::grpc;
use crate::io::Io;
use crate::run::{Report, Run, Spec, Workload};
use crate::server::{Server, Service};
use crate::wire;

/// What the loop does next with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Wait for an event of its socket.
    Wait,
    /// Continue it after the other ready connections.
    Again,
    /// Close it.
    Close,
    /// Record its complete exchange.
    Done,
}

/// The buffers and counters that all connections share.
pub struct Shared {
    /// The read buffer.
    pub scratch: Vec<u8>,
    /// The bytes of every body.
    pub body: Vec<u8>,
    /// The small response, head and body.
    pub small: Vec<u8>,
    /// The request for the small response.
    pub get_small: Vec<u8>,
    /// The request for the large response.
    pub get_large: Vec<u8>,
    /// The message of a gRPC response.
    pub message: Vec<u8>,
    /// Body bytes that clients have sent or received.
    pub moved: u64,
}

impl Shared {
    fn new() -> Self {
        let get = |path| format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n").into_bytes();
        Self {
            scratch: vec![0; 1 << 20],
            body: vec![b'x'; 256 << 10],
            small: wire::small_response(),
            get_small: get("/small"),
            get_large: get("/large"),
            message: grpc::message(),
            moved: 0,
        }
    }

    /// Returns at most `limit` bytes of the body.
    pub fn part_of_body(&self, limit: u64) -> &[u8] {
        let limit = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(self.body.len());
        self.body.get(..limit).unwrap_or_default()
    }
}

enum Role {
    Listener(TcpListener, Service),
    Server(Io, Server),
    Client(Io, Client),
}

/// The event loop.
pub struct Engine {
    epoll: OwnedFd,
    roles: Slab<Role>,
    again: VecDeque<usize>,
    shared: Shared,
    server_tls: Option<Arc<rustls::ServerConfig>>,
    client_tls: Arc<rustls::ClientConfig>,
    run: Option<Run>,
    held: Vec<usize>,
    sources: u32,
    datagrams: Option<Datagrams>,
}

const STDIN: u64 = u64::MAX;
const EDGES: EventFlags = EventFlags::IN
    .union(EventFlags::OUT)
    .union(EventFlags::RDHUP)
    .union(EventFlags::ET);
const ENDED: EventFlags = EventFlags::RDHUP
    .union(EventFlags::HUP)
    .union(EventFlags::ERR);

impl Engine {
    /// Creates an empty loop. Only a loop with `server_tls` can serve HTTPS.
    pub fn new(server_tls: Option<Arc<rustls::ServerConfig>>) -> Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            roles: Slab::with_capacity(1024),
            again: VecDeque::new(),
            shared: Shared::new(),
            server_tls,
            client_tls: crate::certificates::client(false)?,
            run: None,
            held: Vec::new(),
            sources: 0,
            datagrams: None,
        })
    }

    /// Starts a server on a free port of the loopback.
    pub fn listen(&mut self, service: Service) -> Result<SocketAddr> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.listen(4096)?;
        let listener = TcpListener::from(socket);
        let address = listener.local_addr()?;
        let slot = self.roles.vacant_entry();
        let data = EventData::new_u64(slot.key() as u64);
        epoll::add(&self.epoll, &listener, data, EventFlags::IN)?;
        slot.insert(Role::Listener(listener, service));
        Ok(address)
    }

    /// Starts the UDP server on a free port of the loopback. It only serves during a UDP run.
    pub fn listen_udp(&mut self) -> Result<SocketAddr> {
        self.datagrams()?.address()
    }

    fn datagrams(&mut self) -> Result<&mut Datagrams> {
        Ok(match &mut self.datagrams {
            Some(open) => open,
            none => none.insert(Datagrams::new()?),
        })
    }

    /// Serves, and executes the commands in `input`, one a line. A [`Spec`] starts a run, `release`
    /// closes the connections of an idle run, and the end of input stops the loop.
    pub fn serve<I: BufRead + AsFd>(
        &mut self,
        mut input: I,
        mut reply: impl FnMut(Option<&Report>),
    ) -> Result<()> {
        let data = EventData::new_u64(STDIN);
        epoll::add(&self.epoll, &input, data, EventFlags::IN)?;
        loop {
            if !self.turn(Duration::from_secs(60))? {
                continue;
            }
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim() {
                "release" => {
                    self.release();
                    reply(None);
                }
                text => {
                    let spec = serde_json::from_str(text).with_context(|| line.clone())?;
                    reply(Some(&self.run(spec)?));
                }
            }
        }
    }

    /// Runs `spec` and returns its report.
    pub fn run(&mut self, spec: Spec) -> Result<Report> {
        if spec.workload.is_udp() {
            return self.datagrams()?.run(spec);
        }
        let total = spec.connections;
        let idles = spec.workload.idles();
        let deadline = Instant::now() + Duration::from_secs_f64(60.0 + spec.warm + spec.seconds);
        // Opens idle connections a few at a time: the run measures memory, not bursts.
        let first = if idles { total.min(32) } else { total };
        self.client_tls = crate::certificates::client(spec.workload == Workload::HttpsResume)?;
        self.run = Some(Run::new(spec)?);
        for _ in 0..first {
            self.open()?;
        }
        let report = loop {
            let now = Instant::now();
            while let Some((key, due)) = self.run.as_mut().and_then(|r| r.due(now)) {
                self.start(key, due)?;
            }
            let moved = self.shared.moved;
            let Some(run) = &mut self.run else {
                anyhow::bail!("no run");
            };
            let held = idles && run.resting.len() == total;
            if held || run.is_aborted() || now > deadline {
                break run.report(moved);
            }
            match run.tick(now, moved) {
                Some(report) if !idles => break report,
                _ => {}
            }
            let timeout = Duration::from_millis(run.timeout(now));
            self.turn(timeout)?;
        };
        let run = self.run.take();
        self.held.extend(run.into_iter().flat_map(|r| r.keys));
        if !idles {
            self.release();
        }
        Ok(report)
    }

    fn release(&mut self) {
        for key in std::mem::take(&mut self.held) {
            self.roles.try_remove(key);
        }
    }

    /// Handles all events; returns whether the input is ready.
    fn turn(&mut self, timeout: Duration) -> Result<bool> {
        let timeout = Timespec::try_from(if self.again.is_empty() {
            timeout
        } else {
            Duration::ZERO
        })?;
        let mut events = [Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }; 256];
        let ready = match epoll::wait(&self.epoll, &mut events[..], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => 0,
            result => result?,
        };
        // Connections in `again` run after those with events and before the next sleep.
        let again = self.again.len();
        let mut input = false;
        for event in events.iter().take(ready) {
            let (key, flags) = (event.data, event.flags);
            match key.u64() {
                STDIN => input = true,
                key => self.wake(key as usize, flags.intersects(ENDED))?,
            }
        }
        for _ in 0..again {
            if let Some(key) = self.again.pop_front() {
                self.wake(key, true)?;
            }
        }
        Ok(input)
    }

    fn wake(&mut self, key: usize, hup: bool) -> Result<()> {
        let step = match self.roles.get_mut(key) {
            None => return Ok(()),
            Some(Role::Listener(..)) => return self.accept(key),
            Some(Role::Server(io, server)) => server.ready(io, &mut self.shared, hup),
            Some(Role::Client(io, client)) => client.ready(io, &mut self.shared),
        };
        self.after(key, step)
    }

    fn after(&mut self, key: usize, step: std::io::Result<Step>) -> Result<()> {
        match step {
            Ok(Step::Wait) => Ok(()),
            Ok(Step::Again) => {
                self.again.push_back(key);
                Ok(())
            }
            Ok(Step::Done) => self.completed(key),
            Ok(Step::Close) => {
                self.roles.try_remove(key);
                Ok(())
            }
            Err(error) => self.failed(key, &error),
        }
    }

    fn accept(&mut self, key: usize) -> Result<()> {
        for _ in 0..64 {
            let Some(Role::Listener(listener, service)) = self.roles.get(key) else {
                return Ok(());
            };
            let service = *service;
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e).context("accept"),
            };
            let tls = match (service, &self.server_tls) {
                (Service::Https, Some(config)) => {
                    Some(rustls::ServerConnection::new(Arc::clone(config))?.into())
                }
                _ => None,
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            self.insert(Io::new(socket, tls), |io| {
                Role::Server(io, Server::new(service))
            })?;
        }
        Ok(())
    }

    fn insert(&mut self, io: Io, role: impl FnOnce(Io) -> Role) -> Result<usize> {
        let slot = self.roles.vacant_entry();
        let key = slot.key();
        epoll::add(
            &self.epoll,
            &io.socket,
            EventData::new_u64(key as u64),
            EDGES,
        )?;
        slot.insert(role(io));
        Ok(key)
    }

    /// Opens one connection of the run, and starts its first exchange unless requests are paced.
    fn open(&mut self) -> Result<()> {
        let Some(run) = &self.run else {
            return Ok(());
        };
        let started = Instant::now();
        let (workload, paced) = (run.spec.workload, run.spec.rate.is_some());
        // Thousands of connections would exhaust the ports of one source address.
        self.sources = (self.sources + 1) % 64;
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 1)) + self.sources);
        let socket = connect(SocketAddr::from((source, 0)), run.spec.target)?;
        let tls = if workload.tls() {
            let config = Arc::clone(&self.client_tls);
            Some(rustls::ClientConnection::new(config, ServerName::try_from(HOST)?)?.into())
        } else {
            None
        };
        let key = self.insert(Io::new(socket, tls), |io| {
            Role::Client(io, Client::new(workload))
        })?;
        if let Some(run) = &mut self.run {
            run.keys.push(key);
            if paced {
                run.resting.push(key);
                return Ok(());
            }
        }
        self.start(key, started)
    }

    fn start(&mut self, key: usize, started: Instant) -> Result<()> {
        let step = match self.roles.get_mut(key) {
            Some(Role::Client(io, client)) => client.request(io, &mut self.shared, started),
            _ => return Ok(()),
        };
        self.after(key, step)
    }

    fn completed(&mut self, key: usize) -> Result<()> {
        let (Some(Role::Client(io, client)), Some(run)) = (self.roles.get(key), &mut self.run)
        else {
            return Ok(());
        };
        run.completed(client.started);
        if io.is_resumed() {
            run.resumed();
        }
        if run.spec.workload.reconnects() {
            run.keys.retain(|k| *k != key);
            self.roles.try_remove(key);
            return self.open();
        }
        if run.spec.workload.idles() {
            run.resting.push(key);
            if run.keys.len() < run.spec.connections {
                return self.open();
            }
            return Ok(());
        }
        if run.spec.rate.is_some() {
            run.resting.push(key);
            return Ok(());
        }
        self.start(key, Instant::now())
    }

    fn failed(&mut self, key: usize, error: &std::io::Error) -> Result<()> {
        let Some(Role::Client(..)) = self.roles.try_remove(key) else {
            // The client of the same exchange reports the failure of a server's connection.
            return Ok(());
        };
        let Some(run) = &mut self.run else {
            return Ok(());
        };
        run.keys.retain(|k| *k != key);
        run.resting.retain(|k| *k != key);
        run.failed(error);
        if run.is_aborted() {
            return Ok(());
        }
        self.open()
    }
}

/// Starts a connect without waiting for it; [`Io`] keeps what is sent before it completes.
fn connect(source: SocketAddr, target: SocketAddr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&source.into())?;
    match socket.connect(&target.into()) {
        Err(e) if e.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            Err(e).with_context(|| target.to_string())
        }
        _ => Ok(socket.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates;
    use crate::run::Workload;

    /// Runs `workload` against the own server of HTTPS until an exchange is complete.
    fn run(workload: Workload, connections: usize) -> Report {
        let mut engine = Engine::new(Some(certificates::server_of_test())).unwrap();
        let target = engine.listen(Service::Https).unwrap();
        let mut seconds = 0.1;
        loop {
            let spec = Spec {
                workload,
                target,
                connections,
                seconds,
                warm: 0.0,
                rate: None,
                pids: Vec::new(),
            };
            let report = engine.run(spec).unwrap();
            assert_eq!(report.errors, 0, "{report:?}");
            if report.requests > connections as u64 {
                return report;
            }
            seconds *= 2.0;
        }
    }

    #[test]
    fn large_bodies_pass_through_tls() {
        for workload in [Workload::HttpsGet, Workload::HttpsPut] {
            let report = run(workload, 1);
            assert!(report.bytes >= wire::LARGE, "{workload:?}: {report:?}");
        }
    }

    #[test]
    fn sessions_are_resumed_only_where_the_workload_says_so() {
        let report = run(Workload::HttpsConnect, 8);
        assert_eq!(report.resumed, 0, "{report:?}");
        let report = run(Workload::HttpsResume, 8);
        // The first session of each of them has no ticket.
        assert!(report.requests - report.resumed <= 8, "{report:?}");
    }
}

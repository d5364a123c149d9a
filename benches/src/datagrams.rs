//! UDP: the clients, and the server behind the proxy, in one loop. All clients send through one socket, each from an address of
//! its own, so that the load costs little beside the proxy.

use std::collections::VecDeque;
use std::iter::repeat_n;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Result;
use elbow_net::datagram::{self, Envelope, Inbox, Outbox};
use elbow_net::listen::Locality;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::run::{Report, Run, Spec, Workload};

/// Messages sent or received at once.
const BATCH: usize = 64;
/// Bytes of an echo, and of a datagram of a stream.
const ECHO: usize = 64;
const STREAM: usize = 1200;
/// Datagrams of a stream that leave as one message.
const SEGMENTS: usize = 16;
/// Datagrams of a stream that may be on their way.
const WINDOW: usize = 512;
/// Flows that may begin at a time if they stay idle: the run measures memory, not bursts.
const BEGINNING: usize = 32;
/// After this time without any datagram, those on their way count as lost.
const STALL: Duration = Duration::from_millis(20);

/// The sockets of clients and server.
pub struct Datagrams {
    server: UdpSocket,
    clients: UdpSocket,
    inbox: Inbox,
    outbox: Outbox,
    body: Vec<u8>,
}

/// What is on its way.
struct Flight {
    /// Flows of echoes that may send.
    ready: VecDeque<usize>,
    /// When each flow sent the echo that is on its way.
    sent: Vec<Option<Instant>>,
    /// Datagrams.
    count: usize,
    next: usize,
    moved: u64,
}

impl Datagrams {
    /// Opens both on free ports of the loopback.
    pub fn new() -> Result<Self> {
        let bind = |ip: Ipv4Addr| datagram::bind((ip, 0).into(), Locality::Assigned);
        Ok(Self {
            server: bind(Ipv4Addr::LOCALHOST)?,
            clients: bind(Ipv4Addr::UNSPECIFIED)?,
            inbox: Inbox::new(BATCH),
            outbox: Outbox::new(BATCH * SEGMENTS),
            body: vec![b'x'; STREAM * SEGMENTS],
        })
    }

    /// The address of the server.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.server.local_addr()?)
    }

    /// Runs `spec` and returns its report.
    pub fn run(&mut self, spec: Spec) -> Result<Report> {
        let (workload, target, flows) = (spec.workload, spec.target, spec.connections);
        let mut run = Run::new(spec)?;
        let mut flight = Flight {
            ready: (0..flows).collect(),
            sent: vec![None; flows],
            count: 0,
            next: 0,
            moved: 0,
        };
        let mut last = Instant::now();
        loop {
            let now = Instant::now();
            match run.tick(now, flight.moved) {
                Some(report) if !workload.idles() => return Ok(report),
                _ => {}
            }
            let all_idle = flight.ready.is_empty() && flight.count == 0;
            if workload.idles() && (all_idle || run.is_aborted()) {
                return Ok(run.report(flight.moved));
            }
            let mut progress = self.send(workload, target, flows, now, &mut flight);
            progress |= self.serve(workload, &mut flight, &mut run);
            progress |= self.receive(workload, &mut flight, &mut run);
            if progress {
                last = now;
                continue;
            }
            self.wait()?;
            if now - last > STALL {
                last = now;
                flight.recover(workload, now, &mut run);
            }
        }
    }

    /// Sends what may be sent.
    fn send(
        &mut self,
        workload: Workload,
        target: SocketAddr,
        flows: usize,
        now: Instant,
        flight: &mut Flight,
    ) -> bool {
        let segments = if workload == Workload::UdpGso {
            SEGMENTS
        } else {
            1
        };
        let echoes = match workload {
            Workload::UdpEcho => BATCH,
            Workload::UdpIdle => BEGINNING.saturating_sub(flight.count),
            _ => 0,
        };
        let echoes = flight.ready.len().min(echoes);
        flight.count += echoes;
        let numbers = flight.ready.drain(..echoes).map(|flow| {
            flight.sent[flow] = Some(now);
            let mut bytes = [0; ECHO];
            bytes[..8].copy_from_slice(&(flow as u64).to_ne_bytes());
            bytes
        });
        let numbers: Vec<[u8; ECHO]> = numbers.collect();
        let mut queue = self.outbox.queue();
        let envelope = |flow: usize, segment| Envelope {
            to: Some(target),
            from: Some(source(flow)),
            segment,
        };
        for bytes in &numbers {
            queue.push(&envelope(number(bytes), None), std::iter::once(&bytes[..]));
        }
        while !workload.echoes_datagrams()
            && queue.len() < BATCH
            && flight.count + segments <= WINDOW
        {
            let segment = (segments > 1).then_some(STREAM as u16);
            let part = &self.body[..STREAM];
            queue.push(
                &envelope(flight.next % flows, segment),
                repeat_n(part, segments),
            );
            flight.next += 1;
            flight.count += segments;
        }
        let has_sent = !queue.is_empty();
        // What does not fit is lost.
        while !queue.is_empty() && queue.send(&self.clients).is_ok() {}
        has_sent
    }

    /// Receives at the server, and sends echoes back.
    fn serve(&mut self, workload: Workload, flight: &mut Flight, run: &mut Run) -> bool {
        self.inbox.clear();
        let received = self.inbox.receive(&self.server, BATCH).unwrap_or_default();
        let mut queue = self.outbox.queue();
        let now = Instant::now();
        for slot in 0..received {
            let bytes = self.inbox.bytes(slot);
            if workload.echoes_datagrams() {
                let envelope = Envelope {
                    to: self.inbox.sender(slot),
                    ..Envelope::default()
                };
                queue.push(&envelope, std::iter::once(bytes));
                continue;
            }
            let size = self.inbox.segment(slot).unwrap_or(STREAM);
            for _ in 0..bytes.len().div_ceil(size) {
                flight.count = flight.count.saturating_sub(1);
                run.completed(now);
            }
            flight.moved += bytes.len() as u64;
        }
        while !queue.is_empty() && queue.send(&self.server).is_ok() {}
        received > 0
    }

    /// Receives the echoes at the clients.
    fn receive(&mut self, workload: Workload, flight: &mut Flight, run: &mut Run) -> bool {
        if !workload.echoes_datagrams() {
            return false;
        }
        self.inbox.clear();
        let received = self.inbox.receive(&self.clients, BATCH).unwrap_or_default();
        for slot in 0..received {
            for bytes in self.inbox.bytes(slot).chunks(ECHO) {
                let flow = number(bytes);
                let Some(sent) = flight.sent.get_mut(flow).and_then(Option::take) else {
                    // It counts as lost.
                    continue;
                };
                run.completed(sent);
                flight.count -= 1;
                flight.moved += bytes.len() as u64;
                if !workload.idles() {
                    flight.ready.push_back(flow);
                }
            }
        }
        received > 0
    }

    /// Waits until a datagram arrives, but not for long.
    fn wait(&self) -> Result<()> {
        let mut sockets = [&self.server, &self.clients].map(|s| PollFd::new(s, PollFlags::IN));
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: 5_000_000,
        };
        poll(&mut sockets, Some(&timeout))?;
        Ok(())
    }
}

impl Flight {
    /// Counts what is on its way as lost, and sends again.
    fn recover(&mut self, workload: Workload, now: Instant, run: &mut Run) {
        if !workload.echoes_datagrams() {
            if self.count > 0 {
                run.failed(format!("{} datagrams lost", self.count));
            }
            self.count = 0;
            return;
        }
        for (flow, sent) in self.sent.iter_mut().enumerate() {
            if sent
                .take_if(|sent| now.duration_since(*sent) > STALL)
                .is_some()
            {
                run.failed("a datagram was lost");
                self.count -= 1;
                self.ready.push_back(flow);
            }
        }
    }
}

/// The number at the beginning of an echo.
fn number(bytes: &[u8]) -> usize {
    let number = bytes.first_chunk().copied().map(u64::from_ne_bytes);
    number.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX))
}

/// The address of a client.
fn source(flow: usize) -> IpAddr {
    let first = Ipv4Addr::new(127, 2, 1, 0).to_bits();
    Ipv4Addr::from_bits(first + u32::try_from(flow).unwrap_or(0)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(workload: Workload, flows: usize, warm: f64) -> Report {
        let mut datagrams = Datagrams::new().unwrap();
        let spec = Spec {
            workload,
            target: datagrams.address().unwrap(),
            connections: flows,
            seconds: 0.05,
            warm,
            rate: None,
            pids: Vec::new(),
        };
        datagrams.run(spec).unwrap()
    }

    #[test]
    fn every_workload_moves_datagrams() {
        for workload in [Workload::UdpEcho, Workload::UdpStream, Workload::UdpGso] {
            let report = run(workload, 8, 0.01);
            assert!(report.requests > 0, "{workload:?}: {report:?}");
            assert!(report.bytes >= report.requests * 64, "{report:?}");
        }
    }

    #[test]
    fn idle_flows_have_one_echo_each() {
        let flows = 10 * BEGINNING;
        let report = run(Workload::UdpIdle, flows, 0.0);
        assert_eq!(report.requests, flows as u64, "{report:?}");
    }
}

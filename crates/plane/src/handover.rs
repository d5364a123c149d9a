//! Hands the listening sockets over to another process, and takes them over.
//!
//! ```text
//!   old: copies, heritage ------------------------> drain_after_hand_over
//!   new: inherit -> apply (accepts nothing yet) -> is_settled -> accept
//! ```

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use elbow_model::TargetState;
use elbow_model::addresses::Preferred;
use elbow_net::inherited::Inherited;
use rustix::fs::fstat;
use tracing::warn;

use crate::flows::UdpFlow;
use crate::inheritance::{Health, Heritage, Inheritance, TicketKeys};
use crate::message::{Command, Copied};
use crate::plane::Plane;

/// How long a worker may take to copy its sockets.
const COPY_TIMEOUT: Duration = Duration::from_secs(10);

impl Plane {
    /// Copies of all listening sockets by name, in the order of their workers.
    ///
    /// # Errors
    /// A socket cannot be copied, or a worker does not answer.
    pub fn copies(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let (sender, receiver) = mpsc::channel();
        for worker in &self.workers {
            worker.send(Command::Copy(sender.clone()));
        }
        drop(sender);
        let mut copies: Vec<Copied> = Vec::new();
        for _ in &self.workers {
            let of_one = receiver.recv_timeout(COPY_TIMEOUT);
            copies.extend(of_one.map_err(|_| io::Error::other("a worker does not answer"))?);
        }
        copies.sort_by_key(|copied| (copied.key, copied.worker));
        let mut distinct = Vec::with_capacity(copies.len());
        let mut last = None;
        for Copied { key, socket, .. } in copies {
            let socket = socket?;
            // Workers may share a socket, if fewer were passed than there are workers.
            let this = (key, fstat(socket.as_fd())?.st_ino);
            if last != Some(this) {
                distinct.push((key.to_string(), socket));
            }
            last = Some(this);
        }
        Ok(distinct)
    }

    /// What to tell the successor.
    pub fn heritage(&self) -> Heritage {
        let snapshot = self.shared.snapshot.load();
        let balancers = snapshot.balancers.values();
        let pooled = balancers.filter(|state| state.config.addresses.is_empty());
        let address = |ip: &IpAddr| ip.is_ipv4().then_some(*ip);
        let addresses = pooled.filter_map(|state| {
            let address = state.addresses.iter().find_map(address)?;
            Some((state.config.name.to_string(), address))
        });
        Heritage {
            addresses: addresses.collect(),
            health: snapshot
                .groups
                .values()
                .flat_map(|g| Health::of(g))
                .collect(),
            ticket_keys: TicketKeys(self.ticket_keys()),
        }
    }

    /// Uses the sockets and the knowledge of another process. Call it before the first [`Plane::apply`]. No connection is
    /// accepted until [`Plane::accept`].
    pub fn inherit(&self, sockets: Arc<Inherited>, heritage: &Heritage) {
        self.inherit_ticket_keys(&heritage.ticket_keys.0);
        let mut state = self.shared.lock();
        state.inheritance = Some(Inheritance::new(sockets, heritage));
        let addresses = heritage.addresses.iter();
        let addresses = addresses.map(|(name, address)| (Arc::from(name.as_str()), *address));
        let known = state.preferred.addresses.clone();
        state.preferred = Preferred {
            addresses: known.into_iter().chain(addresses).collect(),
            moves: state.preferred.moves,
        };
    }

    /// The keys of TLS session tickets, the current one first; none before the first TLS listener.
    pub fn ticket_keys(&self) -> Vec<Vec<u8>> {
        self.shared.tickets.keys()
    }

    /// Resumes the TLS sessions of a process with these keys, unless this one already has keys. Call it before the first
    /// [`Plane::apply`].
    pub fn inherit_ticket_keys(&self, keys: &[Vec<u8>]) {
        if !keys.is_empty()
            && let Err(error) = self.shared.tickets.inherit(keys)
        {
            warn!(%error, "TLS sessions of the previous process cannot be resumed");
        }
    }

    /// Whether every target has a health and every host name an answer, so that this process serves as well as the one
    /// before.
    pub fn is_settled(&self) -> bool {
        let snapshot = self.shared.snapshot.load();
        let groups = snapshot.groups.values().filter(|group| group.in_use());
        groups.into_iter().all(|group| {
            let is_known = |name| self.shared.resolved(name).is_some();
            let mut targets = group.registered().iter();
            group.hosts().all(|name| is_known(name))
                && targets.all(|target| target.state() != TargetState::Initial)
        })
    }

    /// Accepts connections after [`Plane::inherit`], and serves the UDP `flows` of the other process.
    pub fn accept(&self, flows: Vec<UdpFlow>) {
        let mut state = self.shared.lock();
        if let Some(inheritance) = state.inheritance.take() {
            state.listen(inheritance.into_held(), flows);
        }
    }

    /// Stops receiving datagrams of clients, which wait in the listening sockets from now on, and takes all UDP flows from their
    /// workers: an element for each worker, with the flows that have been idle for longest first. Call [`Plane::return_flows`]
    /// whatever happens.
    ///
    /// # Errors
    /// A worker does not answer.
    pub fn take_flows(&self) -> io::Result<Vec<Vec<UdpFlow>>> {
        let mut taken = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (sender, receiver) = mpsc::channel();
            worker.send(Command::TakeFlows(sender));
            match receiver.recv_timeout(COPY_TIMEOUT) {
                Ok(flows) => taken.push(flows),
                Err(_) => {
                    self.return_flows(taken, false);
                    return Err(io::Error::other("a worker does not answer"));
                }
            }
        }
        Ok(taken)
    }

    /// Lets workers serve flows of [`Plane::take_flows`] again. They also receive datagrams of clients again, unless another process
    /// has taken over.
    pub fn return_flows(&self, mut taken: Vec<Vec<UdpFlow>>, has_successor: bool) {
        taken.resize_with(self.workers.len(), Vec::new);
        for (worker, flows) in self.workers.iter().zip(taken) {
            worker.send(Command::ReturnFlows {
                flows,
                has_successor,
            });
        }
    }
}

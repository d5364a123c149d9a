//! Applies a model.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use elbow_model::addresses::{self, Addresses, Ipv6Source, PoolFull};
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{LoadBalancer, Model, Transport, changed};
use elbow_net::datagram;
use elbow_net::inherited::{Inherited, Which};
use elbow_net::listen::{self, Locality};
use elbow_net::networks::Networks;

use crate::error::{ApplyError, Cause, Failure, ListenerId};
use crate::inheritance::Inheritance;
use crate::listener_key::ListenerKey;
use crate::message::Sockets;
use crate::shared::{Shared, State};
use crate::snapshot::{self, Built, Changes, Snapshot};

/// An applied change.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The generation of the active snapshot.
    pub generation: u64,
    /// The previous model.
    pub before: Arc<Model>,
    /// The active model.
    pub now: Arc<Model>,
    /// Why certificates and trust stores keep their previous content from now on.
    pub stale: Vec<Diagnostic>,
}

impl Shared {
    /// Applies `model`.
    ///
    /// # Errors
    /// All failures; the previous snapshot stays active.
    pub(crate) fn apply(&self, model: Arc<Model>) -> Result<Applied, ApplyError> {
        let mut state = self.lock();
        self.networks.store(Arc::new(Networks::of_machine()));
        let previous = self.snapshot.load_full();
        // Continues after a failure, so that the caller gets all failures at once.
        let mut failures = Vec::new();
        let addresses = self.addresses(&previous, &model, &state);
        let addresses = addresses.unwrap_or_else(|full| {
            failures.extend(Failure::pool_full(&full));
            full.assigned
        });
        let parts = self.parts(&previous, &state);
        let built = snapshot::build(Arc::clone(&model), &addresses, &parts);
        let Built {
            snapshot, changes, ..
        } = built;
        failures.extend(built.failures);
        let inherited = state.inheritance.as_ref().map(Inheritance::sockets);
        let sockets = self.bind_new(&snapshot, &changes, inherited, &mut failures);
        if !failures.is_empty() {
            return Err(ApplyError { failures });
        }
        let known: Vec<&Diagnostic> = previous.stale().collect();
        let stale = snapshot.stale();
        let applied = Applied {
            stale: stale.filter(|one| !known.contains(one)).cloned().collect(),
            generation: snapshot.generation,
            before: Arc::clone(&previous.model),
            now: model,
        };
        self.publish(&mut state, snapshot, changes, sockets);
        Ok(applied)
    }

    /// The addresses of all load balancers; empty if every one keeps its address.
    fn addresses(
        &self,
        previous: &Snapshot,
        model: &Model,
        state: &State,
    ) -> Result<Addresses, PoolFull> {
        let (old, new) = (&previous.model.load_balancers, &model.load_balancers);
        let mut set = changed(old, new, |lb| &lb.name).set.into_iter();
        let stay = set.all(|(before, lb)| {
            before.is_some_and(|b| {
                (&b.addresses, b.ip_address_type) == (&lb.addresses, lb.ip_address_type)
                    && b.zones == lb.zones
            })
        });
        let preferred = &state.preferred;
        if stay && !preferred.moves {
            return Ok(Addresses::new());
        }
        let held = |name: &str| Some(&*previous.balancers.get(name)?.addresses);
        let assigned = addresses::assign(model, self.options.address_pool, preferred, held);
        let with_ipv6 = |mut assigned: Addresses| {
            let inherited = state.inheritance.as_ref().map(Inheritance::sockets);
            let is_held = |key: &ListenerKey| {
                previous.listeners.contains_key(key)
                    || inherited.is_some_and(|sockets| has(sockets, key))
            };
            let is_free = |address, lb: &LoadBalancer| self.is_free(address, lb, is_held);
            addresses::add_ipv6(model, self.options.ipv6, &mut assigned, held, is_free);
            assigned
        };
        assigned.map(with_ipv6)
    }

    /// Whether no other process listens on the ports of the load balancer at an address of this machine.
    /// `is_held` says whether this one does.
    fn is_free(
        &self,
        address: IpAddr,
        balancer: &LoadBalancer,
        is_held: impl Fn(&ListenerKey) -> bool,
    ) -> bool {
        let mut sockets = balancer.listeners.iter().flat_map(|listener| {
            let port = listener.port.saturating_add(self.options.port_offset);
            let transports = listener.protocol.transports().iter();
            transports.map(move |transport| ListenerKey {
                address: (address, port).into(),
                transport: *transport,
            })
        });
        sockets.all(|key| is_held(&key) || self.is_unused(key).is_ok())
    }

    /// Opens the sockets that `next` adds: one for each worker, so that the kernel spreads connections.
    fn bind_new(
        &self,
        next: &Snapshot,
        changes: &Changes,
        inherited: Option<&Inherited>,
        failures: &mut Vec<Failure>,
    ) -> Vec<Sockets> {
        let mut bound = Vec::new();
        let opened = changes.opened.iter();
        for (key, listener) in opened.filter_map(|key| Some((*key, next.listeners.get(key)?))) {
            match self.bind(key, inherited) {
                Ok(sockets) => bound.push(Sockets { key, sockets }),
                Err(source) => failures.push(Failure {
                    load_balancers: vec![Arc::clone(&listener.load_balancer)],
                    listener: Some(ListenerId {
                        port: listener.port,
                        transport: key.transport,
                    }),
                    cause: Cause::Bind {
                        address: key.address,
                        source,
                    },
                }),
            }
        }
        bound
    }

    /// Fails if anything already listens there: with `SO_REUSEPORT` the sockets would otherwise silently
    /// share the port with another process of the same user.
    fn is_unused(&self, key: ListenerKey) -> io::Result<()> {
        let locality = self.locality(key.address.ip());
        match key.transport {
            Transport::Tcp => listen::bind_alone(key.address, locality).map(drop),
            Transport::Udp => datagram::bind_alone(key.address, locality).map(drop),
        }
    }

    /// The IPv6 pool is local by a route.
    fn locality(&self, address: IpAddr) -> Locality {
        match (self.options.ipv6, address) {
            (Ipv6Source::Pool(range), IpAddr::V6(address)) if range.contains(&address) => {
                Locality::Routed
            }
            _ => Locality::Assigned,
        }
    }

    /// The sockets of `key`: those of another process, or a new one for each worker.
    fn bind(&self, key: ListenerKey, inherited: Option<&Inherited>) -> io::Result<Vec<OwnedFd>> {
        let workers = self.options.workers;
        if let Some(inherited) = inherited.filter(|sockets| has(sockets, &key)) {
            let which = Which::At(key.address);
            return match key.transport {
                Transport::Tcp => Ok(owned(inherited.tcp(which, workers)?)),
                Transport::Udp => Ok(owned(inherited.udp(which)?)),
            };
        }
        self.is_unused(key)?;
        let locality = self.locality(key.address.ip());
        let bind = |_| match key.transport {
            Transport::Tcp => listen::bind(key.address, locality).map(OwnedFd::from),
            Transport::Udp => datagram::bind(key.address, locality).map(OwnedFd::from),
        };
        (0..workers).map(bind).collect()
    }
}

/// Whether another process has passed sockets of `key`.
fn has(sockets: &Inherited, key: &ListenerKey) -> bool {
    match key.transport {
        Transport::Tcp => sockets.has_tcp(key.address),
        Transport::Udp => sockets.has_udp(key.address),
    }
}

fn owned(sockets: Vec<impl Into<OwnedFd>>) -> Vec<OwnedFd> {
    sockets.into_iter().map(Into::into).collect()
}

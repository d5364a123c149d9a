//! From a model to what the workers serve: an immutable value, swapped whole.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use elbow_balance::{Group, Target};
use elbow_model::addresses::Addresses;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{
    Action, Certificate, CertificateSource, Listener, LoadBalancer, LoadBalancerType, Model,
    Protocol, Sources, TargetId, TargetState,
};
use elbow_tcp::Manners;
use elbow_telemetry::{ListenerMetrics, Telemetry};
use elbow_tls::{Acceptor, Loaded, Tickets, alpn};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::Rejection;
use crate::instances;
use crate::names::Resolved;

#[cfg(test)]
mod tests;

/// Of a TLS listener; fixed, unlike that of a TCP listener (NLB guide: listeners).
const TLS_IDLE_TIMEOUT: Duration = Duration::from_secs(350);
/// The region that ARNs and DNS names speak of.
pub(crate) const REGION: &str = "us-east-1";

/// Everything in force at one time.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// Rises by one with every snapshot.
    pub(crate) generation: u64,
    pub(crate) model: Arc<Model>,
    /// Where each load balancer listens.
    pub(crate) addresses: Addresses,
    pub(crate) groups: FxHashMap<Arc<str>, Arc<Group>>,
    /// Deregistered targets whose delay runs, with their groups' names.
    pub(crate) draining: Vec<(Arc<str>, Arc<Target>)>,
    /// Groups that a listener forwards to; the others take no traffic and are not checked.
    pub(crate) in_use: FxHashSet<Arc<str>>,
    /// By the address that is bound.
    pub(crate) listeners: FxHashMap<SocketAddr, Arc<ListenerState>>,
    pub(crate) certificates: Vec<Arc<Loaded>>,
}

/// A listener in force.
pub(crate) struct ListenerState {
    pub(crate) load_balancer: Arc<str>,
    /// As configured, without the port offset.
    pub(crate) port: u16,
    pub(crate) metrics: Arc<ListenerMetrics>,
    /// Where clients may come from, unless from everywhere.
    pub(crate) sources: Option<Sources>,
    /// Set where clients speak TLS.
    pub(crate) termination: Option<Termination>,
    pub(crate) room: Room,
}

/// How a listener ends its clients' TLS.
pub(crate) struct Termination {
    pub(crate) acceptor: Acceptor,
    /// Its policy has TLS 1.3, and so have connections to targets then (ALB guide: security
    /// policies).
    pub(crate) tls13: bool,
}

/// Who handles the bytes of a listener.
pub(crate) enum Room {
    Tcp(Arc<elbow_tcp::Listener>),
    Http(Arc<elbow_http::Listener>),
}

/// What a snapshot is made of besides the model.
pub(crate) struct Parts<'a> {
    pub(crate) previous: &'a Snapshot,
    pub(crate) resolved: &'a FxHashMap<Arc<str>, Resolved>,
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) tickets: &'a Tickets,
    pub(crate) workers: usize,
    pub(crate) port_offset: u16,
}

/// Finds what only the file system and the TLS library know to be wrong with `model`: certificates
/// that are missing, broken or do not fit their keys. Those that are yet to be issued are none.
pub fn check(model: &Model) -> Vec<Diagnostic> {
    let is_to_be_issued =
        |c: &&Arc<Certificate>| matches!(c.source, CertificateSource::SelfSigned { .. });
    model
        .certificates
        .iter()
        .filter(|c| !is_to_be_issued(c))
        .filter_map(|c| load(c).err())
        .collect()
}

fn load(certificate: &Certificate) -> Result<Arc<Loaded>, Diagnostic> {
    elbow_tls::load(certificate).map_err(|error| {
        let (file, line, column) = certificate.declared.clone().unwrap_or_default();
        let message = format!("certificate \"{}\": {error}", certificate.name);
        Diagnostic::error("bad-certificate", message)
            .at(&*file, line, column)
            .object(format!("certificate/{}", certificate.name))
    })
}

impl Snapshot {
    /// The snapshot that follows `parts.previous` when `model` is applied at `addresses`.
    ///
    /// Targets that stay keep their live numbers; targets that go are listed as draining in groups
    /// that stay. Nothing changes for those who serve until [`Snapshot::activate`].
    ///
    /// # Errors
    /// A diagnostic for every certificate or policy that cannot be used.
    pub(crate) fn build(
        model: Arc<Model>,
        addresses: Addresses,
        parts: &Parts<'_>,
    ) -> Result<Self, Vec<Rejection>> {
        let (certificates, errors) = load_all(&model);
        if !errors.is_empty() {
            return Err(errors);
        }
        let (groups, draining) = groups(&model, parts);
        let mut snapshot = Self {
            generation: parts.previous.generation + 1,
            groups,
            draining,
            in_use: groups_in_use(&model),
            certificates,
            addresses,
            model: Arc::clone(&model),
            listeners: FxHashMap::default(),
        };
        let mut errors = Vec::new();
        for balancer in &model.load_balancers {
            let addresses = snapshot
                .addresses
                .get(&balancer.name)
                .cloned()
                .unwrap_or_default();
            for listener in &balancer.listeners {
                match snapshot.listener(balancer, listener, parts) {
                    Ok(state) => {
                        let state = Arc::new(state);
                        let port = listener.port.saturating_add(parts.port_offset);
                        for ip in &addresses {
                            let address = SocketAddr::new(*ip, port);
                            if let Some(other) =
                                snapshot.listeners.insert(address, Arc::clone(&state))
                            {
                                errors.push(taken(balancer, listener, address, &other));
                            }
                        }
                    }
                    Err(diagnostic) => errors.push(diagnostic),
                }
            }
        }
        if errors.is_empty() {
            Ok(snapshot)
        } else {
            Err(errors)
        }
    }

    /// This snapshot with its groups made anew, after names resolved or a delay ended.
    pub(crate) fn refreshed(&self, parts: &Parts<'_>) -> Result<Self, Vec<Rejection>> {
        Self::build(Arc::clone(&self.model), self.addresses.clone(), parts)
    }

    /// Lets deregistered targets drain and brings back those that are registered again.
    pub(crate) fn activate(&self) {
        for (_, target) in &self.draining {
            target.set_state(TargetState::Draining);
        }
        let drains = |t: &Target| self.draining.iter().any(|(_, d)| d.serial == t.serial);
        for (name, group) in &self.groups {
            let used = self.in_use.contains(name);
            for target in group.targets.iter().filter(|t| !drains(t)) {
                match target.state() {
                    TargetState::Draining => target.set_state(TargetState::Initial),
                    _ if !used => target.set_state(TargetState::Unused),
                    _ => {}
                }
            }
        }
        // A listener that is new finds the instances as healthy as the others know them to be.
        for instance in instances::of(self) {
            let known = |t: &&Arc<Target>| t.state() != TargetState::Initial;
            let state = instance.targets.iter().map(|(_, t)| t).find(known);
            if let Some(state) = state.map(|t| t.state()) {
                let unknown = |t: &&Arc<Target>| t.state() == TargetState::Initial;
                for target in instance.targets.iter().map(|(_, t)| t).filter(unknown) {
                    target.set_state(state);
                }
            }
        }
    }

    fn listener(
        &self,
        balancer: &LoadBalancer,
        listener: &Listener,
        parts: &Parts<'_>,
    ) -> Result<ListenerState, Rejection> {
        let kind = match balancer.kind {
            LoadBalancerType::Application => "application",
            LoadBalancerType::Network => "network",
            LoadBalancerType::Classic => "classic",
        };
        let protocol = listener.protocol.as_str();
        let metrics = parts
            .telemetry
            .listener(&balancer.name, kind, listener.port, protocol);
        let termination = match listener.protocol.is_tls() {
            true => Some(self.termination(balancer, listener, parts.tickets)?),
            false => None,
        };
        let room = match listener.protocol {
            Protocol::Http | Protocol::Https => {
                let dns_name = self.own_name(balancer).into();
                let group = |name: &str| self.groups.get(name).cloned();
                Room::Http(Arc::new(elbow_http::Listener::new(
                    balancer, listener, dns_name, group,
                )))
            }
            _ => Room::Tcp(Arc::new(elbow_tcp::Listener {
                groups: self.forwarded(listener),
                sticky: matches!(
                    listener.default_actions.first(),
                    Some(Action::Forward(forward)) if forward.stickiness.is_some()
                ),
                manners: match balancer.kind {
                    LoadBalancerType::Classic => Manners::Classic,
                    _ => Manners::Network,
                },
                idle_timeout: match listener.protocol {
                    _ if balancer.kind == LoadBalancerType::Classic => {
                        balancer.attributes.idle_timeout
                    }
                    Protocol::Tcp => listener
                        .attributes
                        .tcp_idle_timeout
                        .unwrap_or(balancer.attributes.tcp_idle_timeout),
                    _ => TLS_IDLE_TIMEOUT,
                },
                load_balancer: Arc::clone(&balancer.name),
                port: listener.port,
            })),
        };
        let load_balancer = Arc::clone(&balancer.name);
        Ok(ListenerState {
            load_balancer,
            port: listener.port,
            metrics,
            sources: balancer.tcp_sources(listener.port),
            termination,
            room,
        })
    }

    /// The Host of requests that name none: an ALB's DNS name, a CLB's address (ELB guide: how it
    /// works).
    fn own_name(&self, balancer: &LoadBalancer) -> String {
        let addresses = self.addresses.get(&balancer.name);
        match (balancer.kind, addresses.and_then(|ips| ips.first())) {
            (LoadBalancerType::Classic, Some(IpAddr::V6(ip))) => format!("[{ip}]"),
            (LoadBalancerType::Classic, Some(ip)) => ip.to_string(),
            _ => balancer.dns_name(REGION),
        }
    }

    fn forwarded(&self, listener: &Listener) -> Vec<(Arc<Group>, u32)> {
        let Some(Action::Forward(forward)) = listener.default_actions.first() else {
            return Vec::new();
        };
        let group = |g: &elbow_model::WeightedTargetGroup| {
            Some((Arc::clone(self.groups.get(&g.target_group)?), g.weight))
        };
        forward.target_groups.iter().filter_map(group).collect()
    }

    fn termination(
        &self,
        balancer: &LoadBalancer,
        listener: &Listener,
        tickets: &Tickets,
    ) -> Result<Termination, Rejection> {
        let certificates: Vec<Arc<Loaded>> = listener
            .certificates
            .iter()
            .filter_map(|wanted| {
                let arn = wanted.arn();
                self.certificates
                    .iter()
                    .find(|c| **c.arn() == *arn)
                    .cloned()
            })
            .collect();
        let alpn = match balancer.kind {
            LoadBalancerType::Application => alpn::application(balancer.attributes.http2_enabled),
            LoadBalancerType::Network => alpn::network(listener.alpn_policy),
            LoadBalancerType::Classic => Vec::new(),
        };
        let policy = listener.ssl_policy.as_deref().unwrap_or_default();
        elbow_tls::policy(policy)
            .map_err(|e| e.to_string())
            .and_then(|policy| {
                let tls13 = policy.tls13();
                Acceptor::new(balancer.kind, &policy, certificates, alpn, tickets)
                    .map(|acceptor| Termination { acceptor, tls13 })
                    .map_err(|e| e.to_string())
            })
            .map_err(|message| {
                let message = format!("listener {}: {message}", listener.port);
                of_listener(
                    balancer,
                    listener,
                    Diagnostic::error("bad-tls-listener", message),
                )
            })
    }
}

fn load_all(model: &Model) -> (Vec<Arc<Loaded>>, Vec<Rejection>) {
    let mut loaded = Vec::new();
    let mut errors = Vec::new();
    for certificate in &model.certificates {
        match load(certificate) {
            Ok(certificate) => loaded.push(certificate),
            Err(diagnostic) => errors.push(Rejection {
                load_balancers: presenting(model, &certificate.name),
                diagnostic,
            }),
        }
    }
    (loaded, errors)
}

/// Names of the load balancers that present the certificate called `name`.
fn presenting(model: &Model, name: &str) -> Vec<Arc<str>> {
    let presents = |lb: &&Arc<LoadBalancer>| {
        let mut certificates = lb.listeners.iter().flat_map(|l| &l.certificates);
        certificates.any(|certificate| *certificate.name == *name)
    };
    let balancers = model.load_balancers.iter().filter(presents);
    balancers.map(|lb| Arc::clone(&lb.name)).collect()
}

/// Names of the groups that some action forwards to.
fn groups_in_use(model: &Model) -> FxHashSet<Arc<str>> {
    let listeners = model.load_balancers.iter().flat_map(|lb| &lb.listeners);
    listeners.flat_map(forwarded_groups).cloned().collect()
}

fn forwarded_groups(listener: &Listener) -> impl Iterator<Item = &Arc<str>> {
    let actions = listener.rules.iter().flat_map(|rule| &rule.actions);
    let forwards = listener
        .default_actions
        .iter()
        .chain(actions)
        .filter_map(|a| match a {
            Action::Forward(forward) => Some(&forward.target_groups),
            _ => None,
        });
    forwards.flatten().map(|g| &g.target_group)
}

/// Whether some action of `listener` forwards to the group called `name`.
pub(crate) fn forwards_to(listener: &Listener, name: &str) -> bool {
    forwarded_groups(listener).any(|group| &**group == name)
}

/// Two listeners ask for one socket.
fn taken(
    balancer: &LoadBalancer,
    listener: &Listener,
    address: SocketAddr,
    other: &ListenerState,
) -> Rejection {
    let message = format!(
        "listener {} cannot listen on {address}: load balancer \"{}\" already does",
        listener.port, other.load_balancer
    );
    let diagnostic = Diagnostic::error("address-in-use", message)
        .hint("give the load balancers different addresses");
    of_listener(balancer, listener, diagnostic)
}

fn of_listener(balancer: &LoadBalancer, listener: &Listener, diagnostic: Diagnostic) -> Rejection {
    Rejection {
        load_balancers: vec![Arc::clone(&balancer.name)],
        diagnostic: diagnostic
            .object(format!("loadBalancer/{}", balancer.name))
            .field(format!("listeners[port {}]", listener.port)),
    }
}

type Groups = FxHashMap<Arc<str>, Arc<Group>>;
type Draining = Vec<(Arc<str>, Arc<Target>)>;

fn groups(model: &Model, parts: &Parts<'_>) -> (Groups, Draining) {
    let mut groups = Groups::default();
    let mut draining = Draining::new();
    for config in &model.groups() {
        let previous: &[Arc<Target>] = parts
            .previous
            .groups
            .get(&config.name)
            .map_or(&[], |group| &group.targets);
        let mut targets = Vec::new();
        for registered in &config.targets {
            for ip in ips(&registered.id, parts.resolved) {
                targets.push(adopt(
                    previous,
                    registered,
                    SocketAddr::new(ip, registered.port),
                ));
            }
        }
        // What is no longer registered drains; what has drained is unused and goes.
        for target in previous {
            let kept = targets.iter().any(|t| t.serial == target.serial);
            if !kept && target.state() != TargetState::Unused {
                draining.push((Arc::clone(&config.name), Arc::clone(target)));
            }
        }
        let leaving = draining.iter().filter(|(group, _)| *group == config.name);
        targets.extend(leaving.map(|(_, target)| Arc::clone(target)));
        let group = Group::new(Arc::clone(config), targets, parts.workers);
        groups.insert(Arc::clone(&config.name), Arc::new(group));
    }
    (groups, draining)
}

fn ips(id: &TargetId, resolved: &FxHashMap<Arc<str>, Resolved>) -> Vec<IpAddr> {
    match id {
        TargetId::Ip(ip) => vec![*ip],
        TargetId::Host(name) => match resolved.get(name) {
            Some(Ok(addresses)) => addresses.clone(),
            _ => Vec::new(),
        },
        TargetId::Alb(_) => Vec::new(),
    }
}

/// The target of before, with its live numbers, or a new one.
fn adopt(
    previous: &[Arc<Target>],
    registered: &elbow_model::Target,
    address: SocketAddr,
) -> Arc<Target> {
    let same = |t: &&Arc<Target>| {
        t.registered == *registered && t.address == address && t.state() != TargetState::Unused
    };
    previous.iter().find(same).map_or_else(
        || Arc::new(Target::new(registered.clone(), address)),
        Arc::clone,
    )
}

//! Listeners in force.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use elbow_balance::Group;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{
    Action, DnsZone, Listener, LoadBalancer, LoadBalancerType, Protocol, Sources,
    WeightedTargetGroup,
};
use elbow_tcp::Manners;
use elbow_telemetry::ListenerMetrics;
use elbow_tls::{Acceptor, Loaded, Tickets, alpn};

use super::{Parts, Snapshot};
use crate::error::Rejection;

/// Of a TLS listener; fixed, unlike that of a TCP listener (NLB guide: listeners).
const TLS_IDLE_TIMEOUT: Duration = Duration::from_secs(350);

/// A listener in force.
pub(crate) struct ListenerState {
    pub(crate) load_balancer: Arc<str>,
    /// As configured, without the port offset.
    pub(crate) port: u16,
    pub(crate) metrics: Arc<ListenerMetrics>,
    /// Where clients may come from, unless from everywhere.
    pub(crate) sources: Option<Sources>,
    /// How many clients may be there at a time, unless as many as come.
    pub(crate) limit: Option<Limit>,
    /// For a client's TLS handshake, from accept to its end.
    pub(crate) handshake_timeout: Duration,
    /// Set where clients speak TLS.
    pub(crate) termination: Option<Termination>,
    pub(crate) room: Room,
}

/// A limit of the clients of one load balancer.
pub(crate) struct Limit {
    connections: u64,
    /// The numbers of all its listeners.
    listeners: Vec<Arc<ListenerMetrics>>,
}

impl Limit {
    /// Whether no other client may come. Workers that ask at the same moment may each let one in.
    pub(crate) fn is_reached(&self) -> bool {
        let open = self.listeners.iter().map(|l| l.active_connections());
        open.sum::<u64>() >= self.connections
    }
}

/// How a listener ends its clients' TLS; cheap to clone.
#[derive(Clone)]
pub(crate) struct Termination {
    pub(crate) acceptor: Acceptor,
    /// Its policy has TLS 1.3, and so have connections to targets then (ALB guide: security
    /// policies).
    pub(crate) tls13: bool,
    terms: Arc<Terms>,
}

/// What an acceptor is made of.
struct Terms {
    load_balancer: Arc<str>,
    kind: LoadBalancerType,
    policy: Arc<str>,
    alpn: Vec<Vec<u8>>,
    certificates: Vec<Arc<Loaded>>,
}

/// Who handles the bytes of a listener.
pub(crate) enum Room {
    Tcp(Arc<elbow_tcp::Listener>),
    Http(Arc<elbow_http::Listener>),
}

impl ListenerState {
    /// Whether this is `other` with other values: the same numbers, and the same way to speak to targets.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let tls13 = |state: &Self| state.termination.as_ref().is_none_or(|t| t.tls13);
        Arc::ptr_eq(&self.metrics, &other.metrics) && tls13(self) == tls13(other)
    }
}

impl Snapshot {
    /// What serves `listener` of `balancer` with the groups and certificates of this snapshot. TLS of `before`, the
    /// listener of the same port, goes on where nothing about it is other than it was.
    pub(super) fn listener(
        &self,
        balancer: &LoadBalancer,
        listener: &Listener,
        addresses: &[IpAddr],
        before: Option<&ListenerState>,
        parts: &Parts<'_>,
    ) -> Result<ListenerState, Rejection> {
        let kind = match balancer.kind {
            LoadBalancerType::Application => "application",
            LoadBalancerType::Network => "network",
            LoadBalancerType::Classic => "classic",
        };
        let metrics_of = |listener: &Listener| {
            let protocol = listener.protocol.as_str();
            let telemetry = parts.telemetry;
            telemetry.listener(&balancer.name, kind, listener.port, protocol)
        };
        let metrics = metrics_of(listener);
        let limit = balancer
            .attributes
            .max_connections
            .map(|connections| Limit {
                connections,
                listeners: balancer.listeners.iter().map(metrics_of).collect(),
            });
        let termination = match listener.protocol.is_tls() {
            true => {
                let terms = self.terms(balancer, listener);
                let before = before.and_then(|before| before.termination.as_ref());
                match before.filter(|before| *before.terms == terms) {
                    Some(same) => Some(same.clone()),
                    None => {
                        let made = Termination::new(terms, parts.tickets);
                        Some(made.map_err(|e| bad_tls(balancer, listener, &e))?)
                    }
                }
            }
            false => None,
        };
        let room = match listener.protocol {
            Protocol::Http | Protocol::Https => {
                let dns_name = own_name(balancer, addresses, parts.dns).into();
                let group = |name: &str| Some(Arc::clone(self.group(name)?));
                Room::Http(Arc::new(elbow_http::Listener::new(
                    balancer, listener, dns_name, group,
                )))
            }
            _ => Room::Tcp(Arc::new(self.layer_4(balancer, listener))),
        };
        Ok(ListenerState {
            load_balancer: Arc::clone(&balancer.name),
            port: listener.port,
            metrics,
            limit,
            sources: balancer.tcp_sources(listener.port),
            handshake_timeout: balancer.attributes.tls_handshake_timeout,
            termination,
            room,
        })
    }

    fn layer_4(&self, balancer: &LoadBalancer, listener: &Listener) -> elbow_tcp::Listener {
        let is_classic = balancer.kind == LoadBalancerType::Classic;
        let forward = match listener.default_actions.first() {
            Some(Action::Forward(forward)) => Some(forward),
            _ => None,
        };
        let group =
            |g: &WeightedTargetGroup| Some((Arc::clone(self.group(&g.target_group)?), g.weight));
        let groups = forward.map(|forward| forward.target_groups.iter().filter_map(group));
        elbow_tcp::Listener {
            groups: groups.map(Iterator::collect).unwrap_or_default(),
            sticky: forward.is_some_and(|forward| forward.stickiness.is_some()),
            manners: match is_classic {
                true => Manners::Classic,
                false => Manners::Network,
            },
            idle_timeout: match listener.protocol {
                _ if is_classic => balancer.attributes.idle_timeout,
                Protocol::Tcp => listener
                    .attributes
                    .tcp_idle_timeout
                    .unwrap_or(balancer.attributes.tcp_idle_timeout),
                _ => TLS_IDLE_TIMEOUT,
            },
            load_balancer: Arc::clone(&balancer.name),
            port: listener.port,
        }
    }

    fn terms(&self, balancer: &LoadBalancer, listener: &Listener) -> Terms {
        let loaded = |certificate: &Arc<elbow_model::Certificate>| {
            self.certificates.get(&certificate.name).cloned()
        };
        Terms {
            load_balancer: Arc::clone(&balancer.name),
            kind: balancer.kind,
            policy: listener.ssl_policy.clone().unwrap_or_default(),
            alpn: match balancer.kind {
                LoadBalancerType::Application => {
                    alpn::application(balancer.attributes.http2_enabled)
                }
                LoadBalancerType::Network => alpn::network(listener.alpn_policy),
                LoadBalancerType::Classic => Vec::new(),
            },
            certificates: listener.certificates.iter().filter_map(loaded).collect(),
        }
    }

    fn group(&self, name: &str) -> Option<&Arc<Group>> {
        Some(&self.groups.get(name)?.group)
    }
}

impl Termination {
    fn new(terms: Terms, tickets: &Tickets) -> Result<Self, String> {
        let policy = elbow_tls::policy(&terms.policy).map_err(|e| e.to_string())?;
        let (certificates, alpn) = (terms.certificates.clone(), terms.alpn.clone());
        let (name, kind) = (&terms.load_balancer, terms.kind);
        let acceptor = Acceptor::new(name, kind, &policy, certificates, alpn, tickets);
        Ok(Self {
            acceptor: acceptor.map_err(|e| e.to_string())?,
            tls13: policy.tls13(),
            terms: Arc::new(terms),
        })
    }
}

#[cfg(test)]
impl Termination {
    /// Whether this is `other`, and not one that is made of the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.terms, &other.terms)
    }
}

impl PartialEq for Terms {
    fn eq(&self, other: &Self) -> bool {
        let certificates = self.certificates.iter().zip(&other.certificates);
        self.load_balancer == other.load_balancer
            && self.kind == other.kind
            && self.policy == other.policy
            && self.alpn == other.alpn
            && self.certificates.len() == other.certificates.len()
            // Each is loaded once for as long as it stays as it is.
            && certificates.into_iter().all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

/// The Host of requests that name none: an ALB's DNS name, a CLB's address (ELB guide: how it
/// works).
fn own_name(balancer: &LoadBalancer, addresses: &[IpAddr], dns: &DnsZone) -> String {
    match (balancer.kind, addresses.first()) {
        (LoadBalancerType::Classic, Some(IpAddr::V6(ip))) => format!("[{ip}]"),
        (LoadBalancerType::Classic, Some(ip)) => ip.to_string(),
        _ => balancer.dns_name(dns),
    }
}

/// The groups that `listener` and its rules forward to.
pub(crate) fn forwarded_groups(listener: &Listener) -> impl Iterator<Item = &Arc<str>> {
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

fn bad_tls(balancer: &LoadBalancer, listener: &Listener, message: &str) -> Rejection {
    let message = format!("listener {}: {message}", listener.port);
    let diagnostic = Diagnostic::error("bad-tls-listener", message);
    of_listener(balancer, listener.port, diagnostic)
}

pub(super) fn of_listener(balancer: &LoadBalancer, port: u16, diagnostic: Diagnostic) -> Rejection {
    Rejection {
        load_balancers: vec![Arc::clone(&balancer.name)],
        diagnostic: diagnostic
            .object(format!("loadBalancer/{}", balancer.name))
            .field(format!("listeners[port {port}]")),
    }
}

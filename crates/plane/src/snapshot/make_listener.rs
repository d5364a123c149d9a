//! Builds an active listener from its configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use elbow_balance::{Forward, Forwards, Group};
use elbow_model::diagnostic::Diagnostic;
use elbow_model::personality::{AlpnSource, IdleTimeoutSource, OwnHost};
use elbow_model::{
    Action, Certificate, DnsZone, Listener, LoadBalancer, Protocol, Transport, WeightedTargetGroup,
    ZoneName, stable_id,
};
use elbow_tls::{BackendPolicy, alpn};

use super::listener::{Handler, Limit, ListenerState, Termination, Terms};
use super::parts::Parts;
use super::state::Snapshot;
use crate::error::{Failure, ListenerId};

/// Idle timeout of a TLS listener; fixed, unlike that of a TCP listener (NLB guide: listeners).
const TLS_IDLE_TIMEOUT: Duration = Duration::from_secs(350);

/// The inputs of a listener.
pub(super) struct ListenerSpec<'a> {
    pub(super) balancer: &'a LoadBalancer,
    pub(super) listener: &'a Listener,
    /// The addresses of the load balancer.
    pub(super) addresses: &'a [IpAddr],
    /// The zone of the node, if it may keep to the targets of its zone.
    pub(super) zone: Option<&'a ZoneName>,
    /// The previous listener of the same port and transport. Its TLS termination is reused if unchanged.
    pub(super) before: Option<&'a ListenerState>,
}

impl ListenerSpec<'_> {
    /// Builds the listener with the groups and certificates of `snapshot`.
    pub(super) fn make(
        &self,
        snapshot: &Snapshot,
        parts: &Parts<'_>,
    ) -> Result<ListenerState, Failure> {
        let Self {
            balancer, listener, ..
        } = *self;
        let kind = balancer.kind.as_str();
        let metrics_of = |listener: &Listener| {
            let protocol = listener.protocol.as_str();
            let telemetry = parts.telemetry;
            telemetry.listener(&balancer.name, kind, listener.port, protocol)
        };
        let limit = balancer
            .attributes
            .max_connections
            .map(|connections| Limit {
                connections,
                listeners: balancer.listeners.iter().map(metrics_of).collect(),
            });
        let termination = if listener.protocol.is_tls() {
            let before = self.before.and_then(|before| before.termination.as_ref());
            let terms = self.terms(snapshot);
            let made = terms.and_then(|terms| Termination::new(terms, before, parts.tickets));
            Some(made.map_err(|message| bad_tls(balancer, listener, &message))?)
        } else {
            None
        };
        let backend = termination.as_ref();
        let backend = backend.map_or_else(BackendPolicy::default, |one| one.backend);
        let before = self
            .before
            .and_then(|before| before.authentication.as_ref());
        let authentication = snapshot
            .public_keys
            .authentication(balancer, listener, backend, before);
        let authentication =
            authentication.map_err(|message| bad_tls(balancer, listener, &message))?;
        let account = &parts.dns.account;
        let access_log = parts.logs.access(balancer, self.addresses, account);
        let handler = match listener.protocol {
            Protocol::Http | Protocol::Https => {
                let own_host = own_host(balancer, self.addresses, parts.dns).into();
                let group = |name: &str| self.group(snapshot, name);
                let mut made = elbow_http::Listener::new(
                    balancer,
                    listener,
                    own_host,
                    account,
                    parts.providers,
                    parts.telemetry,
                    group,
                );
                made.access_log = access_log;
                made.connection_log = parts.logs.connections(balancer, self.addresses, account);
                Handler::Http(Arc::new(made))
            }
            protocol => {
                let tcp = || {
                    Arc::new(elbow_tcp::Listener {
                        access_log,
                        surge_queue: balancer
                            .kind
                            .personality()
                            .has_surge_queue
                            .then(|| parts.telemetry.surge_queue(&balancer.name)),
                        ..self.layer_4(snapshot)
                    })
                };
                let udp = || Arc::new(self.datagrams(snapshot));
                match protocol.transports() {
                    [Transport::Udp] => Handler::Udp(udp()),
                    [Transport::Tcp, Transport::Udp] => Handler::TcpUdp(tcp(), udp()),
                    _ => Handler::Tcp(tcp()),
                }
            }
        };
        Ok(ListenerState {
            load_balancer: Arc::clone(&balancer.name),
            port: listener.port,
            transports: listener.protocol.transports(),
            metrics: metrics_of(listener),
            limit,
            sources: balancer.sources(Transport::Tcp, listener.port),
            udp_sources: balancer.sources(Transport::Udp, listener.port),
            trusted_proxies: listener
                .attributes
                .trusted_proxies
                .as_ref()
                .or(balancer.attributes.trusted_proxies.as_ref())
                .cloned(),
            handshake_timeout: balancer.attributes.tls_handshake_timeout,
            termination,
            authentication,
            handler,
        })
    }

    fn terms(&self, snapshot: &Snapshot) -> Result<Terms, String> {
        let Self {
            balancer, listener, ..
        } = *self;
        let loaded =
            |certificate: &Arc<Certificate>| snapshot.certificates.get(&certificate.name).cloned();
        let personality = balancer.kind.personality();
        Ok(Terms {
            load_balancer: Arc::clone(&balancer.name),
            personality,
            policy: listener.ssl_policy.clone().unwrap_or_default(),
            own_policy: listener.ssl_negotiation_policy.clone(),
            alpn: match personality.alpn {
                AlpnSource::Http => alpn::application(balancer.attributes.http2_enabled),
                AlpnSource::Policy => alpn::network(listener.alpn_policy),
                AlpnSource::None => Vec::new(),
            },
            certificates: listener.certificates.iter().filter_map(loaded).collect(),
            client_auth: snapshot.trust_stores.client_auth(listener)?,
        })
    }

    fn layer_4(&self, snapshot: &Snapshot) -> elbow_tcp::Listener {
        let Self {
            balancer, listener, ..
        } = *self;
        let personality = balancer.kind.personality();
        elbow_tcp::Listener {
            forwards: self.forwards(snapshot, Transport::Tcp),
            personality,
            idle_timeout: match (personality.idle_timeout, listener.protocol) {
                (IdleTimeoutSource::LoadBalancer, _) => balancer.attributes.idle_timeout,
                (IdleTimeoutSource::Listener, Protocol::Tcp) => listener
                    .attributes
                    .tcp_idle_timeout
                    .unwrap_or(balancer.attributes.tcp_idle_timeout),
                (IdleTimeoutSource::Listener, _) => TLS_IDLE_TIMEOUT,
            },
            load_balancer_id: balancer.resource_id().into(),
            id: stable_id(&format!("{}/{}", balancer.name, listener.port)).into(),
            port: listener.port,
            surge_queue: None,
            access_log: None,
        }
    }

    fn datagrams(&self, snapshot: &Snapshot) -> elbow_udp::Listener {
        elbow_udp::Listener {
            forwards: self.forwards(snapshot, Transport::Udp),
            quic: self.listener.protocol.is_quic(),
        }
    }

    /// The groups that a listener of layer 4 forwards to.
    fn forwards(&self, snapshot: &Snapshot, transport: Transport) -> Forwards {
        let before = self.before.and_then(|one| one.handler.forwards(transport));
        let forward = |client: IpAddr| {
            let Some(Action::Forward(forward)) = self.listener.action_for(client) else {
                return Forward::default();
            };
            let group =
                |g: &WeightedTargetGroup| Some((self.group(snapshot, &g.target_group)?, g.weight));
            let groups = forward.target_groups.iter().filter_map(group);
            let is_sticky = forward.stickiness.is_some();
            Forward::new(groups, is_sticky, before.map(|before| before.of(client)))
        };
        Forwards {
            ipv4: forward(Ipv4Addr::UNSPECIFIED.into()),
            ipv6: forward(Ipv6Addr::UNSPECIFIED.into()),
        }
    }

    /// The group `name` as the node uses it.
    fn group(&self, snapshot: &Snapshot, name: &str) -> Option<Arc<Group>> {
        let state = snapshot.groups.get(name)?;
        Some(match self.zone {
            Some(zone) if !self.balancer.crosses_zones(&state.group.config) => state.in_zone(zone),
            _ => Arc::clone(&state.group),
        })
    }
}

/// The Host for requests without one.
fn own_host(balancer: &LoadBalancer, addresses: &[IpAddr], dns: &DnsZone) -> String {
    let own_host = balancer.kind.personality().http.own_host;
    match (own_host, addresses.first()) {
        (OwnHost::Address, Some(IpAddr::V6(ip))) => format!("[{ip}]"),
        (OwnHost::Address, Some(IpAddr::V4(ip))) => ip.to_string(),
        (OwnHost::Address, None) | (OwnHost::DnsName, _) => balancer.dns_name(dns),
    }
}

fn bad_tls(balancer: &LoadBalancer, listener: &Listener, message: &str) -> Failure {
    let message = format!("listener {}: {message}", listener.port);
    let id = ListenerId::of(listener);
    let diagnostic = Diagnostic::error("bad-tls-listener", message);
    Failure::invalid_listener(&balancer.name, id, diagnostic)
}

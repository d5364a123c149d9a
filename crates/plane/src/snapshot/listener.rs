//! Active listeners.

use std::sync::Arc;
use std::time::Duration;

use elbow_balance::{Cutoff, Forwards};
use elbow_model::{Action, Listener, Personality, Sources, SslNegotiationPolicy, Transport};
use elbow_telemetry::ListenerMetrics;
use elbow_tls::{Acceptor, BackendPolicy, ClientAuth, Loaded, Tickets};

use super::public_keys::Authentication;

/// An active listener.
pub(crate) struct ListenerState {
    pub(crate) load_balancer: Arc<str>,
    /// As configured, without the port offset.
    pub(crate) port: u16,
    pub(crate) transports: &'static [Transport],
    pub(crate) metrics: Arc<ListenerMetrics>,
    /// Client addresses that may connect by TCP; `None` allows all.
    pub(crate) sources: Option<Sources>,
    /// Client addresses that may send datagrams; `None` allows all.
    pub(crate) udp_sources: Option<Sources>,
    /// Limit of concurrent client connections, if any.
    pub(crate) limit: Option<Limit>,
    /// The proxies in front of the listener, whose connections begin with a PROXY protocol header; `None`: there are none.
    pub(crate) trusted_proxies: Option<Sources>,
    /// Time limit of the TLS handshake with a client, and of the PROXY protocol header before it.
    pub(crate) handshake_timeout: Duration,
    /// Set if the listener terminates TLS.
    pub(crate) termination: Option<Termination>,
    /// Set if targets authenticate.
    pub(crate) authentication: Option<Authentication>,
    pub(crate) handler: Handler,
}

/// A limit of the client connections of one load balancer.
pub(crate) struct Limit {
    pub(super) connections: u64,
    /// The metrics of all its listeners.
    pub(super) listeners: Vec<Arc<ListenerMetrics>>,
}

impl Limit {
    /// Whether the limit is reached. Workers that check at the same time may each admit one client too many.
    pub(crate) fn is_reached(&self) -> bool {
        let open = self.listeners.iter().map(|l| l.active_connections());
        open.sum::<u64>() >= self.connections
    }
}

/// How a listener terminates TLS; cheap to clone.
#[derive(Clone)]
pub(crate) struct Termination {
    pub(crate) acceptor: Acceptor,
    /// The security policy of connections to targets.
    pub(crate) backend: BackendPolicy,
    terms: Arc<Terms>,
}

/// The parameters of an acceptor.
pub(super) struct Terms {
    pub(super) load_balancer: Arc<str>,
    pub(super) personality: &'static Personality,
    pub(super) policy: Arc<str>,
    /// Used instead of `policy`.
    pub(super) own_policy: Option<SslNegotiationPolicy>,
    pub(super) alpn: Vec<Vec<u8>>,
    pub(super) certificates: Vec<Arc<Loaded>>,
    pub(super) client_auth: Option<ClientAuth>,
}

/// The handler of the connections of a listener, and of its datagrams.
pub(crate) enum Handler {
    Tcp(Arc<elbow_tcp::Listener>),
    Udp(Arc<elbow_udp::Listener>),
    TcpUdp(Arc<elbow_tcp::Listener>, Arc<elbow_udp::Listener>),
    Http(Arc<elbow_http::Listener>),
}

impl Handler {
    /// The handler of TCP or TLS connections, if it is one of layer 4.
    pub(crate) fn tcp(&self) -> Option<&Arc<elbow_tcp::Listener>> {
        match self {
            Self::Tcp(listener) | Self::TcpUdp(listener, _) => Some(listener),
            Self::Udp(_) | Self::Http(_) => None,
        }
    }

    /// The handler of datagrams.
    pub(crate) fn udp(&self) -> Option<&Arc<elbow_udp::Listener>> {
        match self {
            Self::Udp(listener) | Self::TcpUdp(_, listener) => Some(listener),
            Self::Tcp(_) | Self::Http(_) => None,
        }
    }

    /// The groups of layer 4 that get what arrives by `transport`.
    pub(super) fn forwards(&self, transport: Transport) -> Option<&Forwards> {
        match transport {
            Transport::Tcp => self.tcp().map(|listener| &listener.forwards),
            Transport::Udp => self.udp().map(|listener| &listener.forwards),
        }
    }
}

impl ListenerState {
    /// Whether the accept loops of `other` can serve this listener without a restart.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.metrics, &other.metrics)
    }

    /// The security policy of connections to targets.
    pub(crate) fn backend(&self) -> BackendPolicy {
        let termination = self.termination.as_ref();
        termination.map_or_else(BackendPolicy::default, |termination| termination.backend)
    }
}

impl ListenerState {
    /// What ends the flows to groups whose weight is 0 in `next`, its new version.
    pub(super) fn cut_by(&self, next: &Self) -> Vec<Cutoff> {
        let both = |transport| {
            let forwards = self.handler.forwards(transport);
            forwards.zip(next.handler.forwards(transport))
        };
        let both = [Transport::Tcp, Transport::Udp]
            .into_iter()
            .filter_map(both);
        both.flat_map(|(before, next)| before.cut_by(next))
            .collect()
    }
}

impl Termination {
    /// Creates the termination for `terms`, or reuses `before` if its terms are equal.
    ///
    /// # Errors
    /// If the policy is unknown or the acceptor cannot be created.
    pub(super) fn new(
        terms: Terms,
        before: Option<&Self>,
        tickets: &Tickets,
    ) -> Result<Self, String> {
        if let Some(same) = before.filter(|before| *before.terms == terms) {
            return Ok(same.clone());
        }
        let policy = match &terms.own_policy {
            Some(own) => own.into(),
            None => elbow_tls::policy(&terms.policy).map_err(|e| e.to_string())?,
        };
        let acceptor = Acceptor::new(
            &terms.load_balancer,
            terms.personality,
            &policy,
            terms.certificates.clone(),
            terms.alpn.clone(),
            terms.client_auth.clone(),
            tickets,
        );
        Ok(Self {
            acceptor: acceptor.map_err(|e| e.to_string())?,
            backend: BackendPolicy::behind(&policy),
            terms: Arc::new(terms),
        })
    }
}

#[cfg(test)]
impl Termination {
    /// Whether this is the same value as `other`, not only an equal one.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.terms, &other.terms)
    }
}

impl PartialEq for Terms {
    fn eq(&self, other: &Self) -> bool {
        let certificates = self.certificates.iter().zip(&other.certificates);
        self.load_balancer == other.load_balancer
            && self.personality == other.personality
            && self.policy == other.policy
            && self.own_policy == other.own_policy
            && self.alpn == other.alpn
            && self.client_auth == other.client_auth
            && self.certificates.len() == other.certificates.len()
            // Unchanged certificates are shared between snapshots.
            && certificates.into_iter().all(|(a, b)| Arc::ptr_eq(a, b))
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

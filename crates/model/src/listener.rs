use std::sync::Arc;

use crate::{Action, Certificate, InstanceEnd, ListenerAttributes, Rule};

/// One port of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// 1-65535.
    pub port: u16,
    /// What clients speak here.
    pub protocol: Protocol,
    /// Name of the security policy; only for HTTPS, TLS and SSL.
    pub ssl_policy: Option<Arc<str>>,
    /// NLB TLS listeners only.
    pub alpn_policy: AlpnPolicy,
    /// The first is the default, the rest are chosen by SNI.
    pub certificates: Vec<Arc<Certificate>>,
    /// By ascending priority; ALB only.
    pub rules: Vec<Rule>,
    /// What happens when no rule matches; exactly one today. A Classic load balancer's listeners
    /// forward to what their instances' end says ([`InstanceEnd::action`]).
    pub default_actions: Vec<Action>,
    /// Attributes by their AWS keys, parsed.
    pub attributes: ListenerAttributes,
    /// Classic load balancers only.
    pub instance: Option<InstanceEnd>,
}

/// Protocol of a listener or target group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Layer 4 passthrough.
    Tcp,
    /// NLB: TLS terminated (listener) or originated (target group).
    Tls,
    /// NLB.
    Udp,
    /// NLB.
    TcpUdp,
    /// Layer 7 in clear.
    Http,
    /// Layer 7 over TLS.
    Https,
    /// CLB's name for TLS.
    Ssl,
}

impl Protocol {
    /// AWS's spelling, e.g. `TCP_UDP`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Udp => "UDP",
            Self::TcpUdp => "TCP_UDP",
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Ssl => "SSL",
        }
    }

    /// Whether bytes of this side are encrypted by the load balancer.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Ssl)
    }
}

/// ALPN policy of an NLB TLS listener (NLB guide: listeners).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlpnPolicy {
    /// http/1.1, http/1.0.
    Http1Only,
    /// h2.
    Http2Only,
    /// http/1.1, http/1.0, h2.
    Http2Optional,
    /// h2, http/1.1, http/1.0.
    Http2Preferred,
    /// No negotiation.
    #[default]
    None,
}

//! AWS's enumerations, such as types and protocols, with AWS's spelling of each value.

use crate::read::spelling;

/// Gives an enumeration its table of spellings.
macro_rules! spelt {
    ($kind:ident { $($name:literal => $value:ident),* $(,)? }) => {
        impl $kind {
            /// AWS's spelling of each.
            pub const NAMES: &'static [(&'static str, Self)] = &[$(($name, Self::$value)),*];

            /// AWS's spelling.
            pub fn as_str(self) -> &'static str {
                spelling(Self::NAMES, &self)
            }
        }
    };
}

/// `Type` of `CreateLoadBalancer`, and the Classic one of the older API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadBalancerType {
    /// ALB: layer 7.
    Application,
    /// NLB: layer 4.
    Network,
    /// CLB.
    Classic,
}

spelt!(LoadBalancerType {
    "application" => Application,
    "network" => Network,
    "classic" => Classic,
});

/// `Scheme` of `CreateLoadBalancer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// Reachable from the internet on AWS.
    #[default]
    InternetFacing,
    /// Reachable from the VPC on AWS.
    Internal,
}

spelt!(Scheme {
    "internet-facing" => InternetFacing,
    "internal" => Internal,
});

/// `IpAddressType` of `CreateLoadBalancer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpAddressType {
    /// IPv4 alone.
    #[default]
    Ipv4,
    /// IPv4 and IPv6.
    Dualstack,
}

spelt!(IpAddressType {
    "ipv4" => Ipv4,
    "dualstack" => Dualstack,
});

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
    /// NLB: QUIC passthrough by connection ID.
    Quic,
    /// NLB: both on one port.
    TcpQuic,
    /// Layer 7 in clear.
    Http,
    /// Layer 7 over TLS.
    Https,
    /// CLB's name for TLS.
    Ssl,
}

spelt!(Protocol {
    "HTTP" => Http,
    "HTTPS" => Https,
    "TCP" => Tcp,
    "TLS" => Tls,
    "UDP" => Udp,
    "TCP_UDP" => TcpUdp,
    "QUIC" => Quic,
    "TCP_QUIC" => TcpQuic,
    "SSL" => Ssl,
});

impl Protocol {
    /// The protocols of listeners of a type of load balancer (ALB, NLB and CLB guides: listeners).
    pub fn of_listeners(kind: LoadBalancerType) -> &'static [Self] {
        match kind {
            LoadBalancerType::Application => &[Self::Http, Self::Https],
            LoadBalancerType::Network => &[
                Self::Tcp,
                Self::Tls,
                Self::Udp,
                Self::TcpUdp,
                Self::Quic,
                Self::TcpQuic,
            ],
            LoadBalancerType::Classic => &[Self::Tcp, Self::Ssl, Self::Http, Self::Https],
        }
    }

    /// The protocols of target groups (`CreateTargetGroup`, Protocol).
    pub const OF_GROUPS: &'static [Self] = &[
        Self::Tcp,
        Self::Tls,
        Self::Udp,
        Self::TcpUdp,
        Self::Quic,
        Self::TcpQuic,
        Self::Http,
        Self::Https,
    ];

    /// The transports that a listener of this protocol uses.
    pub fn transports(self) -> &'static [Transport] {
        match self {
            Self::Tcp | Self::Tls | Self::Http | Self::Https | Self::Ssl => &[Transport::Tcp],
            Self::Udp | Self::Quic => &[Transport::Udp],
            Self::TcpUdp | Self::TcpQuic => &[Transport::Tcp, Transport::Udp],
        }
    }

    /// Whether clients may send datagrams.
    pub fn has_datagrams(self) -> bool {
        self.transports().contains(&Transport::Udp)
    }

    /// Whether datagrams are those of QUIC.
    pub fn is_quic(self) -> bool {
        matches!(self, Self::Quic | Self::TcpQuic)
    }

    /// Whether bytes of this side are encrypted by the load balancer.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Ssl)
    }

    /// Whether this is layer 7.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

/// A transport protocol that listeners use. A port can have a listener for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
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

spelt!(AlpnPolicy {
    "HTTP1Only" => Http1Only,
    "HTTP2Only" => Http2Only,
    "HTTP2Optional" => Http2Optional,
    "HTTP2Preferred" => Http2Preferred,
    "None" => None,
});

/// `TargetType` of `CreateTargetGroup`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetType {
    /// By instance id.
    #[default]
    Instance,
    /// By address.
    Ip,
    /// An ALB behind an NLB.
    Alb,
}

spelt!(TargetType {
    "instance" => Instance,
    "ip" => Ip,
    "alb" => Alb,
});

/// `ProtocolVersion` of `CreateTargetGroup`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProtocolVersion {
    /// HTTP/1.1 to targets.
    #[default]
    Http1,
    /// HTTP/2 to targets.
    Http2,
    /// gRPC to targets.
    Grpc,
}

spelt!(ProtocolVersion {
    "HTTP1" => Http1,
    "HTTP2" => Http2,
    "GRPC" => Grpc,
});

/// `load_balancing.algorithm.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// In turn.
    #[default]
    RoundRobin,
    /// Fewest requests in progress.
    LeastOutstandingRequests,
    /// Even, in random order.
    WeightedRandom,
}

/// `HealthCheckProtocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthCheckProtocol {
    /// Connect.
    Tcp,
    /// GET.
    Http,
    /// GET over TLS that is not verified.
    Https,
    /// TLS handshake (CLB).
    Ssl,
}

spelt!(HealthCheckProtocol {
    "TCP" => Tcp,
    "HTTP" => Http,
    "HTTPS" => Https,
    "SSL" => Ssl,
});

impl HealthCheckProtocol {
    /// Those of target groups (`CreateTargetGroup`, HealthCheckProtocol).
    pub const OF_GROUPS: &'static [(&'static str, Self)] = &[
        ("TCP", Self::Tcp),
        ("HTTP", Self::Http),
        ("HTTPS", Self::Https),
    ];
}

/// `IpProtocol` of a permission of a security group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpProtocol {
    /// `-1`
    All,
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
    /// `icmp`: no listener has to do with it.
    Icmp,
    /// `icmpv6`: no listener has to do with it.
    Icmpv6,
}

spelt!(IpProtocol {
    "tcp" => Tcp,
    "udp" => Udp,
    "icmp" => Icmp,
    "icmpv6" => Icmpv6,
    "-1" => All,
});

/// `StatusCode` of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectStatus {
    /// `HTTP_301`: permanent.
    Moved,
    /// `HTTP_302`: temporary.
    Found,
}

spelt!(RedirectStatus {
    "HTTP_301" => Moved,
    "HTTP_302" => Found,
});

impl RedirectStatus {
    /// 301 or 302.
    pub fn code(self) -> u16 {
        match self {
            Self::Moved => 301,
            Self::Found => 302,
        }
    }
}

/// `ContentType` of a fixed response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentType {
    /// text/plain
    #[default]
    TextPlain,
    /// text/css
    TextCss,
    /// text/html
    TextHtml,
    /// application/javascript
    Javascript,
    /// application/json
    Json,
}

spelt!(ContentType {
    "text/plain" => TextPlain,
    "text/css" => TextCss,
    "text/html" => TextHtml,
    "application/javascript" => Javascript,
    "application/json" => Json,
});

/// A policy towards instances of a Classic load balancer (`SetLoadBalancerPoliciesForBackendServer`), by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendServerPolicy {
    /// `ProxyProtocolPolicyType`: connections start with a header that names the client.
    ProxyProtocol,
}

impl BackendServerPolicy {
    /// What the in-tree provider of Kubernetes calls its policy of each type, and AWS's name of the type.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("k8s-proxyprotocol-enabled", Self::ProxyProtocol),
        ("ProxyProtocolPolicyType", Self::ProxyProtocol),
    ];

    /// The first of its names.
    pub fn as_str(self) -> &'static str {
        spelling(Self::NAMES, &self)
    }
}

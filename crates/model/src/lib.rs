//! The ELB nouns in AWS's own words, validated when built; values only.
//!
//! A [`Model`] is everything that describes the load balancers of one process: read from the native
//! file ([`mod@file`]), or built by another door. It does no I/O and knows no clock. Names and defaults
//! follow the ELBv2 API reference (`CreateLoadBalancer`, `CreateListener`, `CreateTargetGroup`, ...).

pub mod addresses;
pub mod diagnostic;
pub mod file;
pub mod suggest;
pub mod yaml;

mod attributes;
mod certificate;
mod changed;
mod classic;
mod diff;
mod expression;
mod listener;
mod load_balancer;
mod rule;
mod security_group;
mod ssl_policy;
mod target_group;

pub use attributes::{
    DesyncMitigationMode, ListenerAttributes, LoadBalancerAttributes, MinimumHealthy,
    ProxyProtocol, Stickiness, TargetGroupAttributes, XffHeaderProcessingMode,
};
pub use certificate::{Certificate, CertificateSource, PrivateKey, is_certificate_host};
pub use changed::{Changed, changed};
pub use classic::{BackendServerPolicy, Classic, Instance, InstanceEnd};
pub use diff::{Change, ChangeAction, diff, diff_rendered, summary};
pub use expression::Expression;
pub use listener::{AlpnPolicy, Listener, Protocol};
pub use load_balancer::{
    DnsZone, IpAddressType, LoadBalancer, LoadBalancerType, Model, Scheme, dns_name,
};
pub use rule::{
    Action, Condition, ContentType, FixedResponse, Forward, Patterns, QueryPair, Redirect,
    RedirectStatus, Rewrite, Rule, Transforms, WeightedTargetGroup,
};
pub use security_group::{IpProtocol, Permission, SecurityGroup, Sources};
pub use ssl_policy::{SslPolicy, TlsVersion, classic_ssl_policies, ssl_policies, ssl_policy};
pub use target_group::{
    Algorithm, HealthCheck, HealthCheckPort, HealthCheckProtocol, Matcher, ProtocolVersion, Target,
    TargetGroup, TargetId, TargetState, TargetType,
};

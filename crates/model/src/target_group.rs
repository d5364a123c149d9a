use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::load_balancer::stable_id;
use crate::{Protocol, TargetGroupAttributes};

/// A group of targets and how their health is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    /// At most 32 characters, unique in the model.
    pub name: Arc<str>,
    /// What the load balancer speaks to targets.
    pub protocol: Protocol,
    /// HTTP and HTTPS groups only.
    pub protocol_version: ProtocolVersion,
    /// Default port of its targets.
    pub port: u16,
    /// How targets are named.
    pub target_type: TargetType,
    /// Active checks.
    pub health_check: HealthCheck,
    /// Attributes by their AWS keys, parsed.
    pub attributes: TargetGroupAttributes,
    /// In the order of the input; (id, port) is unique.
    pub targets: Vec<Target>,
}

impl TargetGroup {
    /// The ARN-shaped name that access logs show.
    pub fn arn(&self) -> String {
        format!(
            "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/{}/{}",
            self.name,
            stable_id(&self.name)
        )
    }
}

/// One registered target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Address or name.
    pub id: TargetId,
    /// 1-65535.
    pub port: u16,
    /// Zone, e.g. `us-east-1a`.
    pub availability_zone: Option<Arc<str>>,
}

/// `Id` of a target: an address, a host name that is resolved again by its TTL, or an ALB's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetId {
    /// IPv4 or IPv6.
    Ip(IpAddr),
    /// Host name; beyond AWS.
    Host(Arc<str>),
    /// The name of an ALB of the same model (target type `alb`).
    Alb(Arc<str>),
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Host(name) | Self::Alb(name) => f.write_str(name),
        }
    }
}

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

/// Active health check of a group (ALB guide and NLB guide: health checks).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// How targets are asked.
    pub protocol: HealthCheckProtocol,
    /// Where they are asked.
    pub port: HealthCheckPort,
    /// HTTP and HTTPS: path with optional query.
    pub path: Arc<str>,
    /// HTTP and HTTPS: which codes pass.
    pub matcher: Matcher,
    /// From start to start.
    pub interval: Duration,
    /// For one check.
    pub timeout: Duration,
    /// Passes in a row that bring an unhealthy target back.
    pub healthy_threshold: u32,
    /// Failures in a row that make a target unhealthy.
    pub unhealthy_threshold: u32,
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

/// `HealthCheckPort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthCheckPort {
    /// `traffic-port`: the target's own.
    TrafficPort,
    /// A fixed one.
    Port(u16),
}

/// `Matcher.HttpCode`: a list of codes and ranges, e.g. `200,403` or `200-299`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher(pub Vec<RangeInclusive<u16>>);

impl Matcher {
    /// Whether `code` passes.
    pub fn matches(&self, code: u16) -> bool {
        self.0.iter().any(|range| range.contains(&code))
    }
}

/// `TargetHealth.State` of `DescribeTargetHealth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TargetState {
    /// Takes no traffic: in no rule, or gone.
    Unused = 0,
    /// Registered, first result pending.
    Initial = 1,
    /// Passing.
    Healthy = 2,
    /// Failing.
    Unhealthy = 3,
    /// Deregistered, delay running.
    Draining = 4,
    /// Health checks are off.
    Unavailable = 5,
}

impl TargetState {
    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
        }
    }

    /// `InstanceState.State` of `DescribeInstanceHealth`, of an instance of a Classic load balancer.
    /// One that drains still serves (CLB guide: connection draining).
    pub fn as_instance_state(self) -> &'static str {
        match self {
            Self::Healthy | Self::Draining => "InService",
            Self::Initial | Self::Unhealthy => "OutOfService",
            Self::Unused | Self::Unavailable => "Unknown",
        }
    }
}

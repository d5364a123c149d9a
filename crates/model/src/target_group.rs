//! Target groups, their targets and states.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::attributes::TargetGroupAttributes;
use crate::health_check::HealthCheck;
use crate::identity::{Account, stable_id};
use crate::invalid::{Checked, Findings, Place};
use crate::kinds::{Protocol, ProtocolVersion, TargetType};
use crate::quic::{self, QuicServerId};
use crate::read::{is_label, one_of, port, resource_name};
use crate::seen::Seen;
use crate::spec::{TargetGroupSpec, TargetSpec};
use crate::zone::ZoneName;

/// A group of targets and how their health is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetGroup {
    /// At most 32 characters, unique in the model.
    pub name: Arc<str>,
    /// The protocol towards targets.
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

/// The target type of groups whose target is a Lambda function.
const LAMBDA: &str = "lambda";

impl TargetGroup {
    /// The group that `spec` describes, with AWS's defaults (`CreateTargetGroup`).
    pub fn new(spec: &TargetGroupSpec) -> Checked<Self> {
        Findings::of(|at| Self::build(spec, at))
    }

    pub(crate) fn build(spec: &TargetGroupSpec, at: &Place<'_>) -> Option<Self> {
        if spec.target_type.as_deref() == Some(LAMBDA) {
            // Such a group has neither a protocol nor a port.
            at.field("targetType")
                .not_supported("targets of type lambda are");
            return None;
        }
        let protocol = protocol(spec, at);
        let group_port = required_port(spec.port, at);
        let target_type = target_type(spec, at);
        let check = &spec.health_check_config;
        let check_at = at.field("healthCheckConfig");
        let protocol_version = protocol_version(spec, protocol, at);
        let health_check = HealthCheck::build(check, protocol, protocol_version, &check_at);
        let attributes = protocol.map(|protocol| {
            TargetGroupAttributes::build(protocol, &spec.attributes, &at.field("attributes"))
        });
        if spec.target_control_port.is_some() {
            let at = at.field("targetControlPort");
            let reason = "targetControlPort is not supported";
            at.wrong_name("not-supported", reason, None);
        }
        let targets = targets(spec, target_type.unwrap_or_default(), group_port, at);
        if let Some(protocol) = protocol {
            let ids: Vec<_> = targets.iter().map(|target| target.quic_server_id).collect();
            quic::check(protocol, &ids, &at.field("targets"));
        }
        if target_type == Some(TargetType::Alb) {
            check_alb(spec, protocol, at);
        }
        let name = match &spec.name {
            Some(name) => resource_name(name, &at.field("name")),
            None => {
                at.missing("name");
                None
            }
        };
        Some(Self {
            name: name?,
            protocol: protocol?,
            protocol_version,
            port: group_port?,
            target_type: target_type?,
            health_check: health_check?,
            attributes: attributes?,
            targets,
        })
    }

    /// Whether its targets see the addresses of clients. Without the attribute, targets that are IP addresses do so only
    /// for UDP (NLB guide: edit target group attributes).
    pub fn preserves_client_address(&self) -> bool {
        let by_default = match self.protocol {
            Protocol::Tcp | Protocol::Tls => self.target_type == TargetType::Instance,
            protocol => !protocol.is_http(),
        };
        let given = self.attributes.preserve_client_ip;
        given.unwrap_or(by_default) && self.target_type != TargetType::Alb
    }

    /// The ARN-shaped name that access logs show.
    pub fn arn(&self, account: &Account) -> String {
        let resource = format!("targetgroup/{}/{}", self.name, stable_id(&self.name));
        account.arn("elasticloadbalancing", &resource)
    }
}

fn protocol(spec: &TargetGroupSpec, at: &Place<'_>) -> Option<Protocol> {
    let Some(text) = &spec.protocol else {
        at.missing("protocol");
        return None;
    };
    let at = at.field("protocol");
    let table: Vec<_> = Protocol::OF_GROUPS
        .iter()
        .map(|p| (p.as_str(), *p))
        .collect();
    one_of(text, &table, &at)
}

fn required_port(number: Option<u32>, at: &Place<'_>) -> Option<u16> {
    match number {
        Some(number) => port(number, &at.field("port")),
        None => {
            at.missing("port");
            None
        }
    }
}

fn target_type(spec: &TargetGroupSpec, at: &Place<'_>) -> Option<TargetType> {
    let Some(text) = &spec.target_type else {
        return Some(TargetType::default());
    };
    let at = at.field("targetType");
    let target_type = one_of(text, TargetType::NAMES, &at)?;
    Some(target_type)
}

fn protocol_version(
    spec: &TargetGroupSpec,
    protocol: Option<Protocol>,
    at: &Place<'_>,
) -> ProtocolVersion {
    let Some(text) = &spec.protocol_version else {
        return ProtocolVersion::default();
    };
    let at = at.field("protocolVersion");
    let version = one_of(text, ProtocolVersion::NAMES, &at).unwrap_or_default();
    if protocol.is_some_and(|p| !p.is_http()) {
        at.error(
            "invalid-combination",
            "protocolVersion belongs to HTTP and HTTPS groups",
        );
    }
    version
}

/// A group of type `alb` is for TCP, and has one target (NLB guide: use Application Load Balancers as targets).
fn check_alb(spec: &TargetGroupSpec, protocol: Option<Protocol>, at: &Place<'_>) {
    if protocol.is_some_and(|protocol| protocol != Protocol::Tcp) {
        let reason = "a target group of type alb has the protocol TCP";
        at.field("protocol").error("invalid-combination", reason);
    }
    if spec.targets.len() > 1 {
        let reason = "a target group of type alb has one target";
        at.field("targets")
            .index(1)
            .error("too-many-targets", reason);
    }
}

fn targets(
    spec: &TargetGroupSpec,
    target_type: TargetType,
    group_port: Option<u16>,
    at: &Place<'_>,
) -> Vec<Target> {
    let at = at.field("targets");
    let mut seen = Seen::new("target");
    let targets = spec.targets.iter().enumerate().filter_map(|(i, spec)| {
        let at = at.index(i);
        let target = Target::build(spec, target_type, group_port, &at)?;
        let name = match &target.id {
            TargetId::Ip(IpAddr::V6(ip)) => format!("[{ip}]:{}", target.port),
            id => format!("{id}:{}", target.port),
        };
        seen.check(name, &at, "duplicate-target").then_some(target)
    });
    targets.collect()
}

/// One registered target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Target {
    /// Address or name.
    pub id: TargetId,
    /// 1-65535.
    pub port: u16,
    /// Zone, e.g. `us-east-1a`.
    pub availability_zone: Option<ZoneName>,
    /// Groups of QUIC and TCP_QUIC: what connection IDs of the target contain (`QuicServerId`).
    pub quic_server_id: Option<QuicServerId>,
}

impl Target {
    /// The target that `spec` describes, in a group with this default port.
    pub fn new(spec: &TargetSpec, group_port: u16) -> Checked<Self> {
        Findings::of(|at| Self::build(spec, TargetType::default(), Some(group_port), at))
    }

    /// The target at this address, in no zone.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            id: TargetId::Ip(address.ip()),
            port: address.port(),
            availability_zone: None,
            quic_server_id: None,
        }
    }

    fn build(
        spec: &TargetSpec,
        target_type: TargetType,
        group_port: Option<u16>,
        at: &Place<'_>,
    ) -> Option<Self> {
        let port = match spec.port {
            Some(number) => port(number, &at.field("port")),
            None => group_port,
        };
        let availability_zone = availability_zone(spec.availability_zone.as_deref(), at);
        let server_id = spec.quic_server_id.as_deref();
        let quic_server_id =
            server_id.and_then(|text| QuicServerId::build(text, &at.field("quicServerId")));
        let id = match &spec.id {
            Some(name) if target_type == TargetType::Alb => {
                resource_name(name, &at.field("id")).map(TargetId::Alb)
            }
            Some(id) => TargetId::build(id, &at.field("id")),
            None => {
                at.missing("id");
                None
            }
        };
        Some(Self {
            id: id?,
            port: port?,
            availability_zone,
            quic_server_id,
        })
    }
}

/// The zone of a target or instance.
pub(crate) fn availability_zone(text: Option<&str>, at: &Place<'_>) -> Option<ZoneName> {
    text.and_then(|text| ZoneName::build(text, &at.field("availabilityZone")))
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

impl TargetId {
    pub(crate) fn build(text: &str, at: &Place<'_>) -> Option<Self> {
        if let Ok(ip) = text.parse() {
            return Some(Self::Ip(ip));
        }
        if is_host_name(text) {
            return Some(Self::Host(text.into()));
        }
        let hint = text
            .contains(':')
            .then(|| "put the port into its own field, and write IPv6 without brackets".to_owned());
        at.error_with(
            "invalid-target",
            format!("{text:?} is not an IP address or a host name"),
            hint,
        );
        None
    }
}

/// RFC 1123, and the underscore that DNS has; one that ends in a number is a mistyped address.
fn is_host_name(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|b| b.is_ascii_digit());
    text.len() <= 253 && text.split('.').all(is_label) && !is_number
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Host(name) | Self::Alb(name) => f.write_str(name),
        }
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
    /// Failing, and its connections are kept for a time (NLB).
    UnhealthyDraining = 6,
}

impl TargetState {
    /// Whether a target in this state belongs to its group and may get traffic.
    pub fn is_registered(self) -> bool {
        !matches!(self, Self::Unused | Self::Draining)
    }

    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
            Self::UnhealthyDraining => "unhealthy.draining",
        }
    }

    /// `InstanceState.State` of `DescribeInstanceHealth`, of an instance of a Classic load balancer.
    /// One that drains still serves (CLB guide: connection draining).
    pub fn as_instance_state(self) -> &'static str {
        match self {
            Self::Healthy | Self::Draining => "InService",
            Self::Initial | Self::Unhealthy | Self::UnhealthyDraining => "OutOfService",
            Self::Unused | Self::Unavailable => "Unknown",
        }
    }
}

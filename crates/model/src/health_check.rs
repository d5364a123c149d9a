//! Active health checks (ALB, NLB and CLB guides: health checks).

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::invalid::{Checked, Findings, Place};
use crate::kinds::{HealthCheckProtocol, Protocol, ProtocolVersion};
use crate::read::{in_range, is_visible, one_of, port};
use crate::spec::{ClassicHealthCheckSpec, HealthCheckSpec, MatcherSpec};

/// Active health check of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthCheck {
    /// How targets are asked.
    pub protocol: HealthCheckProtocol,
    /// Where they are asked.
    pub port: HealthCheckPort,
    /// HTTP and HTTPS: the protocol version of the group, which the checks speak as well.
    pub version: ProtocolVersion,
    /// HTTP and HTTPS: path with optional query; of gRPC that of a method, `/package.Service/Method`.
    pub path: Arc<str>,
    /// HTTP and HTTPS: which codes pass; of gRPC those of gRPC.
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

/// The path of gRPC checks by default: a method that no server has (ALB guide: health checks).
const GRPC_PATH: &str = "/AWS.ALB/healthcheck";

/// Longest `path`, in characters.
const MAX_PATH: usize = 1024;

/// Longest `target` of a Classic health check, in characters.
const MAX_TARGET: usize = 1024;

impl HealthCheck {
    /// The check that `spec` describes, of a group of this protocol and of version HTTP1, with AWS's defaults (`CreateTargetGroup`).
    ///
    /// ```
    /// use elbow_model::{HealthCheck, HealthCheckSpec, Protocol};
    ///
    /// let check = HealthCheck::new(&HealthCheckSpec::default(), Protocol::Http).value.unwrap();
    /// assert_eq!((check.interval.as_secs(), check.timeout.as_secs()), (30, 5));
    /// ```
    pub fn new(spec: &HealthCheckSpec, group: Protocol) -> Checked<Self> {
        Findings::of(|at| Self::build(spec, Some(group), ProtocolVersion::Http1, at))
    }

    /// `group`: unless the protocol of the group is invalid.
    pub(crate) fn build(
        spec: &HealthCheckSpec,
        group: Option<Protocol>,
        version: ProtocolVersion,
        at: &Place<'_>,
    ) -> Option<Self> {
        let is_http = group.is_none_or(Protocol::is_http);
        let protocol = match &spec.protocol {
            Some(text) => protocol(text, is_http, &at.field("protocol")),
            None if is_http => Some(HealthCheckProtocol::Http),
            None => Some(HealthCheckProtocol::Tcp),
        };
        let port = match &spec.port {
            Some(text) => check_port(text, &at.field("port")),
            None => Some(HealthCheckPort::TrafficPort),
        };
        if let Some(protocol) = protocol {
            refuse_http_fields(spec, protocol, at);
        }
        let path = match &spec.path {
            Some(text) => path(text, &at.field("path")),
            None if version == ProtocolVersion::Grpc => Some(GRPC_PATH.into()),
            None => Some("/".into()),
        };
        let codes = Codes::of_group(is_http, version);
        let matcher = match &spec.matcher {
            Some(spec) => Matcher::build(spec, codes, &at.field("matcher")),
            None => Some(codes.default_matcher()),
        };
        let interval = seconds(spec.interval_seconds, 5..=300, &at.field("intervalSeconds"));
        let interval = interval.unwrap_or(Duration::from_secs(30));
        let timeout = timeout(spec, is_http, protocol, interval, at);
        let threshold = |count: Option<u32>, default, name| match count {
            Some(count) => in_range(count, 2..=10, &at.field(name)),
            None => Some(default),
        };
        let healthy = threshold(spec.healthy_threshold_count, 5, "healthyThresholdCount");
        let unhealthy = threshold(spec.unhealthy_threshold_count, 2, "unhealthyThresholdCount");
        Some(Self {
            protocol: protocol?,
            port: port?,
            version,
            path: path?,
            matcher: matcher?,
            interval,
            timeout,
            healthy_threshold: healthy?,
            unhealthy_threshold: unhealthy?,
        })
    }

    /// The check of a Classic load balancer whose first listener has this instance port (`ConfigureHealthCheck`).
    /// By default, ELB checks whether that port is open.
    pub(crate) fn build_classic(
        spec: Option<&ClassicHealthCheckSpec>,
        first_port: Option<u16>,
        at: &Place<'_>,
    ) -> Self {
        let mut check = Self {
            protocol: HealthCheckProtocol::Tcp,
            port: HealthCheckPort::Port(first_port.unwrap_or(80)),
            version: ProtocolVersion::Http1,
            path: "/".into(),
            // An instance passes on 200 alone (CLB guide: health checks).
            matcher: Matcher(vec![200..=200]),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_threshold: 10,
            unhealthy_threshold: 2,
        };
        if let Some(spec) = spec {
            check.configure(spec, at);
        }
        check
    }

    fn configure(&mut self, spec: &ClassicHealthCheckSpec, at: &Place<'_>) {
        match &spec.target {
            Some(text) => self.set_target(text, &at.field("target")),
            None => at.missing("target"),
        }
        if let Some(interval) = seconds(spec.interval, 5..=300, &at.field("interval")) {
            self.interval = interval;
        }
        // A default is never longer than an interval that somebody chose.
        self.timeout = self.timeout.min(self.interval - Duration::from_secs(1));
        let at_timeout = at.field("timeout");
        if let Some(timeout) = seconds(spec.timeout, 2..=60, &at_timeout) {
            self.timeout = timeout;
            if timeout >= self.interval {
                let (timeout, interval) = (timeout.as_secs(), self.interval.as_secs());
                at_timeout.error(
                    "invalid-combination",
                    format!(
                        "the timeout of {timeout} s is not shorter than the interval of {interval} s"
                    ),
                );
            }
        }
        let threshold = |count: Option<u32>, name| in_range(count?, 2..=10, &at.field(name));
        if let Some(count) = threshold(spec.healthy_threshold, "healthyThreshold") {
            self.healthy_threshold = count;
        }
        if let Some(count) = threshold(spec.unhealthy_threshold, "unhealthyThreshold") {
            self.unhealthy_threshold = count;
        }
    }

    fn set_target(&mut self, text: &str, at: &Place<'_>) {
        let Some((protocol, port, path)) = classic_target(text) else {
            at.error_with(
                "invalid-target",
                format!("{text:?} is not the target of a health check"),
                "write TCP:port, SSL:port, HTTP:port/path or HTTPS:port/path".to_owned(),
            );
            return;
        };
        self.protocol = protocol;
        self.port = HealthCheckPort::Port(port);
        if !path.is_empty() {
            self.path = path.into();
        }
    }

    /// `Target` of a Classic health check, e.g. `HTTPS:9000/minio/health/live`.
    pub fn classic_target(&self) -> String {
        let path = match self.protocol {
            HealthCheckProtocol::Tcp | HealthCheckProtocol::Ssl => "",
            HealthCheckProtocol::Http | HealthCheckProtocol::Https => &*self.path,
        };
        format!("{}:{}{path}", self.protocol.as_str(), self.port)
    }
}

fn protocol(text: &str, is_http: bool, at: &Place<'_>) -> Option<HealthCheckProtocol> {
    let protocol = one_of(text, HealthCheckProtocol::OF_GROUPS, at)?;
    if is_http && protocol == HealthCheckProtocol::Tcp {
        at.error(
            "invalid-combination",
            "HTTP and HTTPS groups check their targets by HTTP or HTTPS, not TCP",
        );
        return None;
    }
    Some(protocol)
}

fn check_port(text: &str, at: &Place<'_>) -> Option<HealthCheckPort> {
    if text == "traffic-port" {
        return Some(HealthCheckPort::TrafficPort);
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        at.error(
            "wrong-type",
            format!("{text:?} is not traffic-port or a number from 1 to 65535"),
        );
        return None;
    }
    let number = text.parse().unwrap_or(u32::MAX);
    port(number, at).map(HealthCheckPort::Port)
}

/// Refuses what only HTTP and HTTPS checks have.
fn refuse_http_fields(spec: &HealthCheckSpec, protocol: HealthCheckProtocol, at: &Place<'_>) {
    if protocol != HealthCheckProtocol::Tcp {
        return;
    }
    let given = [
        ("path", spec.path.is_some()),
        ("matcher", spec.matcher.is_some()),
    ];
    for (name, _) in given.iter().filter(|(_, is_given)| *is_given) {
        at.field(name).error_with(
            "invalid-combination",
            format!("{name} belongs to HTTP and HTTPS checks; this one is TCP"),
            "set protocol: HTTP".to_owned(),
        );
    }
}

fn path(text: &str, at: &Place<'_>) -> Option<Arc<str>> {
    if text.starts_with('/') && text.len() <= MAX_PATH && is_visible(text) {
        return Some(text.into());
    }
    at.error(
        "invalid-path",
        format!("{text:?} is not a path: 1 to {MAX_PATH} visible characters that start with \"/\""),
    );
    None
}

fn seconds(given: Option<u32>, range: RangeInclusive<u32>, at: &Place<'_>) -> Option<Duration> {
    let seconds = in_range(given?, range, at)?;
    Some(Duration::from_secs(seconds.into()))
}

fn timeout(
    spec: &HealthCheckSpec,
    is_http: bool,
    protocol: Option<HealthCheckProtocol>,
    interval: Duration,
    at: &Place<'_>,
) -> Duration {
    let default = Duration::from_secs(match (is_http, protocol) {
        (true, _) => 5,
        (false, Some(HealthCheckProtocol::Http)) => 6,
        (false, _) => 10,
    });
    let at = at.field("timeoutSeconds");
    let Some(timeout) = seconds(spec.timeout_seconds, 2..=120, &at) else {
        // A default is never longer than an interval that somebody chose.
        return default.min(interval);
    };
    if timeout > interval {
        let (timeout, interval) = (timeout.as_secs(), interval.as_secs());
        at.error(
            "invalid-combination",
            format!("the timeout of {timeout} s is longer than the interval of {interval} s"),
        );
    }
    timeout
}

/// `PROTOCOL:port`, and a path where the protocol is HTTP or HTTPS.
fn classic_target(text: &str) -> Option<(HealthCheckProtocol, u16, &str)> {
    let (name, rest) = text.split_once(':')?;
    let mut names = HealthCheckProtocol::NAMES.iter();
    let (_, protocol) = names.find(|(known, _)| *known == name)?;
    let (port, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let has_path = matches!(
        protocol,
        HealthCheckProtocol::Http | HealthCheckProtocol::Https
    );
    let is_number = port.bytes().all(|b| b.is_ascii_digit());
    let is_valid =
        is_number && is_visible(path) && text.len() <= MAX_TARGET && path.is_empty() != has_path;
    let port = port.parse().ok().filter(|port| *port > 0 && is_valid)?;
    Some((*protocol, port, path))
}

/// `HealthCheckPort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthCheckPort {
    /// `traffic-port`: the target's own.
    TrafficPort,
    /// A fixed one.
    Port(u16),
}

impl fmt::Display for HealthCheckPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrafficPort => f.write_str("traffic-port"),
            Self::Port(port) => port.fmt(f),
        }
    }
}

/// The codes that a group's matcher has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codes {
    /// `HttpCode` of an ALB's group.
    Http,
    /// `HttpCode` of an NLB's group.
    Network,
    /// `GrpcCode`.
    Grpc,
}

impl Codes {
    fn of_group(is_http: bool, version: ProtocolVersion) -> Self {
        match version {
            ProtocolVersion::Grpc => Self::Grpc,
            _ if is_http => Self::Http,
            _ => Self::Network,
        }
    }

    /// All that can be given.
    fn range(self) -> RangeInclusive<u16> {
        match self {
            Self::Http => 200..=499,
            Self::Network => 200..=599,
            Self::Grpc => 0..=99,
        }
    }

    fn default_matcher(self) -> Matcher {
        Matcher(vec![match self {
            Self::Http => 200..=200,
            Self::Network => 200..=399,
            // UNIMPLEMENTED: the server answers gRPC, and does not have the method.
            Self::Grpc => 12..=12,
        }])
    }

    /// The text of `spec` that has them. The other one is refused.
    fn text<'s>(self, spec: &'s MatcherSpec, at: &Place<'_>) -> Option<&'s str> {
        let (name, own, other_name, other) = match self {
            Self::Grpc => ("grpcCode", &spec.grpc_code, "httpCode", &spec.http_code),
            _ => ("httpCode", &spec.http_code, "grpcCode", &spec.grpc_code),
        };
        if other.is_some() {
            let reason = match self {
                Self::Grpc => "httpCode does not belong to groups of protocolVersion GRPC",
                _ => "grpcCode belongs to groups of protocolVersion GRPC",
            };
            at.field(other_name)
                .error_with("invalid-combination", reason, format!("write {name}"));
        } else if own.is_none() {
            at.missing(name);
        }
        own.as_deref()
    }
}

/// `Matcher.HttpCode` or `Matcher.GrpcCode`: a list of codes and ranges, e.g. `200,403` or `200-299`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher(pub Vec<RangeInclusive<u16>>);

impl Matcher {
    /// Whether `code` passes.
    pub fn matches(&self, code: u16) -> bool {
        self.0.iter().any(|range| range.contains(&code))
    }

    /// `200`, `200,202`, `200-299` and combinations: 200-499 for an ALB, 200-599 for an NLB; `12`, `0-99` for gRPC.
    fn build(spec: &MatcherSpec, codes: Codes, at: &Place<'_>) -> Option<Self> {
        let text = codes.text(spec, at)?;
        let is_grpc = codes == Codes::Grpc;
        let at = at.field(if is_grpc { "grpcCode" } else { "httpCode" });
        let Some(ranges) = parse_codes(text, is_grpc) else {
            let (what, hint) = if is_grpc {
                (
                    "gRPC codes",
                    "write for example \"12\", \"0,12\" or \"0-99\"",
                )
            } else {
                (
                    "status codes",
                    "write for example \"200\", \"200,202\" or \"200-299\"",
                )
            };
            at.error_with(
                "invalid-matcher",
                format!("{text:?} is not a list of {what}"),
                hint.to_owned(),
            );
            return None;
        };
        let allowed = codes.range();
        let is_allowed = |code: &u16| allowed.contains(code);
        if !ranges
            .iter()
            .all(|r| is_allowed(r.start()) && is_allowed(r.end()))
        {
            let (first, last) = (allowed.start(), allowed.end());
            at.error(
                "out-of-range",
                format!("{text:?} has codes that are not from {first} to {last}"),
            );
            return None;
        }
        Some(Self(ranges))
    }
}

fn parse_codes(text: &str, is_grpc: bool) -> Option<Vec<RangeInclusive<u16>>> {
    let digits = if is_grpc { 1..=2 } else { 3..=3 };
    let code = |text: &str| {
        let is_code = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| is_code)
    };
    let part = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let range: RangeInclusive<u16> = code(from.trim())?..=code(to.trim())?;
        (!range.is_empty()).then_some(range)
    };
    text.split(',').map(part).collect()
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (from, to) if from == to => write!(f, "{comma}{from}")?,
                (from, to) => write!(f, "{comma}{from}-{to}")?,
            }
        }
        Ok(())
    }
}

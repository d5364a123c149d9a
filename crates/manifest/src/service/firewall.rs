//! The sources that may connect: the permissions of the security group that the controller makes.

use crate::annotations::{Row, service as keys};
use crate::bounds;
use crate::objects::Service;

use crate::lookup::service::{Reader, Refused};

const RANGES: &Row = keys::SOURCE_RANGES;
const PREFIX_LISTS: &Row = keys::SECURITY_GROUP_PREFIX_LISTS;
const ICMP: &Row = keys::ENABLE_ICMP_FOR_PATH_MTU_DISCOVERY;

/// A source of traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An IPv4 range.
    Ipv4(String),
    /// An IPv6 range.
    Ipv6(String),
    /// A prefix list.
    PrefixList(String),
}

/// One permission of the security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// `tcp`, `udp`, `icmp` or `icmpv6`.
    pub protocol: String,
    /// First port, or the ICMP type.
    pub from_port: i32,
    /// Last port, or the ICMP code.
    pub to_port: i32,
    /// The source that may connect.
    pub source: Source,
}

/// The source ranges of the Service: from its field, else from the annotation.
pub fn source_ranges(read: &Reader<'_>, service: &Service) -> Vec<String> {
    if service.load_balancer_source_ranges.is_empty() {
        read.list(RANGES)
    } else {
        service.load_balancer_source_ranges.clone()
    }
}

/// The permissions, in order of ports, as `buildManagedSecurityGroupIngressPermissions` in
/// `pkg/service/model_build_managed_sg.go` lists them: each range, with ICMP beside it if asked for, then prefix lists.
pub fn permissions(
    read: &Reader<'_>,
    service: &Service,
    dualstack: bool,
) -> Result<Vec<Permission>, Refused> {
    let sources = sources(read, service, dualstack)?;
    bounds::permissions(service.ports.len() * sources.len()).map_err(Refused::too_much)?;
    // Any other value means off.
    let icmp = read.text(ICMP) == Some("on");
    let mut permissions = Vec::new();
    for port in &service.ports {
        for source in &sources {
            let number = i32::from(port.port);
            permissions.push(permission(
                &port.protocol.to_lowercase(),
                number,
                number,
                source,
            ));
            match source {
                Source::Ipv6(_) if icmp => permissions.push(permission("icmpv6", 2, 0, source)),
                Source::Ipv4(_) if icmp => permissions.push(permission("icmp", 3, 4, source)),
                _ => {}
            }
        }
    }
    Ok(permissions)
}

fn permission(protocol: &str, from_port: i32, to_port: i32, source: &Source) -> Permission {
    Permission {
        protocol: protocol.to_owned(),
        from_port,
        to_port,
        source: source.clone(),
    }
}

fn sources(read: &Reader<'_>, service: &Service, dualstack: bool) -> Result<Vec<Source>, Refused> {
    let mut sources = Vec::new();
    let ranges = source_ranges(read, service);
    // An annotation without lists is enough to admit nobody else.
    if ranges.is_empty() && read.text(PREFIX_LISTS).is_none() {
        sources.push(Source::Ipv4("0.0.0.0/0".to_owned()));
        if dualstack {
            sources.push(Source::Ipv6("::/0".to_owned()));
        }
    }
    for range in ranges {
        if !range.contains(':') {
            sources.push(Source::Ipv4(range));
        } else if dualstack {
            sources.push(Source::Ipv6(range));
        } else {
            let message = format!("unsupported v6 cidr {range} when lb is not dualstack");
            return Err(Refused::annotation(RANGES, message));
        }
    }
    sources.extend(read.list(PREFIX_LISTS).into_iter().map(Source::PrefixList));
    Ok(sources)
}

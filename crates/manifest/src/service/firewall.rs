//! Who may come in: source ranges and the permissions of the security group that is made.

use crate::bounds;
use crate::objects::Service;

use super::read::{Reader, Refused};

const RANGES: &str = "load-balancer-source-ranges";
const PREFIX_LISTS: &str = "aws-load-balancer-security-group-prefix-lists";
const ICMP: &str = "aws-load-balancer-enable-icmp-for-path-mtu-discovery";

/// Where a permission lets traffic come from.
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
    /// Who may come.
    pub source: Source,
}

/// The ranges that the Service names: its field, else the annotation.
pub fn source_ranges(read: &Reader<'_>, service: &Service) -> Vec<String> {
    if service.load_balancer_source_ranges.is_empty() {
        read.list(RANGES)
    } else {
        service.load_balancer_source_ranges.clone()
    }
}

/// One permission per port and source, in order of ports.
pub fn permissions(
    read: &Reader<'_>,
    service: &Service,
    dualstack: bool,
) -> Result<Vec<Permission>, Refused> {
    let sources = sources(read, service, dualstack)?;
    bounds::permissions(service.ports.len() * sources.len()).map_err(Refused::too_much)?;
    let icmp = super::load_balancer::on_off(read, ICMP)? == Some("on");
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
                _ if icmp => permissions.push(permission("icmp", 3, 4, source)),
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
    let lists = read.list(PREFIX_LISTS);
    if ranges.is_empty() && lists.is_empty() {
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
    sources.extend(lists.into_iter().map(Source::PrefixList));
    Ok(sources)
}

//! Security groups: which clients may connect.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;

use crate::condition::network;
use crate::invalid::{Checked, Findings, Place};
use crate::kinds::{IpProtocol, Transport};
use crate::read::{in_range, one_of};
use crate::sources::Sources;
use crate::spec::{PermissionSpec, SecurityGroupSpec};

/// A security group of a load balancer (`AuthorizeSecurityGroupIngress`; ALB, NLB and CLB guides: security
/// groups).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecurityGroup {
    /// Its name.
    pub name: Arc<str>,
    /// Which clients may connect, and to which ports; all others are refused.
    pub ingress: Vec<Permission>,
}

/// One of the permissions of a security group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permission {
    /// The protocol.
    pub protocol: IpProtocol,
    /// The destination ports.
    pub ports: RangeInclusive<u16>,
    /// The sources.
    pub sources: Vec<IpNet>,
}

impl SecurityGroup {
    /// The security group that `spec` describes.
    pub fn new(spec: &SecurityGroupSpec) -> Checked<Self> {
        Findings::of(|at| Self::build(spec, at))
    }

    pub(crate) fn build_all(specs: &[SecurityGroupSpec], at: &Place<'_>) -> Vec<Self> {
        let groups = specs.iter().enumerate();
        groups
            .filter_map(|(i, spec)| Self::build(spec, &at.index(i)))
            .collect()
    }

    fn build(spec: &SecurityGroupSpec, at: &Place<'_>) -> Option<Self> {
        let place = at.field("ingress");
        let ingress = spec.ingress.iter().enumerate();
        let ingress = ingress
            .filter_map(|(i, spec)| Permission::build(spec, &place.index(i)))
            .collect();
        let Some(name) = &spec.group_name else {
            at.missing("groupName");
            return None;
        };
        Some(Self {
            name: name[..].into(),
            ingress,
        })
    }
}

impl Permission {
    fn build(spec: &PermissionSpec, at: &Place<'_>) -> Option<Self> {
        let protocol = match &spec.ip_protocol {
            Some(text) => one_of(text, IpProtocol::NAMES, &at.field("ipProtocol")),
            None => {
                at.missing("ipProtocol");
                None
            }
        };
        let v4 = sources(
            &spec.ip_ranges,
            "cidrIP",
            IpAddr::is_ipv4,
            &at.field("ipRanges"),
        );
        let v6 = &at.field("ipv6Ranges");
        let v6 = sources(&spec.ipv6_ranges, "cidrIPv6", IpAddr::is_ipv6, v6);
        Some(Self {
            protocol: protocol?,
            ports: ports(spec, protocol?, at)?,
            sources: v4.into_iter().chain(v6).collect(),
        })
    }
}

/// The ports of a permission; all ports for protocols without ports.
fn ports(
    spec: &PermissionSpec,
    protocol: IpProtocol,
    at: &Place<'_>,
) -> Option<RangeInclusive<u16>> {
    if !matches!(protocol, IpProtocol::Tcp | IpProtocol::Udp) {
        return Some(0..=u16::MAX);
    }
    let port = |given: Option<u32>, least, name| match given {
        Some(number) => in_range(number, least..=u16::MAX.into(), &at.field(name)),
        None => {
            at.missing(name);
            None
        }
    };
    let from = port(spec.from_port, 0, "fromPort")?;
    let to = port(spec.to_port, from, "toPort")?;
    Some(u16::try_from(from).ok()?..=u16::try_from(to).ok()?)
}

/// The CIDR blocks, which all have to be of one address family.
fn sources(
    given: &[Option<String>],
    field: &'static str,
    is_of_family: fn(&IpAddr) -> bool,
    at: &Place<'_>,
) -> Vec<IpNet> {
    let source = |(i, text): (usize, &Option<String>)| {
        let at = at.index(i);
        let Some(text) = text else {
            at.missing(field);
            return None;
        };
        let at = at.field(field);
        let network = network(text, &at)?;
        if !is_of_family(&network.addr()) {
            let reason = format!("{network} is of the other address family");
            at.error("invalid-cidr", reason);
            return None;
        }
        Some(network)
    };
    given.iter().enumerate().filter_map(source).collect()
}

/// The sources from which these groups allow clients of a transport to reach `port`. `None`: all, because there are no groups or
/// they allow all addresses of both families.
pub(crate) fn sources_of(
    groups: &[SecurityGroup],
    transport: Transport,
    port: u16,
) -> Option<Sources> {
    if groups.is_empty() {
        return None;
    }
    let own = match transport {
        Transport::Tcp => IpProtocol::Tcp,
        Transport::Udp => IpProtocol::Udp,
    };
    let permissions = groups.iter().flat_map(|group| &group.ingress);
    let of_port = permissions.filter(|one| {
        (one.protocol == own || one.protocol == IpProtocol::All) && one.ports.contains(&port)
    });
    let sources: Vec<IpNet> = of_port.flat_map(|one| one.sources.clone()).collect();
    let sources = Sources::new(sources);
    let open = |v6: bool| {
        let whole = |net: &&IpNet| net.prefix_len() == 0 && net.addr().is_ipv6() == v6;
        sources.0.iter().any(|net| whole(&net))
    };
    (!(open(false) && open(true))).then_some(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(protocol: IpProtocol, ports: RangeInclusive<u16>, sources: &[&str]) -> SecurityGroup {
        let sources = sources.iter().map(|s| s.parse().unwrap()).collect();
        SecurityGroup {
            name: "web".into(),
            ingress: vec![Permission {
                protocol,
                ports,
                sources,
            }],
        }
    }

    fn texts(groups: &[SecurityGroup], port: u16) -> Option<Vec<String>> {
        let sources = sources_of(groups, Transport::Tcp, port)?;
        Some(sources.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn without_groups_every_client_may_connect() {
        assert_eq!(texts(&[], 443), None);
    }

    #[test]
    fn clients_without_permission_are_refused() {
        let web = group(IpProtocol::Tcp, 443..=443, &["10.0.0.0/8"]);
        assert_eq!(
            texts(std::slice::from_ref(&web), 443),
            Some(vec!["10.0.0.0/8".into()])
        );
        assert_eq!(texts(std::slice::from_ref(&web), 80), Some(Vec::new()));
        // The permissions of several groups add up; a block inside another is merged into it.
        let more = group(IpProtocol::All, 0..=65535, &["10.1.0.0/16", "192.0.2.1/32"]);
        let both = ["10.0.0.0/8", "192.0.2.1/32"];
        assert_eq!(
            texts(&[web, more], 443),
            Some(both.map(str::to_owned).to_vec())
        );
    }

    #[test]
    fn a_client_may_connect_from_an_allowed_block() {
        let web = group(IpProtocol::Tcp, 443..=443, &["10.0.0.0/8", "2001:db8::/32"]);
        let sources = sources_of(&[web], Transport::Tcp, 443).unwrap();
        for (client, let_in) in [
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("2001:db8::7", true),
            ("2001:db9::", false),
        ] {
            assert_eq!(
                sources.contains(client.parse().unwrap()),
                let_in,
                "{client}"
            );
        }
    }

    #[test]
    fn other_protocols_open_nothing_to_tcp() {
        for protocol in [IpProtocol::Udp, IpProtocol::Icmp, IpProtocol::Icmpv6] {
            let group = group(protocol, 0..=65535, &["0.0.0.0/0", "::/0"]);
            assert_eq!(texts(&[group], 443), Some(Vec::new()));
        }
    }

    #[test]
    fn transports_are_allowed_apart() {
        let dns = group(IpProtocol::Udp, 53..=53, &["10.0.0.0/8"]);
        let to = |transport| sources_of(std::slice::from_ref(&dns), transport, 53).unwrap();
        let client = "10.0.0.1".parse().unwrap();
        assert!(to(Transport::Udp).contains(client));
        assert!(!to(Transport::Tcp).contains(client));
    }

    #[test]
    fn both_families_together_allow_every_client() {
        let v4 = group(IpProtocol::Tcp, 443..=443, &["0.0.0.0/0"]);
        assert_eq!(
            texts(std::slice::from_ref(&v4), 443),
            Some(vec!["0.0.0.0/0".into()])
        );
        let v6 = group(IpProtocol::Tcp, 443..=443, &["::/0"]);
        assert_eq!(texts(&[v4, v6], 443), None);
    }
}

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;

/// A security group of a load balancer (`AuthorizeSecurityGroupIngress`; ALB, NLB and CLB guides: security
/// groups).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Its name.
    pub name: Arc<str>,
    /// Who may open connections, and to which ports; whom none of them names stays out.
    pub ingress: Vec<Permission>,
}

/// One of the permissions of a security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Of which protocol.
    pub protocol: IpProtocol,
    /// To which ports.
    pub ports: RangeInclusive<u16>,
    /// From where.
    pub sources: Vec<IpNet>,
}

/// `IpProtocol` of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpProtocol {
    /// `-1`
    All,
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
    /// `icmp`: nothing that a listener has to do with.
    Icmp,
    /// `icmpv6`: nothing that a listener has to do with.
    Icmpv6,
}

/// Where connections may come from: blocks, each once and none inside another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources(Vec<IpNet>);

impl Sources {
    /// Whether connections from `client` are let in.
    pub fn contains(&self, client: IpAddr) -> bool {
        self.0.iter().any(|block| block.contains(&client))
    }
}

/// Where the TCP connections to `port` may come from, as `groups` have it; `None`: from everywhere, since
/// there are no groups or one of them leaves both families open.
pub(crate) fn tcp_sources(groups: &[SecurityGroup], port: u16) -> Option<Sources> {
    if groups.is_empty() {
        return None;
    }
    let permissions = groups.iter().flat_map(|group| &group.ingress);
    let of_port = permissions.filter(|one| {
        matches!(one.protocol, IpProtocol::Tcp | IpProtocol::All) && one.ports.contains(&port)
    });
    let sources: Vec<IpNet> = of_port.flat_map(|one| one.sources.clone()).collect();
    let sources = IpNet::aggregate(&sources);
    let open = |v6: bool| {
        let whole = |net: &&IpNet| net.prefix_len() == 0 && net.addr().is_ipv6() == v6;
        sources.iter().find(whole).is_some()
    };
    (!(open(false) && open(true))).then_some(Sources(sources))
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
        let sources = tcp_sources(groups, port)?;
        Some(sources.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn without_a_group_everybody_gets_in() {
        assert_eq!(texts(&[], 443), None);
    }

    #[test]
    fn whom_no_permission_names_stays_out() {
        let web = group(IpProtocol::Tcp, 443..=443, &["10.0.0.0/8"]);
        assert_eq!(
            texts(std::slice::from_ref(&web), 443),
            Some(vec!["10.0.0.0/8".into()])
        );
        assert_eq!(texts(std::slice::from_ref(&web), 80), Some(Vec::new()));
        // Groups add up, and a block inside another is that other.
        let more = group(IpProtocol::All, 0..=65535, &["10.1.0.0/16", "192.0.2.1/32"]);
        let both = ["10.0.0.0/8", "192.0.2.1/32"];
        assert_eq!(
            texts(&[web, more], 443),
            Some(both.map(str::to_owned).to_vec())
        );
    }

    #[test]
    fn a_client_is_let_in_by_the_block_that_it_is_of() {
        let web = group(IpProtocol::Tcp, 443..=443, &["10.0.0.0/8", "2001:db8::/32"]);
        let sources = tcp_sources(&[web], 443).unwrap();
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
    fn both_families_open_is_everybody() {
        let v4 = group(IpProtocol::Tcp, 443..=443, &["0.0.0.0/0"]);
        assert_eq!(
            texts(std::slice::from_ref(&v4), 443),
            Some(vec!["0.0.0.0/0".into()])
        );
        let v6 = group(IpProtocol::Tcp, 443..=443, &["::/0"]);
        assert_eq!(texts(&[v4, v6], 443), None);
    }
}

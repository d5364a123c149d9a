use std::net::IpAddr;
use std::sync::Arc;

use crate::security_group::{Sources, tcp_sources};
use crate::{
    Action, Certificate, Classic, Forward, Listener, LoadBalancerAttributes, SecurityGroup,
    TargetGroup,
};

/// Everything that describes the load balancers of one process; names in it resolve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// In the order of the input. Shared with the models before and after, where it stayed as it was.
    pub load_balancers: Vec<Arc<LoadBalancer>>,
    /// In the order of the input; names are unique.
    pub target_groups: Vec<Arc<TargetGroup>>,
    /// In the order of the input; names are unique.
    pub certificates: Vec<Arc<Certificate>>,
}

impl Model {
    /// The target group called `name`.
    pub fn target_group(&self, name: &str) -> Option<&Arc<TargetGroup>> {
        self.target_groups.iter().find(|g| &*g.name == name)
    }

    /// The certificate called `name`.
    pub fn certificate(&self, name: &str) -> Option<&Arc<Certificate>> {
        self.certificates.iter().find(|c| &*c.name == name)
    }
}

/// One load balancer and its listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    /// At most 32 characters: alphanumerics and hyphens (`CreateLoadBalancer`, Name).
    pub name: Arc<str>,
    /// Which of AWS's load balancers this is.
    pub kind: LoadBalancerType,
    /// Who may reach it; a label here, since addresses come from one local pool.
    pub scheme: Scheme,
    /// IPv4 alone, or both families.
    pub ip_address_type: IpAddressType,
    /// Where it listens; empty: an address of the pool, chosen by name.
    pub addresses: Vec<IpAddr>,
    /// Together they say who may open connections; without any, everybody may.
    pub security_groups: Vec<SecurityGroup>,
    /// Attributes by their AWS keys, parsed.
    pub attributes: LoadBalancerAttributes,
    /// Ports are unique within a load balancer (TCP and UDP apart).
    pub listeners: Vec<Listener>,
    /// There for Classic ones, and for them alone.
    pub classic: Option<Classic>,
}

impl LoadBalancer {
    /// A stable 16-digit id made of the name, as the last part of an ARN and of a DNS name.
    pub fn id(&self) -> String {
        stable_id(&self.name)
    }

    /// The load balancer's id in access logs and metrics: `app/name/id` or `net/name/id`; the plain
    /// name for a Classic one (ALB guide: access logs).
    pub fn resource_id(&self) -> String {
        match self.kind {
            LoadBalancerType::Application => format!("app/{}/{}", self.name, self.id()),
            LoadBalancerType::Network => format!("net/{}/{}", self.name, self.id()),
            LoadBalancerType::Classic => self.name.to_string(),
        }
    }

    /// Takes the certificate that `replacement` gives for the name of one of its own, if any; without any it stays
    /// the same value that others share.
    pub fn replace_certificates<'a>(
        self: &mut Arc<Self>,
        replacement: impl Fn(&str) -> Option<&'a Arc<Certificate>>,
    ) {
        let other = |own: &Arc<Certificate>| {
            replacement(&own.name).filter(|replacement| !Arc::ptr_eq(replacement, own))
        };
        let mut certificates = self.listeners.iter().flat_map(|l| &l.certificates);
        if certificates.any(|own| other(own).is_some()) {
            let listeners = Arc::make_mut(self).listeners.iter_mut();
            for own in listeners.flat_map(|listener| &mut listener.certificates) {
                if let Some(other) = other(own) {
                    *own = Arc::clone(other);
                }
            }
        }
    }

    /// Where the TCP connections to `port` may come from; `None`: from everywhere.
    pub fn tcp_sources(&self, port: u16) -> Option<Sources> {
        tcp_sources(&self.security_groups, port)
    }

    /// Names of the target groups that its listeners and rules forward to, each once.
    pub fn target_groups(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for listener in &self.listeners {
            let of_rules = listener.rules.iter().flat_map(|rule| &rule.actions);
            for action in listener.default_actions.iter().chain(of_rules) {
                if let Action::Forward(Forward {
                    target_groups: groups,
                    ..
                }) = action
                {
                    names.extend(groups.iter().map(|group| &*group.target_group));
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The DNS name in AWS's shape, see [`dns_name`].
    pub fn dns_name(&self, zone: &DnsZone) -> String {
        dns_name(self.kind, self.scheme, &self.name, zone)
    }
}

/// What the DNS names of load balancers end in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsZone {
    /// The AWS region.
    pub region: String,
    /// What stands for `amazonaws.com`.
    pub suffix: String,
}

impl Default for DnsZone {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            suffix: "localhost".to_owned(),
        }
    }
}

/// The DNS name of a load balancer in AWS's shape under a local suffix: an NLB has 16 hex digits behind its name, the
/// others have decimal ones.
pub fn dns_name(kind: LoadBalancerType, scheme: Scheme, name: &str, zone: &DnsZone) -> String {
    let (id, digits) = (stable_id(name), TEN_DIGITS + name_hash(name) % TEN_DIGITS);
    let name = name.to_lowercase();
    let DnsZone { region, suffix } = zone;
    match (kind, scheme) {
        (LoadBalancerType::Network, _) => format!("{name}-{id}.elb.{region}.{suffix}"),
        (_, Scheme::InternetFacing) => format!("{name}-{digits}.{region}.elb.{suffix}"),
        (_, Scheme::Internal) => format!("internal-{name}-{digits}.{region}.elb.{suffix}"),
    }
}

/// The least number of ten digits.
const TEN_DIGITS: u64 = 1_000_000_000;

/// 16 hex digits that depend on `name` alone, for ids that outlive a restart.
pub(crate) fn stable_id(name: &str) -> String {
    format!("{:016x}", name_hash(name))
}

/// FNV-1a.
pub(crate) fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    })
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

/// `Scheme` of `CreateLoadBalancer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// Reachable from the internet on AWS.
    #[default]
    InternetFacing,
    /// Reachable from the VPC on AWS.
    Internal,
}

/// `IpAddressType` of `CreateLoadBalancer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpAddressType {
    /// IPv4 alone.
    #[default]
    Ipv4,
    /// IPv4 and IPv6.
    Dualstack,
}

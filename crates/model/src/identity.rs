//! Names and ids in AWS's shapes.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::kinds::{LoadBalancerType, Scheme};
use crate::zone::ZoneName;

/// Whose resources they are: what ARNs name.
///
/// ```
/// use elbow_model::Account;
///
/// let account = Account { region: "eu-central-1".to_owned(), ..Account::default() };
/// assert_eq!(account.arn("acm", "certificate/demo"), "arn:aws:acm:eu-central-1:000000000000:certificate/demo");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The AWS region.
    pub region: String,
    /// 12 digits.
    pub id: String,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            id: "000000000000".to_owned(),
        }
    }
}

impl Account {
    /// The ARN of a resource of one of AWS's services.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let Self { region, id } = self;
        format!("arn:aws:{service}:{region}:{id}:{resource}")
    }
}

/// Where names of load balancers live: what their DNS names end in, and what their ARNs name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsZone {
    /// Whose load balancers they are.
    pub account: Account,
    /// What stands for `amazonaws.com`.
    pub suffix: String,
    /// Where clients of a zone ask from: the ranges of its subnets.
    pub networks: Vec<(IpNet, ZoneName)>,
}

impl DnsZone {
    /// The Availability Zone of a client.
    pub fn zone_of(&self, client: IpAddr) -> Option<&ZoneName> {
        let client = client.to_canonical();
        let mut networks = self.networks.iter();
        networks
            .find(|(network, _)| network.contains(&client))
            .map(|(_, zone)| zone)
    }
}

impl Default for DnsZone {
    fn default() -> Self {
        Self {
            account: Account::default(),
            suffix: "localhost".to_owned(),
            networks: Vec::new(),
        }
    }
}

/// The DNS name of a load balancer in AWS's shape under a local suffix: an NLB has 16 hex digits behind its name, the
/// others have decimal ones.
pub fn dns_name(kind: LoadBalancerType, scheme: Scheme, name: &str, zone: &DnsZone) -> String {
    let (id, digits) = (stable_id(name), TEN_DIGITS + name_hash(name) % TEN_DIGITS);
    let name = name.to_lowercase();
    let DnsZone {
        account, suffix, ..
    } = zone;
    let region = &account.region;
    match (kind, scheme) {
        (LoadBalancerType::Network, _) => format!("{name}-{id}.elb.{region}.{suffix}"),
        (_, Scheme::InternetFacing) => format!("{name}-{digits}.{region}.elb.{suffix}"),
        (_, Scheme::Internal) => format!("internal-{name}-{digits}.{region}.elb.{suffix}"),
    }
}

/// The least number of ten digits.
const TEN_DIGITS: u64 = 1_000_000_000;

/// 16 hex digits that depend on `name` alone, for ids that outlive a restart.
pub fn stable_id(name: &str) -> String {
    format!("{:016x}", name_hash(name))
}

/// FNV-1a.
pub(crate) fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    })
}

//! Availability Zones: where nodes of load balancers and targets are.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use crate::invalid::{Checked, Findings, Place};
use crate::seen::Seen;
use crate::spec::ZoneSpec;

/// The name of an Availability Zone, e.g. `us-east-1a`, or of what stands for one: the value of a node's label
/// `topology.kubernetes.io/zone`.
///
/// ```
/// use elbow_model::ZoneName;
///
/// assert_eq!(ZoneName::new("us-east-1a").value.unwrap(), *"us-east-1a");
/// assert!(ZoneName::new("us east").value.is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneName(Arc<str>);

/// Characters of a zone's name: those of the value of a Kubernetes label.
const MAX_NAME: usize = 63;

impl ZoneName {
    /// From 1 to 63 letters, digits and `-_.`, with a letter or digit at either end.
    pub fn new(text: &str) -> Checked<Self> {
        Findings::of(|at| Self::build(text, at))
    }

    pub(crate) fn build(text: &str, at: &Place<'_>) -> Option<Self> {
        let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let is_allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
        let is_valid = ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(is_allowed);
        if !is_valid || bytes.len() > MAX_NAME {
            at.error_with(
                "invalid-name",
                format!("{text:?} is not the name of a zone"),
                format!("use 1 to {MAX_NAME} letters, digits and -_. as in us-east-1a"),
            );
            return None;
        }
        Some(Self(text.into()))
    }
}

impl Deref for ZoneName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for ZoneName {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

/// A zone in which a load balancer has a node (`AvailabilityZone` of `DescribeLoadBalancers`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Zone {
    /// `ZoneName`.
    pub name: ZoneName,
    /// `SubnetId`.
    pub subnet: Option<Arc<str>>,
    /// `LoadBalancerAddresses`: those of the node in this zone.
    pub addresses: Vec<IpAddr>,
}

impl Zone {
    /// The zones of one load balancer, which has at most one subnet in each (`CreateLoadBalancer`, Subnets).
    pub(crate) fn build_all(specs: &[ZoneSpec], at: &Place<'_>) -> Vec<Self> {
        let mut names = Seen::new("zone");
        let mut addresses = HashSet::new();
        let zones = specs.iter().enumerate().filter_map(|(i, spec)| {
            let at = at.index(i);
            let zone = Self::build(spec, &at)?;
            names.check(zone.name.clone(), &at.field("zoneName"), "duplicate-zone");
            for (i, address) in zone.addresses.iter().enumerate() {
                if !addresses.insert(*address) {
                    at.field("loadBalancerAddresses").index(i).error(
                        "address-in-use",
                        format!("another zone of the load balancer has the address {address}"),
                    );
                }
            }
            Some(zone)
        });
        zones.collect()
    }

    fn build(spec: &ZoneSpec, at: &Place<'_>) -> Option<Self> {
        let place = at.field("loadBalancerAddresses");
        let mut addresses = Vec::with_capacity(spec.load_balancer_addresses.len());
        for (i, address) in spec.load_balancer_addresses.iter().enumerate() {
            let at = place.index(i);
            match &address.ip_address {
                None => at.missing("ipAddress"),
                Some(text) => addresses.extend(ip_address(text, &at.field("ipAddress"))),
            }
        }
        let Some(name) = &spec.zone_name else {
            at.missing("zoneName");
            return None;
        };
        Some(Self {
            name: ZoneName::build(name, &at.field("zoneName"))?,
            subnet: spec.subnet_id.as_deref().map(Arc::from),
            addresses,
        })
    }
}

/// An IP address; reported when `text` is not one.
pub(crate) fn ip_address(text: &str, at: &Place<'_>) -> Option<IpAddr> {
    let address = text.parse().ok();
    if address.is_none() {
        at.error("invalid-address", format!("{text:?} is not an IP address"));
    }
    address
}

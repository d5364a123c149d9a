//! An ALB or NLB, in the words of the model.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use elbow_model::{
    LoadBalancerAddressSpec, LoadBalancerSpec, LoadBalancerType, Origin, Step, ZoneSpec,
};

use super::Surroundings;
use super::actions::Actions;
use super::hosts::Wanted;
use super::listeners::{self, Front};
use super::place::{Place, of_attribute};
use super::security_groups::SecurityGroups;
use super::values::attributes;
use crate::Context;
use crate::account;
use crate::context::Subnet;
use crate::stack::{LoadBalancer, Stack, SubnetMapping};

/// A load balancer with the places of its fields.
pub(super) struct Balancer<'a> {
    from: &'a LoadBalancer,
    origin: &'a Origin,
    fronts: Vec<Front<'a>>,
    security_groups: SecurityGroups,
}

impl<'a> Balancer<'a> {
    pub(super) fn build(
        from: &'a LoadBalancer,
        (stack, origin): (&'a Stack, &'a Origin),
        surroundings: &Surroundings<'_>,
        actions: &mut Actions<'_, '_>,
        wanted: &mut Wanted,
    ) -> (Self, LoadBalancerSpec) {
        let kind = match from.kind {
            "application" => LoadBalancerType::Application,
            _ => LoadBalancerType::Network,
        };
        let context = surroundings.context;
        let security_groups = SecurityGroups::of(stack, context);
        let (fronts, listeners) = listeners::build(stack, kind, context, actions, wanted);
        let is_dualstack = from.ip_address_type.starts_with("dualstack");
        let addresses = own_addresses(stack).unwrap_or_default();
        let spec = LoadBalancerSpec {
            name: Some(from.name.value.clone()),
            kind: Some(kind.as_str().to_owned()),
            scheme: Some(from.scheme.value.clone()),
            ip_address_type: Some(if is_dualstack { "dualstack" } else { "ipv4" }.to_owned()),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            availability_zones: zones(&from.subnet_mapping, context),
            security_groups: security_groups.specs(),
            attributes: attributes(&from.load_balancer_attributes),
            listeners,
            ..LoadBalancerSpec::default()
        };
        let balancer = Self {
            from,
            origin,
            fronts,
            security_groups,
        };
        (balancer, spec)
    }

    /// The place of a field.
    pub(super) fn place(&self, steps: &[Step]) -> Place {
        let from = self.from;
        match steps {
            [Step::Field("name"), ..] => Place::fixed(&from.name.origin),
            [Step::Field("scheme"), ..] => Place::fixed(&from.scheme.origin),
            [Step::Field("ipAddressType"), ..] => Place::fixed(&from.ip_address_type.origin),
            [Step::Field("addresses" | "availabilityZones"), ..] => {
                let mut addresses = from.subnet_mapping.iter();
                let address = addresses.find_map(|one| one.private_ipv4_address.as_ref());
                Place::fixed(address.map_or(self.origin, |one| &one.origin))
            }
            [Step::Field("attributes"), Step::Key(key), ..] => {
                let attributes = from.load_balancer_attributes.iter();
                let attributes = attributes.map(|one| (one.key.as_str(), &one.value.origin));
                Place::fixed(of_attribute(attributes, key).unwrap_or(self.origin))
            }
            [Step::Field("securityGroups"), rest @ ..] => {
                Place::fixed(self.security_groups.origin(rest).unwrap_or(self.origin))
            }
            [Step::Field("listeners"), Step::Index(at), rest @ ..] => match self.fronts.get(*at) {
                Some(front) => front.place(rest),
                None => Place::fixed(self.origin),
            },
            _ => Place::fixed(self.origin),
        }
    }
}

/// The zones of a load balancer's subnets, with the subnet of each; none if the account is not described, because then
/// nobody has said where the nodes are.
fn zones(mappings: &[SubnetMapping], context: &Context) -> Vec<ZoneSpec> {
    let is_known = |mapping: &SubnetMapping| {
        let mut subnets = context.subnets.iter();
        subnets.any(|subnet| subnet.id == mapping.subnet_id)
    };
    if !context.describes_subnets || !mappings.iter().all(is_known) {
        return Vec::new();
    }
    let address = |mapping: &SubnetMapping| {
        let address = mapping
            .private_ipv4_address
            .as_ref()
            .filter(|one| is_local(one));
        address.map(|one| LoadBalancerAddressSpec {
            ip_address: Some(one.value.clone()),
        })
    };
    let subnets = mappings
        .iter()
        .map(|one| (one.subnet_id.as_str(), address(one)));
    zones_of(subnets, context)
}

/// The zones of subnets. AWS takes one subnet per zone, so the first of each zone counts.
pub(super) fn zones_of<'s>(
    subnets: impl Iterator<Item = (&'s str, Option<LoadBalancerAddressSpec>)>,
    context: &Context,
) -> Vec<ZoneSpec> {
    let (ids, addresses): (Vec<&str>, Vec<_>) = subnets.unzip();
    let subnets = account::placed(context, ids.into_iter());
    let mut names = BTreeSet::new();
    let zone = |(subnet, address): (&Subnet, Option<LoadBalancerAddressSpec>)| {
        let name = &subnet.availability_zone;
        (!name.is_empty() && names.insert(name.clone())).then(|| ZoneSpec {
            zone_name: Some(name.clone()),
            subnet_id: Some(subnet.id.clone()),
            load_balancer_addresses: address.into_iter().collect(),
        })
    };
    subnets.iter().zip(addresses).filter_map(zone).collect()
}

/// The private addresses that the user chose, if all are loopback addresses: then the load balancer listens on them
/// instead of an address of the pool.
pub(super) fn own_addresses(stack: &Stack) -> Option<Vec<Ipv4Addr>> {
    let balancer = stack.load_balancers.values().next()?;
    let mut addresses = Vec::with_capacity(balancer.subnet_mapping.len());
    for mapping in &balancer.subnet_mapping {
        let address = mapping.private_ipv4_address.as_ref()?;
        addresses.push(address.parse().ok().filter(Ipv4Addr::is_loopback)?);
    }
    Some(addresses)
}

fn is_local(address: &str) -> bool {
    address
        .parse()
        .is_ok_and(|address: Ipv4Addr| address.is_loopback())
}

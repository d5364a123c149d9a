//! The subnets that a Network Load Balancer stands in.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::{Context, ExistingLoadBalancer, Subnet, UNKNOWN_GROUP};

use super::addresses::Place;
use super::read::{Reader, Refused};

const SUBNETS: &str = "aws-load-balancer-subnets";

/// Those that the annotation names, in its order; else those of the load balancer that exists; else
/// one per zone of the scheme, by id.
pub(super) fn places(
    read: &Reader<'_>,
    context: &Context,
    existing: Option<&ExistingLoadBalancer>,
    scheme: &str,
) -> Result<Vec<Place>, Refused> {
    let named = read.list(SUBNETS);
    let subnets = match existing {
        _ if !named.is_empty() => resolve(context, &named)?,
        Some(found) if found.scheme == scheme => resolve(context, &found.subnets)?,
        _ => discover(context, scheme)?,
    };
    Ok(subnets.into_iter().map(place).collect())
}

/// Subnets by id or by name; each in another zone.
fn resolve<'a>(context: &'a Context, named: &[String]) -> Result<Vec<&'a Subnet>, Refused> {
    let mut subnets = Vec::with_capacity(named.len());
    let mut zones = BTreeSet::new();
    for item in named {
        let Some(subnet) = context
            .subnets
            .iter()
            .find(|subnet| subnet.id == *item || subnet.name == *item)
        else {
            let refused = Refused::annotation(SUBNETS, format!("there is no subnet {item:?}"));
            return Err(refused.hint(context.subnet_hint(item)));
        };
        if !zones.insert(&subnet.availability_zone) {
            let message = format!("two subnets in the zone {}", subnet.availability_zone);
            return Err(Refused::annotation(SUBNETS, message).hint("name one subnet of each zone"));
        }
        subnets.push(subnet);
    }
    Ok(subnets)
}

/// One subnet of the scheme per zone: the first by id.
fn discover<'a>(context: &'a Context, scheme: &str) -> Result<Vec<&'a Subnet>, Refused> {
    let mut zones: BTreeMap<&str, &Subnet> = BTreeMap::new();
    for subnet in context
        .subnets
        .iter()
        .filter(|subnet| subnet.scheme == scheme)
    {
        let chosen = zones.entry(&subnet.availability_zone).or_insert(subnet);
        if subnet.id < chosen.id {
            *chosen = subnet;
        }
    }
    let mut subnets: Vec<&Subnet> = zones.into_values().collect();
    if subnets.is_empty() {
        let message =
            format!("unable to resolve at least one subnet for a load balancer that is {scheme}");
        return Err(Refused::annotation(SUBNETS, message)
            .hint("the environment file says which subnets there are, and for which scheme"));
    }
    subnets.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(subnets)
}

fn place(subnet: &Subnet) -> Place {
    Place {
        id: subnet.id.clone(),
        ipv4: subnet.cidr_block.parse().ok(),
        ipv6: subnet
            .ipv6_cidr_block
            .as_ref()
            .and_then(|range| range.parse().ok()),
    }
}

/// The ids of security groups that are named by id or by name.
pub(super) fn security_groups(context: &Context, named: &[String]) -> Result<Vec<String>, Refused> {
    let key = "aws-load-balancer-security-groups";
    let mut ids = Vec::with_capacity(named.len());
    for item in named {
        let Some(id) = context.security_group(item) else {
            let message = format!("there is no security group {item:?}");
            return Err(Refused::annotation(key, message).hint(UNKNOWN_GROUP));
        };
        ids.push(id.to_owned());
    }
    Ok(ids)
}

//! Subnets by id, by Name tag, by tags or by role, as the controller resolves them (LBC v3.5.0
//! `pkg/networking/subnet_resolver.go`), with its checks.

use std::collections::{BTreeMap, BTreeSet};

use elbow_model::suggest::did_you_mean;

use super::{Finding, Resolved};
use crate::context::{Context, Locale, Subnet};

/// The kind of load balancer, which decides how many subnets it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Application,
    Network,
}

/// A load balancer that needs subnets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) kind: Kind,
    /// `internal` or `internet-facing`.
    pub(crate) scheme: &'a str,
    /// Each subnet of a dualstack load balancer needs an IPv6 range.
    pub(crate) dualstack: bool,
}

/// How subnets are chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Selection<'a> {
    /// By id or Name tag, in the order in which they are written.
    Named(&'a [String]),
    /// By id, in the order of the account.
    Ids(&'a [String]),
    /// One per zone of those with these tags.
    Tagged(&'a BTreeMap<String, Vec<String>>),
    /// One per zone of those for the scheme.
    Discovered,
}

/// The subnets that AWS has at least that many free addresses in; a load balancer needs them.
const FREE_ADDRESSES: u32 = 8;
const UNKNOWN: &str = "unknown-subnet";
const LIST: &str = "list it under subnets in the environment file";

/// The subnets of the load balancer, in its order.
pub(crate) fn chosen(
    context: &Context,
    request: Request<'_>,
    selection: Selection<'_>,
) -> Result<Resolved<Subnet>, Finding> {
    let account = Account { context, request };
    match selection {
        Selection::Named(names) => account.checked(named(context, names)?),
        Selection::Ids(ids) => {
            let mut resolved = named(context, ids)?;
            let place = |subnet: &Subnet| {
                let mut subnets = context.subnets.iter();
                subnets.position(|known| known.id == subnet.id)
            };
            // EC2 answers in an order of its own.
            resolved
                .found
                .sort_by_key(|one| place(one).unwrap_or(usize::MAX));
            account.checked(resolved)
        }
        Selection::Tagged(tags) => account.tagged(tags),
        Selection::Discovered => account.one_per_zone(account.of_scheme()),
    }
}

/// The subnets with these ids, stand-ins for those that the account does not have.
pub(crate) fn placed<'i>(context: &Context, ids: impl Iterator<Item = &'i str>) -> Vec<Subnet> {
    let known = |id: &'i str| match context.subnets.iter().find(|subnet| subnet.id == id) {
        Some(subnet) => Named::Known(subnet.clone()),
        None => Named::Unknown(id.to_owned()),
    };
    with_stand_ins(context, ids.map(known).collect())
}

/// A subnet that was asked for by name.
enum Named {
    Known(Subnet),
    Unknown(String),
}

/// Each unknown subnet gets a zone of its own. The ranges are unknown, so that any address is inside.
fn with_stand_ins(context: &Context, named: Vec<Named>) -> Vec<Subnet> {
    let zones = named.iter().filter_map(|one| match one {
        Named::Known(subnet) => Some(subnet.availability_zone.clone()),
        Named::Unknown(_) => None,
    });
    let taken: BTreeSet<String> = zones.collect();
    let letters = ('a'..='z').map(|letter| format!("{}{letter}", context.region));
    let mut free = letters.filter(|zone| !taken.contains(zone));
    let subnet = |one| match one {
        Named::Known(subnet) => subnet,
        Named::Unknown(id) => Subnet {
            id,
            // More subnets than letters share the empty zone, which is refused.
            availability_zone: free.next().unwrap_or_default(),
            is_stand_in: true,
            ..Subnet::default()
        },
    };
    named.into_iter().map(subnet).collect()
}

/// The subnets with these ids or Name tags. The same name twice asks for two subnets with that name.
pub(super) fn named(context: &Context, names: &[String]) -> Result<Resolved<Subnet>, Finding> {
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    let mut stand_ins = Vec::new();
    let mut subnets = Vec::with_capacity(names.len());
    for name in names {
        let before = uses.entry(name).or_insert(0);
        let nth = std::mem::replace(before, *before + 1);
        let mut known = with_name(context, name);
        known.sort_by(|a, b| a.id.cmp(&b.id));
        match known.get(nth) {
            Some(subnet) => subnets.push(Named::Known((*subnet).clone())),
            None if name.starts_with("subnet-") && nth > 0 => {
                let message = format!("the subnet {name} is named twice");
                return Err(Finding::new(UNKNOWN, message).about(name));
            }
            None if !known.is_empty() => {
                let message = format!(
                    "{name} is named {} times, and the account has {} such subnets",
                    nth + 1,
                    known.len()
                );
                return Err(Finding::new(UNKNOWN, message).about(name));
            }
            None => {
                let id = match nth {
                    0 => name.clone(),
                    more => format!("{name}-{}", more + 1),
                };
                stand_ins.push(unknown(context, name)?);
                subnets.push(Named::Unknown(id));
            }
        }
    }
    Ok(Resolved {
        found: with_stand_ins(context, subnets),
        stand_ins,
    })
}

fn with_name<'a>(context: &'a Context, name: &str) -> Vec<&'a Subnet> {
    let subnets = context.subnets.iter();
    let is_id = name.starts_with("subnet-");
    subnets
        .filter(|one| one.id == name || !is_id && one.name == name)
        .collect()
}

/// The warning that something stands in for the subnet, or the error that the account does not have it.
fn unknown(context: &Context, name: &str) -> Result<Finding, Finding> {
    let subnets = context.subnets.iter();
    let known = subnets.flat_map(|subnet| [subnet.id.as_str(), subnet.name.as_str()]);
    let hint = did_you_mean(name, known).unwrap_or_else(|| LIST.to_owned());
    if context.unknown_resources.stand_in() {
        let message = format!(
            "subnet {name} is not in the environment; a subnet in a zone of its own stands in"
        );
        return Ok(Finding::new(UNKNOWN, message).hint(hint).about(name));
    }
    let message = format!("there is no subnet {name}");
    Err(Finding::new(UNKNOWN, message).hint(hint).about(name))
}

#[derive(Clone, Copy)]
struct Account<'a> {
    context: &'a Context,
    request: Request<'a>,
}

impl Account<'_> {
    fn tagged(&self, tags: &BTreeMap<String, Vec<String>>) -> Result<Resolved<Subnet>, Finding> {
        let has = |subnet: &Subnet, key: &str, values: &[String]| match key {
            "Name" => values.contains(&subnet.name),
            key => subnet.tags.get(key).is_some_and(|one| values.contains(one)),
        };
        let subnets = self.context.subnets.iter();
        let found: Vec<&Subnet> = subnets
            .filter(|one| tags.iter().all(|(key, values)| has(one, key, values)))
            .collect();
        if !found.is_empty() || !self.context.unknown_resources.stand_in() {
            return self.one_per_zone(found);
        }
        let keys: Vec<&str> = tags.keys().map(String::as_str).collect();
        let message = format!(
            "no subnet of the environment has these tags ({}); those for the scheme {} stand in",
            keys.join(", "),
            self.request.scheme
        );
        let stand_in = Finding::new(UNKNOWN, message)
            .hint("list them with their tags under subnets in the environment file");
        let mut resolved = self.one_per_zone(self.of_scheme())?;
        resolved.stand_ins.push(stand_in);
        Ok(resolved)
    }

    /// The subnets whose tags give them the role; if there are none, those that are public or private as the scheme needs
    /// it.
    fn of_scheme(&self) -> Vec<&Subnet> {
        let scheme = self.request.scheme;
        let subnets = || self.context.subnets.iter();
        let tagged: Vec<&Subnet> = subnets().filter(|one| one.has_role(scheme)).collect();
        if !tagged.is_empty() {
            return tagged;
        }
        let roles = ["internal", "internet-facing"];
        let has_any = |subnet: &Subnet| roles.iter().any(|role| subnet.has_role(role));
        let by_reachability = self.context.gate("SubnetDiscoveryByReachability", true);
        if !by_reachability && subnets().any(has_any) {
            return Vec::new();
        }
        subnets().filter(|one| one.scheme == scheme).collect()
    }

    /// The first eligible subnet of each zone: one with the tag of the cluster, else the first by id.
    fn one_per_zone(&self, subnets: Vec<&Subnet>) -> Result<Resolved<Subnet>, Finding> {
        let evaluated = subnets.len();
        let (mut foreign, mut full, mut without_ipv6) = (0, 0, 0);
        let mut zones: BTreeMap<&str, &Subnet> = BTreeMap::new();
        let cluster = format!("kubernetes.io/cluster/{}", self.context.cluster_name);
        for subnet in subnets {
            if self.is_foreign(subnet, &cluster) {
                foreign += 1;
            } else if subnet.free_addresses.is_some_and(|n| n < FREE_ADDRESSES) {
                full += 1;
            } else if self.lacks_ipv6(subnet) {
                without_ipv6 += 1;
            } else {
                let rank = |one: &Subnet| (!one.tags.contains_key(&cluster), one.id.clone());
                let first = zones.entry(&subnet.availability_zone).or_insert(subnet);
                if rank(subnet) < rank(first) {
                    *first = subnet;
                }
            }
        }
        let mut found: Vec<Subnet> = zones.into_values().cloned().collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        if found.is_empty() {
            let message = format!(
                "unable to resolve at least one subnet for a load balancer that is {}: of {evaluated} subnets, {foreign} \
                 belong to other clusters, {full} have fewer than {FREE_ADDRESSES} free addresses, and {without_ipv6} have \
                 no IPv6 range, which dualstack needs",
                self.request.scheme
            );
            let hint = "list subnets for this scheme under subnets in the environment file";
            return Err(Finding::new("no-subnet", message).hint(hint));
        }
        self.check_number(&found)?;
        Ok(Resolved {
            found,
            stand_ins: Vec::new(),
        })
    }

    /// Whether the subnet is tagged for other clusters only.
    fn is_foreign(&self, subnet: &Subnet, cluster: &str) -> bool {
        let mut tags = subnet.tags.keys();
        self.context.gate("SubnetsClusterTagCheck", true)
            && !subnet.tags.contains_key(cluster)
            && tags.any(|key| key.starts_with("kubernetes.io/cluster"))
    }

    fn lacks_ipv6(&self, subnet: &Subnet) -> bool {
        self.request.dualstack && subnet.ipv6_cidr_block.is_none() && !subnet.is_stand_in
    }

    /// The checks of subnets that the user names.
    fn checked(&self, resolved: Resolved<Subnet>) -> Result<Resolved<Subnet>, Finding> {
        let subnets = &resolved.found;
        if subnets.is_empty() {
            let message = "unable to resolve at least one subnet: the list is empty";
            return Err(Finding::new("no-subnet", message).hint("remove it to discover subnets"));
        }
        let mut zones: BTreeMap<&str, &str> = BTreeMap::new();
        for subnet in subnets {
            if let Some(first) = zones.insert(&subnet.availability_zone, &subnet.id) {
                let message = format!(
                    "two of the subnets are in the same zone {}: {first} and {}",
                    subnet.availability_zone, subnet.id
                );
                let finding = Finding::new("subnets-share-a-zone", message);
                return Err(finding
                    .hint("name one subnet of each zone")
                    .about(&subnet.id));
            }
        }
        self.check_number(subnets)?;
        let without: Vec<&str> = subnets
            .iter()
            .filter(|one| self.lacks_ipv6(one))
            .map(|one| &*one.id)
            .collect();
        if !without.is_empty() {
            let message = format!(
                "the subnets {} do not have an associated IPv6 CIDR block, which a dualstack load balancer needs",
                without.join(", ")
            );
            return Err(Finding::new("subnet-without-ipv6", message)
                .hint("name subnets with ipv6CidrBlock in the environment file"));
        }
        Ok(resolved)
    }

    /// All subnets must be of one locale, and an ALB needs two of a region's zones.
    fn check_number(&self, subnets: &[Subnet]) -> Result<(), Finding> {
        let locales: BTreeSet<Locale> = subnets.iter().map(Subnet::locale).collect();
        if locales.len() > 1 {
            let locales: Vec<&str> = locales.iter().map(|one| one.as_str()).collect();
            let message = format!("subnets in multiple locales: {}", locales.join(", "));
            return Err(Finding::new("mixed-subnets", message).hint(
                "a load balancer is in zones of the region, in a Local Zone, or on an Outpost",
            ));
        }
        let in_region = locales.contains(&Locale::AvailabilityZone);
        let alone = self.context.gate("ALBSingleSubnet", false);
        let least = match self.request.kind {
            Kind::Application if in_region && !alone => 2,
            _ => 1,
        };
        if subnets.len() < least {
            let message = format!(
                "an ALB needs subnets in at least {least} zones, found {}",
                subnets.len()
            );
            return Err(Finding::new("too-few-subnets", message));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "subnets_tests.rs"]
mod tests;

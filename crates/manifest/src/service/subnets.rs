//! The subnets and the security groups of a Network Load Balancer.

use elbow_model::diagnostic::Diagnostic;

use crate::account::{self, Finding, Kind, Request, Resolved, Selection};
use crate::annotations::{Row, service as keys};
use crate::context::{Context, ExistingLoadBalancer, Subnet};

use super::addresses::{LISTS, Place};
use crate::lookup::service::{Reader, Refused};

const SUBNETS: &Row = keys::SUBNETS;
/// More zones than any region has. With more values, their number is refused.
const MOST: usize = 16;

/// The subnets that the annotation names, in its order; else those of the existing load balancer; else one per zone of
/// the scheme, by id. Warnings about stand-ins go to `found`.
pub(super) fn places(
    read: &Reader<'_>,
    context: &Context,
    existing: Option<&ExistingLoadBalancer>,
    (scheme, dualstack): (&str, bool),
    found: &mut Vec<Diagnostic>,
) -> Result<Vec<Place>, Refused> {
    let named = read.text(SUBNETS).map(|_| read.list(SUBNETS));
    let existing = existing.filter(|found| found.scheme == scheme);
    let selection = match (&named, existing) {
        (Some(named), _) => Selection::Named(named),
        (None, Some(existing)) => Selection::Named(&existing.subnets),
        (None, None) => Selection::Discovered,
    };
    let request = Request {
        kind: Kind::Network,
        scheme,
        dualstack,
    };
    let mut subnets = account::chosen(context, request, selection);
    if let (Ok(subnets), Selection::Discovered) = (&mut subnets, selection) {
        as_many_as_addresses(read, context, subnets);
    }
    let subnets = read.resolved(SUBNETS, subnets, found)?;
    let place = |subnet| place(subnet, context);
    Ok(subnets.into_iter().map(place).collect())
}

fn place(subnet: Subnet, context: &Context) -> Place {
    let ipv6 = subnet.ipv6_cidr_block;
    Place {
        id: subnet.id,
        ipv4: subnet.cidr_block.parse().ok(),
        ipv6: ipv6.and_then(|range| range.parse().ok()),
        any_address: context.unknown_resources.stand_in(),
    }
}

/// The subnets of a load balancer of the cloud provider.
pub(super) fn provider_places(
    read: &Reader<'_>,
    context: &Context,
    scheme: &str,
    found: &mut Vec<Diagnostic>,
) -> Result<Vec<Place>, Refused> {
    let named = read.text(SUBNETS).map(|_| read.list(SUBNETS));
    let subnets = account::provider_subnets(context, scheme, named.as_deref());
    let subnets = read.resolved(SUBNETS, subnets, found)?;
    let place = |subnet| place(subnet, context);
    Ok(subnets.into_iter().map(place).collect())
}

/// If nobody described the account, the number of addresses says how many subnets it has for the load balancer.
fn as_many_as_addresses(read: &Reader<'_>, context: &Context, subnets: &mut Resolved<Subnet>) {
    let rows = LISTS.into_iter();
    let Some(row) = rows.into_iter().find(|row| read.text(*row).is_some()) else {
        return;
    };
    let wanted = read.list(row).len();
    let known = subnets.found.len();
    if !context.unknown_resources.stand_in() || wanted == 0 || wanted == known {
        return;
    }
    subnets.found.truncate(wanted);
    let more = (known..wanted.min(MOST)).map(|number| format!("subnet-{}", number + 1));
    let ids = subnets.found.iter().map(|subnet| subnet.id.clone());
    let ids: Vec<String> = ids.chain(more).collect();
    subnets.found = account::placed(context, ids.iter().map(String::as_str));
    let message = format!(
        "{wanted} subnets stand in, one for each value of {}",
        row.key
    );
    subnets.stand_ins.push(
        Finding::new("unknown-subnet", message)
            .hint("list the subnets of the account under subnets in the environment file"),
    );
}

/// The ids of security groups that are named by id or name.
pub(super) fn security_groups(
    read: &Reader<'_>,
    context: &Context,
    named: &[String],
    found: &mut Vec<Diagnostic>,
) -> Result<Vec<String>, Refused> {
    let groups = account::security_groups(context, named);
    read.resolved(keys::SECURITY_GROUPS, groups, found)
}

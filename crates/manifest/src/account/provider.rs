//! The subnets of a load balancer of the cloud provider (cloud-provider-aws 63ec440 `pkg/providers/v1/aws.go`:
//! `resolveSubnetNameOrIDs` and `findELBSubnets`).

use std::collections::BTreeMap;

use super::subnets::named;
use super::{Finding, Resolved};
use crate::context::{Context, Locale, Subnet};

/// The subnets that are named, those by id before those by name, else one per zone for the scheme, in the order of the
/// zones: the order in which the provider gives them Elastic IPs. Unlike the AWS Load Balancer Controller, the provider
/// takes named subnets as they are.
pub(crate) fn provider_subnets(
    context: &Context,
    scheme: &str,
    names: Option<&[String]>,
) -> Result<Resolved<Subnet>, Finding> {
    match names {
        Some([]) => Err(
            Finding::new("no-subnet", "unable to resolve empty subnet slice")
                .hint("remove the annotation to discover subnets"),
        ),
        Some(names) => {
            let mut names = names.to_vec();
            names.sort_by_key(|name| !name.starts_with("subnet-"));
            named(context, &names)
        }
        None => Ok(Resolved {
            found: discovered(context, scheme)?,
            stand_ins: Vec::new(),
        }),
    }
}

/// One subnet per zone of the region. An internal load balancer prefers private subnets, and may be in public ones.
fn discovered(context: &Context, scheme: &str) -> Result<Vec<Subnet>, Finding> {
    let cluster = format!("kubernetes.io/cluster/{}", context.cluster_name);
    let is_own = |subnet: &Subnet| {
        let mut tags = subnet.tags.keys();
        subnet.tags.contains_key(&cluster)
            || !tags.any(|key| key.starts_with("kubernetes.io/cluster/"))
    };
    let rank = |one: &Subnet| {
        let has_role = one.has_role(scheme) || one.scheme == scheme;
        (!has_role, !one.tags.contains_key(&cluster), one.id.clone())
    };
    let mut zones: BTreeMap<&str, &Subnet> = BTreeMap::new();
    for subnet in context.subnets.iter().filter(|one| is_own(one)) {
        let is_public = subnet.scheme == "internet-facing" || subnet.has_role("internet-facing");
        let in_region = subnet.zone_type == Locale::AvailabilityZone;
        if scheme == "internet-facing" && !is_public || !in_region {
            continue;
        }
        let first = zones.entry(&subnet.availability_zone).or_insert(subnet);
        if rank(subnet) < rank(first) {
            *first = subnet;
        }
    }
    if zones.is_empty() {
        let message = format!("could not find any {scheme} subnet");
        return Err(Finding::new("no-subnet", message)
            .hint("list subnets for this scheme under subnets in the environment file"));
    }
    Ok(zones.into_values().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(environment: &str, scheme: &str, names: Option<&[&str]>) -> Result<Vec<String>, String> {
        let (context, found) = Context::parse(environment, "environment.yaml");
        assert_eq!(found, []);
        let names: Option<Vec<String>> =
            names.map(|names| names.iter().map(ToString::to_string).collect());
        let resolved = provider_subnets(&context, scheme, names.as_deref());
        let resolved = resolved.map_err(|finding| finding.message)?;
        Ok(resolved.found.into_iter().map(|one| one.id).collect())
    }

    const ACCOUNT: &str = "subnets:
- {id: subnet-2, availabilityZone: us-east-1a, scheme: internet-facing, name: public-a}
- {id: subnet-3, availabilityZone: us-east-1a, scheme: internal, name: private-a}
- {id: subnet-1, availabilityZone: us-east-1b, scheme: internet-facing, name: public-b}
- {id: subnet-4, availabilityZone: us-east-1l, scheme: internet-facing, zoneType: local-zone}
";

    #[test]
    fn internal_prefers_private_subnets_and_internet_facing_needs_public_ones() {
        assert_eq!(
            ids(ACCOUNT, "internal", None).unwrap(),
            ["subnet-3", "subnet-1"]
        );
        let public = ids(ACCOUNT, "internet-facing", None);
        assert_eq!(public.unwrap(), ["subnet-2", "subnet-1"]);
    }

    #[test]
    fn named_subnets_may_share_a_zone_and_ids_come_first() {
        let named = ids(ACCOUNT, "internal", Some(&["private-a", "subnet-2"]));
        assert_eq!(named.unwrap(), ["subnet-2", "subnet-3"]);
        let empty = ids(ACCOUNT, "internal", Some(&[]));
        assert_eq!(empty.unwrap_err(), "unable to resolve empty subnet slice");
        let other = ids(ACCOUNT, "internal", Some(&["subnet-9"]));
        assert_eq!(other.unwrap_err(), "there is no subnet subnet-9");
    }
}

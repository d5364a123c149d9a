//! The load balancer of a group.

use std::collections::{BTreeMap, BTreeSet};

use super::Build;
use super::group::{GroupId, Member};
use super::ports::PortConfig;
use crate::Refusal;
use crate::annotations::Lookup;
use crate::context::Subnet;
use crate::names;
use crate::objects::{IngressClassParams, SubnetSelector};
use crate::stack::{Attribute, LoadBalancer, MinimumCapacity, SubnetMapping};

/// The id of the load balancer in its stack.
pub(super) const ID: &str = "LoadBalancer";

impl Build<'_> {
    /// Adds the load balancer and, when it needs one, its security group.
    pub(super) fn add_load_balancer(
        &mut self,
        ports: &BTreeMap<u16, PortConfig>,
    ) -> Result<(), Refusal> {
        let scheme = self.scheme()?;
        self.ip_address_type = self.ip_type()?;
        let members: Vec<&Member<'_>> = self.group.members.iter().collect();
        let tags = self.group_tags(&members)?;
        let subnets = self.subnets(&scheme)?;
        let security_groups = self.add_security_groups(ports, &tags)?;
        let load_balancer = LoadBalancer {
            customer_owned_ipv4_pool: self.text("customer-owned-ipv4-pool", |_| None)?,
            ip_address_type: self.ip_address_type.clone(),
            ipam_pool: self.text("ipam-ipv4-pool-id", |params| params.ipam_pool.clone())?,
            load_balancer_attributes: Attribute::list(&self.attributes()?),
            minimum_load_balancer_capacity: self.capacity()?,
            name: self.name(&scheme)?,
            scheme,
            security_groups,
            subnet_mapping: subnets,
            tags,
            kind: "application",
            ..LoadBalancer::default()
        };
        self.stack.load_balancers.insert(ID.into(), load_balancer);
        Ok(())
    }

    /// A text that the group agrees on: the class's, else the annotation's.
    fn text(
        &self,
        suffix: &str,
        class: impl Fn(&IngressClassParams) -> Option<String>,
    ) -> Result<Option<String>, Refusal> {
        let value = |member: &Member<'_>| {
            let class = member.params.and_then(&class);
            class.or_else(|| member.annotations().text(suffix).map(str::to_owned))
        };
        let values: BTreeSet<String> = self.group.members.iter().filter_map(value).collect();
        if values.contains("") {
            return Err(self
                .group
                .refuse("invalid-annotation", format!("{suffix} is empty")));
        }
        self.group.only(suffix, values)
    }

    fn scheme(&self) -> Result<String, Refusal> {
        let scheme = self.text("scheme", |params| params.scheme.clone())?;
        let scheme = scheme.unwrap_or_else(|| self.context.defaults.load_balancer_scheme.clone());
        self.known("scheme", scheme, &["internal", "internet-facing"])
    }

    fn ip_type(&self) -> Result<String, Refusal> {
        let kind = self.text("ip-address-type", |params| params.ip_address_type.clone())?;
        let kind = kind.unwrap_or_else(|| "ipv4".to_owned());
        self.known(
            "ip-address-type",
            kind,
            &["ipv4", "dualstack", "dualstack-without-public-ipv4"],
        )
    }

    fn known(&self, what: &str, value: String, known: &[&str]) -> Result<String, Refusal> {
        if known.contains(&&*value) {
            return Ok(value);
        }
        let message = format!("{what} is one of {}, not \"{value}\"", known.join(", "));
        let annotations = self.group.members.iter().map(Member::annotations);
        let found = annotations
            .filter_map(|lookup| lookup.find(what))
            .find(|found| found.value == value);
        Err(match found {
            Some(found) => found.refuse("unknown-value", message),
            None => self.group.refuse("unknown-value", message),
        })
    }

    fn name(&self, scheme: &str) -> Result<String, Refusal> {
        let name = self.text("load-balancer-name", |params| {
            params.load_balancer_name.clone()
        })?;
        if let Some(name) = name {
            if name.len() > 32 {
                let message = format!("load balancer name \"{name}\" is longer than 32 characters");
                return Err(self.group.refuse("name-too-long", message));
            }
            return Ok(name);
        }
        Ok(self.hashed_name(&[scheme]))
    }

    /// The name that the group gets; `more` is hashed in.
    pub(super) fn hashed_name(&self, more: &[&str]) -> String {
        let id = self.group.id.to_string();
        let mut hashed = vec![&*self.context.cluster_name, &*id];
        hashed.extend(more);
        match &self.group.id {
            GroupId::Explicit(group) => names::grouped(group, &hashed),
            GroupId::Implicit { namespace, name } => names::namespaced(namespace, name, &hashed),
        }
    }

    fn attributes(&self) -> Result<BTreeMap<String, String>, Refusal> {
        self.merged(
            "load-balancer-attributes",
            self.group.members.iter(),
            |params| params.load_balancer_attributes.clone(),
        )
    }

    /// A map to which members may add keys, but not give different values; the class's win.
    pub(super) fn merged<'m>(
        &self,
        suffix: &str,
        members: impl Iterator<Item = &'m Member<'m>>,
        class: impl Fn(&IngressClassParams) -> BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Refusal> {
        let mut merged: BTreeMap<String, String> = BTreeMap::new();
        for member in members {
            let mut map = member.annotations().map(suffix)?.unwrap_or_default();
            map.extend(member.params.map(&class).unwrap_or_default());
            for (key, value) in map {
                if let Some(before) = merged.get(&key)
                    && *before != value
                {
                    let message =
                        format!("{suffix}: the group gives {key} two values, {before} and {value}");
                    return Err(member.ingress.meta.refuse("conflict", message));
                }
                merged.insert(key, value);
            }
        }
        Ok(merged)
    }

    fn capacity(&self) -> Result<Option<MinimumCapacity>, Refusal> {
        let mut values = BTreeSet::new();
        for member in &self.group.members {
            let class = member.params.and_then(|params| params.minimum_capacity);
            let units = match class {
                Some(units) => i32::try_from(units).ok(),
                None => capacity_units(&member.annotations())?,
            };
            values.extend(units);
        }
        let units = self.group.only("minimum-load-balancer-capacity", values)?;
        Ok(units.map(|capacity_units| MinimumCapacity { capacity_units }))
    }

    fn subnets(&self, scheme: &str) -> Result<Vec<SubnetMapping>, Refusal> {
        let mut classes: Vec<&SubnetSelector> = Vec::new();
        let mut lists: Vec<Vec<String>> = Vec::new();
        for member in &self.group.members {
            match member.params.and_then(|params| params.subnets.as_ref()) {
                Some(selector) => classes.push(selector),
                None => lists.extend(member.annotations().list("subnets")),
            }
        }
        let sorted = |list: &Vec<String>| list.iter().cloned().collect::<BTreeSet<_>>();
        let differ = classes.windows(2).any(|pair| pair.first() != pair.last())
            || lists
                .windows(2)
                .any(|pair| pair.first().map(sorted) != pair.last().map(sorted));
        if differ || (!classes.is_empty() && !lists.is_empty()) {
            return Err(self
                .group
                .refuse("conflict", "the group gives different subnets"));
        }
        let chosen = match (classes.first(), lists.first()) {
            (Some(SubnetSelector::Ids(ids)), _) => self.named_subnets(ids)?,
            (Some(SubnetSelector::Tags(tags)), _) => self.tagged_subnets(tags),
            (None, Some(list)) => self.named_subnets(list)?,
            (None, None) => match self.existing_subnets(scheme) {
                Some(ids) => self.named_subnets(&ids)?,
                None => self.discovered_subnets(scheme),
            },
        };
        let zones: BTreeSet<&str> = chosen
            .iter()
            .map(|subnet| &*subnet.availability_zone)
            .collect();
        if zones.len() < chosen.len() {
            return Err(self
                .group
                .refuse("subnets-share-a-zone", "two subnets are in one zone"));
        }
        let least = if self.context.gate("ALBSingleSubnet", false) {
            1
        } else {
            2
        };
        if zones.len() < least {
            let message = format!(
                "an ALB needs subnets in {least} zones, not in {}",
                zones.len()
            );
            return Err(self.group.refuse("too-few-subnets", message));
        }
        let mapping = |subnet: &Subnet| SubnetMapping {
            subnet_id: subnet.id.clone(),
            ..SubnetMapping::default()
        };
        Ok(chosen.into_iter().map(mapping).collect())
    }

    /// Subnets by id or by name, ids first.
    fn named_subnets(&self, wanted: &[String]) -> Result<Vec<&Subnet>, Refusal> {
        let (ids, names): (Vec<&String>, Vec<&String>) =
            wanted.iter().partition(|name| name.starts_with("subnet-"));
        let by_id = ids.into_iter().map(|id| {
            (
                id,
                self.context.subnets.iter().find(|subnet| subnet.id == *id),
            )
        });
        let by_name = names.into_iter().map(|name| {
            (
                name,
                self.context
                    .subnets
                    .iter()
                    .find(|subnet| subnet.name == *name),
            )
        });
        by_id
            .chain(by_name)
            .map(|(name, subnet)| {
                let missing = || {
                    let message = format!("there is no subnet {name}");
                    let refusal =
                        self.group
                            .refuse_saying("subnets", name, "unknown-subnet", message);
                    Box::new(refusal.hint(self.context.subnet_hint(name)))
                };
                subnet.ok_or_else(missing)
            })
            .collect()
    }

    /// The first subnet of each zone that has the tags.
    fn tagged_subnets(&self, tags: &BTreeMap<String, Vec<String>>) -> Vec<&Subnet> {
        self.one_per_zone(|subnet| {
            tags.iter().all(|(key, values)| match &key[..] {
                "Name" => values.contains(&subnet.name),
                key => subnet
                    .tags
                    .get(key)
                    .is_some_and(|value| values.contains(value)),
            })
        })
    }

    fn discovered_subnets(&self, scheme: &str) -> Vec<&Subnet> {
        self.one_per_zone(|subnet| subnet.scheme == scheme)
    }

    fn one_per_zone(&self, chosen: impl Fn(&Subnet) -> bool) -> Vec<&Subnet> {
        let mut zones: BTreeMap<&str, &Subnet> = BTreeMap::new();
        for subnet in self.context.subnets.iter().filter(|subnet| chosen(subnet)) {
            let first = zones.entry(&subnet.availability_zone).or_insert(subnet);
            if subnet.id < first.id {
                *first = subnet;
            }
        }
        let mut chosen: Vec<&Subnet> = zones.into_values().collect();
        chosen.sort_by(|a, b| a.id.cmp(&b.id));
        chosen
    }

    /// Those of the load balancer that the group has already.
    fn existing_subnets(&self, scheme: &str) -> Option<Vec<String>> {
        let id = self.group.id.to_string();
        let cluster = &self.context.cluster_name;
        let existing = self
            .context
            .existing_load_balancers
            .iter()
            .find(|existing| {
                existing.tags.get("ingress.k8s.aws/stack") == Some(&id)
                    && existing.tags.get("elbv2.k8s.aws/cluster") == Some(cluster)
            })?;
        (existing.scheme == scheme).then(|| existing.subnets.clone())
    }
}

fn capacity_units(annotations: &Lookup<'_>) -> Result<Option<i32>, Refusal> {
    let suffix = "minimum-load-balancer-capacity";
    let (Some(found), Some(map)) = (annotations.find(suffix), annotations.map(suffix)?) else {
        return Ok(None);
    };
    let units = match (map.len(), map.get("CapacityUnits")) {
        (1, Some(units)) => units.parse().ok(),
        _ => None,
    };
    let message = format!("{suffix} is like CapacityUnits=1000, not {}", found.value);
    units
        .map(Some)
        .ok_or_else(|| found.refuse("invalid-annotation", message))
}

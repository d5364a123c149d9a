//! The load balancer of a group.

use std::collections::BTreeMap;

use elbow_model::At;

use super::Build;
use super::group::{GroupId, Member};
use super::ports::PortConfig;
use crate::Refusal;
use crate::annotations::{Row, ingress as keys};
use crate::names;
use crate::objects::IngressClassParams;
use crate::stack::{Attribute, LoadBalancer};

/// The id of the load balancer in its stack.
pub(super) const ID: &str = "LoadBalancer";

/// The values of `scheme`.
pub(super) const SCHEMES: &[&str] = &["internal", "internet-facing"];

impl Build<'_> {
    /// The load balancer. When it needs a security group, that is added to the stack.
    pub(super) fn load_balancer(&mut self, ports: &BTreeMap<u16, PortConfig>) -> LoadBalancer {
        let ip_address_type = self.refused.or_default(self.ip_type());
        self.ip_address_type.clone_from(&ip_address_type.value);
        let members: Vec<&Member<'_>> = self.group.members.iter().collect();
        let tags = self.refused.or_default(self.group_tags(&members));
        let security_groups = self.add_security_groups(ports, &tags);
        let refused = &self.refused;
        let scheme = refused.keep(self.scheme());
        let subnets = scheme.as_ref().map(|scheme| self.subnets(scheme));
        let subnets = subnets.and_then(|subnets| refused.keep(subnets));
        let scheme = scheme.unwrap_or_default();
        let attributes = refused.or_default(self.load_balancer_attributes());
        LoadBalancer {
            customer_owned_ipv4_pool: refused.or_default(self.customer_owned_pool()),
            ip_address_type,
            ipam_pool: refused.or_default(self.ipam_pool()),
            load_balancer_attributes: Attribute::list(attributes),
            minimum_load_balancer_capacity: refused.or_default(self.capacity()),
            name: refused.or_default(self.name(&scheme)),
            scheme,
            security_groups: refused.or_default(security_groups),
            subnet_mapping: subnets.unwrap_or_default(),
            tags,
            kind: "application",
            ..LoadBalancer::default()
        }
    }

    /// A text that the members agree on: that of the class, else of the annotation.
    fn text(
        &self,
        suffix: &'static Row,
        class: impl Fn(&IngressClassParams) -> Option<String>,
    ) -> Result<Option<At<String>>, Refusal> {
        let values = self.group.members.iter();
        let values = values.filter_map(|member| member.text(suffix, &class));
        self.group.only_text(suffix, values.collect())
    }

    fn customer_owned_pool(&self) -> Result<Option<String>, Refusal> {
        let row = keys::CUSTOMER_OWNED_IPV4_POOL;
        for member in &self.group.members {
            if let Some(found) = member.annotations().find(row)
                && found.value.is_empty()
            {
                return Err(found.refuse("invalid-annotation", format!("{row} is empty")));
            }
        }
        Ok(self.text(row, |_| None)?.map(|text| text.value))
    }

    fn scheme(&self) -> Result<At<String>, Refusal> {
        let scheme = self.text(keys::SCHEME, |params| params.scheme.clone())?;
        let scheme = scheme.unwrap_or_else(|| {
            let default = self.context.defaults.load_balancer_scheme.clone();
            At::new(default, self.group.origin())
        });
        self.known(keys::SCHEME, scheme, SCHEMES)
    }

    fn ip_type(&self) -> Result<At<String>, Refusal> {
        let kind = self.text(keys::IP_ADDRESS_TYPE, |params| {
            params.ip_address_type.clone()
        })?;
        let kind = kind.unwrap_or_else(|| At::new("ipv4".to_owned(), self.group.origin()));
        self.known(
            keys::IP_ADDRESS_TYPE,
            kind,
            &["ipv4", "dualstack", "dualstack-without-public-ipv4"],
        )
    }

    /// A value that must be one of `known`.
    pub(super) fn known(
        &self,
        what: &'static Row,
        value: At<String>,
        known: &[&str],
    ) -> Result<At<String>, Refusal> {
        if known.contains(&value.as_str()) {
            return Ok(value);
        }
        let message = format!(
            "{what}: expected one of {}, found \"{}\"",
            known.join(", "),
            *value
        );
        let annotations = self.group.members.iter().map(Member::annotations);
        let found = annotations
            .filter_map(|lookup| lookup.find(what))
            .find(|found| found.value == *value);
        Err(match found {
            Some(found) => found.refuse("unknown-value", message),
            None => self.group.refuse("unknown-value", message),
        })
    }

    fn name(&self, scheme: &str) -> Result<At<String>, Refusal> {
        let name = self.text(keys::LOAD_BALANCER_NAME, |params| {
            let name = params.load_balancer_name.clone();
            name.filter(|name| !name.is_empty())
        })?;
        if let Some(name) = name {
            if name.len() > 32 {
                let message = format!(
                    "load balancer name \"{}\" is longer than 32 characters",
                    *name
                );
                return Err(self.group.refuse("name-too-long", message));
            }
            return Ok(name);
        }
        Ok(At::new(self.hashed_name(&[scheme]), self.group.origin()))
    }

    /// The generated name of the group; `more` goes into its hash.
    pub(super) fn hashed_name(&self, more: &[&str]) -> String {
        let id = self.group.id.to_string();
        let mut hashed = vec![&*self.context.cluster_name, &*id];
        hashed.extend(more);
        match &self.group.id {
            GroupId::Explicit(group) => names::grouped(group, &hashed),
            GroupId::Implicit { namespace, name } => names::namespaced(namespace, name, &hashed),
        }
    }
}

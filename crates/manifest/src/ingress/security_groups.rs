//! Security groups: those that are named, or one that the controller makes.

use std::collections::BTreeMap;

use super::Build;
use super::ports::PortConfig;
use crate::Refusal;
use crate::context::UNKNOWN_GROUP;
use crate::stack::{IpRange, Ipv6Range, Permission, PrefixList, Reference, SecurityGroup, Tags};

const ID: &str = "ManagedLBSecurityGroup";

impl Build<'_> {
    /// The groups of the load balancer; the one that the controller makes is added to the stack.
    pub(super) fn add_security_groups(
        &mut self,
        ports: &BTreeMap<u16, PortConfig>,
        tags: &Tags,
    ) -> Result<Vec<Reference>, Refusal> {
        let lists: Vec<Vec<String>> = self
            .group
            .members
            .iter()
            .filter_map(|member| member.annotations().list("security-groups"))
            .collect();
        if lists.windows(2).any(|pair| pair.first() != pair.last()) {
            return Err(self
                .group
                .refuse("conflict", "the group gives different security-groups"));
        }
        let backend = Reference::Literal(self.context.backend_security_group.id.clone());
        let enabled = self.context.backend_security_group.enabled;
        let Some(wanted) = lists.into_iter().next().filter(|list| !list.is_empty()) else {
            self.add_managed(ports, tags);
            let mut groups = vec![Reference::security_group(ID)];
            if enabled {
                groups.push(backend);
            }
            return Ok(groups);
        };
        let mut groups = self.named_groups(&wanted)?;
        if self.manages_backend()? {
            if !enabled {
                let message = "manage-backend-security-group-rules needs the backend security group, which is off";
                return Err(self.group.refuse("no-backend-security-group", message));
            }
            groups.push(backend);
        }
        Ok(groups)
    }

    fn manages_backend(&self) -> Result<bool, Refusal> {
        let suffix = "manage-backend-security-group-rules";
        let mut values = Vec::new();
        for member in &self.group.members {
            values.extend(member.annotations().boolean(suffix)?);
        }
        Ok(self.group.only(suffix, values)?.unwrap_or(false))
    }

    /// Groups by id or by name, ids first.
    fn named_groups(&self, wanted: &[String]) -> Result<Vec<Reference>, Refusal> {
        let (ids, names): (Vec<&String>, Vec<&String>) =
            wanted.iter().partition(|name| name.starts_with("sg-"));
        let mut groups = Vec::with_capacity(wanted.len());
        for wanted in ids.into_iter().chain(names) {
            let Some(id) = self.context.security_group(wanted) else {
                let message = format!("there is no security group {wanted}");
                let code = "unknown-security-group";
                let refusal = self
                    .group
                    .refuse_saying("security-groups", wanted, code, message);
                return Err(Box::new(refusal.hint(UNKNOWN_GROUP)));
            };
            groups.push(Reference::Literal(id.to_owned()));
        }
        Ok(groups)
    }

    fn add_managed(&mut self, ports: &BTreeMap<u16, PortConfig>, tags: &Tags) {
        let dualstack = self.ip_address_type != "ipv4";
        let mut ingress = Vec::new();
        for (port, config) in ports {
            let permission = || Permission {
                from_port: Some((*port).into()),
                to_port: Some((*port).into()),
                ip_protocol: "tcp".into(),
                ..Permission::default()
            };
            ingress.extend(config.ipv4.iter().map(|cidr| Permission {
                ip_ranges: vec![IpRange { cidr: cidr.clone() }],
                ..permission()
            }));
            ingress.extend(
                config
                    .ipv6
                    .iter()
                    .filter(|_| dualstack)
                    .map(|cidr| Permission {
                        ipv6_ranges: vec![Ipv6Range { cidr: cidr.clone() }],
                        ..permission()
                    }),
            );
            ingress.extend(config.prefix_lists.iter().map(|id| Permission {
                prefix_lists: vec![PrefixList { id: id.clone() }],
                ..permission()
            }));
        }
        let group = SecurityGroup {
            description: "[k8s] Managed SecurityGroup for LoadBalancer".into(),
            group_name: self.hashed_name(&[]),
            ingress,
            tags: tags.clone(),
        };
        self.stack.security_groups.insert(ID.into(), group);
    }
}

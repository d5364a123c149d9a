//! Security groups: the named ones, or one that the controller makes.

use std::collections::BTreeMap;

use elbow_model::{At, Origin};

use super::Build;
use super::ports::PortConfig;
use crate::Refusal;
use crate::account::security_groups;
use crate::annotations::{Row, ingress as keys};
use crate::stack::{IpRange, Ipv6Range, Permission, PrefixList, Reference, SecurityGroup, Tags};

const ID: &str = "ManagedLBSecurityGroup";

impl Build<'_> {
    /// The groups of the load balancer. Without named ones, one is added to the stack.
    pub(super) fn add_security_groups(
        &mut self,
        ports: &BTreeMap<u16, PortConfig>,
        tags: &Tags,
    ) -> Result<Vec<At<Reference>>, Refusal> {
        let wanted = self.security_group_names(keys::SECURITY_GROUPS)?;
        let backend = Reference::Literal(self.context.backend_security_group.id.clone());
        let enabled = self.context.backend_security_group.enabled;
        let (wanted, origin) = wanted.unwrap_or_else(|| (Vec::new(), self.group.origin()));
        let at = |group: Reference| At::new(group, origin.clone());
        if wanted.is_empty() {
            self.add_managed(ports, tags);
            let mut groups = vec![at(Reference::security_group(ID))];
            if enabled {
                groups.push(at(backend));
            }
            return Ok(groups);
        }
        let mut groups = self.named_groups(keys::SECURITY_GROUPS, &wanted, &origin)?;
        if self.manages_backend()? {
            if !enabled {
                let message = "manage-backend-security-group-rules needs the backend security group; set backendSecurityGroup.enabled in the environment file";
                return Err(self.group.refuse("no-backend-security-group", message));
            }
            groups.push(at(backend));
        }
        Ok(groups)
    }

    fn manages_backend(&self) -> Result<bool, Refusal> {
        let suffix = keys::MANAGE_BACKEND_SECURITY_GROUP_RULES;
        let mut values = Vec::new();
        for member in &self.group.members {
            values.extend(member.annotations().boolean(suffix)?);
        }
        Ok(self.group.only(suffix, values)?.unwrap_or(false))
    }

    /// The security groups that an annotation names, in the same order on each member, and where it is written.
    pub(super) fn security_group_names(
        &self,
        row: &'static Row,
    ) -> Result<Option<(Vec<String>, Origin)>, Refusal> {
        let members = self.group.members.iter();
        let lists = members.filter_map(|member| {
            let annotations = member.annotations();
            Some((annotations.list(row)?, annotations.find(row)?.origin()))
        });
        let lists: Vec<(Vec<String>, Origin)> = lists.collect();
        let differ = |pair: &[(Vec<String>, Origin)]| match pair {
            [(a, _), (b, _)] => a != b,
            _ => false,
        };
        if lists.windows(2).any(differ) {
            return Err(self.differing(row));
        }
        Ok(lists.into_iter().next())
    }

    /// Groups by id or by name, as the account has them.
    pub(super) fn named_groups(
        &self,
        row: &'static Row,
        wanted: &[String],
        origin: &Origin,
    ) -> Result<Vec<At<Reference>>, Refusal> {
        let groups = self.resolved(row, security_groups(self.context, wanted))?;
        let group = |id| At::new(Reference::Literal(id), origin.clone());
        Ok(groups.into_iter().map(group).collect())
    }

    fn add_managed(&mut self, ports: &BTreeMap<u16, PortConfig>, tags: &Tags) {
        let dualstack = self.ip_address_type != "ipv4";
        let mut ingress = Vec::new();
        for (port, config) in ports {
            let permission = || Permission {
                from_port: Some((*port).into()),
                to_port: Some((*port).into()),
                ip_protocol: "tcp".into(),
                origin: config.ranges.clone(),
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

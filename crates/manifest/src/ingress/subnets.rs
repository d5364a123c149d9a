//! The subnets of a load balancer, and what stands in for things of the account that the group names.

use elbow_model::diagnostic::Severity;

use super::Build;
use crate::Refusal;
use crate::account::{self, Finding, Kind, Request, Resolved, Selection};
use crate::annotations::{Row, ingress as keys};
use crate::context::Subnet;
use crate::objects::SubnetSelector;
use crate::stack::SubnetMapping;

impl Build<'_> {
    /// The subnets that the class or the members name, else those of the existing load balancer, else one per zone.
    pub(super) fn subnets(&self, scheme: &str) -> Result<Vec<SubnetMapping>, Refusal> {
        let mut classes: Vec<&SubnetSelector> = Vec::new();
        let mut lists: Vec<Vec<String>> = Vec::new();
        for member in &self.group.members {
            match member.params.and_then(|params| params.subnets.as_ref()) {
                Some(selector) => classes.push(selector),
                None => lists.extend(member.annotations().list(keys::SUBNETS)),
            }
        }
        let both = !classes.is_empty() && !lists.is_empty();
        if both || classes.windows(2).any(|pair| pair.first() != pair.last()) {
            return Err(self.differing(keys::SUBNETS));
        }
        let list = self.agreed(keys::SUBNETS, lists)?;
        let selection = match (classes.first(), &list) {
            (Some(SubnetSelector::Ids(ids)), _) => Selection::Ids(ids),
            (Some(SubnetSelector::Tags(tags)), _) => Selection::Tagged(tags),
            (None, Some(list)) => Selection::Named(list),
            (None, None) => match self.existing_subnets(scheme) {
                // The controller checks them no more.
                Some(ids) => return Ok(ids.into_iter().map(SubnetMapping::of).collect()),
                None => Selection::Discovered,
            },
        };
        self.chosen(keys::SUBNETS, Kind::Application, scheme, selection)
    }

    /// The subnets of the Network Load Balancer in front: those that the members name, else one per zone.
    pub(super) fn frontend_subnets(&self, scheme: &str) -> Result<Vec<SubnetMapping>, Refusal> {
        let row = keys::FRONTEND_NLB_SUBNETS;
        let members = self.group.members.iter();
        let lists = members.filter_map(|member| member.annotations().list(row));
        let list = self.agreed(row, lists.collect())?;
        let selection = match &list {
            Some(list) => Selection::Named(list),
            None => Selection::Discovered,
        };
        self.chosen(row, Kind::Network, scheme, selection)
    }

    fn chosen(
        &self,
        row: &'static Row,
        kind: Kind,
        scheme: &str,
        selection: Selection<'_>,
    ) -> Result<Vec<SubnetMapping>, Refusal> {
        if self.ip_address_type.is_empty() {
            return Ok(Vec::new());
        }
        let request = Request {
            kind,
            scheme,
            dualstack: self.ip_address_type != "ipv4",
        };
        let resolved = account::chosen(self.context, request, selection);
        let subnets = self.resolved(row, resolved)?;
        let ids = subnets.into_iter().map(|subnet: Subnet| subnet.id);
        Ok(ids.map(SubnetMapping::of).collect())
    }

    /// The list of the members, which must name the same in any order.
    pub(super) fn agreed(
        &self,
        row: &'static Row,
        lists: Vec<Vec<String>>,
    ) -> Result<Option<Vec<String>>, Refusal> {
        let sorted = lists.iter().map(|list| {
            let mut list: Vec<&String> = list.iter().collect();
            list.sort();
            list
        });
        let sorted: Vec<Vec<&String>> = sorted.collect();
        if sorted.windows(2).any(|pair| pair.first() != pair.last()) {
            return Err(self.differing(row));
        }
        Ok(lists.into_iter().next())
    }

    /// The error that members name different things with an annotation.
    pub(super) fn differing(&self, row: &'static Row) -> Refusal {
        let members = self.group.members.iter();
        let said = members.filter_map(|member| {
            let annotations = member.annotations();
            let found = annotations.find(row)?;
            Some(format!("{} in {}", found.value, member.key()))
        });
        let said: Vec<String> = said.collect();
        let mut message = format!("the members of the group name different {row}");
        if !said.is_empty() {
            message += &format!(": {}", said.join("; "));
        }
        self.group.refuse_saying(row, "", "conflict", message)
    }

    /// What was found in the account. Each stand-in is reported where `row` names it.
    pub(super) fn resolved<T>(
        &self,
        row: &'static Row,
        resolved: Result<Resolved<T>, Finding>,
    ) -> Result<Vec<T>, Refusal> {
        let Resolved { found, stand_ins } =
            resolved.map_err(|finding| Box::new(self.told(row, finding)))?;
        for stand_in in stand_ins {
            let mut warning = self.told(row, stand_in);
            warning.severity = Severity::Warning;
            self.found.borrow_mut().push(warning);
        }
        Ok(found)
    }

    /// The error that a finding is, where `row` says its name.
    fn told(&self, row: &'static Row, finding: Finding) -> elbow_model::diagnostic::Diagnostic {
        let Finding {
            code,
            message,
            hint,
            name,
        } = finding;
        let mut error = *self.group.refuse_saying(row, &name, code, message);
        error.hint = hint;
        error
    }

    /// The subnets of the group's existing load balancer.
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

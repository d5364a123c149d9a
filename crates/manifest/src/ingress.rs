//! Ingresses to ALBs, as the AWS Load Balancer Controller does it.

use std::collections::BTreeMap;

use crate::inventory::{Inventory, Key};
use crate::stack::Stack;
use crate::{Context, Refusal, Translation};

mod actions;
mod auth;
mod backend;
mod certificates;
mod class;
mod conditions;
mod group;
mod idle;
mod json;
mod known;
mod load_balancer;
mod optimizer;
mod ports;
mod rules;
mod security_groups;
mod tags;
mod target_group;

use group::{Group, GroupId, Member};
pub(crate) use known::{Backends, on_a_service};

/// The prefix of the annotations.
const PREFIX: &str = "alb.ingress.kubernetes.io";

/// Adds a stack for every IngressGroup.
pub fn translate(inventory: &Inventory, context: &Context, translation: &mut Translation) {
    let mut groups: BTreeMap<GroupId, Vec<Member<'_>>> = BTreeMap::new();
    let authenticating = idle::authenticating(inventory);
    for ingress in inventory.ingresses.values() {
        if ingress.meta.deleting {
            continue;
        }
        let owned = match class::classify(ingress, inventory) {
            Ok(owned) => owned,
            Err(found) => {
                translation.diagnostics.push(*found);
                continue;
            }
        };
        let Some(member) = owned else { continue };
        known::report(&ingress.meta, &mut translation.diagnostics);
        backend::report_missing(ingress, inventory, &mut translation.diagnostics);
        idle::report(&member, &authenticating, &mut translation.diagnostics);
        match group::id(&member) {
            Ok(id) => groups.entry(id).or_default().push(member),
            Err(refusal) => translation.diagnostics.push(*refusal),
        }
    }
    for (id, members) in groups {
        let name = id.to_string();
        match build(id, members.clone(), inventory, context) {
            Ok(stack) => {
                let found = members
                    .iter()
                    .flat_map(|one| idle::of_listeners(&one.ingress.meta, &stack));
                translation.diagnostics.extend(found);
                translation.stacks.push(stack);
            }
            Err(refusal) => {
                translation.refused.insert(Stack::key_of_group(&name));
                translation.diagnostics.push(*refusal);
            }
        }
    }
}

/// The names of all groups with their members, in no order.
pub(crate) fn members(inventory: &Inventory) -> BTreeMap<String, Vec<Key>> {
    let mut groups: BTreeMap<String, Vec<Key>> = BTreeMap::new();
    for (key, ingress) in &inventory.ingresses {
        let member = class::classify(ingress, inventory).ok().flatten();
        let id = member.and_then(|member| group::id(&member).ok());
        if let Some(id) = id.filter(|_| !ingress.meta.deleting) {
            groups.entry(id.to_string()).or_default().push(key.clone());
        }
    }
    groups
}

/// What the parts of a stack are made from.
struct Build<'a> {
    inventory: &'a Inventory,
    context: &'a Context,
    group: Group<'a>,
    stack: Stack,
    ip_address_type: String,
    /// The HTTPS port that all HTTP listeners lead to.
    ssl_redirect: Option<u16>,
}

fn build<'a>(
    id: GroupId,
    members: Vec<Member<'a>>,
    inventory: &'a Inventory,
    context: &'a Context,
) -> Result<Stack, Refusal> {
    let group = Group::new(id, members)?;
    let mut build = Build {
        inventory,
        context,
        stack: Stack::new(group.id.to_string()),
        group,
        ip_address_type: String::new(),
        ssl_redirect: None,
    };
    let members = build.group.members.iter();
    let key = |member: &Member<'_>| {
        let meta = &member.ingress.meta;
        (meta.namespace.clone(), meta.name.clone())
    };
    build.stack.members = members.map(key).collect();
    let members = build.group.members.iter();
    build.stack.origins = members.map(|one| (&one.ingress.meta).into()).collect();
    let ports = build.listen_ports()?;
    build.add_load_balancer(&ports)?;
    build.ssl_redirect = build.ssl_redirect_port(&ports)?;
    for (port, config) in &ports {
        build.add_listener(*port, config)?;
        build.add_rules(*port, config)?;
    }
    Ok(build.stack)
}

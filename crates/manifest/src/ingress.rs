//! Ingresses to ALBs, as the AWS Load Balancer Controller does it.

use std::collections::BTreeMap;
use std::rc::Rc;

use elbow_model::diagnostic::Diagnostic;
use serde::Serialize;

use crate::bounds::Budget;
use crate::inventory::{Inventory, Key};
use crate::objects::{Backend, Ingress, Meta};
use crate::scope::Scope;
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

use backend::EnhancedBackend;
use group::{Group, Member};
pub(crate) use group::{GroupId, sort};
pub(crate) use idle::asks;
pub(crate) use known::{led_to, on_a_service};

/// The prefix of the annotations.
const PREFIX: &str = "alb.ingress.kubernetes.io";

/// Adds a stack for every IngressGroup.
pub(crate) fn translate(
    inventory: &Inventory,
    scope: Scope<'_>,
    context: &Context,
    translation: &mut Translation,
) {
    let mut groups: BTreeMap<GroupId, Vec<Key>> = BTreeMap::new();
    for (key, ingress) in &inventory.ingresses {
        match claim(ingress, scope) {
            Ok(None) => {}
            Ok(Some(id)) => groups.entry(id).or_default().push(key.clone()),
            Err(found) => translation.diagnostics.push(*found),
        }
    }
    for (id, members) in groups {
        let key = Stack::key_of_group(&id.to_string());
        let found = &mut translation.diagnostics;
        match plan(id, &members, scope, context, found) {
            Ok(stack) => translation.stacks.push(stack),
            Err(refusal) => {
                translation.refused.insert(key);
                translation.diagnostics.push(*refusal);
            }
        }
    }
}

/// The group that an Ingress belongs to; `None`: it is about to go. The error is a note or a warning where no
/// load balancer is asked of us.
pub(crate) fn claim(ingress: &Ingress, scope: Scope<'_>) -> Result<Option<GroupId>, Refusal> {
    if ingress.meta.deleting {
        return Ok(None);
    }
    group::id(&class::classify(ingress, scope)?).map(Some)
}

/// The stack of a group, with what is worth saying about its members.
pub(crate) fn plan(
    id: GroupId,
    members: &[Key],
    scope: Scope<'_>,
    context: &Context,
    found: &mut Vec<Diagnostic>,
) -> Result<Stack, Refusal> {
    let ingresses = members.iter().filter_map(|key| scope.ingress(key));
    let members = ingresses.map(|ingress| class::classify(ingress, scope));
    let members: Vec<Member<'_>> = members.collect::<Result<_, _>>()?;
    for member in &members {
        let meta = &member.ingress.meta;
        known::report(meta, found);
        backend::report_missing(member.ingress, scope, found);
        idle::report(member, scope.authenticates(&meta.namespace), found);
    }
    let metas: Vec<&Meta> = members.iter().map(|one| &one.ingress.meta).collect();
    let stack = build(id, members, scope, context)?;
    let idle = metas
        .into_iter()
        .flat_map(|meta| idle::of_listeners(meta, &stack));
    found.extend(idle);
    Ok(stack)
}

/// What the parts of a stack are made from.
struct Build<'a> {
    scope: Scope<'a>,
    context: &'a Context,
    group: Group<'a>,
    stack: Stack,
    ip_address_type: String,
    /// The HTTPS port that all HTTP listeners lead to.
    ssl_redirect: Option<u16>,
    /// What the members' paths lead to, by member. Each is read once, whatever the number of its ports and paths.
    backends: BTreeMap<(String, Backend), Rc<EnhancedBackend<'a>>>,
    budget: Budget,
}

impl Build<'_> {
    /// Refuses the stack if `resource` is more than it may still hold.
    fn charge(&mut self, resource: &impl Serialize, meta: &Meta) -> Result<(), Refusal> {
        let charged = self.budget.take(resource);
        charged.map_err(|bound| meta.too_much(bound))
    }
}

fn build<'a>(
    id: GroupId,
    members: Vec<Member<'a>>,
    scope: Scope<'a>,
    context: &'a Context,
) -> Result<Stack, Refusal> {
    let group = Group::new(id, members)?;
    let mut build = Build {
        scope,
        context,
        stack: Stack::new(group.id.to_string()),
        group,
        ip_address_type: String::new(),
        ssl_redirect: None,
        backends: BTreeMap::new(),
        budget: Budget::default(),
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
    build.bound_rules(&ports)?;
    for (port, config) in &ports {
        build.add_listener(*port, config)?;
        build.add_rules(*port, config)?;
    }
    Ok(build.stack)
}

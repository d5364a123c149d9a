//! From Ingresses to ALBs, as the AWS Load Balancer Controller makes them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use elbow_model::diagnostic::Diagnostic;
use serde::Serialize;

use crate::advice::fate::Fates;
use crate::bounds::Budget;
use crate::inventory::Key;
use crate::objects::{Backend, Ingress, Meta};
use crate::refusal::{Refusals, take_error};
use crate::scope::Scope;
use crate::stack::Stack;
use crate::{Context, Refusal, account, advice, auto_mode};

mod actions;
mod addons;
mod attributes;
mod auth;
mod backend;
mod certificates;
mod class;
mod conditions;
mod frontend;
mod frontend_health;
mod group;
mod idle;
mod json;
mod known;
mod load_balancer;
mod optimizer;
mod ports;
mod rules;
mod security_groups;
mod shape;
mod subnets;
mod tags;
mod target_group;

use backend::EnhancedBackend;
use group::{Group, Member};
pub(crate) use group::{GroupId, sort};
pub(crate) use known::on_a_service;

/// The group that an Ingress belongs to, and whether its class is one of EKS Auto Mode; `None` while it is being deleted. The error is a note or a warning when the
/// Ingress is for another controller.
pub(crate) fn claim(
    ingress: &Ingress,
    scope: Scope<'_>,
    context: &Context,
) -> Result<Option<(GroupId, bool)>, Refusal> {
    if ingress.meta.deleting {
        return Ok(None);
    }
    let member = class::classify(ingress, scope, context)?;
    Ok(Some((group::id(&member)?, member.is_auto)))
}

/// The stack of a group. Warnings and notes about its members go to `found`; `has_group` tells whether another stack has
/// the target group of a name.
pub(crate) fn plan(
    id: GroupId,
    members: &[Key],
    scope: Scope<'_>,
    context: &Context,
    has_group: &dyn Fn(&str) -> bool,
    found: &mut Vec<Diagnostic>,
) -> Result<Stack, Refusal> {
    let ingresses = members.iter().filter_map(|key| scope.ingress(key));
    let members = ingresses.map(|ingress| class::classify(ingress, scope, context));
    let members: Vec<Member<'_>> = members.collect::<Result<_, _>>()?;
    let meta = |member: &Member<'_>| account::unlisted(&member.ingress.meta, context);
    found.extend(members.iter().flat_map(meta));
    if let Some(refused) = take_error(found) {
        return Err(refused);
    }
    for member in &members {
        let meta = &member.ingress.meta;
        found.extend(member.stand_ins.iter().cloned());
        if member.is_auto {
            auto_mode::report_ingress(meta, found);
        }
        known::report(meta, context, found);
        backend::report_missing(member.ingress, scope, found);
        idle::report(member, scope.authenticates(&meta.namespace), found);
    }
    let ingresses: Vec<&Ingress> = members.iter().map(|one| one.ingress).collect();
    let stack = build(id, members, (scope, context, has_group), found)?;
    let idle = ingresses
        .iter()
        .flat_map(|ingress| idle::of_listeners(&ingress.meta, &stack));
    found.extend(idle);
    frontend::report_closed(&stack, found);
    found.extend(advice::of_group(&stack, &ingresses, scope, context));
    Ok(stack)
}

/// A stack under construction.
struct Build<'a> {
    scope: Scope<'a>,
    context: &'a Context,
    /// Whether another stack has the target group of a name.
    has_group: &'a dyn Fn(&str) -> bool,
    group: Group<'a>,
    stack: Stack,
    /// Empty if it is refused.
    ip_address_type: String,
    /// Whether a port stands in for those of a `listen-ports` that is refused.
    assumes_ports: Cell<bool>,
    /// The HTTPS port that all HTTP listeners redirect to.
    ssl_redirect: Option<u16>,
    /// The backends of the members' paths, by member. Each is read once, however many ports and paths use it.
    backends: BTreeMap<(String, Backend), Rc<EnhancedBackend<'a>>>,
    budget: Budget,
    /// Warnings about stand-ins.
    found: RefCell<Vec<Diagnostic>>,
    /// The rules that the optimizer leaves out.
    fates: Fates,
    /// The errors so far.
    refused: Refusals<Refusal>,
}

impl Build<'_> {
    /// Adds every resource. Errors that leave the rest readable are in [`Build::refused`].
    fn resources(&mut self) -> Result<(), Refusal> {
        self.add_certificates();
        let ports = self.listen_ports()?;
        let alb = self.load_balancer(&ports);
        self.ssl_redirect = self.refused.or_default(self.ssl_redirect_port(&ports));
        self.bound_rules(&ports)?;
        for (port, config) in &ports {
            self.add_listener(*port, config)?;
            self.add_rules(*port, config)?;
        }
        let added = self.add_addons();
        self.refused.keep(added);
        let added = self.add_frontend(&alb, &ports);
        self.refused.keep(added);
        let id = load_balancer::ID.to_owned();
        self.stack.load_balancers.insert(id, Box::new(alb));
        Ok(())
    }

    /// Refuses the stack if `resource` exceeds what is left of its budget.
    fn charge(&mut self, resource: &impl Serialize, meta: &Meta) -> Result<(), Refusal> {
        let charged = self.budget.take(resource);
        charged.map_err(|bound| meta.too_much(bound))
    }
}

/// What a group is planned in: the objects, the environment, and whether another stack has the target group of a name.
type Around<'a> = (Scope<'a>, &'a Context, &'a dyn Fn(&str) -> bool);

fn build<'a>(
    id: GroupId,
    members: Vec<Member<'a>>,
    (scope, context, has_group): Around<'a>,
    found: &mut Vec<Diagnostic>,
) -> Result<Stack, Refusal> {
    let group = Group::new(id, members)?;
    let mut build = Build {
        scope,
        context,
        has_group,
        stack: Stack::new(group.id.to_string()),
        group,
        ip_address_type: String::new(),
        assumes_ports: Cell::default(),
        ssl_redirect: None,
        backends: BTreeMap::new(),
        budget: Budget::default(),
        found: RefCell::default(),
        fates: Fates::default(),
        refused: Refusals::default(),
    };
    let members = build.group.members.iter();
    let key = |member: &Member<'_>| {
        let meta = &member.ingress.meta;
        (meta.namespace.clone(), meta.name.clone())
    };
    build.stack.members = members.map(key).collect();
    let members = build.group.members.iter();
    build.stack.origins = members.map(|one| one.ingress.meta.origin()).collect();
    let built = build.resources();
    found.append(build.found.get_mut());
    found.extend(build.fates.into_found());
    match build.refused.finish(built) {
        Ok(()) => Ok(build.stack),
        Err((first, others)) => {
            found.extend(others.into_iter().map(|other| *other));
            Err(first)
        }
    }
}

//! A stack in the words of the model, with the place that each field came from.

use std::collections::BTreeSet;
use std::rc::Rc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{FieldPath, LoadBalancerSpec, ModelSpec, Origin, Step};

use super::Surroundings;
use super::actions::Actions;
use super::balancer::Balancer;
use super::certificates::Certificates;
use super::classic::Classic;
use super::groups::{Group, Groups};
use super::hosts::Wanted;
use super::place::{LeftOut, Part, Place};
use super::trust_stores;
use crate::Refusal;
use crate::stack::Stack;

/// What to build a model from.
pub(super) struct Draft<'a> {
    /// The values.
    pub(super) spec: ModelSpec,
    /// Notes and warnings.
    pub(super) notes: Vec<Diagnostic>,
    /// Errors in values that have no words in the model.
    pub(super) faults: Vec<Diagnostic>,
    /// Where the load balancer comes from.
    origin: &'a Origin,
    balancer: Kind<'a>,
    groups: Vec<Rc<Group<'a>>>,
    certificates: Wanted,
}

/// A load balancer with the places of its fields.
enum Kind<'a> {
    Modern(Balancer<'a>),
    Classic(Classic<'a>),
}

impl<'a> Draft<'a> {
    /// The draft of a stack without the parts that are left out; `None`: it has no load balancer.
    pub(super) fn new(
        stack: &'a Stack,
        origin: &'a Origin,
        known: &'a Groups<'a>,
        surroundings: &Surroundings<'a>,
        left_out: &LeftOut,
    ) -> Result<Option<Self>, Refusal> {
        let mut actions = Actions::new(known, left_out, surroundings.scope);
        let mut certificates = Wanted::default();
        let mut notes = Vec::new();
        let Some((balancer, load_balancer)) = kind(
            (stack, origin),
            known,
            surroundings,
            left_out,
            &mut actions,
            &mut certificates,
            &mut notes,
        ) else {
            return Ok(None);
        };
        let Actions {
            used,
            notes: of_actions,
            mut faults,
            ..
        } = actions;
        notes.extend(of_actions);
        let groups = groups(known, used, left_out);
        let target_groups = groups
            .iter()
            .map(|group| group.spec(left_out, &mut notes, &mut faults))
            .collect();
        let known = Certificates::new(surroundings);
        let mut specs = Vec::with_capacity(certificates.arns.len());
        for arn in &certificates.arns {
            specs.push(known.spec(arn, &mut notes)?);
        }
        Ok(Some(Self {
            spec: ModelSpec {
                load_balancers: vec![load_balancer],
                target_groups,
                certificates: specs,
                trust_stores: trust_stores::specs(stack, surroundings.context),
                environment: surroundings.context.environment().into(),
            },
            notes,
            faults,
            origin,
            balancer,
            groups,
            certificates,
        }))
    }

    /// The place of a field.
    pub(super) fn place(&self, path: &FieldPath) -> Place {
        match path.steps() {
            [Step::Field("loadBalancers"), Step::Index(_), rest @ ..] => match &self.balancer {
                Kind::Modern(balancer) => balancer.place(rest),
                Kind::Classic(classic) => classic.place(rest),
            },
            [Step::Field("targetGroups"), Step::Index(at), rest @ ..] => {
                match self.groups.get(*at) {
                    Some(group) => group.place(rest),
                    None => Place::fixed(self.origin),
                }
            }
            [Step::Field("certificates"), Step::Index(at), ..] => {
                let arn = self.certificates.arns.get(*at);
                Place::fixed(arn.map_or(self.origin, |arn| &arn.origin))
            }
            _ => Place::fixed(self.origin),
        }
    }
}

/// The load balancer of a stack; `None`: it has none.
fn kind<'a>(
    (stack, origin): (&'a Stack, &'a Origin),
    known: &'a Groups<'a>,
    surroundings: &Surroundings<'a>,
    left_out: &LeftOut,
    actions: &mut Actions<'a, '_>,
    wanted: &mut Wanted,
    notes: &mut Vec<Diagnostic>,
) -> Option<(Kind<'a>, LoadBalancerSpec)> {
    if let Some(from) = stack.load_balancers.values().next() {
        let (balancer, spec) =
            Balancer::build(from, (stack, origin), surroundings, actions, wanted);
        return Some((Kind::Modern(balancer), spec));
    }
    let from = stack.classic.as_ref()?;
    let (namespace, name) = stack.id.split_once('/')?;
    let service = surroundings.scope.service(namespace, name)?;
    let (classic, spec) = Classic::build(
        from,
        (stack, service),
        known.instances(service),
        surroundings,
        left_out,
        wanted,
        notes,
    );
    Some((Kind::Classic(classic), spec))
}

/// The target groups of the stack, and those of other stacks that it forwards to, each once.
fn groups<'a>(
    known: &Groups<'a>,
    used: Vec<Rc<Group<'a>>>,
    left_out: &LeftOut,
) -> Vec<Rc<Group<'a>>> {
    let mut seen = BTreeSet::new();
    let all = known.own().cloned().chain(used);
    all.filter(|group| seen.insert(Rc::as_ptr(group)))
        .filter(|group| !left_out.contains(&Part::Group(group.name().to_owned())))
        .collect()
}

//! From stacks to the model that serves. The constructors of the model build each load balancer with its target groups
//! and certificates. A value that they refuse is reported at the place that it was read from.

mod actions;
mod balancer;
mod bindings;
mod catalog;
mod certificates;
mod classic;
mod draft;
mod findings;
mod groups;
mod hosts;
mod listeners;
mod lost;
mod place;
mod rules;
mod security_groups;
mod server_ids;
mod support;
mod targets;
mod trust_stores;
mod values;
mod zones;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Checked, Model, Origin};

use crate::Context;
use crate::scope::Scope;
use crate::stack::Stack;

pub(crate) use bindings::{bound_targets, misbound};
pub(crate) use catalog::Catalog;
use draft::Draft;
use findings::Once;
use groups::Groups;
use place::LeftOut;
pub(crate) use support::stray_endpoints;

/// What the models of all stacks are built from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) context: &'a Context,
    pub(crate) scope: Scope<'a>,
    pub(crate) catalog: &'a Catalog,
}

/// The outcome for one stack.
pub(crate) enum Modelled {
    /// The model, and the place that its load balancer comes from.
    Model(Model, Origin),
    /// The stack has no load balancer.
    Nothing,
    /// The stack has an error, which has been reported.
    Refused,
}

/// Builds the model of one stack: of its load balancer, and of the one in front of it. A part that AWS has and elbow does not serve is left out, and the rest is built
/// again; each turn leaves out more, so that there is a last one.
pub(crate) fn model_of(
    stack: &Stack,
    surroundings: &Surroundings<'_>,
    found: &mut Vec<Diagnostic>,
) -> Modelled {
    if let Some(refused) = support::refused(stack, surroundings.scope) {
        found.push(refused);
        return Modelled::Refused;
    }
    let Some((main, front)) = stack.in_two() else {
        support::unserved(stack, surroundings.scope, surroundings.context, found);
        return model_alone(stack, surroundings, found);
    };
    support::unserved(&main, surroundings.scope, surroundings.context, found);
    let main = model_alone(&main, surroundings, found);
    let front = model_alone(&front, surroundings, found);
    match (main, front) {
        (Modelled::Model(mut model, origin), Modelled::Model(front, _)) => {
            model.load_balancers.extend(front.load_balancers);
            model.target_groups.extend(front.target_groups);
            Modelled::Model(model, origin)
        }
        (Modelled::Refused, _) | (_, Modelled::Refused) => Modelled::Refused,
        (main, _) => main,
    }
}

/// Builds the model of a stack with one load balancer.
fn model_alone(
    stack: &Stack,
    surroundings: &Surroundings<'_>,
    found: &mut Vec<Diagnostic>,
) -> Modelled {
    let origin = stack.origins.first().cloned().unwrap_or_default();
    let groups = match Groups::new(stack, surroundings) {
        Ok(groups) => groups,
        Err(bound) => {
            let error = Diagnostic::error(bound.code, bound.message).hint(bound.hint);
            found.push(origin.place(error));
            return Modelled::Refused;
        }
    };
    let mut left_out = LeftOut::new();
    let mut told = Once::default();
    loop {
        let draft = match Draft::new(stack, &origin, &groups, surroundings, &left_out) {
            Ok(Some(draft)) => draft,
            Ok(None) => return Modelled::Nothing,
            Err(refusal) => {
                found.push(*refusal);
                return Modelled::Refused;
            }
        };
        let checked = Model::new(&draft.spec);
        let unserved = findings::unserved(&checked, &draft);
        if unserved.iter().all(|(part, _)| left_out.contains(part)) {
            let model = finish(draft, checked, &mut told);
            found.extend(told.into_list());
            return modelled(model, stack, origin, found);
        }
        for (part, warning) in unserved {
            left_out.insert(part);
            told.push(warning);
        }
    }
}

/// Reports what was found; the model is there when none of it is an error.
fn finish(draft: Draft<'_>, checked: Checked<Model>, told: &mut Once) -> Option<Model> {
    let errors = findings::errors(&checked, &draft);
    let warnings = findings::warnings(&checked, &draft);
    let is_valid = draft.faults.is_empty();
    told.extend(draft.notes);
    told.extend(draft.faults);
    told.extend(errors);
    told.extend(warnings);
    checked.value.ok().filter(|_| is_valid)
}

/// A load balancer without a listener gets no address: clients would be sent to where nobody answers.
fn modelled(
    model: Option<Model>,
    stack: &Stack,
    origin: Origin,
    found: &mut Vec<Diagnostic>,
) -> Modelled {
    let Some(model) = model else {
        return Modelled::Refused;
    };
    let mut balancers = model.load_balancers.iter();
    if stack.listeners.is_empty() || balancers.any(|balancer| !balancer.listeners.is_empty()) {
        return Modelled::Model(model, origin);
    }
    let message = "none of its listeners is supported; it gets no address";
    found.push(origin.place(Diagnostic::error("no-listeners", message)));
    Modelled::Refused
}

#[cfg(test)]
mod tests;

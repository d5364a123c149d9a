//! The stacks of a cluster, made anew one by one.

use std::sync::Arc;

use elbow_model::diagnostic::{Diagnostic, Severity};

use super::members::Roll;
use super::uses::{Depth, Unit, raise};
use super::{Cluster, Made, Outcome, Reconciled};
use crate::inventory::Key;
use crate::scope::{Reads, Scope};
use crate::serve::{Modelled, Surroundings, model_of};
use crate::stack::Stack;
use crate::{ingress, service};

/// What became of a stack so far.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What is wrong with what is asked for.
    refusal: Option<Diagnostic>,
    /// What is wrong with the model of it.
    unserved: Option<Diagnostic>,
    advice: Vec<Diagnostic>,
    notes: Vec<Diagnostic>,
    /// What serves.
    made: Option<Arc<Made>>,
    told: Vec<Told>,
}

/// What was said of a stack last.
#[derive(Debug, PartialEq)]
struct Told {
    roll: Roll,
    refused: Option<Diagnostic>,
    diagnostics: Vec<Diagnostic>,
}

/// What is to become of a stack.
enum Wanted {
    Nothing,
    Stack(Stack),
    /// It stays as it is; the stack is for those who have none yet.
    Kept(Diagnostic, Option<Stack>),
}

impl Cluster {
    /// Makes all stacks anew that are to be.
    pub(super) fn stacks(&mut self, told: &mut Vec<Reconciled>) {
        let mut dirty = self.uses.stacks();
        for (unit, depth) in &dirty {
            if *depth == Depth::Plan {
                self.plan(unit);
            }
        }
        // What one stack has and another names.
        for (unit, depth) in self.uses.stacks() {
            raise(&mut dirty, unit, depth);
        }
        for (unit, depth) in &dirty {
            if *depth >= Depth::Model {
                self.remodel(unit);
            }
        }
        let settled = self.merged.settle();
        if !settled.is_empty() {
            let units = self.states.keys();
            let moved = units.filter(|unit| settled.contains(&key_of(unit)));
            for unit in moved.cloned() {
                raise(&mut dirty, unit, Depth::Members);
            }
        }
        // Of the native file nothing is to be told.
        dirty.retain(|unit, _| **unit != Unit::Native);
        for (unit, depth) in dirty {
            self.tell(&unit, depth, told);
        }
    }

    /// What AWS would make.
    fn plan(&mut self, unit: &Arc<Unit>) {
        if **unit == Unit::Native {
            return;
        }
        let reads = Reads::default();
        let mut advice = Vec::new();
        let scope = Scope::new(&self.inventory, &reads);
        let wanted = self.wanted(unit, scope, &mut advice);
        let key = key_of(unit);
        let state = match &wanted {
            Wanted::Nothing if !self.states.contains_key(unit) => return,
            _ => self.states.entry(unit.clone()).or_default(),
        };
        state.refusal = None;
        state.advice = advice;
        let stack = match wanted {
            Wanted::Nothing => {
                let facts = self.catalog.remove(&key);
                self.uses.changed(facts);
                None
            }
            Wanted::Stack(stack) => Some(stack),
            Wanted::Kept(refusal, stack) => {
                state.refusal = Some(refusal);
                stack.filter(|_| self.catalog.stack(&key).is_none())
            }
        };
        let stack =
            stack.filter(|stack| self.catalog.stack(&key).is_none_or(|one| **one != *stack));
        if let Some(stack) = stack {
            let facts = self.catalog.put(Arc::new(stack), scope, &self.context);
            self.uses.changed(facts);
        }
        self.uses.note(unit, Depth::Plan, reads.into_inner());
    }

    fn wanted(&self, unit: &Unit, scope: Scope<'_>, advice: &mut Vec<Diagnostic>) -> Wanted {
        let planned = match unit {
            Unit::Group(id) => {
                let members = self.active(id);
                if let Some(refusal) = self.unclear(id) {
                    return Wanted::Kept(refusal, None);
                }
                let plan = |members: &[Key], advice: &mut Vec<Diagnostic>| {
                    ingress::plan(id.clone(), members, scope, &self.context, advice)
                };
                if members.is_empty() {
                    return match self.protection(unit) {
                        Some(refusal) => {
                            let stack = plan(&self.leaving(id), &mut Vec::new()).ok();
                            Wanted::Kept(refusal, stack)
                        }
                        None => Wanted::Nothing,
                    };
                }
                plan(&members, advice).map(Some).map_err(|refusal| *refusal)
            }
            Unit::Service(key) => {
                let Some(service) = self.inventory.services.get(key) else {
                    return Wanted::Nothing;
                };
                let planned = match service::owner_of(service, &self.context) {
                    service::Owner::Nobody => Ok(None),
                    _ => service::plan(service, scope, &self.context, advice)
                        .map_err(|refused| refused.diagnose(&service.meta, None)),
                };
                if self.owner(service).is_none() {
                    return match self.protection(unit) {
                        Some(refusal) => Wanted::Kept(refusal, planned.ok().flatten()),
                        None => Wanted::Nothing,
                    };
                }
                if let Some(tenant) = self.assumed.get(key) {
                    advice.push(assumed(tenant, &service.meta));
                }
                planned
            }
            _ => Ok(None),
        };
        match planned {
            Ok(Some(stack)) => Wanted::Stack(stack),
            Ok(None) => Wanted::Nothing,
            Err(refusal) => Wanted::Kept(refusal, None),
        }
    }

    /// The model of what is planned.
    fn remodel(&mut self, unit: &Arc<Unit>) {
        let reads = Reads::default();
        let surroundings = Surroundings {
            context: &self.context,
            scope: Scope::new(&self.inventory, &reads),
            catalog: &self.catalog,
        };
        let key = key_of(unit);
        if **unit == Unit::Native {
            let model = self.native.bound(&surroundings);
            self.merged.put(&key, model, Default::default());
            return self.uses.note(unit, Depth::Model, reads.into_inner());
        }
        let Some(state) = self.states.get_mut(unit) else {
            return;
        };
        state.unserved = None;
        state.notes.clear();
        let Some(stack) = self.catalog.stack(&key) else {
            state.made = None;
            self.merged.remove(&key);
            return self.uses.note(unit, Depth::Model, reads.into_inner());
        };
        let mut found = Vec::new();
        match model_of(stack, &surroundings, &mut found) {
            Modelled::Model(model, origin) => {
                self.merged.put(&key, model, origin);
                let balancer = self.merged.balancer(&key);
                let name = balancer.map(|balancer| balancer.name.clone());
                let same = |made: &Arc<Made>| {
                    Arc::ptr_eq(&made.stack, stack) && Some(&made.load_balancer) == name.as_ref()
                };
                if !state.made.as_ref().is_some_and(same) {
                    state.made = name.map(|name| Arc::new(Made::new(stack.clone(), name)));
                }
            }
            Modelled::Nothing => {
                state.made = None;
                self.merged.remove(&key);
            }
            Modelled::Refused => {
                let refusal = || Diagnostic::error("refused", "the load balancer cannot be served");
                let error = found.iter().find(|found| found.is_error()).cloned();
                state.unserved = Some(error.unwrap_or_else(refusal));
            }
        }
        found.retain(|found| !found.is_error());
        state.notes = found;
        self.uses.note(unit, Depth::Model, reads.into_inner());
    }

    /// Says what became of a stack, if that is news.
    fn tell(&mut self, unit: &Arc<Unit>, depth: Depth, told: &mut Vec<Reconciled>) {
        let key = key_of(unit);
        let mut state = self.states.remove(unit).unwrap_or_default();
        let refused = state.refusal.as_ref().or(state.unserved.as_ref());
        let refused = refused.or_else(|| self.merged.left_out(&key)).cloned();
        let mut diagnostics = state.advice.clone();
        diagnostics.extend(state.notes.iter().cloned());
        crate::sort(&mut diagnostics);
        diagnostics.dedup();
        let mut before = std::mem::take(&mut state.told);
        for roll in self.rolls(unit) {
            let main = roll.key == key;
            let outcome = match (&refused, &state.made) {
                (Some(refusal), _) if main => Outcome::Refused(refusal.clone()),
                (None, Some(made)) if main => Outcome::Made(made.clone()),
                _ => Outcome::Gone,
            };
            let now = Told {
                roll,
                refused: refused.clone().filter(|_| main),
                diagnostics: match main {
                    true => diagnostics.clone(),
                    false => Vec::new(),
                },
            };
            let known = before.iter().position(|one| one.roll.key == now.roll.key);
            let known = known.map(|at| before.swap_remove(at));
            let gone = matches!(outcome, Outcome::Gone) && now.roll.leaving.is_empty();
            if gone && known.is_none() {
                continue;
            }
            if main && depth >= Depth::Model || known.as_ref() != Some(&now) {
                let roll = now.roll.clone();
                told.push(reconciled(unit, roll, outcome, now.diagnostics.clone()));
            }
            if !gone {
                state.told.push(now);
            }
        }
        for one in before {
            let roll = Roll {
                members: Vec::new(),
                leaving: Vec::new(),
                ..one.roll
            };
            told.push(reconciled(unit, roll, Outcome::Gone, Vec::new()));
        }
        match state.told.is_empty() {
            true => self.uses.forget(unit),
            false => drop(self.states.insert(unit.clone(), state)),
        }
    }
}

impl Made {
    fn new(stack: Arc<Stack>, load_balancer: Arc<str>) -> Self {
        let listeners = stack.listeners.values();
        let mut ports: Vec<(u16, String)> = listeners
            .map(|listener| (listener.port, listener.protocol.clone()))
            .collect();
        let classic = stack.classic.iter().flat_map(|classic| &classic.listeners);
        ports.extend(classic.map(|one| (one.load_balancer_port, one.protocol.to_owned())));
        ports.sort();
        Self {
            stack,
            load_balancer,
            ports,
        }
    }
}

/// The key of a stack; the native file has the first of all, so that its names are its own.
fn key_of(unit: &Unit) -> String {
    match unit {
        Unit::Group(id) => Stack::key_of_group(&id.to_string()),
        Unit::Service((namespace, name)) => Stack::key_of_service(&format!("{namespace}/{name}")),
        _ => String::new(),
    }
}

fn id_of(unit: &Unit) -> String {
    match unit {
        Unit::Group(id) => id.to_string(),
        Unit::Service((namespace, name)) => format!("{namespace}/{name}"),
        _ => String::new(),
    }
}

fn reconciled(
    unit: &Unit,
    roll: Roll,
    outcome: Outcome,
    diagnostics: Vec<Diagnostic>,
) -> Reconciled {
    Reconciled {
        key: roll.key,
        id: id_of(unit),
        finalizer: roll.finalizer,
        members: roll.members,
        leaving: roll.leaving,
        outcome,
        diagnostics,
    }
}

/// The note that a Service is one that nobody has made.
fn assumed(tenant: &Key, meta: &crate::objects::Meta) -> Diagnostic {
    let message = format!(
        "Service {} is as MinIO's operator would make it of Tenant {}/{}: it is not there, so the ready pods of the \
         Tenant are its endpoints",
        meta.key(),
        tenant.0,
        tenant.1
    );
    meta.found(Diagnostic::new(Severity::Note, "tenant-service", message))
}

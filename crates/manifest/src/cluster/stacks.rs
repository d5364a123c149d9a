//! The stacks of a cluster: each is planned and modelled on its own.

use std::sync::Arc;

use elbow_model::diagnostic::{Diagnostic, Severity};

use super::members::StackMembers;
use super::uses::{Depth, Unit, raise};
use super::{Cluster, Made, Outcome, Reconciled};
use crate::inventory::Key;
use crate::refusal::take_error;
use crate::scope::{Reads, Scope};
use crate::serve::{Modelled, Surroundings, model_of};
use crate::stack::{FRONTEND_NLB, Stack};
use crate::{account, ingress, service};

/// How often stacks are planned in a row because others changed.
const TURNS: usize = 8;

/// What is known of a stack.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Why it cannot be planned.
    refusal: Option<Diagnostic>,
    /// Why no model can be made of the plan.
    unserved: Option<Diagnostic>,
    /// Found in planning.
    advice: Vec<Diagnostic>,
    /// Found in making the model.
    notes: Vec<Diagnostic>,
    /// What serves.
    made: Option<Arc<Made>>,
    /// Whether what serves has changed since it was reported.
    is_remade: bool,
    reported: Vec<Reported>,
}

impl State {
    /// Whether its objects cannot be planned.
    pub(super) fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// Everything that was found about what is asked for now.
    pub(super) fn findings(&self) -> impl Iterator<Item = &Diagnostic> {
        // The notes of a refused stack are about what it asked for before.
        let notes = self.notes.iter().filter(|_| self.refusal.is_none());
        self.advice.iter().chain(&self.refusal).chain(notes)
    }

    fn is_empty(&self) -> bool {
        self.reported.is_empty() && self.made.is_none() && self.findings().next().is_none()
    }
}

/// The last result that was reported for some members of a stack.
#[derive(Debug, PartialEq)]
struct Reported {
    members: StackMembers,
    refused: Option<Diagnostic>,
    diagnostics: Vec<Diagnostic>,
}

/// What the objects of a stack ask for.
enum Wanted {
    Nothing,
    Stack(Stack),
    /// The current stack stays in force. This one serves if none does yet.
    Kept(Diagnostic, Option<Stack>),
}

impl Cluster {
    /// Builds all marked stacks.
    pub(super) fn stacks(&mut self, results: &mut Vec<Reconciled>) {
        let mut dirty = self.uses.stacks();
        let mut wanted = dirty.clone();
        // A plan may change target groups and certificates that other stacks refer to. Each turn makes target groups
        // known that the next one needs, so that few turns suffice; the bound is against stacks that need each other.
        for _ in 0..TURNS {
            for (unit, depth) in &wanted {
                if *depth == Depth::Plan {
                    self.plan(unit);
                }
            }
            wanted = self.uses.stacks();
            if wanted.is_empty() {
                break;
            }
            for (unit, depth) in &wanted {
                raise(&mut dirty, unit.clone(), *depth);
            }
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
        // The native file has no objects to report to.
        dirty.retain(|unit, _| **unit != Unit::Native);
        for unit in dirty.into_keys() {
            self.report(&unit, results);
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
        self.planned += 1;
        let is_new = !self.states.contains_key(unit);
        if matches!(wanted, Wanted::Nothing) && advice.is_empty() && is_new {
            return self.uses.note(unit, Depth::Plan, reads.into_inner());
        }
        let state = self.states.entry(unit.clone()).or_default();
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
                if let Some(refusal) = self.ambiguity(id) {
                    return Wanted::Kept(refusal, None);
                }
                let plan = |members: &[Key], advice: &mut Vec<Diagnostic>| {
                    let has_group = |name: &str| {
                        self.catalog.has_group(name, scope) || self.native.has_group(name)
                    };
                    let id = id.clone();
                    ingress::plan(id, members, scope, &self.context, &has_group, advice)
                };
                if members.is_empty() {
                    return match self.protection(unit, scope) {
                        Some(refusal) => {
                            let stack = plan(&self.leaving(id), &mut Vec::new()).ok();
                            Wanted::Kept(refusal, stack)
                        }
                        None => Wanted::Nothing,
                    };
                }
                if let Some(refusal) = self.protection(unit, scope) {
                    return Wanted::Kept(refusal, plan(&members, advice).ok());
                }
                plan(&members, advice).map(Some).map_err(|refusal| *refusal)
            }
            Unit::Service(key) => {
                let Some(service) = self.inventory.services.get(key) else {
                    return Wanted::Nothing;
                };
                let is_owned = self.owner(service).is_some();
                if is_owned {
                    advice.extend(account::unlisted(&service.meta, &self.context));
                }
                let planned = match take_error(advice) {
                    Some(refused) => Err(*refused),
                    None => service::plan(service, scope, &self.context, advice)
                        .map_err(|refused| refused.diagnose(service)),
                };
                if service.meta.deleting {
                    advice.clear();
                }
                if !is_owned {
                    return match self.protection(unit, scope) {
                        Some(refusal) => Wanted::Kept(refusal, planned.ok().flatten()),
                        None => Wanted::Nothing,
                    };
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

    /// Makes the model of the plan.
    fn remodel(&mut self, unit: &Arc<Unit>) {
        if !self.inventory.serving {
            return;
        }
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
            state.is_remade |= state.made.take().is_some();
            self.merged.remove(&key);
            return self.uses.note(unit, Depth::Model, reads.into_inner());
        };
        let mut found = Vec::new();
        match model_of(stack, &surroundings, &mut found) {
            Modelled::Model(model, origin) => {
                state.is_remade |= self.merged.put(&key, model, origin);
                let balancer = self.merged.balancer(&key);
                let name = balancer.map(|balancer| balancer.name.clone());
                let same = |made: &Arc<Made>| {
                    Arc::ptr_eq(&made.stack, stack) && Some(&made.load_balancer) == name.as_ref()
                };
                if !state.made.as_ref().is_some_and(same) {
                    state.made = name.map(|name| Arc::new(Made::new(stack.clone(), name)));
                    state.is_remade = true;
                }
            }
            Modelled::Nothing => {
                state.is_remade |= state.made.take().is_some();
                self.merged.remove(&key);
            }
            Modelled::Refused => {
                let refusal = || Diagnostic::error("refused", "the load balancer cannot be served");
                let error = found.iter().find(|found| found.is_error()).cloned();
                state.unserved = Some(error.unwrap_or_else(refusal));
            }
        }
        state.notes = found;
        self.uses.note(unit, Depth::Model, reads.into_inner());
    }

    /// Reports the state of a stack if it differs from what was reported last.
    fn report(&mut self, unit: &Arc<Unit>, results: &mut Vec<Reconciled>) {
        let key = key_of(unit);
        let mut state = self.states.remove(unit).unwrap_or_default();
        let refused = state.refusal.as_ref().or(state.unserved.as_ref());
        let refused = refused.or_else(|| self.merged.left_out(&key)).cloned();
        let mut diagnostics = state.advice.clone();
        let notes = state.notes.iter().filter(|note| !note.is_error());
        diagnostics.extend(notes.cloned());
        diagnostics.extend(self.assumption(unit));
        crate::sort(&mut diagnostics);
        diagnostics.dedup();
        let mut before = std::mem::take(&mut state.reported);
        let is_remade = std::mem::take(&mut state.is_remade);
        for members in self.members_of(unit) {
            let main = members.key == key;
            let outcome = match (&refused, &state.made) {
                (Some(refusal), _) if main => Outcome::Refused(refusal.clone()),
                (None, Some(made)) if main => Outcome::Made(made.clone()),
                _ => Outcome::Gone,
            };
            let now = Reported {
                members,
                refused: refused.clone().filter(|_| main),
                diagnostics: if main {
                    diagnostics.clone()
                } else {
                    Vec::new()
                },
            };
            let known = before
                .iter()
                .position(|one| one.members.key == now.members.key);
            let known = known.map(|at| before.swap_remove(at));
            let gone = matches!(outcome, Outcome::Gone) && now.members.leaving.is_empty();
            if gone && known.is_none() {
                continue;
            }
            // An object that leaves is told until it has left: writes that cross may bring its finalizer back.
            let is_news = is_remade || !now.members.leaving.is_empty();
            if main && is_news || known.as_ref() != Some(&now) {
                let members = now.members.clone();
                results.push(reconciled(unit, members, outcome, now.diagnostics.clone()));
            }
            if !gone {
                state.reported.push(now);
            }
        }
        for one in before {
            let members = StackMembers {
                members: Vec::new(),
                leaving: Vec::new(),
                ..one.members
            };
            results.push(reconciled(unit, members, Outcome::Gone, Vec::new()));
        }
        if !state.is_empty() {
            self.states.insert(unit.clone(), state);
        }
    }

    /// The note that a Service does not exist and is assumed.
    fn assumption(&self, unit: &Unit) -> Option<Diagnostic> {
        let Unit::Service(key) = unit else {
            return None;
        };
        let tenant = self.assumed.get(key)?;
        let service = self.inventory.services.get(key)?;
        self.owner(service)?;
        Some(assumed(tenant, &service.meta))
    }
}

impl Made {
    fn new(stack: Arc<Stack>, load_balancer: Arc<str>) -> Self {
        // As in the status of an Ingress: not those of the load balancer in front.
        let listeners = stack.listeners.values();
        let listeners = listeners.filter(|one| !one.load_balancer.leads_to(FRONTEND_NLB));
        let mut ports: Vec<(u16, String)> = listeners
            .map(|listener| (*listener.port, listener.protocol.value.clone()))
            .collect();
        let classic = stack.classic.iter().flat_map(|classic| &classic.listeners);
        ports.extend(classic.map(|one| (one.load_balancer_port, (*one.protocol).to_owned())));
        ports.sort();
        let front = stack.load_balancers.get(FRONTEND_NLB);
        Self {
            front: front.map(|front| (*front.name.value).into()),
            stack,
            load_balancer,
            ports,
        }
    }
}

/// The key of a stack. That of the native file is the first, so that the file keeps its names.
pub(super) fn key_of(unit: &Unit) -> String {
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
    members: StackMembers,
    outcome: Outcome,
    diagnostics: Vec<Diagnostic>,
) -> Reconciled {
    Reconciled {
        key: members.key,
        id: id_of(unit),
        finalizer: members.finalizer,
        members: members.members,
        leaving: members.leaving,
        outcome,
        diagnostics,
    }
}

/// The note that a Service does not exist and is assumed.
fn assumed(tenant: &Key, meta: &crate::objects::Meta) -> Diagnostic {
    let message = format!(
        "Service {} does not exist; it is assumed as MinIO's operator would make it of Tenant {}/{}, with the ready pods \
         of the Tenant as endpoints",
        meta.key(),
        tenant.0,
        tenant.1
    );
    meta.found(Diagnostic::new(Severity::Note, "tenant-service", message))
}

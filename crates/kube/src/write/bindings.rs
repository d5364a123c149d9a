//! Finalizer, status and events of TargetGroupBindings that users wrote (control-plane.md 3.7).

use std::collections::{BTreeMap, HashMap};

use elbow_manifest::inventory::Inventory;
use elbow_manifest::objects::Binding;
use elbow_model::diagnostic::Diagnostic;
use kube::Error;
use kube::api::Patch;
use serde_json::json;

use super::Inner;
use super::api::{Kind, Name, What, reason};
use super::events::{Cause, EventText, line};
use super::finalizers::of_binding;

/// The state of a TargetGroupBinding, from which its finalizer, status and events follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BindingState {
    pub(super) uid: String,
    /// Its target group.
    pub(super) group: String,
    /// Whether it is being deleted; its targets are gone then.
    pub(super) deleting: bool,
    /// Why it has no targets.
    pub(super) problem: Option<Diagnostic>,
}

/// Codes for a missing backend; any other problem is one of the binding itself.
const NO_BACKEND: &[&str] = &["unknown-port", "unknown-service"];

/// The states of all TargetGroupBindings that users wrote; `problem` says why the one at a path has no targets.
pub(super) fn states(
    inventory: &Inventory,
    problem: impl Fn(&str) -> Option<Diagnostic>,
) -> BTreeMap<Name, BindingState> {
    let bindings = inventory.bindings.values();
    let written = bindings.filter(|binding| !binding.is_made());
    let one = |binding: &Binding| {
        let name = Name {
            kind: if binding.is_auto {
                Kind::AutoBinding
            } else {
                Kind::Binding
            },
            namespace: binding.meta.namespace.clone(),
            name: binding.meta.name.clone(),
        };
        let state = BindingState {
            uid: binding.meta.uid.clone(),
            group: binding.group.clone(),
            deleting: binding.meta.deleting,
            problem: problem(&binding.meta.path()),
        };
        (name, state)
    };
    written.map(one).collect()
}

/// The target group for a gate with the name of a binding, by namespace and name.
pub(super) fn groups(states: &BTreeMap<Name, BindingState>) -> HashMap<(String, String), String> {
    let group = |(name, state): (&Name, &BindingState)| {
        let key = (name.namespace.clone(), name.name.clone());
        (key, state.group.clone())
    };
    states.iter().map(group).collect()
}

impl Inner {
    /// Writes finalizer, status and events of a binding.
    pub(super) async fn write_binding(
        &self,
        name: &Name,
        state: &BindingState,
    ) -> Result<(), Error> {
        let finalizer = of_binding(name.kind);
        if state.deleting {
            return match self.release(name, &state.uid, finalizer).await {
                Ok(_) => Ok(()),
                Err(error) => self.fail_binding(
                    name,
                    state,
                    ("FailedRemoveFinalizer", "remove finalizer"),
                    error,
                ),
            };
        }
        let Some(facts) = self.facts(name, &state.uid).await? else {
            return Ok(());
        };
        if let Err(error) = self.mark(name, &facts, finalizer, None).await {
            return self.fail_binding(name, state, ("FailedAddFinalizer", "add finalizer"), error);
        }
        let problem = state.problem.as_ref();
        let (missing, refused) = match problem.filter(|found| NO_BACKEND.contains(&found.code)) {
            Some(missing) => (Some(missing), None),
            None => (None, problem),
        };
        if let Some(refused) = refused {
            let message = format!("Failed reconcile due to {}", line(refused));
            let text = EventText::warning("FailedReconcile", message);
            self.announce(state.uid.clone(), name, &state.uid, &text, Cause::State);
            return Ok(());
        }
        let wrote = facts.observed != facts.generation;
        if wrote {
            let change = json!({"metadata": {"uid": facts.uid}, "status": {"observedGeneration": facts.generation}});
            let answer = self
                .api
                .patch(What::Status, name, true, Patch::Merge(change));
            match answer.await {
                Ok(object) => drop(self.known.see(&object)),
                Err(error) => {
                    return self.fail_binding(
                        name,
                        state,
                        ("FailedUpdateStatus", "update status"),
                        error,
                    );
                }
            }
        }
        // AWS's controller then deregisters all targets, and reports success too.
        let backend = format!("{} backend", state.uid);
        match missing {
            Some(missing) => {
                let text = EventText::warning(
                    "BackendNotFound",
                    format!("backend not found: {}", line(missing)),
                );
                self.announce(backend, name, &state.uid, &text, Cause::State);
            }
            None => self.forget_announced(&backend),
        }
        let text = EventText::normal("SuccessfullyReconciled", "Successfully reconciled");
        let cause = Cause::Change {
            fingerprint: facts.generation.unsigned_abs(),
            wrote,
        };
        self.announce(state.uid.clone(), name, &state.uid, &text, cause);
        Ok(())
    }

    fn fail_binding(
        &self,
        name: &Name,
        state: &BindingState,
        (what, step): (&'static str, &str),
        error: Error,
    ) -> Result<(), Error> {
        let message = format!("Failed {step} due to {}", reason(&error));
        let text = EventText::warning(what, message);
        self.announce(state.uid.clone(), name, &state.uid, &text, Cause::State);
        Err(error)
    }
}

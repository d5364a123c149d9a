//! TargetGroupBindings that users wrote: their finalizer, status and events (control-plane.md 3.7).

use std::collections::{BTreeMap, HashMap};

use elbow_manifest::inventory::Inventory;
use elbow_manifest::objects::Binding;
use elbow_model::diagnostic::Diagnostic;
use kube::Error;
use kube::api::Patch;
use serde_json::json;

use super::Inner;
use super::api::{Kind, Name, What, reason};
use super::events::{Since, Tale, line};
use super::finalizers::BINDING_FINALIZER;

/// What is to be said of a TargetGroupBinding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) uid: String,
    /// Its target group.
    pub(super) group: String,
    /// It is being deleted, and its targets are gone.
    pub(super) leaves: bool,
    /// Why it has no targets.
    pub(super) wrong: Option<Diagnostic>,
}

/// Codes of a backend that is not there; what else is wrong is wrong with the binding.
const NO_BACKEND: &[&str] = &["unknown-port", "unknown-service"];

/// What is to be said of all that users wrote; `wrong` is why the one of that path has no targets.
pub(super) fn bound(
    inventory: &Inventory,
    wrong: impl Fn(&str) -> Option<Diagnostic>,
) -> BTreeMap<Name, Bound> {
    let bindings = inventory.bindings.values();
    let written = bindings.filter(|binding| !binding.is_made());
    let one = |binding: &Binding| {
        let name = Name {
            kind: Kind::Binding,
            namespace: binding.meta.namespace.clone(),
            name: binding.meta.name.clone(),
        };
        let bound = Bound {
            uid: binding.meta.uid.clone(),
            group: binding.group.clone(),
            leaves: binding.meta.deleting,
            wrong: wrong(&binding.meta.path()),
        };
        (name, bound)
    };
    written.map(one).collect()
}

/// Which group a gate of the name of a binding means, by namespace and name.
pub(super) fn groups(bound: &BTreeMap<Name, Bound>) -> HashMap<(String, String), String> {
    let group = |(name, bound): (&Name, &Bound)| {
        let key = (name.namespace.clone(), name.name.clone());
        (key, bound.group.clone())
    };
    bound.iter().map(group).collect()
}

impl Inner {
    /// Writes what is to be said of a binding.
    pub(super) async fn bind(&self, name: &Name, bound: &Bound) -> Result<(), Error> {
        if bound.leaves {
            return match self.release(name, &bound.uid, BINDING_FINALIZER).await {
                Ok(_) => Ok(()),
                Err(error) => {
                    self.unbound(name, bound, "FailedRemoveFinalizer", error)
                        .await
                }
            };
        }
        let Some(facts) = self.facts(name, &bound.uid).await? else {
            return Ok(());
        };
        if let Err(error) = self.mark(name, &facts, BINDING_FINALIZER, None).await {
            return self.unbound(name, bound, "FailedAddFinalizer", error).await;
        }
        let wrong = bound.wrong.as_ref();
        let (missing, refused) = match wrong.filter(|wrong| NO_BACKEND.contains(&wrong.code)) {
            Some(missing) => (Some(missing), None),
            None => (None, wrong),
        };
        if let Some(refused) = refused {
            let tale = Tale::warning("FailedReconcile", line(refused));
            self.announce(bound.uid.clone(), name, &bound.uid, &tale, Since::Always)
                .await;
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
                Err(error) => return self.unbound(name, bound, "FailedUpdateStatus", error).await,
            }
        }
        // AWS's controller takes all targets out then, and calls that a success too.
        let backend = format!("{} backend", bound.uid);
        match missing {
            Some(missing) => {
                let tale = Tale::warning(
                    "BackendNotFound",
                    format!("backend not found: {}", line(missing)),
                );
                self.announce(backend, name, &bound.uid, &tale, Since::Always)
                    .await;
            }
            None => self.silence(&backend),
        }
        let tale = Tale::normal("SuccessfullyReconciled", "Successfully reconciled");
        let since = Since::Change {
            fingerprint: facts.generation.unsigned_abs(),
            wrote,
        };
        self.announce(bound.uid.clone(), name, &bound.uid, &tale, since)
            .await;
        Ok(())
    }

    async fn unbound(
        &self,
        name: &Name,
        bound: &Bound,
        what: &'static str,
        error: Error,
    ) -> Result<(), Error> {
        let tale = Tale::warning(what, format!("Failed: {}", reason(&error)));
        self.announce(bound.uid.clone(), name, &bound.uid, &tale, Since::Always)
            .await;
        Err(error)
    }
}

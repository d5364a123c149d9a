//! What manifests ask for, stack by stack, from one state of them to the next.

use std::collections::{BTreeMap, BTreeSet};

use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::file::Origin;

use super::merge::Merged;

/// What [`serve`](super::serve) makes.
#[derive(Clone, Debug, Default)]
pub struct Serving {
    /// By the stack's key, with the place where its load balancer comes from.
    pub(super) models: BTreeMap<String, (Model, Origin)>,
    pub(super) refused: BTreeSet<String>,
    pub(super) rejected: BTreeSet<String>,
    pub(super) found: Vec<Diagnostic>,
}

impl Serving {
    /// Objects, as `kind/namespace/name`, that the API server would not have taken. A cluster would go on
    /// with what it had under their names.
    pub fn rejected(&self) -> &BTreeSet<String> {
        &self.rejected
    }

    /// The keys of the stacks in which something is wrong.
    pub fn refused(&self) -> &BTreeSet<String> {
        &self.refused
    }

    /// Leaves out every stack in whose model `check` finds an error; its findings are kept.
    pub fn check(&mut self, check: impl Fn(&Model) -> Vec<Diagnostic>) {
        let Self {
            models,
            refused,
            found,
            ..
        } = self;
        models.retain(|key, (model, _)| {
            let problems = check(model);
            let good = !problems.iter().any(Diagnostic::is_error);
            found.extend(problems);
            if !good {
                refused.insert(key.clone());
            }
            good
        });
    }

    /// Stacks that are refused stay as they were `before`: AWS's controllers leave alone what they cannot
    /// reconcile.
    #[must_use]
    pub fn keeping(mut self, before: &Self) -> Self {
        for key in &self.refused {
            if let Some(kept) = before.models.get(key) {
                self.models.insert(key.clone(), kept.clone());
            }
        }
        self
    }

    /// All models as one, and everything found, by file and line. Of two stacks that want one name the
    /// first has it.
    pub fn into_model(self) -> (Model, Vec<Diagnostic>) {
        let mut merged = Merged::default();
        let mut found = self.found;
        for (model, origin) in self.models.into_values() {
            merged.add(model, &origin, &mut found);
        }
        crate::sort(&mut found);
        // One annotation may be in what several resources are made of; it is spoken of once.
        found.dedup();
        (merged.model, found)
    }
}

//! Finalizers: an object with a load balancer stays until elbow has released it.
//!
//! elbow adds them by server-side apply, which merges them with the finalizers of other managers. It
//! removes them by a patch with the resource version, because apply removes only what its own field manager wrote. A finalizer
//! may come from AWS's own controller, which served the object before.

use elbow_manifest::cluster::{AUTO_MODE, CLEANUP_FINALIZER, LBC, Marks, OWN};
use kube::Error;
use kube::api::Patch;
use serde_json::json;

use super::Inner;
use super::api::{Kind, Name, What, code};
use super::facts::Facts;
use super::plan::{self, Plan};

/// The finalizer of a TargetGroupBinding of AWS Load Balancer Controller.
const BINDING: &str = "elbv2.k8s.aws/resources";
/// The finalizer of a TargetGroupBinding of EKS Auto Mode, by the pattern of the others.
const AUTO_BINDING: &str = "eks.amazonaws.com/resources";

/// How often a removal is retried at once if the object has changed meanwhile.
const ATTEMPTS: usize = 5;

/// The finalizer of a TargetGroupBinding.
pub(super) fn of_binding(kind: Kind) -> &'static str {
    match kind {
        Kind::AutoBinding => AUTO_BINDING,
        _ => BINDING,
    }
}

/// Whether elbow owns a finalizer of an object that it marks with `marker`. Beside AWS Load Balancer Controller the marker
/// has elbow's own name, and the finalizers of that controller are not elbow's. Those of EKS Auto Mode are elbow's only
/// where it takes that controller's place.
fn is_ours(finalizer: &str, marker: &str) -> bool {
    if Marks::of(finalizer) == Some(&OWN) || finalizer == marker {
        return true;
    }
    let is_of_auto_mode = |one: &str| Marks::of(one) == Some(&AUTO_MODE) || one == AUTO_BINDING;
    let is_shared = Marks::of(finalizer) == Some(&LBC)
        || [CLEANUP_FINALIZER, BINDING].contains(&finalizer)
        || is_of_auto_mode(finalizer) && is_of_auto_mode(marker);
    is_shared && Marks::of(marker) != Some(&OWN)
}

/// elbow's own name for a finalizer, which the object may carry since elbow ran beside AWS Load Balancer Controller.
fn twin(finalizer: &str) -> Option<String> {
    let marks = Marks::of(finalizer).filter(|marks| *marks != &OWN)?;
    Some(match finalizer.strip_prefix(marks.group) {
        Some(group) => format!("{}{group}", OWN.group),
        None => OWN.ingress.to_owned(),
    })
}

impl Inner {
    /// Adds a missing finalizer and plan; returns whether something was written.
    pub(super) async fn mark(
        &self,
        name: &Name,
        facts: &Facts,
        finalizer: &str,
        plan: Option<&Plan>,
    ) -> Result<bool, Error> {
        let marked = facts.has(finalizer);
        let planned = plan.is_none_or(|plan| facts.plan == Some(plan.digest));
        // An object under deletion accepts no finalizers.
        if (marked && planned) || facts.deleting {
            return Ok(false);
        }
        // Apply removes our fields that it does not contain, so all our finalizers must be in it.
        let mut finalizers: Vec<&str> = facts.finalizers.iter().map(String::as_str).collect();
        finalizers.retain(|one| is_ours(one, finalizer) && *one != finalizer);
        finalizers.push(finalizer);
        let mut object = json!({
            "apiVersion": name.kind.api_version(),
            "kind": name.kind.name(),
            // The UID keeps apply from creating an object that is gone.
            "metadata": {"name": name.name, "namespace": name.namespace, "uid": facts.uid, "finalizers": finalizers},
        });
        if let Some(plan) = plan {
            object["metadata"]["annotations"] = json!({plan::ANNOTATION: plan.text});
        }
        let what = if marked { What::Plan } else { What::Finalizer };
        let answer = self.api.patch(what, name, false, Patch::Apply(object));
        self.known.see(&answer.await?);
        Ok(true)
    }

    /// Removes the plan, whoever wrote it; returns whether something was written.
    pub(super) async fn unplan(&self, name: &Name, facts: &Facts) -> Result<bool, Error> {
        if facts.plan.is_none() || facts.deleting {
            return Ok(false);
        }
        let change =
            json!({"metadata": {"uid": facts.uid, "annotations": {plan::ANNOTATION: null}}});
        let answer = self
            .api
            .patch(What::Plan, name, false, Patch::Merge(change));
        match answer.await {
            Ok(object) => drop(self.known.see(&object)),
            Err(error) if code(&error) == Some(404) => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Removes a finalizer; returns whether something was written.
    pub(super) async fn release(
        &self,
        name: &Name,
        uid: &str,
        finalizer: &str,
    ) -> Result<bool, Error> {
        let mut attempt = 1;
        loop {
            let Some(facts) = self.facts(name, uid).await? else {
                return Ok(false);
            };
            let twin = twin(finalizer);
            let leaves = |one: &String| *one == finalizer || Some(one) == twin.as_ref();
            if !facts.finalizers.iter().any(leaves) {
                return Ok(false);
            }
            let mut rest = facts.finalizers.clone();
            rest.retain(|one| !leaves(one));
            let change = json!({"metadata": {
                "uid": facts.uid,
                "resourceVersion": facts.version,
                "finalizers": rest,
            }});
            let answer = self
                .api
                .patch(What::Finalizer, name, false, Patch::Merge(change));
            match answer.await {
                Ok(object) => {
                    self.known.see(&object);
                    return Ok(true);
                }
                Err(error) if code(&error) == Some(404) => {
                    self.known.forget(name);
                    return Ok(false);
                }
                Err(error) if code(&error) == Some(409) && attempt < ATTEMPTS => {
                    attempt += 1;
                    self.refresh(name).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

//! Finalizers: an object that has a load balancer stays until elbow has let go of it.
//!
//! They are added by server-side apply, which merges them into the set that others keep, whatever that is by then. They are
//! removed by a patch that holds the resource version: apply gives up only what the own field manager wrote, and a finalizer
//! may come from AWS's own controller, which served the object before.

use elbow_manifest::cluster::{
    CLEANUP_FINALIZER, GROUP_FINALIZER, INGRESS_FINALIZER, SERVICE_FINALIZER,
};
use kube::Error;
use kube::api::Patch;
use serde_json::json;

use super::Inner;
use super::api::{Name, What, code};
use super::facts::Facts;
use super::plan::{self, Plan};

/// Of a TargetGroupBinding.
pub(super) const BINDING_FINALIZER: &str = "elbv2.k8s.aws/resources";

/// How often a removal is tried anew in a row when the object has changed meanwhile.
const ATTEMPTS: usize = 5;

fn is_ours(finalizer: &str) -> bool {
    let whole = [
        INGRESS_FINALIZER,
        SERVICE_FINALIZER,
        CLEANUP_FINALIZER,
        BINDING_FINALIZER,
    ];
    whole.contains(&finalizer) || finalizer.starts_with(GROUP_FINALIZER)
}

impl Inner {
    /// Adds a finalizer, and the plan, where they are not there; whether something was written.
    pub(super) async fn mark(
        &self,
        name: &Name,
        facts: &Facts,
        finalizer: &str,
        plan: Option<&Plan>,
    ) -> Result<bool, Error> {
        let marked = facts.has(finalizer);
        let planned = plan.is_none_or(|plan| facts.plan == Some(plan.digest));
        // What is being deleted takes no finalizers.
        if (marked && planned) || facts.deleting {
            return Ok(false);
        }
        // What is applied no more is given up: everything of ours has to be in it.
        let mut finalizers: Vec<&str> = facts.finalizers.iter().map(String::as_str).collect();
        finalizers.retain(|one| is_ours(one) && *one != finalizer);
        finalizers.push(finalizer);
        let mut object = json!({
            "apiVersion": name.kind.api_version(),
            "kind": name.kind.name(),
            // Of an object that is gone, the UID keeps another from being made.
            "metadata": {"name": name.name, "namespace": name.namespace, "uid": facts.uid, "finalizers": finalizers},
        });
        if let Some(plan) = plan {
            object["metadata"]["annotations"] = json!({plan::ANNOTATION: plan.text});
        }
        let what = match marked {
            true => What::Plan,
            false => What::Finalizer,
        };
        let answer = self.api.patch(what, name, false, Patch::Apply(object));
        self.known.see(&answer.await?);
        Ok(true)
    }

    /// Removes the plan where it is, whoever wrote it; whether something was written.
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

    /// Removes a finalizer where it is; whether something was written.
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
            if !facts.has(finalizer) {
                return Ok(false);
            }
            let mut rest = facts.finalizers.clone();
            rest.retain(|one| one != finalizer);
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

//! Writes the results of one stack in the order of AWS's controller: finalizers first, then the plan and
//! the status, then the release of members that left, then the event.

use std::sync::Arc;

use elbow_manifest::cluster::{Made, Member, Outcome, Reconciled};
use elbow_model::diagnostic::{Diagnostic, Severity};
use kube::Error;
use kube::api::Patch;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Inner;
use super::api::{Kind, Name, What, code, reason};
use super::events::{Cause, EventText, line};
use super::facts::{Facts, digest};
use super::plan::{self, Plan};
use super::status::{self, ANNOUNCE_AFTER};
use crate::Served;

/// The result of a stack to write.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) reconciled: Reconciled,
    pub(super) served: Option<Served>,
    pub(super) deploy_failure: Option<String>,
}

/// Why a job is not done.
#[derive(Debug)]
pub(super) enum JobError {
    /// It failed and must be retried.
    Failed(Error),
    /// The API server rejects it until something changes.
    Rejected(Error),
    /// Another controller writes the same fields; the job waits.
    Postponed(Instant),
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        match code(&error) {
            Some(400 | 422) => Self::Rejected(error),
            _ => Self::Failed(error),
        }
    }
}

/// A failed step: the reason of its event, the prefix of its message, and the error.
struct Failed(&'static str, &'static str, Error);

/// Codes that AWS's controller reports when it loads the group of an Ingress.
const NO_GROUP: &[&str] = &[
    "invalid-group",
    "namespace-not-selected",
    "two-default-classes",
    "unknown-ingress-class",
    "unknown-parameters",
];
/// Codes for an Ingress with different classes in its annotation and its field.
const CLASSES: &[&str] = &["conflicting-class", "conflicting-ingress-class"];

/// Codes that change with pods and nodes: they would cause an event with every rolling update.
const PASSING: &[&str] = &["no-endpoints", "no-nodes", "target-outside-zones"];

/// The event of a refused stack.
fn refusal(found: &Diagnostic) -> EventText {
    let line = line(found);
    match found.code {
        code if NO_GROUP.contains(&code) => EventText::warning(
            "FailedLoadGroupID",
            format!("failed load groupID due to {line}"),
        ),
        code if CLASSES.contains(&code) => EventText::warning("ConflictingIngressClass", line),
        _ => EventText::warning(
            "FailedBuildModel",
            format!("Failed build model due to {line}"),
        ),
    }
}

/// The event of a serving stack. It includes warnings, because AWS's controller has no event of their own for them.
fn success(warnings: &[Diagnostic]) -> EventText {
    let lasting =
        |found: &&Diagnostic| found.severity == Severity::Warning && !PASSING.contains(&found.code);
    let mut warnings: Vec<String> = warnings.iter().filter(lasting).map(line).collect();
    warnings.dedup();
    let message = if warnings.is_empty() {
        "Successfully reconciled".to_owned()
    } else {
        format!("Successfully reconciled, but: {}", warnings.join(". "))
    };
    EventText::normal("SuccessfullyReconciled", message)
}

fn name_of(member: &Member) -> Option<Name> {
    Some(Name {
        kind: Kind::of_member(member.kind)?,
        namespace: member.namespace.clone(),
        name: member.name.clone(),
    })
}

pub(super) fn names(members: &[Member]) -> impl Iterator<Item = (Name, &str)> {
    let named = members.iter();
    named.filter_map(|member| Some((name_of(member)?, &*member.uid)))
}

impl Inner {
    /// Writes the differences; returns whether there were any.
    pub(super) async fn write(&self, task: &Task) -> Result<bool, JobError> {
        let Reconciled {
            members, outcome, ..
        } = &task.reconciled;
        let marked = match outcome {
            Outcome::Refused(found) if !found.is_error() => return Ok(false),
            Outcome::Made(made) => self.mark_members(task, Some(made)).await,
            _ => self.mark_members(task, None).await,
        };
        let wrote = match marked {
            Ok(wrote) => wrote,
            Err(failed) => return Err(self.fail(task, failed)),
        };
        let made = match outcome {
            Outcome::Refused(found) => {
                self.announce_all(members, &refusal(found), Cause::State);
                return Ok(wrote);
            }
            Outcome::Made(made) => Some(made),
            Outcome::Gone => None,
        };
        if let Some(failure) = &task.deploy_failure {
            let message = format!("Failed deploy model due to {failure}");
            let text = EventText::warning("FailedDeployModel", message);
            self.announce_all(members, &text, Cause::State);
            return Ok(wrote);
        }
        self.finish(task, made, wrote).await
    }

    /// Writes the status, releases members that left, and announces success.
    async fn finish(
        &self,
        task: &Task,
        made: Option<&Arc<Made>>,
        mut wrote: bool,
    ) -> Result<bool, JobError> {
        let mut postponed = None;
        if let (Some(made), Some(served)) = (made, &task.served) {
            for (name, uid) in names(&task.reconciled.members) {
                match self.update_status(task, made, served, &name, uid).await {
                    Ok(Ok(written)) => wrote |= written,
                    Ok(Err(until)) => postponed = Some(until),
                    Err(error) => {
                        let failed =
                            Failed("FailedUpdateStatus", "Failed update status due to", error);
                        return Err(self.fail(task, failed));
                    }
                }
            }
        }
        for (name, uid) in names(&task.reconciled.leaving) {
            match self
                .release_member(&name, uid, &task.reconciled.finalizer)
                .await
            {
                Ok(written) => wrote |= written,
                Err(failed) => return Err(self.fail(task, failed)),
            }
        }
        if let Some(until) = postponed {
            return Err(JobError::Postponed(until));
        }
        if let Some(made) = made {
            let cause = Cause::Change {
                fingerprint: digest(&made.stack.to_json().to_string()),
                wrote,
            };
            let text = success(&task.reconciled.diagnostics);
            self.announce_all(&task.reconciled.members, &text, cause);
        }
        Ok(wrote)
    }

    async fn mark_members(&self, task: &Task, made: Option<&Arc<Made>>) -> Result<bool, Failed> {
        let Reconciled {
            members, finalizer, ..
        } = &task.reconciled;
        // An object outside any stack gets only events.
        if finalizer.is_empty() {
            return Ok(false);
        }
        let failed = |error| Failed("FailedAddFinalizer", "Failed add finalizer due to", error);
        let mut wrote = false;
        for (n, (name, uid)) in names(members).enumerate() {
            let Some(facts) = self.facts(&name, uid).await.map_err(failed)? else {
                continue;
            };
            let wants_plan = self.options.dry_run_plan && n == 0 && name.kind == Kind::Ingress;
            let plan = match made {
                Some(made) if wants_plan => self.plan(&name, uid, made),
                _ => None,
            };
            let marked = self.mark(&name, &facts, finalizer, plan.as_ref()).await;
            wrote |= match marked {
                // Deleted meanwhile: another reconcile follows.
                Err(error) if code(&error) == Some(404) => false,
                marked => marked.map_err(failed)?,
            };
            // It may have been the first member once; only the first has the plan.
            if self.options.dry_run_plan && n > 0 && made.is_some() {
                wrote |= self.unplan(&name, &facts).await.map_err(failed)?;
            }
        }
        Ok(wrote)
    }

    /// The plan, if it fits into the annotation.
    fn plan(&self, name: &Name, uid: &str, made: &Made) -> Option<Plan> {
        let plan = Plan::of(&made.stack);
        let topic = format!("{uid} plan");
        if plan.text.len() <= plan::LONGEST {
            self.forget_announced(&topic);
            return Some(plan);
        }
        let message = format!(
            "{} would have {} bytes, but all annotations of an object may have 256 KiB: use `elbow plan -o stack`",
            plan::ANNOTATION,
            plan.text.len()
        );
        let text = EventText::warning("DryRunPlanTooLarge", message);
        self.announce(topic, name, uid, &text, Cause::State);
        None
    }

    /// Writes the status of a member if it differs; the inner error is the time when it may be written.
    async fn update_status(
        &self,
        task: &Task,
        made: &Made,
        served: &Served,
        name: &Name,
        uid: &str,
    ) -> Result<Result<bool, Instant>, Error> {
        let Some(facts) = self.facts(name, uid).await?.filter(|facts| !facts.deleting) else {
            return Ok(Ok(false));
        };
        let address = self.options.status_address;
        let wanted = status::wanted(name.kind, &facts, &task.reconciled, made, served, address);
        if status::same(&wanted, &facts.addresses) {
            self.other_writers.wrote(name, &wanted);
            return Ok(Ok(false));
        }
        let (until, times) = self.other_writers.may_write(name);
        if times >= ANNOUNCE_AFTER {
            self.announce_other_writer(name, uid).await;
        }
        if let Some(until) = until {
            return Ok(Err(until));
        }
        // Recorded first: the watch may deliver it before the answer arrives.
        self.other_writers.wrote(name, &wanted);
        let status = json!({"loadBalancer": {"ingress": wanted}});
        self.apply_status(name, &facts, status).await.map(Ok)
    }

    /// Applies a status; returns whether the object exists.
    async fn apply_status(&self, name: &Name, facts: &Facts, status: Value) -> Result<bool, Error> {
        let object = json!({
            "apiVersion": name.kind.api_version(),
            "kind": name.kind.name(),
            "metadata": {"name": name.name, "namespace": name.namespace, "uid": facts.uid},
            "status": status,
        });
        let answer = self
            .api
            .patch(What::Status, name, true, Patch::Apply(object));
        match answer.await {
            Ok(object) => {
                self.known.see(&object);
                Ok(true)
            }
            Err(error) if code(&error) == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn announce_other_writer(&self, name: &Name, uid: &str) {
        let writers = match self.api.get(name).await {
            Ok(object) => status::writers(&object),
            Err(_) => return,
        };
        let message = format!(
            "Failed update status due to another writer of status.loadBalancer: {}. elbow overwrites it, with back-off; leave \
             the object to one controller",
            writers.join(", ")
        );
        let text = EventText::warning("FailedUpdateStatus", message);
        let topic = format!("{uid} writer");
        self.announce(topic, name, uid, &text, Cause::State);
    }

    /// Releases an object that left the stack: the status of a Service, and the finalizer.
    async fn release_member(
        &self,
        name: &Name,
        uid: &str,
        finalizer: &str,
    ) -> Result<bool, Failed> {
        let failed = |error| {
            Failed(
                "FailedRemoveFinalizer",
                "Failed remove finalizer due to",
                error,
            )
        };
        let Some(facts) = self.facts(name, uid).await.map_err(failed)? else {
            return Ok(false);
        };
        self.other_writers.forget(name);
        // AWS's controller keeps the status of an Ingress. Apply removes only our own fields, so another manager's
        // status stays.
        let clears = name.kind == Kind::Service && !facts.deleting && facts.has(finalizer);
        if clears && !facts.addresses.is_null() {
            let cleared = self.apply_status(name, &facts, json!({})).await;
            cleared.map_err(|e| Failed("FailedCleanupStatus", "Failed update status due to", e))?;
        }
        self.release(name, uid, finalizer).await.map_err(failed)
    }

    /// Announces a failed step to the members, or to the Service itself if it leaves.
    fn fail(&self, task: &Task, Failed(what, prefix, error): Failed) -> JobError {
        let Reconciled {
            members, leaving, ..
        } = &task.reconciled;
        // While the API server is away, events cannot be written either.
        if code(&error).is_some_and(|code| code < 500 && code != 409) {
            let text = EventText::warning(what, format!("{prefix} {}", reason(&error)));
            let recipients = match leaving.first() {
                Some(service) if members.is_empty() && service.kind == "Service" => leaving,
                _ => members,
            };
            self.announce_all(recipients, &text, Cause::State);
        }
        error.into()
    }

    fn announce_all(&self, members: &[Member], text: &EventText, cause: Cause) {
        for (name, uid) in names(members) {
            self.announce(uid.to_owned(), &name, uid, text, cause);
        }
    }
}

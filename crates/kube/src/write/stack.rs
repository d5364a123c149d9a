//! What is written of one stack, in the order of AWS's controller: finalizers before anything is announced, then the plan and
//! the status, then what has left is let go, then the event.

use std::sync::Arc;

use elbow_manifest::cluster::{Made, Member, Outcome, Reconciled};
use elbow_model::diagnostic::{Diagnostic, Severity};
use kube::Error;
use kube::api::Patch;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Inner;
use super::api::{Kind, Name, What, code, reason};
use super::events::{Since, Tale, line};
use super::facts::{Facts, digest};
use super::plan::{self, Plan};
use super::status::{self, TOLD_FROM};
use crate::Served;

/// What is to be written of a stack.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) reconciled: Reconciled,
    pub(super) served: Option<Served>,
    pub(super) deploy_failure: Option<String>,
}

/// Why a job is not done.
#[derive(Debug)]
pub(super) enum Undone {
    /// It has to be tried again.
    Failed(Error),
    /// The API server will say the same again, until something changes.
    Refused(Error),
    /// Another writes the same; this one waits.
    Postponed(Instant),
}

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        match code(&error) {
            Some(400 | 422) => Self::Refused(error),
            _ => Self::Failed(error),
        }
    }
}

/// A step that failed: the reason of its event, what comes before the API server's words, and these.
struct Failed(&'static str, &'static str, Error);

/// Codes of what AWS's controller finds when it looks for the group of an Ingress.
const NO_GROUP: &[&str] = &[
    "invalid-group",
    "namespace-not-selected",
    "two-default-classes",
    "unknown-ingress-class",
    "unknown-parameters",
];
/// Codes of an Ingress whose annotation and field name different classes.
const CLASSES: &[&str] = &["conflicting-class", "conflicting-ingress-class"];

/// Codes of what comes and goes with pods and nodes: it would be told with every roll-out.
const PASSING: &[&str] = &["no-endpoints", "no-nodes"];

/// The event of a stack that is refused.
fn refusal(found: &Diagnostic) -> Tale {
    let line = line(found);
    match found.code {
        code if NO_GROUP.contains(&code) => Tale::warning(
            "FailedLoadGroupID",
            format!("failed load groupID due to {line}"),
        ),
        code if CLASSES.contains(&code) => Tale::warning("ConflictingIngressClass", line),
        _ => Tale::warning(
            "FailedBuildModel",
            format!("Failed build model due to {line}"),
        ),
    }
}

/// The event of a stack that serves. What it cannot do stands in it, for AWS's controller has no event of its own for that.
fn success(warnings: &[Diagnostic]) -> Tale {
    let lasting =
        |found: &&Diagnostic| found.severity == Severity::Warning && !PASSING.contains(&found.code);
    let mut warnings: Vec<String> = warnings.iter().filter(lasting).map(line).collect();
    warnings.dedup();
    let message = match warnings.is_empty() {
        true => "Successfully reconciled".to_owned(),
        false => format!("Successfully reconciled, but: {}", warnings.join(". ")),
    };
    Tale::normal("SuccessfullyReconciled", message)
}

fn name_of(member: &Member) -> Option<Name> {
    Some(Name {
        kind: Kind::parse(member.kind)?,
        namespace: member.namespace.clone(),
        name: member.name.clone(),
    })
}

pub(super) fn names(members: &[Member]) -> impl Iterator<Item = (Name, &str)> {
    let named = members.iter();
    named.filter_map(|member| Some((name_of(member)?, &*member.uid)))
}

impl Inner {
    /// Writes what differs; whether anything did.
    pub(super) async fn write(&self, task: &Task) -> Result<bool, Undone> {
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
            Err(failed) => return Err(self.fail(task, failed).await),
        };
        let made = match outcome {
            Outcome::Refused(found) => {
                self.tell_all(members, &refusal(found), Since::Always).await;
                return Ok(wrote);
            }
            Outcome::Made(made) => Some(made),
            Outcome::Gone => None,
        };
        if let Some(failure) = &task.deploy_failure {
            let message = format!("Failed deploy model due to {failure}");
            let tale = Tale::warning("FailedDeployModel", message);
            self.tell_all(members, &tale, Since::Always).await;
            return Ok(wrote);
        }
        self.finish(task, made, wrote).await
    }

    /// Status, what left, and the event of success.
    async fn finish(
        &self,
        task: &Task,
        made: Option<&Arc<Made>>,
        mut wrote: bool,
    ) -> Result<bool, Undone> {
        let mut postponed = None;
        if let (Some(made), Some(served)) = (made, &task.served) {
            for (name, uid) in names(&task.reconciled.members) {
                match self.update_status(task, made, served, &name, uid).await {
                    Ok(Ok(written)) => wrote |= written,
                    Ok(Err(until)) => postponed = Some(until),
                    Err(error) => {
                        let failed =
                            Failed("FailedUpdateStatus", "Failed update status due to", error);
                        return Err(self.fail(task, failed).await);
                    }
                }
            }
        }
        for (name, uid) in names(&task.reconciled.leaving) {
            match self.let_go(&name, uid, &task.reconciled.finalizer).await {
                Ok(written) => wrote |= written,
                Err(failed) => return Err(self.fail(task, failed).await),
            }
        }
        if let Some(until) = postponed {
            return Err(Undone::Postponed(until));
        }
        if let Some(made) = made {
            let since = Since::Change {
                fingerprint: digest(&made.stack.to_json().to_string()),
                wrote,
            };
            let tale = success(&task.reconciled.diagnostics);
            self.tell_all(&task.reconciled.members, &tale, since).await;
        }
        Ok(wrote)
    }

    async fn mark_members(&self, task: &Task, made: Option<&Arc<Made>>) -> Result<bool, Failed> {
        let Reconciled {
            members, finalizer, ..
        } = &task.reconciled;
        // An object that is in no stack is only told of.
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
                Some(made) if wants_plan => self.plan(&name, uid, made).await,
                _ => None,
            };
            let marked = self.mark(&name, &facts, finalizer, plan.as_ref()).await;
            wrote |= match marked {
                // Deleted meanwhile: what follows is another reconcile.
                Err(error) if code(&error) == Some(404) => false,
                marked => marked.map_err(failed)?,
            };
            // It was the first once: of a group one member has the plan.
            if self.options.dry_run_plan && n > 0 && made.is_some() {
                wrote |= self.unplan(&name, &facts).await.map_err(failed)?;
            }
        }
        Ok(wrote)
    }

    /// The plan, if it fits into an annotation.
    async fn plan(&self, name: &Name, uid: &str, made: &Made) -> Option<Plan> {
        let plan = Plan::of(&made.stack);
        let topic = format!("{uid} plan");
        if plan.text.len() <= plan::LONGEST {
            self.silence(&topic);
            return Some(plan);
        }
        let message = format!(
            "{} would have {} bytes, and all annotations of an object may have 256 KiB: `elbow plan -o stack` prints it",
            plan::ANNOTATION,
            plan.text.len()
        );
        let tale = Tale::warning("DryRunPlanTooLarge", message);
        self.announce(topic, name, uid, &tale, Since::Always).await;
        None
    }

    /// Writes the status of a member if it is another; the inner error is when it may be written.
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
            self.rivals.wrote(name, &wanted);
            return Ok(Ok(false));
        }
        let (until, times) = self.rivals.may_write(name);
        if times >= TOLD_FROM {
            self.tell_of_rival(name, uid).await;
        }
        if let Some(until) = until {
            return Ok(Err(until));
        }
        // Noted first: a watch may bring it before the answer is here.
        self.rivals.wrote(name, &wanted);
        let status = json!({"loadBalancer": {"ingress": wanted}});
        self.apply_status(name, &facts, status).await.map(Ok)
    }

    /// Applies a status; whether there was an object for it.
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

    async fn tell_of_rival(&self, name: &Name, uid: &str) {
        let writers = match self.api.get(name).await {
            Ok(object) => status::writers(&object),
            Err(_) => return,
        };
        let message = format!(
            "Failed update status due to another writer of status.loadBalancer: {}. It is overwritten, ever more rarely; leave \
             the object to one controller",
            writers.join(", ")
        );
        let tale = Tale::warning("FailedUpdateStatus", message);
        let topic = format!("{uid} rival");
        self.announce(topic, name, uid, &tale, Since::Always).await;
    }

    /// Lets an object go that has left: its status, when it is a Service, and its finalizer.
    async fn let_go(&self, name: &Name, uid: &str, finalizer: &str) -> Result<bool, Failed> {
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
        self.rivals.forget(name);
        // AWS's controller leaves an Ingress its status. What is applied no more is given up, so that what another has
        // written by now stays.
        let clears = name.kind == Kind::Service && !facts.deleting && facts.has(finalizer);
        if clears && !facts.addresses.is_null() {
            let cleared = self.apply_status(name, &facts, json!({})).await;
            cleared.map_err(|e| Failed("FailedCleanupStatus", "Failed update status due to", e))?;
        }
        self.release(name, uid, finalizer).await.map_err(failed)
    }

    /// Tells the members of a step that failed; of a Service that leaves, itself.
    async fn fail(&self, task: &Task, Failed(what, prefix, error): Failed) -> Undone {
        let Reconciled {
            members, leaving, ..
        } = &task.reconciled;
        // When the API server is away there is nobody to tell.
        if code(&error).is_some_and(|code| code < 500 && code != 409) {
            let tale = Tale::warning(what, format!("{prefix} {}", reason(&error)));
            let whom = match leaving.first() {
                Some(service) if members.is_empty() && service.kind == "Service" => leaving,
                _ => members,
            };
            self.tell_all(whom, &tale, Since::Always).await;
        }
        error.into()
    }

    async fn tell_all(&self, members: &[Member], tale: &Tale, since: Since) {
        for (name, uid) in names(members) {
            self.announce(uid.to_owned(), &name, uid, tale, since).await;
        }
    }
}

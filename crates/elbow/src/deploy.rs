//! Applies models to the plane, logs changes and reports failures.

use std::io;
use std::sync::Arc;

use elbow_desired::{Attempt, Cause, Desired, Failure};
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{LoadBalancer, Model, Origin};
use elbow_native::{Change, diff, summary};
use elbow_plane::{ApplyError, Plane};
use elbow_telemetry::stderr;
use tracing::{error, info};

use crate::loaded::report;
use crate::{authority, dualstack, placed, process::Failure as Exit};

/// The number of changes to log in full for one model.
const CHANGES_LOGGED: usize = 20;

/// Serves as much of `model` as possible with a plane that serves nothing yet, and reports failures. `origin` returns the
/// origin of a load balancer.
///
/// # Errors
/// Nothing can be served.
pub(crate) fn begin(
    plane: &Plane,
    model: &Model,
    origin: impl Fn(&str) -> Option<Origin>,
) -> Result<Desired, Exit> {
    let mut desired = Desired::default();
    let attempt = desired.serve(model, true, |candidate| apply(plane, candidate));
    if attempt.is_complete {
        return Ok(desired);
    }
    if desired.in_force().load_balancers.is_empty() {
        return Err(refusal(&attempt.new));
    }
    report_failures(&attempt, origin);
    plane.set_left_out(desired.not_serving());
    plane.reload_failed();
    Ok(desired)
}

/// Converts failures to that of the process, if nothing is served.
fn refusal(failures: &[Failure]) -> Exit {
    let is_input = |failure: &&Failure| failure.cause == Cause::Input;
    let input: Vec<Diagnostic> = failures
        .iter()
        .filter(is_input)
        .map(|failure| failure.diagnostic.clone())
        .collect();
    let first = failures.iter().find(|failure| !is_input(failure));
    let Some(first) = first.filter(|_| input.is_empty()) else {
        // A closed stderr cannot be reported anywhere.
        let _ = report(&input, &mut stderr());
        return Exit::Input;
    };
    let message = match failures.len() {
        1 => first.diagnostic.message.clone(),
        n => format!("{} (and {} more like it)", first.diagnostic.message, n - 1),
    };
    Exit::environment(
        message,
        first.diagnostic.hint.as_deref().unwrap_or_default(),
    )
}

/// Reports new failures and failures that are resolved.
pub(crate) fn report_failures(attempt: &Attempt, origin: impl Fn(&str) -> Option<Origin>) {
    let placed = |failure: &Failure| {
        let found = failure.diagnostic.clone();
        let name = failure.load_balancer.as_deref();
        match name.and_then(&origin).filter(|_| found.file.is_empty()) {
            Some(origin) => origin.place(found),
            None => found,
        }
    };
    let new: Vec<Diagnostic> = attempt.new.iter().map(placed).collect();
    if !new.is_empty() {
        // A closed stderr cannot be reported anywhere.
        let _ = report(&new, &mut stderr());
    }
    for failure in &attempt.new {
        let name = failure.load_balancer.as_deref().unwrap_or_default();
        error!(
            load_balancer = name,
            "not served as configured, other load balancers are unaffected: {}",
            failure.message()
        );
    }
    for failure in &attempt.over {
        let name = failure.load_balancer.as_deref().unwrap_or_default();
        info!(
            load_balancer = name,
            "no longer fails: {}",
            failure.message()
        );
    }
}

/// Serves all of `model` with `plane`, including self-signed certificates of the local authority, and logs the changes.
///
/// # Errors
/// All failures; nothing changes in that case.
pub(crate) fn apply(plane: &Plane, model: Model) -> Result<(), Vec<Failure>> {
    let model = authority::resolve(model.clone()).map_err(|refused| unissued(&model, &refused))?;
    apply_all(plane, model).map_err(|error| failures(&error))
}

/// As [`apply`], for a model without self-signed certificates.
///
/// # Errors
/// As [`Plane::apply`].
pub(crate) fn apply_all(plane: &Plane, model: Model) -> Result<(), ApplyError> {
    let applied = plane.apply(model)?;
    log(applied.generation, &diff(&applied.before, &applied.now));
    if !applied.stale.is_empty() {
        // A closed stderr cannot be reported anywhere.
        let _ = report(&applied.stale, &mut stderr());
    }
    for stale in &applied.stale {
        error!("the previous content stays in force: {}", stale.message);
    }
    placed::keep(plane, &applied);
    dualstack::tell(plane, &applied);
    Ok(())
}

fn log(generation: u64, changes: &[Change]) {
    for change in changes.iter().take(CHANGES_LOGGED) {
        info!(generation, "{change}");
    }
    if changes.len() > CHANGES_LOGGED {
        let all = summary(changes);
        let more = changes.len() - CHANGES_LOGGED;
        info!(generation, "and {more} more: {all}");
    }
}

/// The failure of a process that cannot serve anything.
#[cfg(feature = "demo")]
pub(crate) fn refused(error: &ApplyError) -> Exit {
    refusal(&failures(error))
}

/// The failures in an error of the plane.
fn failures(error: &ApplyError) -> Vec<Failure> {
    error.failures.iter().flat_map(of_plane).collect()
}

/// A failure for each affected load balancer.
fn of_plane(failure: &elbow_plane::Failure) -> Vec<Failure> {
    let (cause, socket, diagnostic) = match &failure.cause {
        elbow_plane::Cause::Invalid(diagnostic) => (Cause::Input, None, diagnostic.clone()),
        elbow_plane::Cause::Bind { address, source } => {
            let found = Diagnostic::error("cannot-listen", failure.to_string());
            let found = match hint(source.kind()) {
                Some(hint) => found.hint(hint),
                None => found,
            };
            (Cause::Environment, Some(*address), found)
        }
        elbow_plane::Cause::PoolFull { .. } => {
            let found = Diagnostic::error("address-pool-full", failure.to_string());
            let found = found.hint("choose a larger --address-pool");
            (Cause::Environment, None, found)
        }
    };
    let of = |name: Option<&Arc<str>>| Failure {
        listener: failure.listener.map(|listener| listener.port),
        socket,
        ..Failure::new(name.cloned(), cause, diagnostic.clone())
    };
    match failure.load_balancers.as_slice() {
        [] => vec![of(None)],
        names => names.iter().map(Some).map(of).collect(),
    }
}

/// The hint for a socket that cannot be bound.
fn hint(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::PermissionDenied => Some(
            "ports below 1024 need root or `setcap cap_net_bind_service=+ep`; or add --port-offset 8000",
        ),
        io::ErrorKind::AddrInUse => Some(
            "another process listens there; `ss -ltnp` names it; or use --port-offset or --address-pool",
        ),
        io::ErrorKind::AddrNotAvailable => {
            Some("the address is not on this machine; choose one that is, or leave `addresses` out")
        }
        _ => None,
    }
}

/// The load balancers whose certificates cannot be issued.
fn unissued(model: &Model, refused: &[Diagnostic]) -> Vec<Failure> {
    let mut failures = Vec::new();
    for found in refused {
        let name = found.object.strip_prefix("certificate/");
        let uses = |lb: &&Arc<LoadBalancer>| {
            let mut certificates = lb.listeners.iter().flat_map(|l| &l.certificates);
            certificates.any(|one| name == Some(&*one.name))
        };
        let affected = model.load_balancers.iter().filter(uses);
        let mut affected: Vec<_> = affected.map(|lb| Some(Arc::clone(&lb.name))).collect();
        if affected.is_empty() {
            affected.push(None);
        }
        let failure = |name| Failure::new(name, Cause::Input, found.clone());
        failures.extend(affected.into_iter().map(failure));
    }
    failures
}

//! The running elbow to compare a plan with.

use std::net::SocketAddr;
use std::time::Duration;

use elbow_admin::Token;
use elbow_model::Model;
use elbow_model::diagnostic::{Diagnostic, Severity};
use serde_json::Value;

use super::changes::{self, Changes};
use crate::args::{AddressOrOff, DEFAULT_ADMIN, PlanArgs};
use crate::process::Failure;
use crate::{admin, authority, token};

/// How long to wait for an elbow at the default address, which may not run.
const PROBE: Duration = Duration::from_secs(1);

/// The configuration of a running elbow.
pub(crate) struct Running {
    /// Its admin address, or the name of its pod.
    address: String,
    /// The answer of its `/config`.
    config: Value,
}

/// The elbow that `args` name, or the one at the default address if it answers.
///
/// # Errors
/// An elbow is named, or needed for the exit code, and none answers.
pub(crate) fn ask(args: &PlanArgs) -> Result<Option<Running>, Failure> {
    let token = token::to_present(&args.token)?;
    let token = token.as_ref();
    let found = match args.admin {
        #[cfg(feature = "controller")]
        None if args.look.cluster => crate::cluster::ask(&args.look.which, "/config", token)?
            .map(|(pod, config)| checked(pod, config))
            .transpose()?,
        Some(AddressOrOff(Some(address))) => config(address, token, admin::TIMEOUT).map(Some)?,
        Some(AddressOrOff(None)) => None,
        None => {
            let address: Result<SocketAddr, _> = DEFAULT_ADMIN.parse();
            address
                .ok()
                .and_then(|address| config(address, token, PROBE).ok())
        }
    };
    if found.is_none() && args.detailed_exitcode {
        let what = "--detailed-exitcode needs a running elbow to compare with, and none was found";
        return Err(Failure::environment(
            what,
            "start elbow run, or name it with --admin",
        ));
    }
    Ok(found)
}

fn config(
    address: SocketAddr,
    token: Option<&Token>,
    timeout: Duration,
) -> Result<Running, Failure> {
    let config = admin::ask(address, "/config", token, timeout)?;
    checked(address.to_string(), config)
}

fn checked(address: String, config: Value) -> Result<Running, Failure> {
    if config["loadBalancers"].is_array() {
        return Ok(Running { address, config });
    }
    let what = format!(
        "{address} answers, but is not an elbow admin address: its /config has no load balancers"
    );
    Err(Failure::environment(
        what,
        "name another address with --admin",
    ))
}

impl Running {
    /// The note that there is no comparison: a reload keeps load balancers whose manifests have errors, so a plan with
    /// errors does not show what would change.
    pub(crate) fn not_compared(&self) -> Diagnostic {
        let message = format!("cannot compare with {}: the input has errors", self.address);
        Diagnostic::new(Severity::Note, "not-compared", message)
    }

    /// The changes that `planned` would make.
    pub(crate) fn compare(&self, planned: &Model) -> Changes {
        // The running elbow has the files of issued certificates where the plan still has requests.
        let planned = authority::locate(planned.clone());
        changes::compare(&self.config, &planned, self.address.clone())
    }
}

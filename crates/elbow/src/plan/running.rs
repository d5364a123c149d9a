//! The elbow that runs, to compare with.

use std::net::SocketAddr;
use std::time::Duration;

use elbow_admin::Token;
use elbow_model::Model;
use elbow_model::diagnostic::{Diagnostic, Severity};
use serde_json::Value;

use super::changes::{self, Changes};
use crate::cli::{AddressOrOff, DEFAULT_ADMIN, PlanArgs};
use crate::{Failure, admin, cert};

/// For an elbow that nobody said is there.
const PROBE: Duration = Duration::from_secs(1);

/// What an elbow serves.
pub(crate) struct Running {
    /// Its admin address, or its pod.
    address: String,
    /// As its `/config` shows it.
    config: Value,
}

/// The elbow that `args` name, or the one at the default address if one is there.
///
/// # Errors
/// The environment's: when an elbow is named, or needed for the exit code, and none answers.
pub(crate) fn ask(args: &PlanArgs) -> Result<Option<Running>, Failure> {
    let token = args.token.to_ask()?;
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
        let what = "--detailed-exitcode tells changes, and no elbow runs to compare with";
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
    let what = format!("what answers on {address} is no elbow: its /config has no load balancers");
    Err(Failure::environment(what, "--admin names another address"))
}

impl Running {
    /// The note that nobody knows what would change: a reload keeps what it is told wrongly about.
    pub(crate) fn not_compared(&self) -> Diagnostic {
        let message = format!(
            "what would change at {} is not told while the input has errors",
            self.address
        );
        Diagnostic::new(Severity::Note, "not-compared", message)
    }

    /// What `planned` changes.
    pub(crate) fn compare(&self, planned: &Model) -> Changes {
        // What runs has the files of certificates that the plan wants issued.
        let planned = cert::locate(planned.clone());
        changes::compare(&self.config, &planned, self.address.clone())
    }
}

//! Why a model is not served.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use elbow_model::addresses::PoolFull;
use elbow_model::diagnostic::Diagnostic;
use elbow_net::open_files;

/// Why a model was not applied; what served before serves on.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The model cannot be served.
    #[error("{} error(s) in the configuration", .0.len())]
    Rejected(Vec<Rejection>),
    /// Listeners cannot have their sockets; not empty.
    #[error("{}", some(.0))]
    Bind(Vec<BindError>),
    /// The pool has no address left.
    #[error("{0}")]
    Addresses(#[from] PoolFull),
}

/// Something in a model that cannot be served.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// Whose it is; empty when no load balancer has to do with it.
    pub load_balancers: Vec<Arc<str>>,
    /// What is wrong.
    pub diagnostic: Diagnostic,
}

/// A listener that cannot have its socket.
#[derive(Debug, thiserror::Error)]
#[error(
    "load balancer \"{load_balancer}\", listener {port}: cannot listen on {address}: {source}{}",
    advice(source)
)]
pub struct BindError {
    /// Whose listener.
    pub load_balancer: Arc<str>,
    /// As configured.
    pub port: u16,
    /// What was asked for, offset included.
    pub address: SocketAddr,
    /// The system's answer.
    pub source: io::Error,
}

/// Why a load balancer keeps a model from being served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Without it the rest may be served; `None` when leaving one out does not help.
    pub load_balancer: Option<Arc<str>>,
    /// What is wrong with it.
    pub message: String,
}

impl ApplyError {
    /// Every load balancer that is at fault, once, so that the others can be served without them.
    pub fn failures(&self) -> Vec<Failure> {
        let mut failures = match self {
            Self::Rejected(rejections) => rejections.iter().flat_map(Rejection::failures).collect(),
            Self::Bind(errors) => errors.iter().map(BindError::failure).collect(),
            Self::Addresses(full) => {
                let failure = |name: &Arc<str>| Failure {
                    load_balancer: Some(Arc::clone(name)),
                    message: format!(
                        "the address pool {} has no address left, and others listen on these ports of those that it has",
                        full.pool
                    ),
                };
                full.load_balancers.iter().map(failure).collect::<Vec<_>>()
            }
        };
        failures.sort_by(|a, b| a.load_balancer.cmp(&b.load_balancer));
        failures.dedup_by(|a, b| a.load_balancer.is_some() && a.load_balancer == b.load_balancer);
        failures
    }
}

impl Rejection {
    fn failures(&self) -> Vec<Failure> {
        let failure = |load_balancer| Failure {
            load_balancer,
            message: self.diagnostic.message.clone(),
        };
        match self.load_balancers.as_slice() {
            [] => vec![failure(None)],
            names => names.iter().cloned().map(Some).map(failure).collect(),
        }
    }
}

impl BindError {
    fn failure(&self) -> Failure {
        Failure {
            load_balancer: Some(Arc::clone(&self.load_balancer)),
            message: self.to_string(),
        }
    }
}

/// The first of `errors`, and how many there are besides.
fn some(errors: &[BindError]) -> String {
    match errors {
        [] => String::new(),
        [error] => error.to_string(),
        [error, rest @ ..] => format!("{error} (and {} more like it)", rest.len()),
    }
}

fn advice(error: &io::Error) -> String {
    open_files::advice(error).map_or_else(String::new, |advice| format!("; {advice}"))
}

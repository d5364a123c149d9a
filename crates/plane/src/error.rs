//! Errors of applying a model.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use elbow_model::addresses::{Ipv4Net, PoolFull};
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Listener, Transport};
use elbow_net::open_files;

/// Why a model was not applied. The previous one still serves.
///
/// It contains all failures, so that a caller can leave out the load balancers in [`Failure::load_balancers`] and apply
/// the rest.
#[derive(Debug)]
pub struct ApplyError {
    /// Not empty. First load balancers without an address, then invalid parts, then listeners without a socket.
    pub failures: Vec<Failure>,
}

/// One thing that cannot be served.
#[derive(Debug)]
pub struct Failure {
    /// The load balancers to leave out so that the others can be served, in the order of the model. Empty if leaving out
    /// load balancers does not help.
    pub load_balancers: Vec<Arc<str>>,
    /// The listener at fault; `None` if it is the whole load balancer or something that several share.
    pub listener: Option<ListenerId>,
    /// What is wrong.
    pub cause: Cause,
}

/// A listener of a load balancer, as configured: without the port offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId {
    /// 1-65535.
    pub port: u16,
    /// TCP or UDP; together with the port unique within a load balancer.
    pub transport: Transport,
}

impl ListenerId {
    /// The listener's port and transport; the first one if it uses both.
    pub(crate) fn of(listener: &Listener) -> Self {
        Self {
            port: listener.port,
            transport: match listener.protocol.transports() {
                [first, ..] => *first,
                [] => Transport::Tcp,
            },
        }
    }
}

/// What is wrong.
#[derive(Debug)]
pub enum Cause {
    /// The model asks for something that cannot be served.
    Invalid(Diagnostic),
    /// The system refuses the socket of the listener.
    Bind {
        /// The address, including the port offset.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The address pool has no address left for the load balancer.
    PoolFull {
        /// The pool.
        pool: Ipv4Net,
    },
}

impl ApplyError {
    /// The failures of an invalid model.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.failures
            .iter()
            .filter_map(|failure| match &failure.cause {
                Cause::Invalid(diagnostic) => Some(diagnostic),
                Cause::Bind { .. } | Cause::PoolFull { .. } => None,
            })
    }

    /// The failures of the environment: unavailable sockets and addresses.
    pub fn environment(&self) -> impl Iterator<Item = &Failure> {
        let failures = self.failures.iter();
        failures.filter(|failure| !matches!(failure.cause, Cause::Invalid(_)))
    }
}

impl fmt::Display for ApplyError {
    /// The first failure of the environment and the number of others; without one, the number of errors in the model,
    /// which are diagnostics.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut environment = self.environment();
        let Some(first) = environment.next() else {
            return write!(f, "{} error(s) in the configuration", self.failures.len());
        };
        first.fmt(f)?;
        match environment.count() {
            0 => Ok(()),
            more => write!(f, " (and {more} more like it)"),
        }
    }
}

impl std::error::Error for ApplyError {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Invalid(diagnostic) => f.write_str(&diagnostic.message),
            Cause::Bind { address, source } => {
                self.write_subject(f)?;
                write!(f, "cannot listen on {address}: {source}")?;
                match open_files::advice(source) {
                    Some(advice) => write!(f, "; {advice}"),
                    None => Ok(()),
                }
            }
            Cause::PoolFull { pool } => {
                self.write_subject(f)?;
                write!(
                    f,
                    "the address pool {pool} has no address left, and its ports are taken on every address"
                )
            }
        }
    }
}

impl Failure {
    fn write_subject(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, load_balancer) in self.load_balancers.iter().enumerate() {
            let separator = if i > 0 { ", " } else { "" };
            write!(f, "{separator}load balancer \"{load_balancer}\"")?;
        }
        match self.listener {
            Some(listener) => write!(f, ", listener {}: ", listener.port),
            None => f.write_str(": "),
        }
    }

    /// The failure of an invalid listener.
    pub(crate) fn invalid_listener(
        load_balancer: &Arc<str>,
        listener: ListenerId,
        diagnostic: Diagnostic,
    ) -> Self {
        Self {
            load_balancers: vec![Arc::clone(load_balancer)],
            listener: Some(listener),
            cause: Cause::Invalid(
                diagnostic
                    .object(format!("loadBalancer/{load_balancer}"))
                    .field(format!("listeners[port {}]", listener.port)),
            ),
        }
    }

    /// The failures of load balancers without an address.
    pub(crate) fn pool_full(full: &PoolFull) -> impl Iterator<Item = Self> {
        full.load_balancers.iter().map(|name| Self {
            load_balancers: vec![Arc::clone(name)],
            listener: None,
            cause: Cause::PoolFull { pool: full.pool },
        })
    }
}

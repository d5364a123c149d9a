//! A request on its way to a target, which may change while no connection can be opened.

use std::sync::Arc;

use elbow_balance::{Group, InFlight};
use elbow_model::personality::ConnectRetry;

use crate::action::sticky::Session;
use crate::error::{ErrorKind, Side};
use crate::listener::Listener;
use crate::outgoing::additions::Additions;

/// A request on its way to a target.
#[derive(Debug)]
pub(crate) struct Forward {
    /// Counts the request at the target until this is dropped.
    pub(crate) in_flight: InFlight,
    /// The group of the target.
    pub(crate) group: Arc<Group>,
    session: Option<Box<Session>>,
    /// Values of Set-Cookie for the session of a user.
    cookies: Vec<String>,
    /// Serials of targets that no connection could be opened to; allocates after a failure alone.
    tried: Vec<u64>,
}

impl Forward {
    /// A request that was just counted at its target, a member of `group`.
    pub(super) fn new(
        in_flight: InFlight,
        group: Arc<Group>,
        session: Option<Box<Session>>,
        cookies: Vec<String>,
    ) -> Self {
        Self {
            in_flight,
            group,
            session,
            cookies,
            tried: Vec::new(),
        }
    }

    /// Moves to another target of the group after `error`, which came before any byte left, each
    /// target once; false when the group has none left, or does not try another.
    pub(crate) fn fail_over(&mut self, error: ErrorKind, worker: usize) -> bool {
        let target = self.in_flight.target();
        if error.side() == Side::Target {
            target.count_failure();
        }
        if !self.retries(error) {
            return false;
        }
        self.tried.push(target.serial);
        let Some(other) = self.group.choose_other(worker, &self.tried) else {
            return false;
        };
        self.in_flight = other.target.start();
        true
    }

    /// Whether another target is tried after `error` (`elbow.connect_failover.enabled`).
    fn retries(&self, error: ErrorKind) -> bool {
        match error {
            ErrorKind::ConnectFailed => self.group.config.attributes.connect_failover,
            ErrorKind::ConnectTimeout
            | ErrorKind::TargetTls
            | ErrorKind::TargetPublicKey
            | ErrorKind::TargetTlsTimeout => {
                self.group.personality.connect_retry == ConnectRetry::Always
            }
            _ => false,
        }
    }

    /// What is added to the target's response, written at `now`, in seconds since the epoch.
    pub(crate) fn additions(&self, listener: &Listener, now: u64) -> Additions {
        let session = self.session.as_deref();
        let mut cookies = session.map(|session| session.cookies(self.in_flight.target(), now));
        if !self.cookies.is_empty() {
            let always = &mut cookies.get_or_insert_default().always;
            always.extend(self.cookies.iter().cloned());
        }
        Additions {
            fields: listener.response_fields.clone(),
            cookies,
        }
    }
}

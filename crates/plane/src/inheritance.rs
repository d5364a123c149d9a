//! What another process passed to this one.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use elbow_model::TargetState;
use elbow_net::inherited::Inherited;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::listener_key::ListenerKey;
use crate::message::Sockets;
use crate::snapshot::{Changes, GroupState, Snapshot};

/// What a plane knows and its successor could not find out in time. Older and newer processes can read it: unknown fields
/// are ignored, and missing ones empty.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Heritage {
    /// The addresses that load balancers have from the pool, by name.
    pub(crate) addresses: BTreeMap<String, IpAddr>,
    pub(crate) health: Vec<Health>,
    pub(crate) ticket_keys: TicketKeys,
}

/// The keys of TLS session tickets.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct TicketKeys(pub(crate) Vec<Vec<u8>>);

impl fmt::Debug for TicketKeys {
    /// Without the keys, which are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

/// The health of a target.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Health {
    target_group: String,
    address: SocketAddr,
    is_healthy: bool,
    /// The number of the reason.
    reason: u32,
}

/// What another process passed, and the sockets that wait until this process accepts connections.
pub(crate) struct Inheritance {
    sockets: Arc<Inherited>,
    health: FxHashMap<(String, SocketAddr), Health>,
    held: Vec<Sockets>,
}

impl Inheritance {
    pub(crate) fn new(sockets: Arc<Inherited>, heritage: &Heritage) -> Self {
        let health = heritage.health.iter();
        let health = health.map(|one| ((one.target_group.clone(), one.address), one.clone()));
        Self {
            sockets,
            health: health.collect(),
            held: Vec::new(),
        }
    }

    /// The sockets that have waited.
    pub(crate) fn into_held(self) -> Vec<Sockets> {
        self.held
    }

    pub(crate) fn sockets(&self) -> &Inherited {
        &self.sockets
    }

    /// Keeps `opened` until connections are accepted, except those that are closed before.
    pub(crate) fn hold(&mut self, opened: Vec<Sockets>, closed: &[ListenerKey]) {
        self.held.retain(|sockets| !closed.contains(&sockets.key));
        self.held.extend(opened);
    }

    /// Gives the targets of changed groups the health that the other process knew.
    pub(crate) fn restore_health(&self, next: &Snapshot, changes: &Changes) {
        let groups = changes.groups.iter();
        for group in groups.filter_map(|name| next.groups.get(name)) {
            for target in group.registered() {
                let key = (group.group.config.name.to_string(), target.address);
                let is_new = target.state() == TargetState::Initial;
                if let Some(known) = self.health.get(&key).filter(|_| is_new) {
                    target.set_reason(known.reason);
                    target.set_state(if known.is_healthy {
                        TargetState::Healthy
                    } else {
                        TargetState::Unhealthy
                    });
                }
            }
        }
    }
}

impl Health {
    /// The health of the targets of a group that have one.
    pub(crate) fn of(group: &GroupState) -> impl Iterator<Item = Self> {
        group.registered().iter().filter_map(|target| {
            let is_healthy = match target.state() {
                TargetState::Healthy => true,
                TargetState::Unhealthy | TargetState::UnhealthyDraining => false,
                _ => return None,
            };
            Some(Self {
                target_group: group.group.config.name.to_string(),
                address: target.address,
                is_healthy,
                reason: target.reason(),
            })
        })
    }
}

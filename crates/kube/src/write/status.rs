//! What `kubectl get svc,ingress` shows as the address (control-plane.md 0.4).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use elbow_manifest::cluster::{CLEANUP_FINALIZER, Made, Reconciled};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{Kind, Name};
use super::facts::Facts;
use super::queue::doubled;
use crate::{Served, StatusAddress};

/// `status.loadBalancer.ingress` of a member.
///
/// Ports of an Ingress carry no protocol, as AWS's controller writes them: the API server takes that. A Classic load
/// balancer has a host name alone.
pub(super) fn wanted(
    kind: Kind,
    facts: &Facts,
    reconciled: &Reconciled,
    made: &Made,
    served: &Served,
    address: StatusAddress,
) -> Value {
    let ports: Vec<Value> = match kind {
        Kind::Ingress => {
            let mut ports: Vec<u16> = made.ports.iter().map(|(port, _)| *port).collect();
            ports.sort_unstable();
            ports.dedup();
            let port = |port: u16| json!({"port": port, "protocol": ""});
            ports.into_iter().map(port).collect()
        }
        _ if reconciled.finalizer == CLEANUP_FINALIZER => Vec::new(),
        _ => {
            let port =
                |(port, protocol): &(i64, String)| json!({"port": port, "protocol": protocol});
            facts.ports.iter().map(port).collect()
        }
    };
    let named = json!({"hostname": served.dns_name.to_lowercase()});
    let numbered = served.addresses.iter().map(|ip| match kind {
        // Otherwise kube-proxy would take the short way inside the cluster, past the load balancer.
        Kind::Service => json!({"ip": ip, "ipMode": "Proxy"}),
        _ => json!({"ip": ip}),
    });
    let mut entries: Vec<Value> = match address {
        StatusAddress::Ip if !served.addresses.is_empty() => numbered.collect(),
        StatusAddress::Both => std::iter::once(named).chain(numbered).collect(),
        _ => vec![named],
    };
    if !ports.is_empty() {
        for entry in &mut entries {
            entry["ports"] = ports.clone().into();
        }
    }
    entries.into()
}

/// Whether an address says the same as the API server has; the order of ports is nobody's.
pub(super) fn same(wanted: &Value, present: &Value) -> bool {
    let sorted = |value: &Value| {
        let mut value = value.clone();
        for entry in value.as_array_mut().into_iter().flatten() {
            if let Some(ports) = entry.get_mut("ports").and_then(Value::as_array_mut) {
                ports.sort_by_cached_key(Value::to_string);
            }
        }
        value
    };
    sorted(wanted) == sorted(present)
}

/// The wait before what another wrote is overwritten; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// After as long a peace the next time is a first one.
const PEACE: Duration = Duration::from_secs(900);
/// How often another has to write what is not ours before it is told.
pub(super) const TOLD_FROM: u32 = 3;

/// Others who write the same status: it is written anew, but later and later.
#[derive(Default)]
pub(super) struct Rivals(Mutex<HashMap<Name, Rival>>);

struct Rival {
    wrote: Value,
    times: u32,
    last: Instant,
    until: Instant,
}

impl Rivals {
    /// Takes note of what was written here.
    pub(super) fn wrote(&self, name: &Name, addresses: &Value) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let rival = all.entry(name.clone()).or_insert_with(|| Rival {
            wrote: Value::Null,
            times: 0,
            last: now,
            until: now,
        });
        rival.wrote = addresses.clone();
    }

    /// Takes note of what the API server has; when it is not what was written here, since when it may be written again.
    pub(super) fn saw(&self, name: &Name, addresses: &Value) -> Option<Instant> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rival = all.get_mut(name)?;
        if same(&rival.wrote, addresses) {
            return None;
        }
        let now = Instant::now();
        if now.duration_since(rival.last) > PEACE {
            rival.times = 0;
        }
        rival.until = now + doubled(FIRST_WAIT, rival.times, LONGEST_WAIT);
        rival.times = rival.times.saturating_add(1);
        rival.last = now;
        Some(rival.until)
    }

    /// When the status of `name` may be written, unless that is now; and how often another overwrote it.
    pub(super) fn may_write(&self, name: &Name) -> (Option<Instant>, u32) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rival) = all.get(name) else {
            return (None, 0);
        };
        (
            (rival.until > Instant::now()).then_some(rival.until),
            rival.times,
        )
    }

    pub(super) fn forget(&self, name: &Name) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(name);
    }
}

/// Who else wrote `status.loadBalancer` of an object, as its managed fields say.
pub(super) fn writers(object: &Value) -> Vec<String> {
    let managers = object["metadata"]["managedFields"].as_array();
    let writes = |entry: &&Value| {
        let status = &entry["fieldsV1"]["f:status"]["f:loadBalancer"];
        !status.is_null() && entry["manager"] != crate::FIELD_MANAGER
    };
    let managers = managers.into_iter().flatten().filter(writes);
    let names = managers.filter_map(|entry| entry["manager"].as_str());
    names.map(str::to_owned).collect()
}

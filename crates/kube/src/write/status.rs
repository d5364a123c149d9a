//! The address that `kubectl get svc,ingress` shows (control-plane.md 0.4).

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
/// Ports of an Ingress have an empty protocol, as AWS's controller writes them. A Classic load
/// balancer has only a host name.
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
    addresses(kind, served, address, &ports)
}

/// The addresses of a load balancer with its ports, and those of the one in front, which AWS's controller writes without
/// ports.
fn addresses(kind: Kind, served: &Served, address: StatusAddress, ports: &[Value]) -> Value {
    let mut all = entries(kind, served, address);
    if !ports.is_empty() {
        for entry in &mut all {
            entry["ports"] = ports.into();
        }
    }
    if let Some(front) = &served.front {
        all.extend(entries(kind, front, address));
    }
    all.into()
}

/// The addresses of one load balancer.
fn entries(kind: Kind, served: &Served, address: StatusAddress) -> Vec<Value> {
    let named = json!({"hostname": served.dns_name.to_lowercase()});
    let numbered = served.addresses.iter().map(|ip| match kind {
        // Otherwise kube-proxy would bypass the load balancer for clients inside the cluster.
        Kind::Service => json!({"ip": ip, "ipMode": "Proxy"}),
        _ => json!({"ip": ip}),
    });
    match address {
        StatusAddress::Ip if !served.addresses.is_empty() => numbered.collect(),
        StatusAddress::Both => std::iter::once(named).chain(numbered).collect(),
        _ => vec![named],
    }
}

/// Whether two addresses are equal, whatever the order of their ports.
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

/// The wait before elbow overwrites another writer's value; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// After this time without another writer, the wait starts at [`FIRST_WAIT`] again.
const QUIET: Duration = Duration::from_secs(900);
/// An event names the other writer after so many overwrites.
pub(super) const ANNOUNCE_AFTER: u32 = 3;

/// Other writers of the same status: elbow overwrites them with back-off.
#[derive(Default)]
pub(super) struct OtherWriters(Mutex<HashMap<Name, Conflict>>);

struct Conflict {
    wrote: Value,
    times: u32,
    last: Instant,
    until: Instant,
}

impl OtherWriters {
    /// Records what elbow wrote.
    pub(super) fn wrote(&self, name: &Name, addresses: &Value) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let conflict = all.entry(name.clone()).or_insert_with(|| Conflict {
            wrote: Value::Null,
            times: 0,
            last: now,
            until: now,
        });
        conflict.wrote = addresses.clone();
    }

    /// Records what the API server has; if another writer changed it, returns when elbow may write again.
    pub(super) fn saw(&self, name: &Name, addresses: &Value) -> Option<Instant> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let conflict = all.get_mut(name)?;
        if same(&conflict.wrote, addresses) {
            return None;
        }
        let now = Instant::now();
        if now.duration_since(conflict.last) > QUIET {
            conflict.times = 0;
        }
        conflict.until = now + doubled(FIRST_WAIT, conflict.times, LONGEST_WAIT);
        conflict.times = conflict.times.saturating_add(1);
        conflict.last = now;
        Some(conflict.until)
    }

    /// When the status of `name` may be written (`None`: now), and how often another writer has overwritten it.
    pub(super) fn may_write(&self, name: &Name) -> (Option<Instant>, u32) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(conflict) = all.get(name) else {
            return (None, 0);
        };
        (
            (conflict.until > Instant::now()).then_some(conflict.until),
            conflict.times,
        )
    }

    pub(super) fn forget(&self, name: &Name) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(name);
    }
}

/// The other managers that wrote `status.loadBalancer` of an object, from its managed fields.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// controllers/ingress/group_controller.go, updateIngressStatus.
    #[test]
    fn an_ingress_has_the_addresses_of_the_load_balancer_in_front() {
        let served = |name: &str, last| Served {
            dns_name: format!("{name}.Elb.Test"),
            addresses: vec![std::net::IpAddr::from([127, 0, 10, last])],
            front: None,
        };
        let both = Served {
            front: Some(Box::new(served("web-nlb", 2))),
            ..served("web", 1)
        };
        let ports = [json!({"port": 80, "protocol": ""})];
        let of = |address| addresses(Kind::Ingress, &both, address, &ports);
        assert_eq!(
            of(StatusAddress::Hostname),
            json!([{"hostname": "web.elb.test", "ports": ports}, {"hostname": "web-nlb.elb.test"}])
        );
        assert_eq!(
            of(StatusAddress::Ip),
            json!([{"ip": "127.0.10.1", "ports": ports}, {"ip": "127.0.10.2"}])
        );
    }
}

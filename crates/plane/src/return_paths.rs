//! Finds out which targets can answer to the addresses of clients.
//!
//! A target that sees a client's address sends its answers to the client. They return to this machine only if it is on their way,
//! and to the connection only if rules deliver them (`elbow netsetup`). Without either, a connection times out as to a dead
//! target. So a probe from an address of documentation tells the two apart before any client is concerned.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use elbow_balance::{Group, Target};
use elbow_model::personality::FlowTarget;
use elbow_model::{TargetGroup, TargetId};
use elbow_net::networks::Networks;
use elbow_net::source::{self, Source};
use rustc_hash::FxHashMap;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::snapshot::{GroupState, Snapshot};
use crate::task::Task;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The time between two probes of a target.
const INTERVAL: Duration = Duration::from_secs(30);
/// The sources of probes: addresses of documentation (RFC 5737, RFC 3849), which no client has.
const SOURCE_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const SOURCE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// Targets of a group that [`lacks`] connects to at most.
const MOST_PROBED: usize = 16;

/// Why the targets of `group`, which preserves the addresses of clients, cannot see them; empty if nothing is missing. Connects
/// to up to 16 targets on other machines, for up to two seconds.
pub async fn lacks(group: &TargetGroup) -> Vec<Lack> {
    if source::may_be_transparent().is_err() {
        return vec![Lack::Capability];
    }
    let (local, remote): (Vec<_>, Vec<_>) = addresses(group).partition(|at| at.ip().is_loopback());
    let mut found = Vec::new();
    if !local.is_empty() && lacks_loopback_rules().await.unwrap_or_default() {
        found.push(Lack::LoopbackRules);
    }
    let mut probes = JoinSet::new();
    for target in remote.into_iter().take(MOST_PROBED) {
        probes.spawn(async move { (target, path_to(target).await) });
    }
    let probed = probes.join_all().await.into_iter();
    let missing = probed.filter(|(_, path)| *path == Path::Missing);
    found.extend(missing.map(|(target, _)| Lack::ReturnPath(target)).min());
    found
}

async fn lacks_loopback_rules() -> io::Result<bool> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(path_to(listener.local_addr()?).await == Path::Missing)
}

/// A target of `group` on another machine and the network of this machine that it is in, as a CIDR block. It answers clients in
/// that network directly, so that they cannot reach it.
pub fn bypassing(group: &TargetGroup) -> Option<(IpAddr, String)> {
    let networks = Networks::of_machine();
    addresses(group).find_map(|target| Some((target.ip(), networks.of(target.ip())?)))
}

fn addresses(group: &TargetGroup) -> impl Iterator<Item = SocketAddr> {
    group.targets.iter().filter_map(|target| match target.id {
        TargetId::Ip(ip) => Some(SocketAddr::new(ip, target.port)),
        _ => None,
    })
}

/// What this machine lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// CAP_NET_RAW or CAP_NET_ADMIN.
    Capability,
    /// The rules by which answers of targets at loopback addresses return.
    LoopbackRules,
    /// What brings answers of this target back: its route by this machine, or the rules.
    ReturnPath(SocketAddr),
}

/// The running probes, by group.
#[derive(Default)]
pub(crate) struct ReturnPaths {
    running: FxHashMap<Arc<str>, Task>,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    /// The target answers the address of a client.
    Works,
    /// It answers only addresses of this machine.
    Missing,
    /// It answers nobody.
    Unknown,
    /// This process may not use other addresses.
    Forbidden,
}

impl ReturnPaths {
    /// Starts the probes of the group `name`, or stops them.
    pub(crate) fn follow(&mut self, snapshot: &Snapshot, name: &Arc<str>) {
        self.running.remove(name);
        let state = snapshot.groups.get(name);
        let state = state.filter(|state| state.in_use() && keeps_address(&state.group));
        if let Some(state) = state {
            let task = Task::spawn(probe(Arc::clone(state)));
            self.running.insert(Arc::clone(name), task);
        }
    }
}

fn keeps_address(group: &Group) -> bool {
    let is_network = group.personality.flow_target == FlowTarget::FlowHash;
    is_network && group.config.preserves_client_address()
}

/// Probes the targets of a group again and again.
async fn probe(state: Arc<GroupState>) {
    let mut known: Option<Path> = None;
    loop {
        for target in state.registered() {
            let path = path_to(target.address).await;
            if path != Path::Unknown {
                target.set_answers_clients(path == Path::Works);
                if known != Some(path) {
                    tell(&state.group, target, path);
                    known = Some(path);
                }
            }
            if path == Path::Forbidden {
                return;
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn path_to(target: SocketAddr) -> Path {
    let from = SocketAddr::new(
        if target.is_ipv4() {
            SOURCE_V4
        } else {
            SOURCE_V6
        },
        0,
    );
    match answers(Source::Client(from), target).await {
        Ok(true) => Path::Works,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Path::Forbidden,
        // No route to a target that is down is an error as well.
        Ok(false) | Err(_) => match answers(Source::Any, target).await {
            Ok(true) => Path::Missing,
            _ => Path::Unknown,
        },
    }
}

/// Whether the target answers a connection from `from`, be it by a refusal.
async fn answers(from: Source, target: SocketAddr) -> io::Result<bool> {
    match tokio::time::timeout(TIMEOUT, source::connect(&from, target)).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Ok(false),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Says whether the targets of a group see the addresses of clients. That they do not is a warning only if the configuration asks for it.
fn tell(group: &Group, target: &Target, path: Path) {
    let (name, target) = (&group.config.name, target.address);
    let is_asked = group.config.attributes.preserve_client_ip == Some(true);
    let reason = match path {
        Path::Works => {
            return info!(target_group = %name, %target, "targets see the addresses of clients");
        }
        Path::Missing => {
            "the target's answers to other addresses do not come back; `elbow netsetup show` has the rules"
        }
        Path::Forbidden => {
            "this process needs CAP_NET_RAW, for example by `setcap cap_net_raw,cap_net_bind_service=+ep`"
        }
        Path::Unknown => return,
    };
    if is_asked {
        warn!(target_group = %name, %target, "preserve_client_ip.enabled has no effect, targets see the load balancer: {reason}");
    } else {
        info!(target_group = %name, %target, "targets see the load balancer instead of the client: {reason}");
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, path_to};

    #[tokio::test]
    async fn missing_return_path_differs_from_a_dead_target() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive = path_to(listener.local_addr().unwrap()).await;
        // Rules of this machine may deliver the answers.
        let expected = if elbow_net::source::may_be_transparent().is_ok() {
            [Path::Missing, Path::Works]
        } else {
            [Path::Forbidden; 2]
        };
        assert!(expected.contains(&alive), "{alive:?}");
    }
}

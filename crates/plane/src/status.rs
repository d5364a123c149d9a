//! The active configuration and its state as printable values: the source of `/targets`, `/health` and
//! `elbow get`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use elbow_balance::{Group, Target};
use elbow_model::{Action, Listener, LoadBalancer, Scheme, TargetState, Transport};
use elbow_telemetry::{CertificateRow, GroupRow, TargetRow, ZoneRow};
use serde::Serialize;

use crate::listener_key::ListenerKey;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::state_name::state_name;

mod target;
mod zone;

pub use target::{AdministrativeOverride, AnomalyDetection, TargetHealth, TargetStatus};
pub use zone::{NodeAddress, ZoneStatus};

pub(crate) use target::target_health;
pub(crate) use zone::{dns_addresses, zonal_addresses};

/// The active configuration with its current state.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Increases with every change of the configuration or of resolved names.
    pub generation: u64,
    /// In the order of the configuration.
    pub load_balancers: Vec<LoadBalancerStatus>,
    /// In the order of the configuration.
    pub target_groups: Vec<TargetGroupStatus>,
    /// In the order of the configuration.
    pub certificates: Vec<CertificateStatus>,
}

/// A load balancer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerStatus {
    /// Its name.
    pub name: String,
    /// `application`, `network` or `classic`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `internet-facing` or `internal`.
    pub scheme: &'static str,
    /// DNS name in the format of AWS, with a local suffix.
    pub dns_name: String,
    /// The first address of its listeners.
    pub address: String,
    /// The zones of its nodes, if they are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub availability_zones: Vec<ZoneStatus>,
    /// Its listeners.
    pub listeners: Vec<ListenerStatus>,
}

/// A listener.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// As configured.
    pub port: u16,
    /// `HTTP`, `HTTPS`, `TCP`, `TLS`.
    pub protocol: &'static str,
    /// The bound socket address, including the port offset.
    pub bound: String,
    /// Whether it accepts connections.
    pub serving: bool,
    /// The security policy of TLS listeners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_policy: Option<String>,
    /// Names of its certificates, the default one first.
    pub certificates: Vec<String>,
    /// Rules by ascending priority, the default rule last.
    pub rules: Vec<RuleStatus>,
}

/// A rule.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleStatus {
    /// A number, or `default`.
    pub priority: String,
    /// Conditions as text, for example `host-header is minio.example.localhost`.
    pub conditions: Vec<String>,
    /// Actions as text, for example `forward to minio`.
    pub actions: Vec<String>,
}

/// A target group.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetGroupStatus {
    /// Its name.
    pub name: String,
    /// Protocol of the connections to targets.
    pub protocol: &'static str,
    /// Default port.
    pub port: u16,
    /// Number of healthy targets.
    pub healthy: usize,
    /// Registered targets, followed by draining ones.
    pub targets: Vec<TargetStatus>,
}

/// The DNS name and addresses of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// DNS name in the format of AWS, with a local suffix.
    pub dns_name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// A certificate.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Its ARN, which ends with its name.
    pub arn: String,
    /// The DNS names that it is valid for.
    pub names: Vec<String>,
    /// The distinguished name of its issuer.
    pub issuer: String,
    /// End of validity in Unix seconds.
    pub not_after: i64,
}

impl Status {
    /// Whether all listeners accept connections.
    pub fn serving(&self) -> bool {
        self.load_balancers
            .iter()
            .all(|lb| lb.listeners.iter().all(|l| l.serving))
    }
}

pub(crate) fn of(shared: &Shared) -> Status {
    let snapshot = shared.snapshot.load_full();
    Status {
        generation: snapshot.generation,
        load_balancers: snapshot
            .model
            .load_balancers
            .iter()
            .map(|config| load_balancer(shared, &snapshot, config))
            .collect(),
        target_groups: snapshot
            .groups_in_order()
            .map(|state| target_group(shared, &state.group))
            .collect(),
        certificates: snapshot
            .certificates()
            .map(|c| CertificateStatus {
                arn: c.arn().to_string(),
                names: c.names().iter().map(ToString::to_string).collect(),
                issuer: c.issuer().to_owned(),
                not_after: c.not_after(),
            })
            .collect(),
    }
}

/// The active generation and its sockets that do not accept connections. Cheaper than [`Status`], for probes.
pub(crate) fn not_serving(shared: &Shared) -> (u64, Vec<String>) {
    let snapshot = shared.snapshot.load_full();
    let mut missing = Vec::clone(&shared.left_out.load());
    for balancer in &snapshot.model.load_balancers {
        for listener in &balancer.listeners {
            let keys = bound(shared, &snapshot, &balancer.name, listener);
            if keys.is_empty() {
                missing.push(String::new());
            }
            let keys = keys.iter();
            let keys = keys.filter(|key| !snapshot.listeners.contains_key(key));
            missing.extend(keys.map(ToString::to_string));
        }
    }
    (snapshot.generation, missing)
}

/// The sockets of a listener on the first address of its load balancer; none without an address.
fn bound(
    shared: &Shared,
    snapshot: &Snapshot,
    balancer: &str,
    listener: &Listener,
) -> Vec<ListenerKey> {
    let state = snapshot.balancers.get(balancer);
    let Some(ip) = state.and_then(|state| state.addresses.first()) else {
        return Vec::new();
    };
    let port = listener.port.saturating_add(shared.options.port_offset);
    let transports = listener.protocol.transports().iter();
    let key = |transport: &Transport| ListenerKey {
        address: SocketAddr::new(*ip, port),
        transport: *transport,
    };
    transports.map(key).collect()
}

/// The DNS name and addresses of the load balancer `name`.
pub(crate) fn served(shared: &Shared, name: &str) -> Option<Served> {
    let snapshot = shared.snapshot.load();
    let balancer = snapshot.balancers.get(name)?;
    Some(Served {
        dns_name: balancer.config.dns_name(&shared.options.dns),
        addresses: balancer.addresses.clone(),
    })
}

fn load_balancer(
    shared: &Shared,
    snapshot: &Snapshot,
    config: &LoadBalancer,
) -> LoadBalancerStatus {
    let state = snapshot.balancers.get(&config.name);
    let ip = state.and_then(|state| state.addresses.first()).copied();
    let listeners = config.listeners.iter().map(|listener| {
        let bound = bound(shared, snapshot, &config.name, listener);
        ListenerStatus {
            port: listener.port,
            protocol: listener.protocol.as_str(),
            bound: bound.first().map_or_else(String::new, ToString::to_string),
            serving: !bound.is_empty()
                && bound.iter().all(|key| snapshot.listeners.contains_key(key)),
            ssl_policy: listener.ssl_policy.as_ref().map(ToString::to_string),
            certificates: listener
                .certificates
                .iter()
                .map(|c| c.name.to_string())
                .collect(),
            rules: rules(listener),
        }
    });
    LoadBalancerStatus {
        name: config.name.to_string(),
        kind: config.kind.as_str(),
        scheme: match config.scheme {
            Scheme::InternetFacing => "internet-facing",
            Scheme::Internal => "internal",
        },
        dns_name: config.dns_name(&shared.options.dns),
        address: ip.map_or_else(String::new, |ip| ip.to_string()),
        availability_zones: state
            .map(|state| zone::rows(snapshot, state, &shared.options.dns))
            .unwrap_or_default(),
        listeners: listeners.collect(),
    }
}

fn rules(listener: &Listener) -> Vec<RuleStatus> {
    let mut rules: Vec<RuleStatus> = listener
        .rules
        .iter()
        .map(|rule| RuleStatus {
            priority: rule.priority.to_string(),
            conditions: rule.conditions.iter().map(ToString::to_string).collect(),
            actions: rule.actions.iter().map(Action::to_string).collect(),
        })
        .collect();
    rules.push(RuleStatus {
        priority: "default".into(),
        conditions: Vec::new(),
        actions: listener
            .default_actions
            .iter()
            .map(Action::to_string)
            .collect(),
    });
    rules
}

fn target_group(shared: &Shared, group: &Arc<Group>) -> TargetGroupStatus {
    let mut targets: Vec<TargetStatus> = group
        .targets
        .iter()
        .map(|target| target::row(group, target))
        .collect();
    targets.extend(target::unresolved_rows(shared, group));
    TargetGroupStatus {
        name: group.config.name.to_string(),
        protocol: group.config.protocol.as_str(),
        port: group.config.port,
        healthy: group
            .targets
            .iter()
            .filter(|t| t.state() == TargetState::Healthy)
            .count(),
        targets,
    }
}

/// All groups with the current state of their targets, for the metrics.
pub(crate) fn group_rows(shared: &Shared) -> Vec<GroupRow> {
    let snapshot = shared.snapshot.load();
    let row = |group: &Group, target: &Target| TargetRow {
        target: format!("{}:{}", target.registered.id, target.registered.port),
        state: target.state(),
        state_name: state_name(group.personality, target.state()),
        in_flight: u64::from(target.in_flight()),
        requests: target.requests(),
        is_anomalous: target.is_anomalous(),
        is_mitigated: target::is_mitigated(group, target),
        zone: target.registered.availability_zone.clone(),
    };
    let groups = snapshot.groups.values().map(|state| &state.group);
    let rows = groups.map(|group| GroupRow {
        name: Arc::clone(&group.config.name),
        targets: group.targets.iter().map(|t| row(group, t)).collect(),
    });
    rows.collect()
}

/// All certificates of the active configuration, for the metrics.
pub(crate) fn certificate_rows(shared: &Shared) -> Vec<CertificateRow> {
    let snapshot = shared.snapshot.load();
    let row = |certificate: &Arc<elbow_tls::Loaded>| CertificateRow {
        arn: Arc::clone(certificate.arn()),
        not_after: certificate.not_after(),
    };
    snapshot.certificates().map(row).collect()
}

/// The zones of all load balancers, for the metrics.
pub(crate) fn zone_rows(shared: &Shared) -> Vec<ZoneRow> {
    let snapshot = shared.snapshot.load();
    let mut rows = Vec::new();
    for config in &snapshot.model.load_balancers {
        let state = snapshot.balancers.get(&config.name);
        let zones = state.map(|state| zone::rows(&snapshot, state, &shared.options.dns));
        rows.extend(zones.into_iter().flatten().map(|zone| ZoneRow {
            load_balancer: Arc::clone(&config.name),
            zone: zone.zone_name,
            healthy: zone.healthy,
        }));
    }
    rows
}

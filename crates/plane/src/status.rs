//! The active configuration and its state as printable values: the source of `/targets`, `/health` and
//! `elbow get`.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use elbow_balance::{Group, Share, Target};
use elbow_health::Reason;
use elbow_model::personality::HealthUnit;
use elbow_model::{Action, Listener, LoadBalancer, Scheme, TargetId, TargetState, Transport};
use elbow_telemetry::{CertificateRow, GroupRow, TargetRow};
use serde::Serialize;

use crate::listener_key::ListenerKey;
use crate::names::Resolved;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::state_name::state_name;

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

/// A target.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Name of its group.
    pub target_group: String,
    /// As registered.
    pub id: String,
    /// As registered.
    pub port: u16,
    /// Address for connections; none while its name does not resolve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// State as in the AWS API.
    pub state: &'static str,
    /// Reason code as in the AWS API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Description of the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Requests or connections in progress.
    pub in_flight: u32,
    /// Requests or connections so far.
    pub requests: u64,
    /// Percent of its normal share of requests, while it gets less than all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_share: Option<u32>,
    /// Whether it fails more requests than the others; of ALBs only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly_detection: Option<AnomalyDetection>,
    /// Not of instances of Classic load balancers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub administrative_override: Option<AdministrativeOverride>,
}

/// `AnomalyDetection` of `DescribeTargetHealth`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnomalyDetection {
    /// `anomalous` or `normal`.
    pub result: &'static str,
    /// `yes` or `no`: whether it gets fewer requests for that reason.
    pub mitigation_in_effect: &'static str,
}

/// `AdministrativeOverride` of `DescribeTargetHealth`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdministrativeOverride {
    /// AWS's spelling.
    pub state: &'static str,
    /// Code of the reason.
    pub reason: &'static str,
    /// Description of the reason.
    pub description: &'static str,
}

impl AdministrativeOverride {
    /// No zonal shift is active; elbow has none.
    const NONE: Self = Self {
        state: "no_override",
        reason: "AdministrativeOverride.NoOverride",
        description: "No override is currently active on target",
    };
}

/// The health of a target, in the terms of the API of its load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetHealth {
    /// `TargetHealth.State`, or `InstanceState.State` for an instance of a Classic load balancer.
    pub state: &'static str,
    /// `TargetHealth.Reason`, for example `Target.Timeout`; none while healthy.
    pub reason: Option<&'static str>,
    /// `TargetHealth.Description`.
    pub description: Option<Cow<'static, str>>,
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
        .map(|target| target_status(group, target))
        .collect();
    targets.extend(unresolved_rows(shared, group));
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

fn target_status(group: &Group, target: &Target) -> TargetStatus {
    let TargetHealth {
        state,
        reason,
        description,
    } = health(group, target);
    TargetStatus {
        target_group: group.config.name.to_string(),
        id: target.registered.id.to_string(),
        port: target.registered.port,
        address: Some(target.address.to_string()),
        availability_zone: target
            .registered
            .availability_zone
            .as_ref()
            .map(ToString::to_string),
        state,
        reason: reason.map(str::to_owned),
        description: description.map(Cow::into_owned),
        in_flight: target.in_flight(),
        requests: target.requests(),
        request_share: Some(target.share())
            .filter(|share| group.uses_shares() && !share.is_full())
            .map(Share::percent),
        anomaly_detection: anomaly_detection(group, target),
        administrative_override: administrative_override(group),
    }
}

fn anomaly_detection(group: &Group, target: &Target) -> Option<AnomalyDetection> {
    let is_mitigated = is_mitigated(group, target);
    group
        .personality
        .detects_anomalies
        .then(|| AnomalyDetection {
            result: if target.is_anomalous() {
                "anomalous"
            } else {
                "normal"
            },
            mitigation_in_effect: if is_mitigated { "yes" } else { "no" },
        })
}

/// Whether anomaly mitigation lowers the share of `target`.
fn is_mitigated(group: &Group, target: &Target) -> bool {
    group.config.attributes.anomaly_mitigation && !target.share().is_full()
}

fn administrative_override(group: &Group) -> Option<AdministrativeOverride> {
    let is_target = group.personality.health_unit == HealthUnit::Target;
    is_target.then_some(AdministrativeOverride::NONE)
}

/// The health of `target` as in `DescribeTargetHealth` or `DescribeInstanceHealth`.
fn health(group: &Group, target: &Target) -> TargetHealth {
    let reason = match target.state() {
        state if group.personality.health_unit == HealthUnit::Instance => {
            Reason::of_instance(state)
        }
        TargetState::Unused => Some(Reason::NOT_IN_USE),
        _ => Reason::from_bits(target.reason()),
    };
    TargetHealth {
        state: state_name(group.personality, target.state()),
        reason: reason.as_ref().map(|reason| reason.code),
        description: reason.map(|reason| reason.description),
    }
}

/// The health of one target. A name with several addresses has the worst health among them.
pub(crate) fn target_health(
    shared: &Shared,
    target_group: &str,
    id: &str,
    port: u16,
) -> Option<TargetHealth> {
    let snapshot = shared.snapshot.load();
    let group = &snapshot.groups.get(target_group)?.group;
    let is_requested = |target: &&elbow_model::Target| {
        target.port == port
            && match &target.id {
                TargetId::Ip(ip) => id.parse() == Ok(*ip),
                TargetId::Host(name) | TargetId::Alb(name) => **name == *id,
            }
    };
    let targets = group.targets.iter();
    let found = targets.filter(|target| is_requested(&&target.registered));
    // A draining target ranks last, because another one may have replaced it.
    let worst = found.min_by_key(|target| match target.state() {
        TargetState::Unhealthy => 0,
        TargetState::Initial => 1,
        TargetState::Unused | TargetState::Unavailable | TargetState::Healthy => 2,
        TargetState::Draining => 3,
    });
    if let Some(target) = worst {
        return Some(health(group, target));
    }
    let registered = group.config.targets.iter().find(is_requested)?;
    unresolved(shared, group, registered)
}

/// Registered names without an address.
fn unresolved_rows(shared: &Shared, group: &Group) -> Vec<TargetStatus> {
    let row = |target: &elbow_model::Target| {
        let health = unresolved(shared, group, target)?;
        Some(TargetStatus {
            target_group: group.config.name.to_string(),
            id: target.id.to_string(),
            port: target.port,
            address: None,
            availability_zone: target.availability_zone.as_ref().map(ToString::to_string),
            state: health.state,
            reason: health.reason.map(str::to_owned),
            description: health.description.map(Cow::into_owned),
            in_flight: 0,
            requests: 0,
            request_share: None,
            anomaly_detection: None,
            administrative_override: administrative_override(group),
        })
    };
    group.config.targets.iter().filter_map(row).collect()
}

/// The health of a registered name without an address; `None` if it has one.
fn unresolved(
    shared: &Shared,
    group: &Group,
    target: &elbow_model::Target,
) -> Option<TargetHealth> {
    let description = match &target.id {
        TargetId::Ip(_) => return None,
        TargetId::Host(name) => match shared.resolved(name) {
            Some(Resolved::Ok(addresses)) if !addresses.is_empty() => return None,
            Some(Resolved::Err(error)) => format!("cannot resolve the host name: {error}").into(),
            _ => "the host name is not resolved yet".into(),
        },
        TargetId::Alb(name) => {
            let mut targets = group.targets.iter();
            if targets.any(|one| one.registered == *target) {
                return None;
            }
            format!("the load balancer {name} does not serve").into()
        }
    };
    Some(TargetHealth {
        state: state_name(group.personality, TargetState::Unused),
        reason: Some("Target.IpUnusable"),
        description: Some(description),
    })
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
        is_mitigated: is_mitigated(group, target),
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

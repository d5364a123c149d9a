//! What is in force, as values that are easy to print: the source of `/targets`, `/health` and
//! `elbow get`.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use elbow_balance::{Group, Target};
use elbow_health::Reason;
use elbow_model::{
    Action, Listener, LoadBalancer, LoadBalancerType, Scheme, TargetId, TargetState,
};
use elbow_telemetry::{CertificateRow, GroupRow, TargetRow};
use serde::Serialize;

use crate::names::Resolved;
use crate::plane::Shared;
use crate::snapshot::Snapshot;
use crate::view::Served;

/// Everything in force, with live numbers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Rises with every change of the configuration or of resolved names.
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
    /// application, network or classic.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// internet-facing or internal.
    pub scheme: &'static str,
    /// In AWS's shape under a local suffix.
    pub dns_name: String,
    /// The first address that it listens on.
    pub address: String,
    /// By port.
    pub listeners: Vec<ListenerStatus>,
}

/// A listener.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// As configured.
    pub port: u16,
    /// HTTP, HTTPS, TCP, TLS.
    pub protocol: &'static str,
    /// The socket that is listened on, port offset included.
    pub bound: String,
    /// Whether it serves.
    pub serving: bool,
    /// The security policy of TLS listeners.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_policy: Option<String>,
    /// Names; the first is the default.
    pub certificates: Vec<String>,
    /// By ascending priority, the default rule last.
    pub rules: Vec<RuleStatus>,
}

/// A rule.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleStatus {
    /// A number, or `default`.
    pub priority: String,
    /// In words, e.g. `host-header is minio.example.localhost`.
    pub conditions: Vec<String>,
    /// In words, e.g. `forward to minio`.
    pub actions: Vec<String>,
}

/// A target group.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetGroupStatus {
    /// Its name.
    pub name: String,
    /// What targets are spoken to in.
    pub protocol: &'static str,
    /// Default port.
    pub port: u16,
    /// Targets in state healthy.
    pub healthy: usize,
    /// Registered, then draining.
    pub targets: Vec<TargetStatus>,
}

/// A target.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// The group's name.
    pub target_group: String,
    /// As registered.
    pub id: String,
    /// As registered.
    pub port: u16,
    /// Where it is connected to; none while its name does not resolve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// AWS's state.
    pub state: &'static str,
    /// AWS's reason code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The reason in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Requests or connections in progress.
    pub in_flight: u32,
    /// Requests or connections so far.
    pub requests: u64,
}

/// The health of a target as the API of its load balancer spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetHealth {
    /// `TargetHealth.State`; of an instance of a Classic load balancer, `InstanceState.State`.
    pub state: &'static str,
    /// `TargetHealth.Reason`, e.g. `Target.Timeout`; none while it is healthy.
    pub reason: Option<&'static str>,
    /// `TargetHealth.Description`.
    pub description: Option<Cow<'static, str>>,
}

/// A certificate.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// ARN-shaped; ends in its name.
    pub arn: String,
    /// DNS names that it is valid for.
    pub names: Vec<String>,
    /// Who issued it, as a distinguished name.
    pub issuer: String,
    /// End of validity, seconds since the epoch.
    pub not_after: i64,
}

impl Status {
    /// Whether every listener serves.
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

/// The generation in force and what does not serve in it, without the cost of a whole [`Status`]: probes ask for it.
pub(crate) fn not_serving(shared: &Shared) -> (u64, Vec<String>) {
    let snapshot = shared.snapshot.load_full();
    let mut missing = Vec::new();
    for balancer in &snapshot.model.load_balancers {
        for listener in &balancer.listeners {
            let bound = bound(shared, &snapshot, &balancer.name, listener);
            if !bound.is_some_and(|bound| snapshot.listeners.contains_key(&bound)) {
                missing.push(bound.map_or_else(String::new, |bound| bound.to_string()));
            }
        }
    }
    (snapshot.generation, missing)
}

/// The first socket of a listener; none while its load balancer has no address.
fn bound(
    shared: &Shared,
    snapshot: &Snapshot,
    balancer: &str,
    listener: &Listener,
) -> Option<SocketAddr> {
    let ip = *snapshot.balancers.get(balancer)?.addresses.first()?;
    let port = listener.port.saturating_add(shared.options.port_offset);
    Some(SocketAddr::new(ip, port))
}

/// Where the load balancer called `name` serves.
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
            bound: bound.map_or_else(String::new, |b| b.to_string()),
            serving: bound.is_some_and(|b| snapshot.listeners.contains_key(&b)),
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
        kind: match config.kind {
            LoadBalancerType::Application => "application",
            LoadBalancerType::Network => "network",
            LoadBalancerType::Classic => "classic",
        },
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
    }
}

/// The health of `target` in the words of `DescribeTargetHealth`, or of `DescribeInstanceHealth`.
fn health(group: &Group, target: &Target) -> TargetHealth {
    let reason = match target.state() {
        state if group.config.attributes.of_classic => Reason::of_instance(state),
        TargetState::Unused => Some(Reason::NOT_IN_USE),
        _ => Reason::from_bits(target.reason()),
    };
    TargetHealth {
        state: state_name(group, target),
        reason: reason.as_ref().map(|reason| reason.code),
        description: reason.map(|reason| reason.description),
    }
}

/// The health of one target. A name that stands for several addresses is as healthy as the least of them.
pub(crate) fn target_health(
    shared: &Shared,
    target_group: &str,
    id: &str,
    port: u16,
) -> Option<TargetHealth> {
    let snapshot = shared.snapshot.load();
    let group = &snapshot.groups.get(target_group)?.group;
    let is_asked = |target: &&elbow_model::Target| {
        target.port == port
            && match &target.id {
                TargetId::Ip(ip) => id.parse() == Ok(*ip),
                TargetId::Host(name) | TargetId::Alb(name) => **name == *id,
            }
    };
    let targets = group.targets.iter();
    let found = targets.filter(|target| is_asked(&&target.registered));
    // One that drains goes, and another one may have come in its place.
    let worst = found.min_by_key(|target| match target.state() {
        TargetState::Unhealthy => 0,
        TargetState::Initial => 1,
        TargetState::Unused | TargetState::Unavailable | TargetState::Healthy => 2,
        TargetState::Draining => 3,
    });
    if let Some(target) = worst {
        return Some(health(group, target));
    }
    let registered = group.config.targets.iter().find(is_asked)?;
    unresolved(shared, group, registered)
}

/// What the API of the load balancer calls the state of `target`.
fn state_name(group: &Group, target: &Target) -> &'static str {
    let state = target.state();
    match group.config.attributes.of_classic {
        true => state.as_instance_state(),
        false => state.as_str(),
    }
}

/// Registered names that stand for no address.
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
        })
    };
    group.config.targets.iter().filter_map(row).collect()
}

/// The health of a registered name that stands for no address.
fn unresolved(
    shared: &Shared,
    group: &Group,
    target: &elbow_model::Target,
) -> Option<TargetHealth> {
    let TargetId::Host(name) = &target.id else {
        return None;
    };
    let description = match shared.resolved(name) {
        Some(Resolved::Ok(addresses)) if !addresses.is_empty() => return None,
        Some(Resolved::Err(error)) => format!("the name does not resolve: {error}").into(),
        _ => "the name does not resolve yet".into(),
    };
    Some(TargetHealth {
        state: match group.config.attributes.of_classic {
            true => TargetState::Unused.as_instance_state(),
            false => TargetState::Unused.as_str(),
        },
        reason: Some("Target.IpUnusable"),
        description: Some(description),
    })
}

/// Every group with its targets and their live numbers, for the metrics.
pub(crate) fn group_rows(shared: &Shared) -> Vec<GroupRow> {
    let snapshot = shared.snapshot.load();
    let row = |group: &Group, target: &Target| TargetRow {
        target: format!("{}:{}", target.registered.id, target.registered.port),
        state: target.state(),
        state_name: state_name(group, target),
        in_flight: u64::from(target.in_flight()),
        requests: target.requests(),
    };
    let groups = snapshot.groups.values().map(|state| &state.group);
    let rows = groups.map(|group| GroupRow {
        name: Arc::clone(&group.config.name),
        targets: group.targets.iter().map(|t| row(group, t)).collect(),
    });
    rows.collect()
}

/// Every certificate in force, for the metrics.
pub(crate) fn certificate_rows(shared: &Shared) -> Vec<CertificateRow> {
    let snapshot = shared.snapshot.load();
    let row = |certificate: &Arc<elbow_tls::Loaded>| CertificateRow {
        arn: Arc::clone(certificate.arn()),
        not_after: certificate.not_after(),
    };
    snapshot.certificates().map(row).collect()
}

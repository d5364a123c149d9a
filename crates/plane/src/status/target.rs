//! The state of targets.

use std::borrow::Cow;

use elbow_balance::{Group, Share, Target};
use elbow_health::Reason;
use elbow_model::personality::HealthUnit;
use elbow_model::{TargetId, TargetState};
use serde::Serialize;

use crate::names::Resolved;
use crate::shared::Shared;
use crate::state_name::state_name;

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

/// The row of `target` of `group`.
pub(super) fn row(group: &Group, target: &Target) -> TargetStatus {
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
pub(super) fn is_mitigated(group: &Group, target: &Target) -> bool {
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
        TargetState::Unused => {
            let outside = Reason::from_bits(target.reason());
            let outside = outside.filter(|reason| *reason == Reason::ZONE_NOT_ENABLED);
            outside.or(Some(Reason::NOT_IN_USE))
        }
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
        TargetState::Unhealthy | TargetState::UnhealthyDraining => 0,
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
pub(super) fn unresolved_rows(shared: &Shared, group: &Group) -> Vec<TargetStatus> {
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

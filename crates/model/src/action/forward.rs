//! Forwarding to target groups.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::owner::Owner;
use crate::attributes::Stickiness;
use crate::invalid::Place;
use crate::kinds::{LoadBalancerType, Protocol, ProtocolVersion};
use crate::read::in_range;
use crate::scope::Lookup;
use crate::seen::Seen;
use crate::spec::{ForwardSpec, ForwardStickinessSpec};
use crate::suggest::did_you_mean;
use crate::target_group::TargetGroup;

/// `ForwardConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// 1-5; each request or flow goes to one of them by weight.
    pub target_groups: Vec<WeightedTargetGroup>,
    /// `TargetGroupStickinessConfig`, when it is enabled: how long a client stays with its group.
    pub stickiness: Option<Duration>,
}

impl Forward {
    /// All to one group.
    pub fn to(target_group: Arc<str>) -> Self {
        Self {
            target_groups: vec![WeightedTargetGroup {
                target_group,
                weight: 1,
            }],
            stickiness: None,
        }
    }
}

/// A target group of a forward action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedTargetGroup {
    /// Name of a target group of the model.
    pub target_group: Arc<str>,
    /// 0-999; the share is weight / sum.
    pub weight: u32,
}

/// Target groups of a forward action (ALB guide: quotas).
const MAX_TARGET_GROUPS: usize = 5;

impl Forward {
    pub(super) fn build(spec: &ForwardSpec, owner: Owner<'_>, at: &Place<'_>) -> Option<Self> {
        let at_stickiness = at.field("targetGroupStickinessConfig");
        let stickiness = spec
            .target_group_stickiness_config
            .as_ref()
            .and_then(|spec| group_stickiness(spec, owner, &at_stickiness));
        let Some(specs) = &spec.target_groups else {
            at.missing("targetGroups");
            return None;
        };
        let list = at.field("targetGroups");
        if !(1..=MAX_TARGET_GROUPS).contains(&specs.len()) {
            list.error(
                "out-of-range",
                format!(
                    "a forward action has 1 to {MAX_TARGET_GROUPS} target groups, not {}",
                    specs.len()
                ),
            );
        }
        let mut names = Seen::new("target group");
        let mut used = Vec::new();
        let mut target_groups = Vec::with_capacity(specs.len());
        for (i, spec) in specs.iter().enumerate() {
            let at = list.index(i);
            let weight = match spec.weight {
                Some(weight) => in_range(weight, 0..=999, &at.field("weight")),
                None => Some(1),
            };
            let Some(name) = &spec.target_group else {
                at.missing("targetGroup");
                continue;
            };
            let at = at.field("targetGroup");
            names.check(name.clone(), &at, "duplicate-target-group");
            let group = target_group(name, owner, &at);
            refuse_mixed_protocols(group, &used, owner, &at);
            used.extend(group.map(|group| (i, group)));
            target_groups.extend(weight.map(|weight| WeightedTargetGroup {
                target_group: name[..].into(),
                weight,
            }));
        }
        if specs.len() > 1 {
            let is_sticky = stickiness.is_some();
            let at = if spec.target_group_stickiness_config.is_some() {
                &at_stickiness
            } else {
                at
            };
            check_sticky_groups(&used, is_sticky, at, &list);
        }
        Some(Self {
            target_groups,
            stickiness,
        })
    }
}

/// NLB guide, listeners: a TLS listener forwards to groups of one protocol.
fn refuse_mixed_protocols(
    group: Option<&TargetGroup>,
    before: &[(usize, &TargetGroup)],
    owner: Owner<'_>,
    at: &Place<'_>,
) {
    let is_other = |group: &TargetGroup| before.iter().any(|(_, g)| g.protocol != group.protocol);
    if owner.protocol == Some(Protocol::Tls) && group.is_some_and(is_other) {
        at.error(
            "invalid-combination",
            "a TLS listener forwards to TCP groups or to TLS groups, not to both",
        );
    }
}

/// Refuses sticky groups among several, as AWS does (ALB guide: sticky sessions; NLB guide: target groups): `groups`
/// with their places in `list`; `at` is the place of the action's stickiness.
fn check_sticky_groups(
    groups: &[(usize, &TargetGroup)],
    is_sticky: bool,
    at: &Place<'_>,
    list: &Place<'_>,
) {
    let mut sticky = groups
        .iter()
        .filter(|(_, group)| group.attributes.stickiness.is_some());
    if let Some((_, group)) = sticky.next().filter(|_| !is_sticky) {
        at.error_with(
            "invalid-combination",
            format!(
                "target group {:?} is sticky and one of several; the action must be sticky, too",
                &*group.name
            ),
            "set targetGroupStickinessConfig: {enabled: true, durationSeconds: 3600}".to_owned(),
        );
    }
    for (i, group) in groups {
        if let Some(Stickiness::ApplicationCookie { .. }) = group.attributes.stickiness {
            list.index(*i).field("targetGroup").error_with(
                "invalid-combination",
                format!(
                    "target group {:?} has stickiness.type app_cookie and cannot be one of several",
                    &*group.name
                ),
                "use lb_cookie, or forward to this group alone".to_owned(),
            );
        }
    }
}

/// How long a client stays with its group; `None` when it does not.
fn group_stickiness(
    spec: &ForwardStickinessSpec,
    owner: Owner<'_>,
    at: &Place<'_>,
) -> Option<Duration> {
    let seconds = spec
        .duration_seconds
        .map(|seconds| in_range(seconds, 1..=604_800, &at.field("durationSeconds")));
    if !spec.enabled.unwrap_or_default() {
        return None;
    }
    if owner.protocol == Some(Protocol::Tls) {
        at.error(
            "invalid-combination",
            "target groups of a TLS listener cannot be sticky",
        );
    }
    let seconds = match seconds {
        Some(seconds) => seconds?,
        // By the client's address, which does not run out.
        None if owner.kind == Some(LoadBalancerType::Network) => 3600,
        None => {
            at.missing("durationSeconds");
            return None;
        }
    };
    Some(Duration::from_secs(seconds.into()))
}

/// The group called `name`, when the owner may forward to it (NLB guide: listeners).
fn target_group<'a>(name: &str, owner: Owner<'a>, at: &Place<'_>) -> Option<&'a TargetGroup> {
    let scope = owner.scope?;
    let group = match scope.target_group(name) {
        Lookup::Found(group) => group,
        Lookup::Refused => return None,
        Lookup::Unknown => {
            at.error_with(
                "unknown-target-group",
                format!("{owner} forwards to {name:?}, which no target group is called"),
                did_you_mean(name, scope.target_group_names()),
            );
            return None;
        }
    };
    let front = owner.protocol?;
    let allowed: &[Protocol] = match front {
        Protocol::Http | Protocol::Https => &[Protocol::Http, Protocol::Https],
        Protocol::Tcp => &[Protocol::Tcp, Protocol::TcpUdp],
        Protocol::Tls => &[Protocol::Tcp, Protocol::Tls],
        Protocol::Udp => &[Protocol::Udp, Protocol::TcpUdp],
        Protocol::TcpUdp => &[Protocol::TcpUdp],
        Protocol::Quic => &[Protocol::Quic],
        Protocol::TcpQuic => &[Protocol::TcpQuic],
        Protocol::Ssl => &[],
    };
    if !allowed.contains(&group.protocol) {
        let names: Vec<_> = allowed.iter().map(|p| p.as_str()).collect();
        at.error_with(
            "invalid-combination",
            format!(
                "{owner} speaks {} and cannot forward to {name:?}, a group of protocol {}",
                front.as_str(),
                group.protocol.as_str()
            ),
            format!("it forwards to groups of protocol {}", names.join(", ")),
        );
        return None;
    }
    if group.protocol_version != ProtocolVersion::Http1 && front != Protocol::Https {
        at.error_with(
            "invalid-combination",
            format!(
                "{owner} speaks {} and cannot forward to {name:?}, a group of protocolVersion {}",
                front.as_str(),
                group.protocol_version.as_str()
            ),
            "groups of HTTP2 and GRPC need a listener of protocol HTTPS".to_owned(),
        );
        return None;
    }
    if group.attributes.stickiness.is_some() && front == Protocol::Tls {
        at.error(
            "invalid-combination",
            format!("{owner} terminates TLS, so {name:?} cannot be sticky"),
        );
    }
    Some(group)
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("forward to ")?;
        for (i, group) in self.target_groups.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{}", group.target_group)?;
            if self.target_groups.len() > 1 {
                write!(f, " (weight {})", group.weight)?;
            }
        }
        match self.stickiness {
            Some(duration) => write!(f, ", sticky for {} s", duration.as_secs()),
            None => Ok(()),
        }
    }
}

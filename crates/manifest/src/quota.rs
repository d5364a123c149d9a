//! The quotas of AWS, and how much of them a plan uses.
//!
//! The limits are the defaults of an account. They are those of the user guides' pages "Quotas for your Application
//! Load Balancers", "Quotas for your Network Load Balancers" and "Quotas for your Classic Load Balancer", of
//! "Condition types for listener rules" (three values for a condition) and of "Amazon VPC quotas" (security
//! groups). Names are those of `DescribeAccountLimits` where it has one. elbow itself enforces none of them.

use std::collections::BTreeMap;

use elbow_model::At;
use elbow_model::diagnostic::Diagnostic;
use serde::Serialize;
use serde_json::Value;

use crate::stack::{Action, Listener, ListenerRule, LoadBalancer, SecurityGroup, Stack};

/// The number of targets by the name of their target group, and of instances by the name of their Classic load balancer.
/// For names that are missing it is unknown.
pub type Targets = BTreeMap<String, usize>;

/// How much of a quota is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The resource: `web` (a load balancer, a target group, a security group), `web:443/10` (a rule), or the region.
    pub resource: String,
    /// AWS's name of the quota.
    pub quota: &'static str,
    /// What is counted, in words.
    #[serde(skip)]
    pub what: &'static str,
    /// How much of it the plan uses.
    pub used: usize,
    /// The default limit of an account.
    pub limit: usize,
    /// Whether AWS raises it on request.
    pub adjustable: bool,
}

impl Usage {
    /// Whether AWS would refuse it.
    pub const fn is_exceeded(&self) -> bool {
        self.used > self.limit
    }

    /// Whether more than half is used.
    pub const fn is_high(&self) -> bool {
        self.used * 2 > self.limit
    }

    /// The warning that AWS would refuse it.
    pub fn warning(&self) -> Option<Diagnostic> {
        if !self.is_exceeded() {
            return None;
        }
        let Self {
            resource,
            what,
            used,
            limit,
            ..
        } = self;
        let message = format!(
            "{resource} has {used} {what}; AWS allows at most {limit} ({})",
            self.quota
        );
        let hint = if self.adjustable {
            "AWS raises this quota on request (Service Quotas); elbow serves it anyway"
        } else {
            "AWS does not raise this quota; elbow serves it anyway"
        };
        Some(Diagnostic::warning("quota-exceeded", message).hint(hint))
    }
}

/// A limit: its name, what it counts, how many, and whether AWS raises it.
struct Quota(&'static str, &'static str, usize, bool);

impl Quota {
    fn used(&self, resource: &str, used: usize) -> Usage {
        let &Self(quota, what, limit, adjustable) = self;
        Usage {
            resource: resource.to_owned(),
            quota,
            what,
            used,
            limit,
            adjustable,
        }
    }
}

const ALBS: Quota = Quota("application-load-balancers", "ALBs", 50, true);
const NLBS: Quota = Quota("network-load-balancers", "NLBs", 50, true);
const CLASSICS: Quota = Quota("classic-load-balancers", "Classic load balancers", 20, true);
const GROUPS: Quota = Quota("target-groups", "target groups", 3_000, true);

const ALB_LISTENERS: Quota = Quota(
    "listeners-per-application-load-balancer",
    "listeners",
    50,
    true,
);
const ALB_RULES: Quota = Quota("rules-per-application-load-balancer", "rules", 100, true);
const ALB_CERTIFICATES: Quota = Quota(
    "certificates-per-application-load-balancer",
    "certificates besides the defaults",
    25,
    true,
);
const ALB_GROUPS: Quota = Quota(
    "target-groups-per-application-load-balancer",
    "target groups",
    100,
    false,
);
const ALB_TARGETS: Quota = Quota(
    "targets-per-application-load-balancer",
    "targets",
    1_000,
    true,
);
const ALB_VERIFYING: Quota = Quota(
    "mutual-authentication-listeners-per-application-load-balancer",
    "listeners that verify client certificates",
    2,
    false,
);
const ACTION_GROUPS: Quota = Quota(
    "target-groups-per-action-on-application-load-balancer",
    "target groups in one action",
    5,
    false,
);
const RULE_VALUES: Quota = Quota(
    "condition-values-per-alb-rule",
    "condition values",
    5,
    false,
);
const CONDITION_VALUES: Quota = Quota(
    "condition-values-per-alb-condition",
    "values in one condition",
    3,
    false,
);
/// The translations of the quota page say 5 or 6; this is the larger.
const RULE_WILDCARDS: Quota = Quota(
    "condition-wildcards-per-alb-rule",
    "wildcards in its conditions",
    6,
    false,
);

const NLB_LISTENERS: Quota = Quota(
    "listeners-per-network-load-balancer",
    "listeners",
    50,
    false,
);
const NLB_CERTIFICATES: Quota = Quota(
    "certificates-per-network-load-balancer",
    "certificates",
    25,
    true,
);
const NLB_TARGETS: Quota = Quota("targets-per-network-load-balancer", "targets", 3_000, true);
/// With cross-zone load balancing, the quota of one zone applies to the load balancer.
const NLB_CROSS_ZONE_TARGETS: Quota = Quota(
    "targets-per-availability-zone-per-network-load-balancer",
    "targets, with cross-zone load balancing",
    500,
    true,
);

const CLASSIC_LISTENERS: Quota = Quota("classic-listeners", "listeners", 100, true);

const CLASSIC_INSTANCES: Quota = Quota("classic-registered-instances", "instances", 1_000, true);

const GROUP_TARGETS: Quota = Quota("targets-per-target-group", "targets", 1_000, true);
const INBOUND_RULES: Quota = Quota(
    "inbound-rules-per-security-group",
    "inbound rules",
    60,
    true,
);
const SECURITY_GROUPS: Quota = Quota(
    "security-groups-per-network-interface",
    "security groups",
    5,
    true,
);

/// The usage of one stack. For quotas of a rule: the rule that uses most, and every rule that exceeds the quota.
///
/// ```
/// use elbow_manifest::{Context, plan, quota, read};
///
/// let text = "
/// apiVersion: v1
/// kind: Service
/// metadata: {name: minio}
/// spec: {type: LoadBalancer, ports: [{port: 443, nodePort: 30443}]}
/// ";
/// let stacks = plan(&read(text, "minio.yaml").0, &Context::default()).stacks;
/// let used = quota::of_stack(&stacks[0], &quota::Targets::new());
/// assert_eq!((used[0].used, used[0].limit), (1, 50));
/// assert_eq!(used[0].quota, "listeners-per-network-load-balancer");
/// ```
pub fn of_stack(stack: &Stack, targets: &Targets) -> Vec<Usage> {
    let mut used = Vec::new();
    for (id, balancer) in &stack.load_balancers {
        let listeners: Vec<&Listener> = stack
            .listeners
            .values()
            .filter(|listener| listener.load_balancer.leads_to(id))
            .map(|listener| &**listener)
            .collect();
        if balancer.kind == "network" {
            network(balancer, &listeners, stack, targets, &mut used);
        } else {
            application(balancer, &listeners, stack, targets, &mut used);
        }
        used.push(SECURITY_GROUPS.used(&balancer.name, balancer.security_groups.len()));
    }
    if let Some(spec) = &stack.classic {
        let name = &spec.load_balancer_name;
        used.push(CLASSIC_LISTENERS.used(name, spec.listeners.len()));
        let instances = targets.get(name);
        used.extend(instances.map(|&count| CLASSIC_INSTANCES.used(name, count)));
        used.push(SECURITY_GROUPS.used(name, spec.security_groups.len()));
        for group in &spec.security_groups {
            let ranges = group.ingress.iter().map(|one| one.ip_ranges.len()).sum();
            used.push(INBOUND_RULES.used(&group.group_name, ranges));
        }
    }
    for group in stack.security_groups.values() {
        used.push(INBOUND_RULES.used(&group.group_name, inbound(group)));
    }
    for group in stack.target_groups.values() {
        if let Some(&count) = targets.get(&group.name) {
            used.push(GROUP_TARGETS.used(&group.name, count));
        }
    }
    used
}

/// The usage of all stacks together, for the quotas of an account in one region.
pub fn of_region(stacks: &[Stack], region: &str) -> Vec<Usage> {
    let balancers = || {
        stacks
            .iter()
            .flat_map(|stack| stack.load_balancers.values())
    };
    let of_kind = |kind: &str| balancers().filter(|one| one.kind == kind).count();
    let classics = stacks
        .iter()
        .filter(|stack| stack.classic.is_some())
        .count();
    let groups = stacks.iter().map(|stack| stack.target_groups.len()).sum();
    vec![
        ALBS.used(region, of_kind("application")),
        NLBS.used(region, of_kind("network")),
        CLASSICS.used(region, classics),
        GROUPS.used(region, groups),
    ]
}

fn application(
    balancer: &LoadBalancer,
    listeners: &[&Listener],
    stack: &Stack,
    targets: &Targets,
    used: &mut Vec<Usage>,
) {
    let name = &balancer.name;
    let verifies = |listener: &&&Listener| {
        let mode = listener.mutual_authentication.as_ref();
        mode.is_some_and(|mutual| mutual.mode == "verify")
    };
    used.push(ALB_LISTENERS.used(name, listeners.len()));
    used.push(ALB_RULES.used(name, stack.rules.len()));
    used.push(ALB_CERTIFICATES.used(name, certificates(listeners, 1)));
    let groups = stack.target_groups.keys();
    let groups = groups.filter(|id| !stack.alb_targets.contains_key(*id));
    used.push(ALB_GROUPS.used(name, groups.count()));
    used.push(ALB_VERIFYING.used(name, listeners.iter().filter(verifies).count()));
    if !targets.is_empty() {
        used.push(ALB_TARGETS.used(name, registered(stack, targets, false)));
    }
    let named = |listener: &Listener| format!("{name}:{}", listener.port);
    let defaults = listeners
        .iter()
        .map(|listener| (named(listener), groups_in_action(&listener.default_actions)));
    let rules = || {
        let place = |rule: &ListenerRule| {
            let listener = listeners
                .iter()
                .find(|listener| rule.listener.leads_to(&listener.port.to_string()));
            listener.map_or_else(|| name.value.clone(), |listener| named(listener))
        };
        let named = move |rule| format!("{}/{}", place(rule), rule.priority);
        stack.rules.values().map(move |rule| (named(rule), rule))
    };
    let in_actions = rules().map(|(at, rule)| (at, groups_in_action(&rule.actions)));
    most(&ACTION_GROUPS, defaults.chain(in_actions), used);
    let of_rules =
        |count: fn(&ListenerRule) -> usize| rules().map(move |(at, rule)| (at, count(rule)));
    most(&RULE_VALUES, of_rules(values_of_rule), used);
    most(&CONDITION_VALUES, of_rules(values_of_condition), used);
    most(&RULE_WILDCARDS, of_rules(wildcards), used);
}

fn network(
    balancer: &LoadBalancer,
    listeners: &[&Listener],
    stack: &Stack,
    targets: &Targets,
    used: &mut Vec<Usage>,
) {
    let name = &balancer.name;
    used.push(NLB_LISTENERS.used(name, listeners.len()));
    used.push(NLB_CERTIFICATES.used(name, certificates(listeners, 0)));
    if targets.is_empty() {
        return;
    }
    let cross_zone = balancer.load_balancer_attributes.iter().any(|attribute| {
        attribute.key == "load_balancing.cross_zone.enabled" && *attribute.value == "true"
    });
    // The only load balancer, or the one in front of an ALB.
    let is_in_front = !stack.alb_targets.is_empty();
    let quota = if cross_zone {
        &NLB_CROSS_ZONE_TARGETS
    } else {
        &NLB_TARGETS
    };
    used.push(quota.used(name, registered(stack, targets, is_in_front)));
}

/// A target counts once for each group it is in. Groups of type `alb` are those of a load balancer in front.
fn registered(stack: &Stack, targets: &Targets, in_front: bool) -> usize {
    let groups = stack.target_groups.iter();
    let groups = groups.filter(|(id, _)| stack.alb_targets.contains_key(*id) == in_front);
    groups
        .filter_map(|(_, group)| targets.get(&group.name))
        .sum()
}

/// All certificates of the listeners, without the first `defaults` of each.
fn certificates(listeners: &[&Listener], defaults: usize) -> usize {
    let besides = |listener: &&Listener| listener.certificates.len().saturating_sub(defaults);
    listeners.iter().map(besides).sum()
}

/// Adds the largest count, and all that exceed the quota.
fn most(quota: &Quota, counts: impl Iterator<Item = (String, usize)>, used: &mut Vec<Usage>) {
    let counts: Vec<_> = counts.collect();
    let Quota(.., limit, _) = *quota;
    let before = used.len();
    let too_many = counts.iter().filter(|(_, count)| *count > limit);
    used.extend(too_many.map(|(at, count)| quota.used(at, *count)));
    if used.len() == before {
        // Of equal counts, the first.
        let largest = counts.iter().rev().max_by_key(|(_, count)| *count);
        used.extend(largest.map(|(at, count)| quota.used(at, *count)));
    }
}

fn groups_in_action(actions: &[At<Action>]) -> usize {
    let groups = |action: &At<Action>| match &action.value {
        Action::Forward(forward) => forward.target_groups.len(),
        Action::Other { .. } => 0,
    };
    actions.iter().map(groups).max().unwrap_or(0)
}

/// The values of a condition, including regular expressions.
fn values(condition: &Value) -> impl Iterator<Item = &str> {
    let configs = condition.as_object().into_iter().flatten();
    let lists = configs.flat_map(|(_, config)| [&config["values"], &config["regexValues"]]);
    let items = lists.flat_map(|list| list.as_array().into_iter().flatten());
    items.filter_map(|item| item.as_str().or_else(|| item["value"].as_str()))
}

fn values_of_rule(rule: &ListenerRule) -> usize {
    rule.conditions.iter().flat_map(|one| values(one)).count()
}

fn values_of_condition(rule: &ListenerRule) -> usize {
    let counts = rule.conditions.iter().map(|one| values(one).count());
    counts.max().unwrap_or(0)
}

/// The wildcards `*` and `?`, which expressions, methods and addresses do not have.
fn wildcards(rule: &ListenerRule) -> usize {
    let matches = |condition: &&At<Value>| {
        let field = condition["field"].as_str().unwrap_or_default();
        !matches!(field, "http-request-method" | "source-ip")
            && !condition.to_string().contains("\"regexValues\"")
    };
    let texts = rule
        .conditions
        .iter()
        .filter(matches)
        .flat_map(|one| values(one));
    texts.flat_map(|text| text.matches(['*', '?'])).count()
}

/// The inbound rules: one for each range. Each entry of a prefix list would count too, but is unknown here.
fn inbound(group: &SecurityGroup) -> usize {
    let sources = group.ingress.iter().map(|permission| {
        permission.ip_ranges.len() + permission.ipv6_ranges.len() + permission.prefix_lists.len()
    });
    sources.sum()
}

#[cfg(test)]
mod tests;

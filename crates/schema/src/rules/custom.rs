//! Custom resources: rules that their definitions express in CEL, and those of the AWS Load Balancer Controller's webhooks.

use std::collections::HashSet;

use super::address;
use super::message::Report;
use super::rule::Check::Fields;
use super::rule::Rule;
use crate::{Cursor, Faults};

const PARAMS: &str = "elbv2.k8s.aws/IngressClassParams";
const BINDING: &str = "elbv2.k8s.aws/TargetGroupBinding";
const CEL: &str = "x-kubernetes-validations";

pub(super) const RULES: &[Rule] = &[
    Rule::new(PARAMS, "spec", Fields(prefix_lists), CEL),
    Rule::new(PARAMS, "spec.subnets", Fields(subnets), CEL),
    Rule::new(
        PARAMS,
        "spec.inboundCIDRs[]",
        Fields(inbound),
        "webhook: checkInboundCIDRs",
    ),
    Rule::new(
        PARAMS,
        "spec.subnets.ids",
        Fields(unique),
        "webhook: checkSubnetSelectors",
    ),
    Rule::new(
        PARAMS,
        "spec.subnets.tags{}",
        Fields(unique),
        "webhook: checkSubnetSelectors",
    ),
    Rule::new(BINDING, "spec", Fields(target_group), CEL),
    Rule::new(
        BINDING,
        "spec",
        Fields(node_selector),
        "webhook: checkNodeSelector",
    ),
    Rule::new(
        BINDING,
        "spec",
        Fields(assumed_role),
        "webhook: checkAssumeRoleConfig",
    ),
    Rule::new(
        BINDING,
        "spec.vpcID",
        Fields(vpc),
        "webhook: checkTargetGroupVpcID",
    ),
];

fn prefix_lists(spec: &Cursor<'_>, faults: &mut Faults) {
    let (new, old) = (spec.get("prefixListsIDs"), spec.get("PrefixListsIDs"));
    if !new.is_absent() && !old.is_absent() {
        let why = "cannot specify both 'prefixListsIDs' and 'PrefixListsIDs' fields";
        faults.invalid(spec, why);
    }
}

fn subnets(subnets: &Cursor<'_>, faults: &mut Faults) {
    // A null is dropped before the rules run.
    let has = |field: &str| !subnets.get(field).is_absent();
    if subnets.is_mapping() && has("ids") == has("tags") {
        faults.invalid(subnets, "must specify exactly one of `ids` or `tags`");
    }
}

fn unique(list: &Cursor<'_>, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for item in list.items() {
        if let Some(text) = item.text()
            && !seen.insert(text)
        {
            refused(&item, &format!("Duplicate value: {text:?}"), faults);
        }
    }
}

fn target_group(spec: &Cursor<'_>, faults: &mut Faults) {
    let has = |field: &str| !spec.get(field).is_absent();
    if spec.is_mapping() && !has("targetGroupARN") && !has("targetGroupName") {
        faults.invalid(spec, "targetGroupARN or targetGroupName is required");
    }
}

fn node_selector(spec: &Cursor<'_>, faults: &mut Faults) {
    let selector = spec.get("nodeSelector");
    if spec.get("targetType").text() == Some("ip") && !selector.is_absent() {
        refused(
            &selector,
            "TargetGroupBinding cannot set NodeSelector when TargetType is ip",
            faults,
        );
    }
}

fn assumed_role(spec: &Cursor<'_>, faults: &mut Faults) {
    let role = spec.get("iamRoleArnToAssume");
    let set = role.text().is_some_and(|text| !text.is_empty());
    if set && spec.get("targetType").text() == Some("instance") {
        refused(
            &role,
            "Unable to use instance target type while using assume role",
            faults,
        );
    }
}

fn vpc(id: &Cursor<'_>, faults: &mut Faults) {
    let Some(text) = id.text().filter(|text| !text.is_empty()) else {
        return;
    };
    let hex = |digits: &str| {
        digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let digits = text.strip_prefix("vpc-");
    if !digits.is_some_and(|digits| [8, 17, 32].contains(&digits.len()) && hex(digits)) {
        let why = "VPC Id must begin with 'vpc-' followed by 8, 17 or 32 lowercase letters (a-f) or numbers";
        refused(id, why, faults);
    }
}

fn inbound(range: &Cursor<'_>, faults: &mut Faults) {
    for problem in range.text().map(address::webhook_cidr).unwrap_or_default() {
        refused(range, &problem, faults);
    }
}

/// What only the controller's webhook refuses.
fn refused(value: &Cursor<'_>, why: &str, faults: &mut Faults) {
    let path = value.path();
    let message = format!("{path}: the AWS Load Balancer Controller's webhook refuses it: {why}");
    faults.add(value, "refused-by-webhook", message);
}

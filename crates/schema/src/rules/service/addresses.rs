//! Addresses of Services: cluster IPs and their families, external IPs, source ranges.

use std::collections::HashSet;

use super::spec::{is_headless, type_of};
use crate::rules::address;
use crate::rules::message::Report;
use crate::{Cursor, Faults};

pub(super) fn families(families: &Cursor<'_>, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for family in families.items() {
        let Some(text) = family.decoded_text() else {
            continue;
        };
        if !["IPv4", "IPv6"].contains(&text) {
            faults.unsupported(&family, text, &["IPv4", "IPv6"]);
        }
        if !seen.insert(text) {
            faults.duplicate(&family, &format!("{text:?}"));
        }
    }
}

pub(super) fn cluster_ips(spec: &Cursor<'_>, faults: &mut Faults) {
    if type_of(spec) == "ExternalName" {
        return;
    }
    let (single, ips) = (spec.get("clusterIP"), spec.get("clusterIPs"));
    let first = single.text().unwrap_or_default();
    let count = ips.items().count();
    if count > 0 && first.is_empty() && (single.is_absent() || single.text().is_some()) {
        faults.invalid(&ips, "must be empty when `clusterIP` is not specified");
    }
    let other = ips.item(0).decoded_text().is_some_and(|ip| ip != first);
    if count > 0 && !first.is_empty() && other {
        faults.invalid(&ips, "first value must match `clusterIP`");
    }
    if count > 2 {
        faults.invalid(&ips, "may only hold up to 2 values");
    }
    let before = faults.count();
    let mut texts = Vec::new();
    for (index, ip) in ips.items().enumerate() {
        let Some(text) = ip.decoded_text() else {
            continue;
        };
        texts.push(text);
        if index == 0 && text == "None" {
            if count > 1 {
                faults.invalid(&ips, "'None' must be the first and only value");
            }
            continue;
        }
        faults.problems(&ip, address::ip(text));
    }
    if count == 0 && !["", "None"].contains(&first) {
        texts.push(first);
        for problem in address::ip(first) {
            let message = format!("spec.clusterIPs[0]: Invalid value: {first:?}: {problem}");
            faults.add_at(&ips.item(0), single.at(), "invalid-value", message, None);
        }
    }
    if faults.count() > before || texts == ["None"] {
        return;
    }
    if count > 1 && !address::is_dual_stack(&texts) {
        faults.invalid(&ips, "may specify no more than one IP for each IP family");
    }
    let families = spec.get("ipFamilies");
    for (index, (family, ip)) in families.items().zip(&texts).enumerate() {
        let is_v6 = address::parse(ip).is_some_and(|ip| ip.is_ipv6());
        let expected = match family.text() {
            Some("IPv4") if is_v6 => "an IPv4",
            Some("IPv6") if !is_v6 => "an IPv6",
            _ => continue,
        };
        let place = if count == 0 {
            single.at()
        } else {
            ips.item(index).at()
        };
        let message = format!(
            "spec.clusterIPs[{index}]: Invalid value: {ip:?}: expected {expected} value as indicated by `ipFamilies[{index}]`"
        );
        faults.add_at(&ips.item(index), place, "invalid-value", message, None);
    }
}

/// A Service without a policy has one family, unless it is headless and has no selector.
pub(super) fn single_stack(spec: &Cursor<'_>, faults: &mut Faults) {
    let policy = spec.get("ipFamilyPolicy");
    let has_selector = spec.get("selector").keys().next().is_some();
    let is_single = match policy.text() {
        Some(text) => text == "SingleStack",
        None => policy.is_absent() && (!is_headless(spec) || has_selector),
    };
    if !is_single || type_of(spec) == "ExternalName" {
        return;
    }
    for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
        if spec.get(field).items().count() == 2 {
            let why = format!(
                "must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
            );
            faults.invalid(&policy, why);
        }
    }
}

pub(super) fn endpoint_ip(value: &Cursor<'_>, faults: &mut Faults) {
    let Some(text) = value.decoded_text() else {
        return;
    };
    let problems = address::ip(text);
    let problems = if problems.is_empty() {
        address::endpoint_ip(text)
    } else {
        problems
    };
    faults.problems(value, problems);
}

/// Of the field, or of the annotation from the time before it.
pub(super) fn source_ranges(root: &Cursor<'_>, faults: &mut Faults) {
    const ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let spec = root.get("spec");
    if spec.is_absent() {
        return;
    }
    let is_load_balancer = type_of(&spec) == "LoadBalancer";
    let ranges = spec.get("loadBalancerSourceRanges");
    if ranges.items().next().is_some() {
        if !is_load_balancer {
            faults.forbidden(&ranges, "may only be used when `type` is 'LoadBalancer'");
        }
        for range in ranges.items() {
            let text = range.decoded_text().map(str::trim);
            faults.problems(&range, text.map(address::cidr).unwrap_or_default());
        }
        return;
    }
    let metadata = root.get("metadata");
    let annotations = metadata.get("annotations");
    let annotation = annotations.key(ANNOTATION);
    let Some(text) = annotation.text() else {
        return;
    };
    if !is_load_balancer {
        faults.forbidden(
            &annotation,
            "may only be used when `type` is 'LoadBalancer'",
        );
    }
    for range in text
        .split(',')
        .map(str::trim)
        .filter(|_| !text.trim().is_empty())
    {
        faults.problems(&annotation, address::cidr(range));
    }
}

//! Namespaces and Nodes: `ValidateNamespace`, `ValidateNode`.

use std::collections::HashSet;

use super::address;
use super::message::Report;
use super::meta::kube_finalizer;
use super::name;
use super::rule::Check::Fields;
use super::rule::Rule;
use crate::{Cursor, Faults};

const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        "Namespace",
        "spec.finalizers",
        Fields(finalizers),
        "validateFinalizerName",
    ),
    Rule::new("Node", "spec.taints", Fields(taints), "validateNodeTaints"),
    Rule::new("Node", "spec", Fields(pod_cidrs), "ValidateNode"),
];

fn finalizers(finalizers: &Cursor<'_>, faults: &mut Faults) {
    for finalizer in finalizers.items() {
        let Some(text) = finalizer.decoded_text() else {
            continue;
        };
        let problems = name::qualified(text);
        faults.problems(&finalizer, problems);
        faults.problems(&finalizer, kube_finalizer(text));
    }
}

/// Kubernetes calls the list `metadata.taints`.
fn taints(taints: &Cursor<'_>, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for taint in taints.items() {
        let (key, value, effect) = (taint.get("key"), taint.get("value"), taint.get("effect"));
        faults.problems(&key, name::qualified(key.text().unwrap_or_default()));
        faults.problems(
            &value,
            value.text().map(name::label_value).unwrap_or_default(),
        );
        match effect.text() {
            Some("") => faults.required(&effect, ""),
            Some(text) if !EFFECTS.contains(&text) => faults.unsupported(&effect, text, EFFECTS),
            None if effect.is_absent() => faults.required(&effect, ""),
            _ => {}
        }
        if !seen.insert((taint.text_of("key"), taint.text_of("effect"))) {
            faults.duplicate(&taint, "taints must be unique by key and effect pair");
        }
    }
}

/// A `podCIDR` that is not the first of `podCIDRs` replaces them.
fn pod_cidrs(spec: &Cursor<'_>, faults: &mut Faults) {
    let (single, cidrs) = (spec.get("podCIDR"), spec.get("podCIDRs"));
    let first = cidrs.item(0);
    let single_text = single.text().filter(|text| !text.is_empty());
    if let Some(text) = single_text.filter(|text| first.text() != Some(*text)) {
        for problem in address::cidr(text) {
            let message = format!("spec.podCIDRs[0]: Invalid value: {text:?}: {problem}");
            faults.add_at(&first, single.at(), "invalid-value", message, None);
        }
        return;
    }
    let texts: Vec<&str> = cidrs.items().filter_map(|item| item.text()).collect();
    for cidr in cidrs.items() {
        let text = cidr.decoded_text();
        faults.problems(&cidr, text.map(address::cidr).unwrap_or_default());
    }
    if texts.len() > 2 || texts.len() == 2 && !address::is_dual_stack(&texts) {
        faults.invalid(
            &cidrs,
            "may specify no more than one CIDR for each IP family",
        );
    }
}

//! Rules of an IngressGroup that can never match, with the rule that hides each.

use std::collections::BTreeMap;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Condition, Origin, hidden};
use elbow_yaml::Position;

use super::fate::{Fates, place, words};
use crate::annotations::ingress::GROUP_ORDER;
use crate::objects::Ingress;
use crate::stack::{Action, ListenerRule, Stack, condition};

/// A rule of a listener, with its conditions as the data plane has them.
struct Rule<'a> {
    rule: &'a ListenerRule,
    conditions: Vec<Condition>,
}

/// Warns of the rules that no listener can reach.
pub(crate) fn report(stack: &Stack, members: &[&Ingress]) -> Vec<Diagnostic> {
    let mut listeners: BTreeMap<u16, Vec<Rule<'_>>> = BTreeMap::new();
    for (id, rule) in &stack.rules {
        let port = id.split(':').next().and_then(|port| port.parse().ok());
        let conditions = rule.conditions.iter();
        let conditions = conditions.map(|one| Condition::new(&condition(one)).value.ok());
        // AWS refuses a rule with a wrong condition, which hides nothing.
        let conditions = conditions.collect::<Option<_>>().unwrap_or_default();
        let rules = listeners.entry(port.unwrap_or(0)).or_default();
        rules.push(Rule { rule, conditions });
    }
    let mut fates = Fates::default();
    for rules in listeners.values_mut() {
        rules.sort_by_key(|one| one.rule.priority);
        let hidden = hidden(rules.iter().map(|one| &*one.conditions));
        for (one, hider) in rules.iter().zip(hidden) {
            let hider = hider.and_then(|hider| rules.get(hider));
            let found = hider.map(|hider| found(one, hider, members));
            fates.note(&one.rule.origin, words(&one.conditions), found);
        }
    }
    fates.into_found().collect()
}

fn found(of: &Rule<'_>, hider: &Rule<'_>, members: &[&Ingress]) -> Diagnostic {
    let (own, other) = (&of.rule.origin, &hider.rule.origin);
    let place = place(own, other);
    let message = format!(
        "rule {} ({}) can never match: rule {}{place} ({}) comes first and takes all of its requests{}",
        of.rule.priority,
        words(&of.conditions),
        hider.rule.priority,
        words(&hider.conditions),
        if denies(of.rule) {
            ", so it denies nothing"
        } else {
            ""
        },
    );
    own.place(Diagnostic::warning("hidden-rule", message))
        .hint(way_out(of, hider, members))
}

/// Whether a rule keeps requests from the targets.
fn denies(rule: &ListenerRule) -> bool {
    rule.actions.iter().any(|action| match &action.value {
        Action::Other { kind, value, .. } => {
            let status = value.get("statusCode").and_then(|status| status.as_str());
            *kind == "fixed-response" && status.is_some_and(|status| status.starts_with('4'))
        }
        Action::Forward(_) => false,
    })
}

/// How the rule would come first.
fn way_out(of: &Rule<'_>, hider: &Rule<'_>, members: &[&Ingress]) -> String {
    if of.conditions == hider.conditions {
        return "two paths with the same conditions: remove one".into();
    }
    let (own, other) = (&of.rule.origin, &hider.rule.origin);
    if own.object != other.object {
        return format!(
            "give {} a smaller {GROUP_ORDER} than {}",
            own.object, other.object
        );
    }
    let is_same_entry = |ingress: &&Ingress| {
        *ingress.meta.path() == *own.object
            && ingress.rules.iter().any(|entry| {
                let has = |at: Position| entry.paths.iter().flatten().any(|path| path.at == at);
                has(position(own)) && has(position(other))
            })
    };
    if own.line > 0 && members.iter().any(is_same_entry) {
        "within one entry of spec.rules the controller puts Exact first, then Prefix from long to short, then \
         ImplementationSpecific: write this path in an entry of its own, above that of the other"
            .into()
    } else {
        "write this path in an entry of spec.rules above that of the other".into()
    }
}

fn position(origin: &Origin) -> Position {
    Position {
        line: origin.line,
        column: origin.column,
    }
}

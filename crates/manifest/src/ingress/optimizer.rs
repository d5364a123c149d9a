//! Leaves out redirects to themselves, and rules that an earlier redirect hides (`pkg/ingress/rule_optimizer.go`).

use std::collections::BTreeSet;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{At, Condition};
use serde_json::Value;

use crate::advice::fate::{Fates, place, words};
use crate::stack::{Action, ListenerRule, condition};

/// Leaves out rules that never match and redirects that never end. `fates` learns about each rule.
pub(super) fn optimize(
    port: u16,
    protocol: &str,
    mut rules: Vec<ListenerRule>,
    fates: &mut Fates,
) -> Vec<ListenerRule> {
    let kept = kept(port, protocol, &rules);
    for (rule, kept) in rules.iter().zip(&kept) {
        let found = match kept {
            Kept::Yes => None,
            Kept::NoLoop => Some(looping(rule)),
            Kept::Hidden(by) => rules.get(*by).map(|by| hidden(rule, by)),
        };
        fates.note(&rule.origin, conditions(rule), found);
    }
    let mut kept = kept.into_iter();
    rules.retain(|_| kept.next().is_none_or(|kept| kept == Kept::Yes));
    rules
}

/// Whether a rule stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Yes,
    /// No: it redirects to itself.
    NoLoop,
    /// No: the redirect at this index takes all of its requests.
    Hidden(usize),
}

fn kept(port: u16, protocol: &str, rules: &[ListenerRule]) -> Vec<Kept> {
    // Only redirects hide rules, and each rule's conditions are collected once: an Ingress may have thousands of rules.
    let mut redirects: Vec<(usize, Sets<'_>)> = Vec::new();
    let mut kept = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        let own = sets(&rule.conditions);
        let mut before = redirects.iter();
        kept.push(
            if let Some((by, _)) = before.find(|(_, before)| covers(before, &own)) {
                Kept::Hidden(*by)
            } else if loops(port, protocol, rule, &own) {
                Kept::NoLoop
            } else {
                if redirect(rule).is_some() {
                    redirects.push((index, own));
                }
                Kept::Yes
            },
        );
    }
    kept
}

/// The conditions as a person reads them; one that AWS refuses is left out.
fn conditions(rule: &ListenerRule) -> String {
    let conditions = rule.conditions.iter();
    let conditions = conditions.filter_map(|one| Condition::new(&condition(one)).value.ok());
    words(&conditions.collect::<Vec<_>>())
}

/// The warning about a redirect to itself.
fn looping(rule: &ListenerRule) -> Diagnostic {
    let message = format!(
        "the redirect of {} leads back to itself, so it is left out: requests go to a later rule, or get the default action",
        conditions(rule)
    );
    let found = Diagnostic::warning("redirect-loop", message);
    let hint = "redirect to another protocol, port, host, path or query, or remove the path";
    rule.origin.place(found).hint(hint)
}

/// The warning about a rule that a redirect hides.
fn hidden(rule: &ListenerRule, by: &ListenerRule) -> Diagnostic {
    let message = format!(
        "{} can never match, so it is left out: the redirect of {}{} comes first and takes all of its requests",
        conditions(rule),
        conditions(by),
        place(&rule.origin, &by.origin)
    );
    let found = Diagnostic::warning("hidden-rule", message);
    let hint = "write this path in an entry of spec.rules above that of the redirect";
    rule.origin.place(found).hint(hint)
}

fn redirect(rule: &ListenerRule) -> Option<&Value> {
    rule.actions.iter().find_map(|action| match &action.value {
        Action::Other {
            kind: "redirect",
            value,
            ..
        } => Some(value),
        _ => None,
    })
}

/// Whether a redirect leads back to its own rule. Nobody knows of a rule with regular expressions for paths.
fn loops(port: u16, protocol: &str, rule: &ListenerRule, own: &Sets<'_>) -> bool {
    let Some(redirect) = redirect(rule) else {
        return false;
    };
    if own.has_path_patterns {
        return false;
    }
    let stays = |field: &str, placeholder: &str, own: &dyn Fn(&str) -> bool| {
        let value = redirect.get(field).and_then(Value::as_str);
        value.is_none_or(|value| value == placeholder || own(value))
    };
    stays("host", "#{host}", &|host| own.hosts.contains(host))
        && stays("path", "/#{path}", &|path| own.paths.contains(path))
        && stays("port", "#{port}", &|to| to == port.to_string())
        && stays("protocol", "#{protocol}", &|to| to == protocol)
        && stays("query", "#{query}", &|_| false)
}

/// Whether the controller takes every request that matches `right` to match `left`. Regular expressions for hosts do
/// not count, as if there were no condition on the host.
fn covers(left: &Sets<'_>, right: &Sets<'_>) -> bool {
    if left.others {
        return false;
    }
    let hosts =
        left.hosts.is_empty() || (!right.hosts.is_empty() && left.hosts.is_superset(&right.hosts));
    let paths = left.paths.is_empty()
        || left.paths.contains("/*")
        || (!right.paths.is_empty() && left.paths.is_superset(&right.paths));
    hosts && paths
}

/// The conditions of a rule, as the controller compares them.
#[derive(Default)]
struct Sets<'a> {
    hosts: BTreeSet<&'a str>,
    /// Path patterns, or regular expressions for paths: as texts, both are compared alike.
    paths: BTreeSet<&'a str>,
    has_path_patterns: bool,
    /// Whether there are conditions of another kind.
    others: bool,
}

/// Collects the values of the conditions.
fn sets(conditions: &[At<Value>]) -> Sets<'_> {
    let mut sets = Sets::default();
    for condition in conditions {
        let texts = |config: &str, list: &str| {
            let values = condition.get(config)?.get(list)?.as_array()?;
            Some(values.iter().filter_map(Value::as_str))
        };
        match condition.get("field").and_then(Value::as_str) {
            Some("host-header") => {
                let hosts = texts("hostHeaderConfig", "values");
                sets.hosts.extend(hosts.into_iter().flatten());
            }
            Some("path-pattern") => {
                let patterns = texts("pathPatternConfig", "regexValues");
                sets.has_path_patterns |= patterns.is_some();
                let paths = patterns.or_else(|| texts("pathPatternConfig", "values"));
                sets.paths.extend(paths.into_iter().flatten());
            }
            _ => sets.others = true,
        }
    }
    sets
}

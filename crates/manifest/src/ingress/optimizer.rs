//! Rules that are left out: redirects to themselves, and rules that a redirect before them hides.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::stack::{Action, ListenerRule};

/// Leaves out what can never match or never end.
pub(super) fn optimize(port: u16, protocol: &str, rules: Vec<ListenerRule>) -> Vec<ListenerRule> {
    let mut kept: Vec<ListenerRule> = Vec::with_capacity(rules.len());
    // Redirects are few; only they are compared with.
    let mut redirects: Vec<usize> = Vec::new();
    for rule in rules {
        if loops(port, protocol, &rule) {
            continue;
        }
        let hidden = |&index: &usize| {
            let before = kept.get(index);
            before.is_some_and(|before| covers(&before.conditions, &rule.conditions))
        };
        if redirects.iter().any(hidden) {
            continue;
        }
        if redirect(&rule).is_some() {
            redirects.push(kept.len());
        }
        kept.push(rule);
    }
    kept
}

fn redirect(rule: &ListenerRule) -> Option<&Value> {
    rule.actions.iter().find_map(|action| match action {
        Action::Other {
            kind: "redirect",
            value,
            ..
        } => Some(value),
        _ => None,
    })
}

/// Whether a redirect leads to where it came from.
fn loops(port: u16, protocol: &str, rule: &ListenerRule) -> bool {
    let Some(redirect) = redirect(rule) else {
        return false;
    };
    let (hosts, paths, _) = sets(&rule.conditions);
    let stays = |field: &str, placeholder: &str, own: &dyn Fn(&str) -> bool| {
        let value = redirect.get(field).and_then(Value::as_str);
        value.is_none_or(|value| value == placeholder || own(value))
    };
    stays("host", "#{host}", &|host| hosts.contains(host))
        && stays("path", "/#{path}", &|path| paths.contains(path))
        && stays("port", "#{port}", &|to| to == port.to_string())
        && stays("protocol", "#{protocol}", &|to| to == protocol)
        && stays("query", "#{query}", &|_| false)
}

/// Whether whatever matches `right` matches `left`.
fn covers(left: &[Value], right: &[Value]) -> bool {
    let (left_hosts, left_paths, others) = sets(left);
    if others {
        return false;
    }
    let (right_hosts, right_paths, _) = sets(right);
    let hosts =
        left_hosts.is_empty() || (!right_hosts.is_empty() && left_hosts.is_superset(&right_hosts));
    let paths = left_paths.is_empty()
        || left_paths.contains("/*")
        || (!right_paths.is_empty() && left_paths.is_superset(&right_paths));
    hosts && paths
}

/// The hosts and the paths of the conditions, and whether there are conditions of another kind.
fn sets(conditions: &[Value]) -> (BTreeSet<&str>, BTreeSet<&str>, bool) {
    let (mut hosts, mut paths, mut others) = (BTreeSet::new(), BTreeSet::new(), false);
    for condition in conditions {
        let (set, config) = match condition.get("field").and_then(Value::as_str) {
            Some("host-header") => (&mut hosts, "hostHeaderConfig"),
            Some("path-pattern") => (&mut paths, "pathPatternConfig"),
            _ => {
                others = true;
                continue;
            }
        };
        let config = condition.get(config);
        // Patterns that are regular expressions cannot be compared.
        others |= config.is_some_and(|config| config.get("regexValues").is_some());
        let values = config.and_then(|config| config.get("values")?.as_array());
        set.extend(values.into_iter().flatten().filter_map(Value::as_str));
    }
    (hosts, paths, others)
}

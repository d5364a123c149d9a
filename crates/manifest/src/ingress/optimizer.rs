//! Rules that are left out: redirects to themselves, and rules that a redirect before them hides.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::stack::{Action, ListenerRule};

/// Leaves out what can never match or never end.
pub(super) fn optimize(
    port: u16,
    protocol: &str,
    mut rules: Vec<ListenerRule>,
) -> Vec<ListenerRule> {
    let kept = kept(port, protocol, &rules);
    let mut kept = kept.into_iter();
    rules.retain(|_| kept.next().unwrap_or(true));
    rules
}

/// Whether each of the rules stays.
fn kept(port: u16, protocol: &str, rules: &[ListenerRule]) -> Vec<bool> {
    // Only redirects are compared with, and what a condition holds is looked up once: an Ingress may have thousands.
    let mut redirects: Vec<Sets<'_>> = Vec::new();
    let mut kept = Vec::with_capacity(rules.len());
    for rule in rules {
        let own = sets(&rule.conditions);
        let hidden = redirects.iter().any(|before| covers(before, &own));
        let stays = !hidden && !loops(port, protocol, rule);
        if stays && redirect(rule).is_some() {
            redirects.push(own);
        }
        kept.push(stays);
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
fn covers((left_hosts, left_paths, others): &Sets<'_>, right: &Sets<'_>) -> bool {
    if *others {
        return false;
    }
    let (right_hosts, right_paths, _) = right;
    let hosts =
        left_hosts.is_empty() || (!right_hosts.is_empty() && left_hosts.is_superset(right_hosts));
    let paths = left_paths.is_empty()
        || left_paths.contains("/*")
        || (!right_paths.is_empty() && left_paths.is_superset(right_paths));
    hosts && paths
}

/// The hosts and the paths of conditions, and whether there are conditions of another kind.
type Sets<'a> = (BTreeSet<&'a str>, BTreeSet<&'a str>, bool);

/// What the conditions hold.
fn sets(conditions: &[Value]) -> Sets<'_> {
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

//! Listener rules and their conditions (ALB guide: listener rules, condition types).

use std::sync::Arc;

use super::item::{Item, Seen};
use super::listener::Place;
use super::{Scope, action};
use crate::{Condition, LoadBalancerType, Rule};

pub(super) const FIELDS: &[&str] = &["priority", "conditions", "actions"];
pub(super) const CONDITION_FIELDS: &[&str] = &["field", "hostHeaderConfig", "pathPatternConfig"];
pub(super) const VALUES_FIELDS: &[&str] = &["values"];

/// Condition values of a rule (ALB guide: quotas).
const MAX_VALUES: usize = 5;

/// `*` and `?` of a rule (ALB guide: quotas).
const MAX_WILDCARDS: usize = 6;

/// Characters of a condition value.
const MAX_VALUE: usize = 128;

/// Conditions that AWS has beside the two that are served.
const UNSERVED: &[&str] = &[
    "http-header",
    "http-request-method",
    "query-string",
    "source-ip",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    HostHeader,
    PathPattern,
}

pub(super) fn read_all(item: &Item<'_>, listener: Place, scope: &Scope<'_>) -> Vec<Rule> {
    if listener
        .kind
        .is_some_and(|k| k != LoadBalancerType::Application)
    {
        item.error(
            "invalid-combination",
            "rules belong to application load balancers",
        );
        return Vec::new();
    }
    let mut priorities = Seen::new("priority");
    let mut rules: Vec<Rule> = item
        .items()
        .iter()
        .filter_map(|item| read(item, listener, scope, &mut priorities))
        .collect();
    rules.sort_by_key(|rule| rule.priority);
    rules
}

fn read(
    item: &Item<'_>,
    listener: Place,
    scope: &Scope<'_>,
    priorities: &mut Seen<u32>,
) -> Option<Rule> {
    let fields = item.fields_but(FIELDS, &["transforms"])?;
    let priority = fields.required("priority").and_then(|item| {
        let priority = item.number(1..=50_000)?;
        priorities.check(priority, &item, "duplicate-priority");
        Some(priority)
    });
    let conditions = fields
        .required("conditions")
        .map(|item| conditions(&item))
        .unwrap_or_default();
    let place = Place {
        rule: priority,
        ..listener
    };
    let actions = fields
        .required("actions")
        .map(|item| action::read_all(&item, place, scope))
        .unwrap_or_default();
    Some(Rule {
        priority: priority?,
        conditions,
        actions,
    })
}

fn conditions(item: &Item<'_>) -> Vec<Condition> {
    let items = item.items();
    if items.is_empty() {
        item.error("missing-field", "a rule needs at least one condition");
    }
    let mut fields = Seen::new("condition");
    let conditions: Vec<Condition> = items
        .iter()
        .filter_map(|item| condition(item, &mut fields))
        .collect();
    let values = || {
        conditions.iter().flat_map(|condition| match condition {
            Condition::HostHeader(values) | Condition::PathPattern(values) => values,
        })
    };
    let count = values().count();
    if count > MAX_VALUES {
        item.error(
            "too-many",
            format!("the conditions of a rule have at most {MAX_VALUES} values, not {count}"),
        );
    }
    let count = values()
        .flat_map(|value| value.bytes())
        .filter(|b| b"*?".contains(b))
        .count();
    if count > MAX_WILDCARDS {
        item.error(
            "too-many-wildcards",
            format!("the conditions of a rule have at most {MAX_WILDCARDS} wildcards, not {count}"),
        );
    }
    conditions
}

fn condition(item: &Item<'_>, seen: &mut Seen<&'static str>) -> Option<Condition> {
    if let Some(name) = item.peek("field").filter(|name| UNSERVED.contains(name)) {
        item.not_supported(format_args!("conditions on {name} are"));
        return None;
    }
    let fields = item.fields(CONDITION_FIELDS)?;
    let field = fields.required("field")?;
    let (kind, name, config, other) = field.one_of(&[
        (
            "host-header",
            (
                Kind::HostHeader,
                "host-header",
                "hostHeaderConfig",
                "pathPatternConfig",
            ),
        ),
        (
            "path-pattern",
            (
                Kind::PathPattern,
                "path-pattern",
                "pathPatternConfig",
                "hostHeaderConfig",
            ),
        ),
    ])?;
    seen.check(name, item, "duplicate-condition");
    if let Some(item) = fields.get(other) {
        item.error(
            "invalid-combination",
            format!("a condition on {name} has {config}, not {other}"),
        );
    }
    let config = fields.required(config)?;
    let config = config.fields_but(VALUES_FIELDS, &["regexValues"])?;
    let list = config.required("values")?;
    let items = list.items();
    if items.is_empty() {
        list.error("missing-field", "a condition needs at least one value");
    }
    let values = items.iter().filter_map(|item| value(item, kind)).collect();
    Some(match kind {
        Kind::HostHeader => Condition::HostHeader(values),
        Kind::PathPattern => Condition::PathPattern(values),
    })
}

fn value(item: &Item<'_>, kind: Kind) -> Option<Arc<str>> {
    let text = item.text()?;
    let (valid, what) = match kind {
        Kind::HostHeader => (
            is_host_pattern(text),
            "a host pattern: letters, digits, - _ . * ?, with a dot, and letters after the last",
        ),
        Kind::PathPattern => (
            is_path_pattern(text),
            "a path pattern: letters, digits, spaces and _-.$/~\"'@:+&*?",
        ),
    };
    if !valid || text.is_empty() || text.len() > MAX_VALUE {
        item.error_with(
            "invalid-pattern",
            format!("{text:?} is not {what}"),
            (text.len() > MAX_VALUE).then(|| format!("at most {MAX_VALUE} characters")),
        );
        return None;
    }
    Some(text.into())
}

fn is_host_pattern(text: &str) -> bool {
    let letters = |last: &str| !last.is_empty() && last.bytes().all(|b| b.is_ascii_alphabetic());
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.*?".contains(&b))
        && text.rsplit_once('.').is_some_and(|(_, last)| letters(last))
}

fn is_path_pattern(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b" _-.$/~\"'@:+&*?".contains(&b))
}

//! Listener rules (ALB guide: listener rules).

use super::item::{Item, Seen};
use super::listener::Place;
use super::{Scope, action, condition, transform};
use crate::{LoadBalancerType, Rule};

pub(super) const FIELDS: &[&str] = &["priority", "conditions", "actions", "transforms"];
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
    let fields = item.fields(FIELDS)?;
    let priority = fields.required("priority").and_then(|item| {
        let priority = item.number(1..=50_000)?;
        priorities.check(priority, &item, "duplicate-priority");
        Some(priority)
    });
    let conditions = fields
        .required("conditions")
        .map(|item| condition::read_all(&item))
        .unwrap_or_default();
    let place = Place {
        rule: priority,
        ..listener
    };
    let actions = fields
        .required("actions")
        .map(|item| action::read_all(&item, place, scope))
        .unwrap_or_default();
    let transforms = fields
        .get("transforms")
        .map(|item| transform::read_all(&item))
        .unwrap_or_default();
    Some(Rule {
        priority: priority?,
        conditions,
        actions,
        transforms,
    })
}

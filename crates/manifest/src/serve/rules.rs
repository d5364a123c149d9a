//! The rules of a listener, in the words of the model.

use elbow_model::{ActionSpec, ConditionSpec, Origin, RuleSpec, Step};

use super::actions::{Actions, Unbuilt, unavailable};
use super::place::{Part, Place};
use crate::stack::{ListenerRule, Reference, Stack, condition, transform};

/// A rule with the places of its fields.
pub(super) struct Rule<'a> {
    id: &'a str,
    from: &'a ListenerRule,
    /// The indexes in `from` of the conditions that are built.
    conditions: Vec<usize>,
}

/// The rules of the listener of a port with their ids, by priority.
pub(super) fn of_listener(stack: &Stack, port: u16) -> Vec<(&str, &ListenerRule)> {
    let listener = Reference::listener(port.to_string());
    let rules = stack.rules.iter();
    let mut rules: Vec<(&str, &ListenerRule)> = rules
        .filter(|(_, rule)| rule.listener == listener)
        .map(|(id, rule)| (id.as_str(), &**rule))
        .collect();
    rules.sort_by_key(|(_, rule)| rule.priority);
    rules
}

impl<'a> Rule<'a> {
    /// Builds a rule. It answers 503 when a part of it is left out: without one of its conditions it would match more
    /// requests than it was written for.
    pub(super) fn build(
        id: &'a str,
        from: &'a ListenerRule,
        actions: &mut Actions<'_, '_>,
    ) -> (Self, RuleSpec) {
        let is_served =
            |index: &usize| !actions.is_left_out(&Part::Condition(id.to_owned(), *index));
        let conditions: Vec<usize> = (0..from.conditions.len()).filter(is_served).collect();
        let is_whole = conditions.len() == from.conditions.len()
            && !actions.is_left_out(&Part::Rule(id.to_owned()));
        let built = if is_whole && !from.actions.is_empty() {
            actions.build(&from.actions)
        } else {
            Err(Unbuilt::LeftOut)
        };
        let (built, transforms): (Vec<ActionSpec>, _) = match built {
            Ok(built) => {
                let transforms = from.transforms.iter();
                (built, transforms.map(|one| transform(one)).collect())
            }
            Err(why) => {
                actions.notes.extend(why.warning("the rule answers 503"));
                (unavailable(), Vec::new())
            }
        };
        let mut specs: Vec<ConditionSpec> = conditions
            .iter()
            .filter_map(|index| from.conditions.get(*index))
            .map(|one| condition(one))
            .collect();
        if specs.is_empty() {
            specs.push(ConditionSpec::path_pattern(["/*"]));
        }
        let spec = RuleSpec {
            priority: Some(u32::try_from(from.priority).unwrap_or(u32::MAX)),
            conditions: Some(specs),
            actions: Some(built),
            transforms,
        };
        let rule = Self {
            id,
            from,
            conditions,
        };
        (rule, spec)
    }

    /// The place of a field.
    pub(super) fn place(&self, steps: &[Step]) -> Place {
        let rule = || Part::Rule(self.id.to_owned());
        let item = |origin: Option<&Origin>| {
            let origin = origin.unwrap_or(&self.from.origin);
            Place::of(origin, rule())
        };
        match steps {
            [Step::Field("conditions"), Step::Index(at), ..] => {
                let index = self.conditions.get(*at).copied().unwrap_or_default();
                match self.from.conditions.get(index) {
                    Some(one) => Place::of(&one.origin, Part::Condition(self.id.to_owned(), index)),
                    None => Place::fixed(&self.from.origin),
                }
            }
            // A fault of all conditions together is mostly the annotation's. At one place it is reported once for all
            // ports and paths.
            [Step::Field("conditions"), ..] => Place::fixed(&self.from.conditions.origin),
            [Step::Field("actions"), Step::Index(at), ..] => {
                item(self.from.actions.get(*at).map(|one| &one.origin))
            }
            [Step::Field("actions"), ..] => item(self.from.actions.first().map(|one| &one.origin)),
            [Step::Field("transforms"), Step::Index(at), ..] => {
                item(self.from.transforms.get(*at).map(|one| &one.origin))
            }
            _ => Place::fixed(&self.from.origin),
        }
    }
}

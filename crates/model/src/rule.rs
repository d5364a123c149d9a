//! Listener rules and their transforms (ALB guide: listener rules, transforms; NLB guide: listener rules).

use std::sync::Arc;

use crate::action::{Action, Owner};
use crate::condition::{Condition, expression};
use crate::expression::Expression;
use crate::hidden::hidden;
use crate::invalid::Place;
use crate::kinds::LoadBalancerType;
use crate::read::{in_range, is_printable, one_of};
use crate::seen::Seen;
use crate::spec::{RewriteSpec, RewritesSpec, RuleSpec, TransformSpec};

/// A listener rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// 1-50000, unique per listener; the lowest that matches wins.
    pub priority: u32,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Ends in exactly one forward, redirect or fixed-response; one that authenticates may precede it.
    pub actions: Vec<Action>,
    /// What targets get to see instead of what the client sent.
    pub transforms: Transforms,
}

impl Rule {
    /// The rules of a listener, by ascending priority.
    pub(crate) fn build_all(specs: &[RuleSpec], listener: Owner<'_>, at: &Place<'_>) -> Vec<Self> {
        let mut priorities = Seen::new("priority");
        let mut rules: Vec<(usize, Self)> = specs
            .iter()
            .enumerate()
            .filter_map(|(i, spec)| {
                let rule = Self::build(spec, listener, &mut priorities, &at.index(i))?;
                Some((i, rule))
            })
            .collect();
        rules.sort_by_key(|(_, rule)| rule.priority);
        Self::warn_of_hidden(&rules, at);
        rules.into_iter().map(|(_, rule)| rule).collect()
    }

    /// Warns of rules that can never match.
    fn warn_of_hidden(rules: &[(usize, Self)], at: &Place<'_>) {
        let conditions = rules.iter().map(|(_, rule)| &*rule.conditions);
        for ((i, rule), hider) in rules.iter().zip(hidden(conditions)) {
            let Some((_, hider)) = hider.and_then(|hider| rules.get(hider)) else {
                continue;
            };
            at.index(*i).warn(
                "hidden-rule",
                format!(
                    "rule {} can never match: rule {} comes first and matches every request that it would",
                    rule.priority, hider.priority
                ),
            );
        }
    }

    fn build(
        spec: &RuleSpec,
        listener: Owner<'_>,
        priorities: &mut Seen<u32>,
        at: &Place<'_>,
    ) -> Option<Self> {
        let at_priority = at.field("priority");
        let priority = match spec.priority {
            Some(priority) => in_range(priority, 1..=50_000, &at_priority),
            None => {
                at.missing("priority");
                None
            }
        };
        if let Some(priority) = priority {
            priorities.check(priority, &at_priority, "duplicate-priority");
        }
        let conditions = match &spec.conditions {
            Some(specs) => Condition::build_all(specs, listener.kind, &at.field("conditions")),
            None => {
                at.missing("conditions");
                Vec::new()
            }
        };
        let owner = Owner {
            rule: priority,
            ..listener
        };
        let actions = match &spec.actions {
            Some(specs) => Action::build_all(specs, owner, &at.field("actions")),
            None => {
                at.missing("actions");
                Vec::new()
            }
        };
        let at_transforms = at.field("transforms");
        if listener.kind == Some(LoadBalancerType::Network) && !spec.transforms.is_empty() {
            at_transforms.error(
                "invalid-combination",
                "transforms belong to application load balancers",
            );
        }
        let transforms = Transforms::build(&spec.transforms, &at_transforms);
        Some(Self {
            priority: priority?,
            conditions,
            actions,
            transforms,
        })
    }
}

/// The transforms of a rule. They come after the match, which is not made again, and change what a target gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transforms {
    /// `host-header-rewrite`: of Host without its port, in any case.
    pub host_header: Option<Rewrite>,
    /// `url-rewrite`: of the path with the query.
    pub url: Option<Rewrite>,
}

/// A regular expression and what its first match is replaced with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Without a match nothing changes.
    pub regex: Expression,
    /// Holds `$1` and so on: see [`Expression::rewrite`].
    pub replace: Arc<str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    HostHeader,
    Url,
}

const KINDS: &[(&str, Kind)] = &[
    ("host-header-rewrite", Kind::HostHeader),
    ("url-rewrite", Kind::Url),
];

impl Kind {
    fn config(self) -> &'static str {
        match self {
            Self::HostHeader => "hostHeaderRewriteConfig",
            Self::Url => "urlRewriteConfig",
        }
    }

    fn of(self, spec: &TransformSpec) -> Option<&RewritesSpec> {
        match self {
            Self::HostHeader => spec.host_header_rewrite_config.as_ref(),
            Self::Url => spec.url_rewrite_config.as_ref(),
        }
    }
}

impl Transforms {
    /// `type` of each kind of transform.
    pub const TYPES: &'static [&'static str] = &["host-header-rewrite", "url-rewrite"];

    /// At most one of each type.
    fn build(specs: &[TransformSpec], at: &Place<'_>) -> Self {
        let mut transforms = Self::default();
        let mut seen = Seen::new("transform");
        for (i, spec) in specs.iter().enumerate() {
            match transform(spec, &mut seen, &at.index(i)) {
                Some((Kind::HostHeader, rewrite)) => transforms.host_header = Some(rewrite),
                Some((Kind::Url, rewrite)) => transforms.url = Some(rewrite),
                None => {}
            }
        }
        transforms
    }
}

fn transform(
    spec: &TransformSpec,
    seen: &mut Seen<&'static str>,
    at: &Place<'_>,
) -> Option<(Kind, Rewrite)> {
    let Some(name) = &spec.kind else {
        at.missing("type");
        return None;
    };
    let kind = one_of(name, KINDS, &at.field("type"))?;
    for (name, other) in KINDS {
        if *other == kind {
            seen.check(name, at, "duplicate-transform");
        } else if other.of(spec).is_some() {
            let config = other.config();
            at.field(config).error(
                "invalid-combination",
                format!("{config} belongs to transforms of type {name}"),
            );
        }
    }
    let Some(rewrites) = kind.of(spec) else {
        at.missing(kind.config());
        return None;
    };
    let at = at.field(kind.config());
    let Some(specs) = &rewrites.rewrites else {
        at.missing("rewrites");
        return None;
    };
    let at = at.field("rewrites");
    if specs.len() != 1 {
        at.error(
            "out-of-range",
            format!("a transform has one rewrite, not {}", specs.len()),
        );
    }
    Rewrite::build(specs.first()?, kind, &at.index(0)).map(|rewrite| (kind, rewrite))
}

impl Rewrite {
    fn build(spec: &RewriteSpec, kind: Kind, at: &Place<'_>) -> Option<Self> {
        let text = |given: &Option<String>, name| match given {
            Some(text) => is_transform_text(text, &at.field(name)).then(|| text.clone()),
            None => {
                at.missing(name);
                None
            }
        };
        let regex = text(&spec.regex, "regex");
        // Names of hosts are the same in any case; paths are not.
        let regex =
            regex.and_then(|text| expression(&text, kind == Kind::HostHeader, &at.field("regex")));
        let replace = text(&spec.replace, "replace");
        Some(Self {
            regex: regex?,
            replace: replace?.into(),
        })
    }
}

fn is_transform_text(text: &str, at: &Place<'_>) -> bool {
    const MAX: usize = Expression::MAX_TRANSFORM;
    let is_valid = text.len() <= MAX && is_printable(text);
    if !is_valid {
        at.error(
            "invalid-pattern",
            format!("{text:?} is not up to {MAX} characters of printable ASCII"),
        );
    }
    is_valid
}

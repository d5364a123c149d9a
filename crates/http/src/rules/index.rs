//! Which rules can take a request at all: an index over the literal parts of their hosts and paths.
//!
//! It only leaves out rules that cannot match; the rules that it names are matched as ever, in order
//! of priority.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use super::condition::{Condition, Values};
use super::pattern::Pattern;
use super::subject::Subject;

/// Below this many rules, asking all of them costs less than the index.
const RULES_MIN: usize = 16;

/// Rules by what they need. Each rule, named by its place, is in one of the three parts.
#[derive(Clone, Debug)]
pub(super) struct Index {
    hosts: Literals,
    paths: Literals,
    /// The rules of which nothing is known.
    others: Box<[usize]>,
}

impl Index {
    /// An index of rules, each given by its conditions.
    pub(super) fn new<'r>(rules: impl Iterator<Item = &'r [Condition]>) -> Self {
        let rules: Vec<_> = rules.map(Needs::of).collect();
        let (hosts, paths) = (
            Counts::of(&rules, Needs::hosts),
            Counts::of(&rules, Needs::paths),
        );
        let (mut by_host, mut by_path) = (Entries::default(), Entries::default());
        let mut others = Vec::new();
        for (place, needs) in rules.iter().enumerate() {
            let is_small = rules.len() < RULES_MIN;
            match (
                needs.hosts().filter(|_| !is_small),
                needs.paths().filter(|_| !is_small),
            ) {
                (Some(needed), other)
                    if other.is_none_or(|o| hosts.most(needed) <= paths.most(o)) =>
                {
                    by_host.add(place, needed);
                }
                (_, Some(needed)) => by_path.add(place, needed),
                _ => others.push(place),
            }
        }
        Self {
            hosts: Literals::new(by_host),
            paths: Literals::new(by_path),
            others: others.into(),
        }
    }

    /// The rules that can take `subject`, in their order.
    pub(super) fn candidates(&self, subject: &mut Subject<'_>) -> Candidates<'_> {
        let hosts = self.hosts.find(|| {
            let host = subject.host()?;
            Some(move |at| Some(host.iter().nth_back(at)?.to_ascii_lowercase()))
        });
        let paths = self.paths.find(|| {
            let path = subject.path()?;
            Some(move |at| path.get(at).copied())
        });
        Candidates([hosts, paths, &self.others])
    }
}

/// Places of rules in order, merged from three lists in order.
pub(super) struct Candidates<'i>([&'i [usize]; 3]);

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let heads = self.0.iter().filter_map(|list| list.first());
        let next = *heads.min()?;
        for list in &mut self.0 {
            if let Some((first, rest)) = list.split_first()
                && *first == next
            {
                *list = rest;
            }
        }
        Some(next)
    }
}

/// What a value has to start with, read in the direction of the index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Literal {
    text: Vec<u8>,
    /// Whether it is all of the value.
    is_whole: bool,
}

/// Literals of which a rule needs one: in the host, which is read from its end and in lower case, and
/// in the path.
struct Needs {
    hosts: Option<Vec<Literal>>,
    paths: Option<Vec<Literal>>,
}

impl Needs {
    fn of(conditions: &[Condition]) -> Self {
        let mut needs = Self {
            hosts: None,
            paths: None,
        };
        for condition in conditions {
            match condition {
                Condition::Host(Values::Patterns(patterns)) => {
                    needs.hosts = Some(patterns.iter().map(Literal::of_host).collect());
                }
                Condition::Path(Values::Patterns(patterns)) => {
                    needs.paths = Some(patterns.iter().map(Literal::of_path).collect());
                }
                _ => {}
            }
        }
        needs
    }

    fn hosts(&self) -> Option<&[Literal]> {
        self.hosts.as_deref()
    }

    fn paths(&self) -> Option<&[Literal]> {
        self.paths.as_deref()
    }
}

impl Literal {
    fn of_host(pattern: &Pattern) -> Self {
        let (mut text, is_whole) = pattern.literal_end();
        text.reverse();
        text.make_ascii_lowercase();
        Self { text, is_whole }
    }

    fn of_path(pattern: &Pattern) -> Self {
        let (text, is_whole) = pattern.literal_start();
        Self { text, is_whole }
    }
}

/// How many rules need each literal.
struct Counts<'r>(HashMap<&'r Literal, usize>);

impl<'r> Counts<'r> {
    fn of(rules: &'r [Needs], part: impl Fn(&'r Needs) -> Option<&'r [Literal]>) -> Self {
        let mut counts = HashMap::new();
        for literal in rules.iter().filter_map(part).flatten() {
            *counts.entry(literal).or_default() += 1;
        }
        Self(counts)
    }

    /// How many rules share the most common one of `literals`.
    fn most(&self, literals: &[Literal]) -> usize {
        let counts = literals.iter().map(|literal| {
            if literal.text.is_empty() {
                return usize::MAX;
            }
            self.0.get(literal).copied().unwrap_or_default()
        });
        counts.max().unwrap_or_default()
    }
}

/// The rules of each literal: those that need it at the start of a value, and those that need it
/// alone.
#[derive(Default)]
struct Entries(BTreeMap<Vec<u8>, [Vec<usize>; 2]>);

impl Entries {
    fn add(&mut self, place: usize, literals: &[Literal]) {
        for literal in literals {
            let [start, whole] = self.0.entry(literal.text.clone()).or_default();
            if literal.is_whole { whole } else { start }.push(place);
        }
    }
}

/// Rules by a literal at the start of a value.
#[derive(Clone, Debug)]
struct Literals(Box<[Node]>);

/// One literal; nodes are in order of `text`.
#[derive(Clone, Debug)]
struct Node {
    text: Box<[u8]>,
    /// The place of the longest other literal that `text` starts with.
    parent: Option<usize>,
    /// The rules for a value that is `text`, those of its parents among them.
    whole: Box<[usize]>,
    /// The rules for a longer value that starts with `text`, those of its parents among them.
    start: Box<[usize]>,
}

impl Literals {
    fn new(entries: Entries) -> Self {
        let mut nodes: Vec<Node> = Vec::new();
        for (text, [mut start, mut whole]) in entries.0 {
            // What comes before it in order is its parent, or has its parent among its own.
            let mut parent = nodes.len().checked_sub(1);
            while let Some(node) = parent.and_then(|at| nodes.get(at)) {
                if text.starts_with(&node.text) {
                    start.extend(&node.start);
                    break;
                }
                parent = node.parent;
            }
            whole.extend(&start);
            nodes.push(Node {
                text: text.into(),
                parent,
                whole: in_order(whole),
                start: in_order(start),
            });
        }
        Self(nodes.into())
    }

    /// The rules for a value, given by its byte at each place; `value` is asked only when there are
    /// any.
    fn find<B: Fn(usize) -> Option<u8>>(&self, value: impl FnOnce() -> Option<B>) -> &[usize] {
        if self.0.is_empty() {
            return &[];
        }
        let Some(value) = value() else {
            return &[];
        };
        let after = self
            .0
            .partition_point(|node| compare(&node.text, &value) != Ordering::Greater);
        let mut at = after.checked_sub(1);
        while let Some(node) = at.and_then(|at| self.0.get(at)) {
            if node
                .text
                .iter()
                .enumerate()
                .all(|(at, byte)| value(at) == Some(*byte))
            {
                let is_whole = value(node.text.len()).is_none();
                return if is_whole { &node.whole } else { &node.start };
            }
            at = node.parent;
        }
        &[]
    }
}

fn compare(text: &[u8], value: impl Fn(usize) -> Option<u8>) -> Ordering {
    text.iter().copied().cmp((0..).map_while(value))
}

fn in_order(mut places: Vec<usize>) -> Box<[usize]> {
    places.sort_unstable();
    places.dedup();
    places.into()
}

#[cfg(test)]
mod tests;

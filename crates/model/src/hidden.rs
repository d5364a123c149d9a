//! Rules that can never match, because an earlier rule takes every request that they would.

use std::collections::{BTreeSet, HashMap};

use crate::condition::{Condition, Patterns, cover};

/// Earlier rules that are compared with a rule, at most: thousands of patterns that no index tells apart are no rules
/// that a person wrote.
const CANDIDATES: usize = 1_000;

/// For each rule, given by its conditions in the order of priority, the index of the rule that hides it: the first one
/// before it that matches every request that it matches. `None` claims nothing.
///
/// ```
/// use elbow_model::{Condition, Patterns, hidden};
///
/// let path = |pattern: &str| vec![Condition::PathPattern(Patterns::Wildcards(vec![pattern.into()]))];
/// let rules = [path("/img/*"), path("/*"), path("/admin*")];
/// assert_eq!(hidden(rules.iter().map(Vec::as_slice)), [None, None, Some(1)]);
/// ```
pub fn hidden<'a>(rules: impl IntoIterator<Item = &'a [Condition]>) -> Vec<Option<usize>> {
    let rules: Vec<&[Condition]> = rules.into_iter().collect();
    let mut index = Index::default();
    let mut found = Vec::with_capacity(rules.len());
    for (at, rule) in rules.iter().enumerate() {
        let covers = |before: &usize| rules.get(*before).is_some_and(|one| cover(one, rule));
        let hider = index
            .candidates(rule)
            .into_iter()
            .take(CANDIDATES)
            .find(covers);
        // A rule without conditions is refused elsewhere.
        let hider = hider.filter(|_| !rule.is_empty());
        if hider.is_none() && !rule.is_empty() {
            index.insert(at, rule);
        }
        found.push(hider);
    }
    found
}

/// The rules that are not hidden, by one host and one path of each.
#[derive(Default)]
struct Index<'a> {
    rules: HashMap<(Key<'a>, Key<'a>), Vec<usize>>,
    /// The lengths of the paths before a `*` at the end.
    lengths: BTreeSet<usize>,
}

/// What a pattern can be looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key<'a> {
    /// The whole text.
    Whole(&'a str),
    /// The text before a `*` at the end.
    Start(&'a str),
    /// Nothing.
    Any,
}

impl<'a> Index<'a> {
    fn insert(&mut self, at: usize, rule: &'a [Condition]) {
        let (hosts, paths) = (hosts(rule), paths(rule));
        let hosts = keys(hosts, host_key);
        let paths = keys(paths, path_key);
        for path in &paths {
            if let Key::Start(start) = path {
                self.lengths.insert(start.len());
            }
            for host in &hosts {
                self.rules.entry((*host, *path)).or_default().push(at);
            }
        }
    }

    /// The rules that may hide `rule`, first ones first.
    fn candidates(&self, rule: &'a [Condition]) -> BTreeSet<usize> {
        let host = hosts(rule).and_then(|hosts| hosts.first().copied());
        let mut hosts = vec![Key::Any];
        hosts.extend(host.map(host_key));
        let mut paths_of = vec![Key::Any];
        match paths(rule) {
            Some(paths) => {
                if let Some(path) = paths.first() {
                    paths_of.push(path_key(path));
                    let literal = path.split(['*', '?']).next().unwrap_or_default();
                    let starts = self
                        .lengths
                        .iter()
                        .filter_map(|length| literal.get(..*length));
                    paths_of.extend(starts.map(Key::Start));
                }
            }
            // A regular expression for paths is covered by all paths.
            None => paths_of.push(Key::Start("/")),
        }
        let pairs = hosts
            .iter()
            .flat_map(|host| paths_of.iter().map(move |path| (*host, *path)));
        pairs
            .filter_map(|pair| self.rules.get(&pair))
            .flatten()
            .copied()
            .collect()
    }
}

fn keys<'a>(values: Option<Vec<&'a str>>, key: impl Fn(&'a str) -> Key<'a>) -> BTreeSet<Key<'a>> {
    match values {
        Some(values) => values.into_iter().map(key).collect(),
        None => BTreeSet::from([Key::Any]),
    }
}

/// Hosts are compared in any case, which an index does not do.
fn host_key(host: &str) -> Key<'_> {
    if host.contains(['*', '?']) || host.contains(|letter: char| letter.is_ascii_uppercase()) {
        Key::Any
    } else {
        Key::Whole(host)
    }
}

fn path_key(path: &str) -> Key<'_> {
    match path.find(['*', '?']) {
        None => Key::Whole(path),
        Some(at) if at + 1 == path.len() && path.ends_with('*') => {
            Key::Start(path.get(..at).unwrap_or_default())
        }
        Some(_) => Key::Any,
    }
}

/// The hosts of a rule; `None` if it has no condition on them, or regular expressions.
fn hosts(rule: &[Condition]) -> Option<Vec<&str>> {
    wildcards(rule, |condition| match condition {
        Condition::HostHeader(patterns) => Some(patterns),
        _ => None,
    })
}

/// The paths of a rule; `None` if it has no condition on them, or regular expressions.
fn paths(rule: &[Condition]) -> Option<Vec<&str>> {
    wildcards(rule, |condition| match condition {
        Condition::PathPattern(patterns) => Some(patterns),
        _ => None,
    })
}

fn wildcards(
    rule: &[Condition],
    of: impl Fn(&Condition) -> Option<&Patterns>,
) -> Option<Vec<&str>> {
    match rule.iter().find_map(of)? {
        Patterns::Wildcards(values) => Some(values.iter().map(|value| &**value).collect()),
        Patterns::Regexes(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Patterns {
        Patterns::Wildcards(texts.iter().map(|&text| text.into()).collect())
    }

    /// A rule with one host, unless it is empty, and paths.
    fn rule(host: &str, paths: &[&str]) -> Vec<Condition> {
        let mut rule = Vec::new();
        if !host.is_empty() {
            rule.push(Condition::HostHeader(patterns(&[host])));
        }
        if !paths.is_empty() {
            rule.push(Condition::PathPattern(patterns(paths)));
        }
        rule
    }

    fn found(rules: &[Vec<Condition>]) -> Vec<Option<usize>> {
        hidden(rules.iter().map(Vec::as_slice))
    }

    #[test]
    fn a_rule_is_hidden_by_the_first_that_covers_it() {
        let rules = [
            rule("a.example", &["/x"]),
            rule("*.example", &["/y", "/y/*"]),
            rule("a.example", &["/y/z"]),
            rule("", &["/*"]),
            rule("a.example", &["/x"]),
            rule("A.example", &["/w*"]),
            rule("b.example", &[]),
        ];
        let expected = [None, None, Some(1), None, Some(0), Some(3), None];
        assert_eq!(found(&rules), expected);
    }

    #[test]
    fn every_condition_must_be_covered() {
        let get = Condition::HttpRequestMethod(vec!["GET".into()]);
        let both = Condition::HttpRequestMethod(vec!["GET".into(), "PUT".into()]);
        let from = |text: &str| Condition::SourceIp(vec![text.parse().unwrap()]);
        let rules = [
            vec![get.clone(), from("10.0.0.0/8")],
            vec![both, from("10.1.0.0/16")],
            vec![get.clone(), from("10.1.0.0/16"), from("10.2.0.0/16")],
            vec![get],
        ];
        assert_eq!(found(&rules), [None, None, Some(0), None]);
    }

    #[test]
    fn expressions_are_compared_by_what_is_certain() {
        let regex = |text: &str| {
            let text = crate::Expression::new(text, false).unwrap();
            vec![Condition::PathPattern(Patterns::Regexes(vec![text]))]
        };
        let rules = [
            regex("^/v[0-9]/"),
            rule("", &["/v1/a"]),
            rule("", &["/v1/*"]),
            regex("^/v[0-9]/"),
            rule("", &["/*"]),
            regex("^/w"),
        ];
        assert_eq!(found(&rules), [None, Some(0), None, Some(0), None, Some(4)]);
    }

    /// The index finds what a comparison of all pairs finds.
    #[test]
    fn the_index_misses_nothing() {
        let hosts = ["", "a.example", "*.example", "?.example"];
        let paths: [&[&str]; 8] = [
            &[],
            &["/*"],
            &["/a"],
            &["/a", "/a/*"],
            &["/a*"],
            &["/a/?"],
            &["/*/b"],
            &["/b", "/a/b"],
        ];
        let all: Vec<Vec<Condition>> = hosts
            .iter()
            .flat_map(|host| paths.iter().map(|paths| rule(host, paths)))
            .filter(|rule| !rule.is_empty())
            .collect();
        for one in &all {
            for other in &all {
                let expected = cover(one, other).then_some(0);
                assert_eq!(
                    found(&[one.clone(), other.clone()])[1],
                    expected,
                    "{one:?} {other:?}"
                );
            }
        }
    }

    #[test]
    fn thousands_of_rules_are_quick() {
        let rules: Vec<Vec<Condition>> = (0..5_000)
            .map(|n| {
                let stem = format!("/service-{n}");
                rule(
                    &format!("h{}.example", n % 50),
                    &[&stem, &format!("{stem}/*")],
                )
            })
            .collect();
        assert!(found(&rules).iter().all(Option::is_none));
    }
}

//! Whether one condition holds whenever another does.

use super::{Condition, Patterns, QueryPair};

/// Whether every request that fulfils `others` fulfils `conditions`. `false` claims nothing: regular expressions and
/// patterns whose wildcards overlap in other ways are not compared.
pub(crate) fn cover(conditions: &[Condition], others: &[Condition]) -> bool {
    let is_covered = |one: &Condition| others.iter().any(|other| one.covers(other));
    conditions.iter().all(is_covered)
}

impl Condition {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::HostHeader(all), Self::HostHeader(some)) => all.cover(some, Subject::Host),
            (Self::PathPattern(all), Self::PathPattern(some)) => all.cover(some, Subject::Path),
            (
                Self::HttpHeader { name, values },
                Self::HttpHeader {
                    name: other,
                    values: some,
                },
            ) => name.eq_ignore_ascii_case(other) && values.cover(some, Subject::Header),
            (Self::HttpRequestMethod(all), Self::HttpRequestMethod(some)) => {
                some.iter().all(|method| all.contains(method))
            }
            (Self::QueryString(all), Self::QueryString(some)) => {
                every(some, |pair| all.iter().any(|one| one.covers(pair)))
            }
            (Self::SourceIp(all), Self::SourceIp(some)) => {
                every(some, |network| all.iter().any(|one| one.contains(network)))
            }
            _ => false,
        }
    }
}

/// What patterns are compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Host,
    Path,
    Header,
}

fn every<T>(values: &[T], is_covered: impl FnMut(&T) -> bool) -> bool {
    values.iter().all(is_covered)
}

impl Patterns {
    fn cover(&self, others: &Self, subject: Subject) -> bool {
        let fold = subject != Subject::Path;
        match (self, others) {
            (Self::Wildcards(all), Self::Wildcards(some)) => {
                let all: Vec<Vec<Sign>> = all.iter().map(|one| signs(one, fold, false)).collect();
                every(some, |one| {
                    let one = signs(one, fold, false);
                    all.iter().any(|all| includes(all, &one))
                })
            }
            (Self::Regexes(all), Self::Regexes(some)) => every(some, |one| {
                all.iter().any(|all| all.as_str() == one.as_str())
            }),
            // A text without wildcards is a subject that can be tried.
            (Self::Regexes(all), Self::Wildcards(some)) => every(some, |one| {
                let is_literal = !one.contains(['*', '?']);
                is_literal && all.iter().any(|all| all.is_match(one.as_bytes()))
            }),
            // Every path starts with a slash.
            (Self::Wildcards(all), Self::Regexes(_)) => all
                .iter()
                .any(|one| &**one == "*" || (subject == Subject::Path && &**one == "/*")),
        }
    }
}

impl QueryPair {
    fn covers(&self, other: &Self) -> bool {
        let part =
            |all: &str, some: &str| includes(&signs(all, true, true), &signs(some, true, true));
        let key = match (&self.key, &other.key) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(all), Some(some)) => part(all, some),
        };
        key && part(&self.value, &other.value)
    }
}

/// A sign of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// `*`.
    Any,
    /// `?`.
    One,
    Literal(u8),
}

/// The signs of a pattern, without those that say nothing: of a run of wildcards, each `?` stands before one `*`.
fn signs(pattern: &str, fold: bool, escapes: bool) -> Vec<Sign> {
    let mut signs = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let literal = |byte: u8| {
            Sign::Literal(if fold {
                byte.to_ascii_lowercase()
            } else {
                byte
            })
        };
        let next = |next: &u8| matches!(next, b'*' | b'?' | b'\\');
        let sign = match byte {
            b'\\' if escapes => literal(bytes.next_if(next).unwrap_or(b'\\')),
            b'*' => Sign::Any,
            b'?' => Sign::One,
            byte => literal(byte),
        };
        match (sign, signs.last()) {
            (Sign::Any, Some(Sign::Any)) => {}
            (Sign::One, Some(Sign::Any)) => {
                let at = signs.len() - 1;
                signs.insert(at, Sign::One);
            }
            _ => signs.push(sign),
        }
    }
    signs
}

/// Whether `all` matches every text that `some` matches: `all` is matched against the signs of `some`, of which only `*`
/// takes a `*`.
fn includes(all: &[Sign], some: &[Sign]) -> bool {
    let (mut at, mut of) = (0, 0);
    // Where the last `*` stands, and what follows the signs that it took so far.
    let mut star: Option<(usize, usize)> = None;
    while let Some(sign) = some.get(of) {
        match all.get(at) {
            Some(Sign::Any) => {
                star = Some((at, of));
                at += 1;
            }
            Some(Sign::One) if *sign != Sign::Any => (at, of) = (at + 1, of + 1),
            Some(Sign::Literal(_)) if all.get(at) == Some(sign) => (at, of) = (at + 1, of + 1),
            _ => match &mut star {
                Some((after, taken)) => {
                    *taken += 1;
                    (at, of) = (*after + 1, *taken);
                }
                None => return false,
            },
        }
    }
    all.iter().skip(at).all(|sign| *sign == Sign::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(all: &str, some: &str) -> bool {
        includes(&signs(all, false, false), &signs(some, false, false))
    }

    #[test]
    fn a_pattern_covers_narrower_ones() {
        let covered = [
            ("/*", "/a"),
            ("/*", "/*"),
            ("/*", "/a/*/b?"),
            ("/a*", "/a/*"),
            ("/a?", "/ab"),
            ("/a?", "/a?"),
            ("/*b*", "/abc*"),
            ("*?", "?*"),
            ("*", ""),
            ("/*/x", "/a/b/x"),
            ("/**", "/*"),
        ];
        for (all, some) in covered {
            assert!(covers(all, some), "{all} covers {some}");
        }
        let others = [
            ("/a", "/*"),
            ("/a/*", "/a"),
            ("/a/*", "/a*"),
            ("/a?", "/a*"),
            ("/a?", "/a"),
            ("/A", "/a"),
            ("/*/x", "/x"),
            ("/?*", "/*"),
            ("", "*"),
        ];
        for (all, some) in others {
            assert!(!covers(all, some), "{all} does not cover {some}");
        }
    }

    /// Whether `text` matches a pattern, the slow and obvious way.
    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| matches(rest, &text[n..])),
            Some((sign, rest)) => text.split_first().is_some_and(|(first, text)| {
                (*sign == b'?' || sign == first) && matches(rest, text)
            }),
        }
    }

    /// All words of up to `length` letters.
    fn words(letters: &[u8], length: usize) -> Vec<Vec<u8>> {
        let mut words = vec![Vec::new()];
        let mut last = words.clone();
        for _ in 0..length {
            let longer = last
                .iter()
                .flat_map(|word| letters.iter().map(move |one| [&word[..], &[*one]].concat()));
            last = longer.collect();
            words.extend(last.clone());
        }
        words
    }

    /// Compared with all texts of up to five letters, for all pairs of patterns of up to three signs.
    #[test]
    fn a_claim_is_never_false() {
        let texts = words(b"ab", 5);
        let patterns = words(b"a*?b", 3);
        let mut claims = 0;
        for all in &patterns {
            let matched: Vec<bool> = texts.iter().map(|text| matches(all, text)).collect();
            for some in &patterns {
                let text = |pattern: &[u8]| String::from_utf8(pattern.to_vec()).unwrap();
                let (left, right) = (text(all), text(some));
                let claimed = covers(&left, &right);
                let holds = texts
                    .iter()
                    .zip(&matched)
                    .all(|(text, all)| *all || !matches(some, text));
                assert!(holds || !claimed, "{left} does not cover {right}");
                claims += usize::from(claimed);
            }
        }
        assert!(claims > 900, "{claims}");
    }

    #[test]
    fn escaped_wildcards_are_literals() {
        let part =
            |all: &str, some: &str| includes(&signs(all, true, true), &signs(some, true, true));
        assert!(part(r"a\*", r"A\*"));
        assert!(!part(r"a\*", "ab"));
        assert!(part("a*", r"a\*b"));
    }
}

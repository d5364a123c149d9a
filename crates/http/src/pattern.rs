//! Wildcard patterns of rule conditions: `*` is any run of characters, `?` is exactly one.

/// A compiled pattern (ALB guide: condition types).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    shape: Shape,
    /// What remains to compare: the literal part, or the whole pattern when it is [`Shape::Wild`].
    text: Box<[u8]>,
    case: Case,
}

/// The shapes that nearly all rules have need no search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Exact,
    Prefix,
    Suffix,
    Wild,
}

/// How letters are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Paths.
    Sensitive,
    /// Host names: ASCII letters match in either case.
    Insensitive,
}

impl Pattern {
    /// Compiles `pattern`.
    pub fn new(pattern: &str, case: Case) -> Self {
        let bytes = pattern.as_bytes();
        let is_wild = |b: &u8| matches!(b, b'*' | b'?');
        let (shape, text) = match bytes {
            _ if !bytes.iter().any(is_wild) => (Shape::Exact, bytes),
            [rest @ .., b'*'] if !rest.iter().any(is_wild) => (Shape::Prefix, rest),
            [b'*', rest @ ..] if !rest.iter().any(is_wild) => (Shape::Suffix, rest),
            _ => (Shape::Wild, bytes),
        };
        Self {
            shape,
            text: text.into(),
            case,
        }
    }

    /// Whether all of `value` matches. Rules apply to visible characters only: the caller has
    /// sorted out values with control bytes.
    pub fn matches(&self, value: &[u8]) -> bool {
        let text = &*self.text;
        match self.shape {
            Shape::Exact => self.same(text, value),
            Shape::Prefix => value
                .get(..text.len())
                .is_some_and(|start| self.same(text, start)),
            Shape::Suffix => value
                .len()
                .checked_sub(text.len())
                .and_then(|at| value.get(at..))
                .is_some_and(|end| self.same(text, end)),
            Shape::Wild => match self.case {
                Case::Sensitive => wild(text, value, |a, b| a == b),
                Case::Insensitive => wild(text, value, |a, b| a.eq_ignore_ascii_case(&b)),
            },
        }
    }

    fn same(&self, a: &[u8], b: &[u8]) -> bool {
        match self.case {
            Case::Sensitive => a == b,
            Case::Insensitive => a.eq_ignore_ascii_case(b),
        }
    }
}

/// Greedy matching with one point to fall back to: only the last `*` ever needs to take more, so
/// the work is bounded by the product of both lengths, whatever the client sends.
fn wild(pattern: &[u8], value: &[u8], same: impl Fn(u8, u8) -> bool) -> bool {
    let (mut p, mut v) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while let Some(&byte) = value.get(v) {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, v));
                p += 1;
            }
            Some(&expected) if expected == b'?' || same(expected, byte) => {
                p += 1;
                v += 1;
            }
            _ => {
                let Some((star, taken)) = last_star else {
                    return false;
                };
                last_star = Some((star, taken + 1));
                p = star + 1;
                v = taken + 1;
            }
        }
    }
    pattern
        .get(p..)
        .is_none_or(|rest| rest.iter().all(|&b| b == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Parity 1.3: `*` = 0 or more characters, `?` = exactly 1; checks 23 and 24.
    #[test]
    fn wildcards_match_as_the_condition_types_say() {
        let table: &[(&str, &str, bool)] = &[
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "/a/b", true),
            ("**", "x", true),
            ("?", "", false),
            ("?", "a", true),
            ("?", "ab", false),
            ("?*", "", false),
            ("*?", "a", true),
            ("/img", "/img", true),
            ("/img", "/img/", false),
            ("/img/*", "/img/a/b", true),
            ("/img/*", "/img/", true),
            ("/img/*", "/img", false),
            ("/img/*", "/IMG/x", false),
            ("*.png", "/a/b.png", true),
            ("*.png", ".pn", false),
            ("/*/b", "/a/b", true),
            ("/*/b", "/a/c/b", true),
            ("/*/b", "/b", false),
            ("/a?c", "/abc", true),
            ("/a?c", "/ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "aab", false),
            ("a*a", "a", false),
            ("/a**c", "/abbbc", true),
            ("*?*", "a", true),
        ];
        for (pattern, value, expected) in table {
            let compiled = Pattern::new(pattern, Case::Sensitive);
            assert_eq!(
                compiled.matches(value.as_bytes()),
                *expected,
                "{pattern} on {value}"
            );
        }
    }

    // Parity check 23.
    #[test]
    fn host_patterns_ignore_case() {
        let table: &[(&str, &str, bool)] = &[
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "A.EXAMPLE.com", true),
            ("Example.com", "eXAMPLE.COM", true),
            ("api.*", "API.example.com", true),
            ("a?.*.com", "AB.x.Com", true),
            ("a?.*.com", "A.x.Com", false),
        ];
        for (pattern, value, expected) in table {
            let compiled = Pattern::new(pattern, Case::Insensitive);
            assert_eq!(
                compiled.matches(value.as_bytes()),
                *expected,
                "{pattern} on {value}"
            );
        }
    }

    /// The reference: tries every split.
    fn naive(pattern: &[u8], value: &[u8]) -> bool {
        match (pattern.split_first(), value.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=value.len()).any(|at| naive(rest, &value[at..])),
            (Some((p, ps)), Some((v, vs))) => (*p == b'?' || p == v) && naive(ps, vs),
            _ => false,
        }
    }

    #[test]
    fn agrees_with_trying_everything() {
        // All words of up to four letters against all patterns of up to four signs.
        fn words(alphabet: &[u8]) -> Vec<Vec<u8>> {
            let mut all = vec![Vec::new()];
            let mut from = 0;
            for _ in 0..4 {
                let to = all.len();
                for i in from..to {
                    for letter in alphabet {
                        let mut word = all[i].clone();
                        word.push(*letter);
                        all.push(word);
                    }
                }
                from = to;
            }
            all
        }
        let values = words(b"ab");
        for pattern in words(b"a*?b") {
            let text = String::from_utf8(pattern.clone()).unwrap();
            let compiled = Pattern::new(&text, Case::Sensitive);
            for value in &values {
                assert_eq!(
                    compiled.matches(value),
                    naive(&pattern, value),
                    "{text} on {value:?}"
                );
            }
        }
    }

    #[test]
    fn a_hostile_value_costs_at_most_the_product_of_the_lengths() {
        let value = vec![b'a'; 16 * 1024];
        let pattern = Pattern::new(&format!("{}b", "a*".repeat(60)), Case::Sensitive);
        assert!(!pattern.matches(&value));
    }
}

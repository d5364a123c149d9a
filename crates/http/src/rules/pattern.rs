//! Wildcard patterns of rule conditions: `*` is any run of characters, `?` is exactly one.

/// A compiled pattern (ALB guide: condition types).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    shape: Shape,
    case: Case,
}

/// Nearly all patterns have one of the first three shapes, which need no search.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Wild(Box<[Sign]>),
}

/// One character of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// Itself.
    Literal(u8),
    /// `?`
    One,
    /// `*`
    Any,
}

/// How letters are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// As for paths.
    Sensitive,
    /// ASCII letters match in either case, as for host names, headers and queries.
    Insensitive,
}

impl Pattern {
    /// Compiles `pattern`.
    pub fn new(pattern: &str, case: Case) -> Self {
        Self::of(pattern.bytes().map(Sign::of).collect(), case)
    }

    /// As [`Self::new`], but `\*` and `\?` stand for the characters themselves, as in conditions on
    /// the query.
    pub fn with_escapes(pattern: &str, case: Case) -> Self {
        let mut signs = Vec::with_capacity(pattern.len());
        let mut bytes = pattern.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let escaped = (byte == b'\\')
                .then(|| bytes.next_if(|b| matches!(b, b'*' | b'?')))
                .flatten();
            signs.push(escaped.map_or_else(|| Sign::of(byte), Sign::Literal));
        }
        Self::of(signs, case)
    }

    fn of(signs: Vec<Sign>, case: Case) -> Self {
        let literal =
            |signs: &[Sign]| -> Option<Box<[u8]>> { signs.iter().map(Sign::literal).collect() };
        let simple = match &signs[..] {
            [rest @ .., Sign::Any] => literal(rest).map(Shape::Prefix),
            [Sign::Any, rest @ ..] => literal(rest).map(Shape::Suffix),
            all => literal(all).map(Shape::Exact),
        };
        Self {
            shape: simple.unwrap_or_else(|| Shape::Wild(signs.into())),
            case,
        }
    }

    /// Whether all of `value` matches. The caller leaves out values with control bytes, since rules
    /// apply to visible characters only.
    pub fn matches(&self, value: &[u8]) -> bool {
        match &self.shape {
            Shape::Exact(text) => self.same(text, value),
            Shape::Prefix(text) => value
                .get(..text.len())
                .is_some_and(|start| self.same(text, start)),
            Shape::Suffix(text) => value
                .len()
                .checked_sub(text.len())
                .and_then(|at| value.get(at..))
                .is_some_and(|end| self.same(text, end)),
            Shape::Wild(signs) => match self.case {
                Case::Sensitive => wild(signs, value, |a, b| a == b),
                Case::Insensitive => wild(signs, value, |a, b| a.eq_ignore_ascii_case(&b)),
            },
        }
    }

    /// What every value that matches starts with, and whether that is all of the value.
    pub(super) fn literal_start(&self) -> (Vec<u8>, bool) {
        match &self.shape {
            Shape::Exact(text) => (text.to_vec(), true),
            Shape::Prefix(text) => (text.to_vec(), false),
            Shape::Suffix(_) => (Vec::new(), false),
            Shape::Wild(signs) => (signs.iter().map_while(Sign::literal).collect(), false),
        }
    }

    /// What every value that matches ends with, and whether that is all of the value.
    pub(super) fn literal_end(&self) -> (Vec<u8>, bool) {
        match &self.shape {
            Shape::Exact(text) => (text.to_vec(), true),
            Shape::Prefix(_) => (Vec::new(), false),
            Shape::Suffix(text) => (text.to_vec(), false),
            Shape::Wild(signs) => {
                let mut end: Vec<u8> = signs.iter().rev().map_while(Sign::literal).collect();
                end.reverse();
                (end, false)
            }
        }
    }

    fn same(&self, a: &[u8], b: &[u8]) -> bool {
        match self.case {
            Case::Sensitive => a == b,
            Case::Insensitive => a.eq_ignore_ascii_case(b),
        }
    }
}

impl Sign {
    fn of(byte: u8) -> Self {
        match byte {
            b'*' => Self::Any,
            b'?' => Self::One,
            byte => Self::Literal(byte),
        }
    }

    fn literal(&self) -> Option<u8> {
        match self {
            Self::Literal(byte) => Some(*byte),
            Self::One | Self::Any => None,
        }
    }
}

/// Greedy matching with one point to fall back to. Only the last `*` ever needs to take more, so that
/// the product of both lengths bounds the work, whatever the client sends.
fn wild(pattern: &[Sign], value: &[u8], same: impl Fn(u8, u8) -> bool) -> bool {
    let (mut p, mut v) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while let Some(&byte) = value.get(v) {
        let fits = match pattern.get(p) {
            Some(Sign::Any) => {
                last_star = Some((p, v));
                p += 1;
                continue;
            }
            Some(Sign::One) => true,
            Some(Sign::Literal(expected)) => same(*expected, byte),
            None => false,
        };
        if fits {
            p += 1;
            v += 1;
            continue;
        }
        let Some((star, taken)) = last_star else {
            return false;
        };
        last_star = Some((star, taken + 1));
        p = star + 1;
        v = taken + 1;
    }
    pattern
        .get(p..)
        .is_none_or(|rest| rest.iter().all(|sign| *sign == Sign::Any))
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

    // Parity 1.3: a literal * or ? of a query-string condition is escaped with \.
    #[test]
    fn escaped_wildcards_are_themselves() {
        let table: &[(&str, &str, bool)] = &[
            (r"\*", "*", true),
            (r"\*", "a", false),
            (r"a\?*", "a?b", true),
            (r"a\?*", "abb", false),
            (r"*\*", "ab*", true),
            (r"*\*", "ab", false),
            (r"\a", r"\a", true),
            (r"\\*", r"\*", true),
            (r"a\", r"a\", true),
        ];
        for (pattern, value, expected) in table {
            let compiled = Pattern::with_escapes(pattern, Case::Insensitive);
            assert_eq!(
                compiled.matches(value.as_bytes()),
                *expected,
                "{pattern} on {value}"
            );
        }
        // Elsewhere the backslash is an ordinary character.
        assert!(Pattern::new(r"\*", Case::Sensitive).matches(br"\x"));
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
    fn hostile_value_costs_at_most_the_product_of_the_lengths() {
        let value = vec![b'a'; 16 * 1024];
        let pattern = Pattern::new(&format!("{}b", "a*".repeat(60)), Case::Sensitive);
        assert!(!pattern.matches(&value));
    }
}

//! Regular expressions of rule conditions and transforms (ALB guide: listener rules).

use std::fmt;

use regex::bytes::{Captures, Regex, RegexBuilder};

/// Bytes of one compiled expression at most: a short one such as `(a{99}){99}` would need far more.
const MAX_COMPILED: usize = 256 * 1024;

/// Bytes of the matching cache at most, per thread.
const MAX_CACHE: usize = 256 * 1024;

/// A compiled regular expression over bytes. It matches anywhere in the subject unless `^` or `$` anchors it. Matching
/// takes time linear in the subject for every expression.
#[derive(Clone)]
pub struct Expression(Regex);

impl Expression {
    /// Characters of an expression in a condition, at most.
    pub const MAX_CONDITION: usize = 128;

    /// Characters of an expression in a transform, at most.
    pub const MAX_TRANSFORM: usize = 1024;

    /// Compiles `text`. The error is one line.
    ///
    /// ```
    /// use elbow_model::Expression;
    ///
    /// assert!(Expression::new("^/v[0-9]+/", false).unwrap().is_match(b"/v12/x"));
    /// assert_eq!(Expression::new("(a", false).unwrap_err(), "unclosed group");
    /// assert!(Expression::new("(?=a)", false).is_err());
    /// ```
    pub fn new(text: &str, ignore_case: bool) -> Result<Self, String> {
        if has_possessive_quantifier(text) {
            return Err("possessive quantifiers are not supported".to_owned());
        }
        RegexBuilder::new(text)
            .unicode(false)
            .case_insensitive(ignore_case)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_CACHE)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "it needs too much memory".to_owned(),
                // The message ends with the reason, below a picture of the place.
                error => {
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    last.strip_prefix("error: ").unwrap_or(last).to_owned()
                }
            })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it matches `subject`.
    pub fn is_match(&self, subject: &[u8]) -> bool {
        self.0.is_match(subject)
    }

    /// Appends `subject` with its first match replaced to `out`. Without a match, returns false and appends nothing. In
    /// `replace`, `$1` and `${1}` stand for groups, `$0` for the match, `$$` for `$`.
    ///
    /// ```
    /// use elbow_model::Expression;
    ///
    /// let mut out = Vec::new();
    /// let dp = Expression::new("^/dp/([A-Za-z0-9]+)/?$", false).unwrap();
    /// assert!(dp.rewrite("/product.php?id=$1", b"/dp/B0X/", &mut out));
    /// assert_eq!(out, b"/product.php?id=B0X");
    /// ```
    pub fn rewrite(&self, replace: &str, subject: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(captures) = self.0.captures(subject) else {
            return false;
        };
        let found = captures.get(0).map_or(0..0, |whole| whole.range());
        out.extend_from_slice(subject.get(..found.start).unwrap_or_default());
        expand(replace, &captures, out);
        out.extend_from_slice(subject.get(found.end..).unwrap_or_default());
        true
    }
}

/// Whether a `+` follows a quantifier (ALB guide: listener rules). The engine would read `a++` as a repeated repetition,
/// which matches differently.
fn has_possessive_quantifier(text: &str) -> bool {
    let mut after_quantifier = false;
    let mut in_class = 0_u32;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let is_quantifier = match c {
            '\\' => {
                chars.next();
                false
            }
            '[' => {
                in_class += 1;
                // A `]` at the start is a member of the class.
                chars.next_if_eq(&'^');
                chars.next_if_eq(&']');
                false
            }
            ']' => {
                in_class = in_class.saturating_sub(1);
                false
            }
            '+' if after_quantifier && in_class == 0 => return true,
            // A `}` outside a class always ends a repetition.
            '*' | '+' | '?' | '}' => in_class == 0,
            _ => false,
        };
        after_quantifier = is_quantifier;
    }
    false
}

fn expand(replace: &str, captures: &Captures<'_>, out: &mut Vec<u8>) {
    let mut rest = replace;
    while let Some((before, after)) = rest.split_once('$') {
        out.extend_from_slice(before.as_bytes());
        rest = match reference(after, captures.len()) {
            Some((group, tail)) => {
                out.extend_from_slice(captures.get(group).map_or(b"", |group| group.as_bytes()));
                tail
            }
            None => {
                out.push(b'$');
                after.strip_prefix('$').unwrap_or(after)
            }
        };
    }
    out.extend_from_slice(rest.as_bytes());
}

/// The group number at the start of the text behind a `$`, and the rest of the text. The longest number that is a group
/// counts: with fewer than ten groups, `$10` is group 1 and a zero.
fn reference(after: &str, groups: usize) -> Option<(usize, &str)> {
    if let Some(braced) = after.strip_prefix('{') {
        let (number, tail) = braced.split_once('}')?;
        return Some((number.parse().ok()?, tail));
    }
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    (1..=digits).rev().find_map(|end| {
        let number: usize = after.get(..end)?.parse().ok()?;
        (number < groups || end == 1).then_some((number, after.get(end..)?))
    })
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Parity 1.3.
    #[test]
    fn syntax_that_alb_refuses_is_refused() {
        for text in [
            "(?=a)", "(?!a)", "(?<=a)b", r"(a)\1", "(?>a)", r"\p{L}", "(?P>n)", "a++", "a*+",
            "a?+", "a{1,2}+", "[+]++", "(a|b)*+c",
        ] {
            assert!(Expression::new(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn a_plus_that_is_not_possessive_is_accepted() {
        for text in [
            "a+", "a+?", r"a\++", r"\*+", "[*+]+", "[a?]+", "a+b+", "(a+)+", r"a\}+", "[]*+]",
            "[^]*+]",
        ] {
            assert!(Expression::new(text, false).is_ok(), "{text}");
        }
    }

    #[test]
    fn memory_of_a_short_expression_is_bounded() {
        assert_eq!(
            Expression::new("((a{99}){99}){99}", false).unwrap_err(),
            "it needs too much memory"
        );
    }

    #[test]
    fn matching_is_unanchored_and_can_ignore_case() {
        let table = [
            ("x?z", false, "/a/z", true),
            ("^z", false, "/a/z", false),
            ("^/API$", false, "/api", false),
            ("^/API$", true, "/api", true),
            ("^.$", false, "\u{e9}", false),
        ];
        for (text, ignore_case, subject, expected) in table {
            let expression = Expression::new(text, ignore_case).unwrap();
            assert_eq!(expression.is_match(subject.as_bytes()), expected, "{text}");
        }
    }

    // Parity 1.4, transforms: without a match, nothing is rewritten.
    #[test]
    fn rewrites_fill_in_groups() {
        let table = [
            ("^/old/(.*)$", "/new/$1", "/old/a?b=c", Some("/new/a?b=c")),
            ("^/(a)(b)?", "/$2$1$10${1}0", "/ac", Some("/aa0a0c")),
            ("b", "[$0$$$x$", "/abc", Some("/a[b$$x$c")),
            ("/v1", "", "/v1/v1/x", Some("/v1/x")),
            ("(a)", "${9}${x}$9", "a", Some("${x}")),
            ("^/none", "/x", "/other", None),
        ];
        for (text, replace, subject, expected) in table {
            let mut out = b"before ".to_vec();
            let expression = Expression::new(text, false).unwrap();
            let found = expression.rewrite(replace, subject.as_bytes(), &mut out);
            assert_eq!(found, expected.is_some(), "{text}");
            let expected = format!("before {}", expected.unwrap_or_default());
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
        }
    }
}

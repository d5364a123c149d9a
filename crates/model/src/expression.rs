//! Regular expressions of rule conditions and transforms (ALB guide: listener rules).

use std::fmt;

use regex::bytes::{Captures, Regex, RegexBuilder};

/// Memory for one compiled expression: `(a{99}){99}` is short and asks for far more.
const MAX_COMPILED: usize = 256 * 1024;

/// Memory that matching may use beside it, per thread at work.
const MAX_CACHE: usize = 256 * 1024;

/// A compiled regular expression over bytes, found anywhere in the subject unless `^` and `$` hold it.
/// Matching takes time linear in the subject, whatever the expression and the client send.
#[derive(Clone)]
pub struct Expression(Regex);

impl Expression {
    /// Characters in a condition.
    pub const MAX_CONDITION: usize = 128;

    /// Characters in a transform.
    pub const MAX_TRANSFORM: usize = 1024;

    /// Compiles `text`. The error says in one line what is wrong.
    ///
    /// ```
    /// use elbow_model::Expression;
    ///
    /// assert!(Expression::new("^/v[0-9]+/", false).unwrap().is_match(b"/v12/x"));
    /// assert_eq!(Expression::new("(a", false).unwrap_err(), "unclosed group");
    /// assert!(Expression::new("(?=a)", false).is_err());
    /// ```
    pub fn new(text: &str, ignore_case: bool) -> Result<Self, String> {
        RegexBuilder::new(text)
            .unicode(false)
            .case_insensitive(ignore_case)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_CACHE)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "it needs too much memory".to_owned(),
                // The last line of a picture of the place.
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

    /// Whether it is found in `subject`.
    pub fn is_match(&self, subject: &[u8]) -> bool {
        self.0.is_match(subject)
    }

    /// Appends `subject` to `out` with the first match replaced; false, and nothing appended, when
    /// there is none. In `replace`, `$1` and `${1}` stand for groups, `$0` for the match, `$$` for `$`.
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

/// The group that a text behind `$` starts with, and what follows. As many digits are taken as make
/// the number of a group there is: `$10` is group 1 and a zero when there are no ten groups.
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

    // Parity 1.3: what ALB's expressions lack, the engine refuses.
    #[test]
    fn what_alb_does_not_take_is_refused() {
        for text in [
            "(?=a)", "(?!a)", "(?<=a)b", r"(a)\1", "(?>a)", r"\p{L}", "(?P>n)",
        ] {
            assert!(Expression::new(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn a_short_expression_cannot_ask_for_much_memory() {
        assert_eq!(
            Expression::new("((a{99}){99}){99}", false).unwrap_err(),
            "it needs too much memory"
        );
    }

    #[test]
    fn matching_is_unanchored_and_minds_case_only_where_asked() {
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

    // Parity 1.4, transforms: a regex and a replacement with $1..; no match leaves all as it is.
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

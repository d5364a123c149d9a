//! The syntax of annotation values, and looking annotations up by prefix, on one object or on a
//! Service before its Ingress.

use std::collections::BTreeMap;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::yaml::Position;
use serde_json::Value;

use crate::Refusal;
use crate::objects::Meta;

/// The annotations of an object, by their whole key.
pub type Annotations = BTreeMap<String, Annotation>;

/// One annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Its value.
    pub value: String,
    /// Where the value stands.
    pub at: Position,
    /// Where the key stands.
    pub key_at: Position,
}

/// A look at the annotations under one prefix, of one object or of several: the first that has the key wins.
#[derive(Clone, Debug)]
pub struct Lookup<'a> {
    prefix: &'static str,
    layers: Vec<&'a Meta>,
}

/// An annotation that was found.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    meta: &'a Meta,
    key: String,
    /// Its value.
    pub value: &'a str,
    at: Position,
}

impl Found<'_> {
    /// The error that refuses the stack, at the place of this annotation.
    pub fn refuse(&self, code: &'static str, message: impl Into<String>) -> Refusal {
        Box::new(
            Diagnostic::error(code, message)
                .at(&*self.meta.place.file, self.at.line, self.at.column)
                .object(self.meta.path())
                .field(format!("metadata.annotations.{}", self.key)),
        )
    }

    fn wrong(&self, wanted: &str) -> Refusal {
        let message = format!("{} is \"{}\", which is no {wanted}", self.key, self.value);
        self.refuse("invalid-annotation", message)
    }
}

impl<'a> Lookup<'a> {
    /// The annotations of `layers` that start with `prefix` and a slash.
    pub fn new(prefix: &'static str, layers: Vec<&'a Meta>) -> Self {
        Self { prefix, layers }
    }

    /// The annotation as it is written.
    pub fn find(&self, suffix: &str) -> Option<Found<'a>> {
        let key = format!("{}/{suffix}", self.prefix);
        self.layers.iter().find_map(|meta| {
            let annotation = meta.annotations.get(&key)?;
            Some(Found {
                meta,
                key: key.clone(),
                value: &annotation.value,
                at: annotation.at,
            })
        })
    }

    /// Text.
    pub fn text(&self, suffix: &str) -> Option<&'a str> {
        self.find(suffix).map(|found| found.value)
    }

    /// A truth value as Go's `ParseBool` takes it.
    pub fn boolean(&self, suffix: &str) -> Result<Option<bool>, Refusal> {
        let Some(found) = self.find(suffix) else {
            return Ok(None);
        };
        parse_bool(found.value)
            .map(Some)
            .ok_or_else(|| found.wrong("true or false"))
    }

    /// A whole number to base ten.
    pub fn integer(&self, suffix: &str) -> Result<Option<i64>, Refusal> {
        let Some(found) = self.find(suffix) else {
            return Ok(None);
        };
        let number = found.value.parse();
        number.map(Some).map_err(|_| found.wrong("whole number"))
    }

    /// A list; `None` when the annotation is absent, which differs from an empty one.
    pub fn list(&self, suffix: &str) -> Option<Vec<String>> {
        self.text(suffix).map(parse_list)
    }

    /// A map of texts, `key=value,...`.
    pub fn map(&self, suffix: &str) -> Result<Option<BTreeMap<String, String>>, Refusal> {
        let Some(found) = self.find(suffix) else {
            return Ok(None);
        };
        parse_map(found.value)
            .map(Some)
            .ok_or_else(|| found.wrong("list of key=value"))
    }

    /// JSON, with the annotation for later complaints.
    pub fn json(&self, suffix: &str) -> Result<Option<(Found<'a>, Value)>, Refusal> {
        let Some(found) = self.find(suffix) else {
            return Ok(None);
        };
        match serde_json::from_str(found.value) {
            Ok(value) => Ok(Some((found, value))),
            Err(error) => {
                let message = format!("{} is no JSON: {error}", found.key);
                Err(found.refuse("invalid-annotation", message))
            }
        }
    }
}

/// Go's `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Split on commas, trimmed, without empty pieces.
pub fn parse_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `key=value` pieces. A comma parts two pieces only when a `=` comes later, `\` keeps the next
/// character as it is, and a piece without a key or without `=` makes the whole wrong.
pub fn parse_map(text: &str) -> Option<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    for piece in split_pairs(text) {
        let (key, value) = piece.split_once('=')?;
        let key = key.trim();
        if key.is_empty() {
            return None;
        }
        map.insert(key.to_owned(), value.trim().to_owned());
    }
    Some(map)
}

fn split_pairs(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    // Byte after which no `=` follows, found once so that long values cost no more than their length.
    let last_equals = text.rfind('=');
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some((_, next)) => piece.push(next),
                None => piece.push('\\'),
            },
            ',' => {
                let rest = text.get(index + 1..).unwrap_or_default().trim();
                if last_equals.is_some_and(|at| at > index) {
                    pieces.push(std::mem::take(&mut piece).trim().to_owned());
                } else if rest.is_empty() {
                    piece.push(',');
                } else {
                    pieces.push(piece.trim().to_owned());
                    pieces.push(rest.to_owned());
                    return pieces;
                }
            }
            letter => piece.push(letter),
        }
    }
    if !piece.is_empty() {
        pieces.push(piece.trim().to_owned());
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Option<Vec<(String, String)>> {
        parse_map(text).map(|map| map.into_iter().collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        let pair = |&(k, v): &(&str, &str)| (k.to_owned(), v.to_owned());
        Some(pairs.iter().map(pair).collect())
    }

    /// control-plane.md 0.5.
    #[test]
    fn maps_split_where_a_key_follows() {
        assert_eq!(map("a=1, b = 2"), pairs(&[("a", "1"), ("b", "2")]));
        assert_eq!(map("a=x==,b="), pairs(&[("a", "x=="), ("b", "")]));
        assert_eq!(map(r"a=1\,2,b=3"), pairs(&[("a", "1,2"), ("b", "3")]));
        assert_eq!(map("a=1,"), pairs(&[("a", "1,")]));
        assert_eq!(map(""), pairs(&[]));
        assert_eq!(map("a=1,b"), None);
        assert_eq!(map("=1"), None);
    }

    /// control-plane.md 0.5.
    #[test]
    fn lists_are_trimmed() {
        assert_eq!(parse_list(" a, ,b,"), ["a", "b"]);
        assert_eq!(parse_bool("T"), Some(true));
        assert_eq!(parse_bool("yes"), None);
    }
}

//! The syntax of annotation values.

use std::collections::BTreeMap;

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

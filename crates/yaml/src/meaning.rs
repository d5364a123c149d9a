//! What an unquoted scalar means to Kubernetes, which reads YAML 1.1 as go-yaml does.

use crate::{Node, Value};

/// What a scalar means to Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning<'a> {
    /// Nothing.
    Null,
    /// `true`, `yes`, `on`, `y` and their opposites.
    Boolean(bool),
    /// A whole number that fits 64 bits, with or without sign.
    Integer(i128),
    /// Another number; not finite for `.inf` and `.nan`.
    Float(f64),
    /// Text.
    Text(&'a str),
}

impl Node {
    /// What a scalar means to Kubernetes; `None` for a list and a mapping.
    ///
    /// ```
    /// use elbow_yaml::{Limits, Meaning, parse};
    ///
    /// let (node, _) = parse("on", Limits::OBJECTS);
    /// assert_eq!(node.unwrap().meaning(), Some(Meaning::Boolean(true)));
    /// let (node, _) = parse("'on'", Limits::OBJECTS);
    /// assert_eq!(node.unwrap().meaning(), Some(Meaning::Text("on")));
    /// ```
    pub fn meaning(&self) -> Option<Meaning<'_>> {
        match &self.value {
            Value::Null => Some(Meaning::Null),
            Value::Scalar(text) if self.plain => Some(meaning(text)),
            Value::Scalar(text) => Some(Meaning::Text(text)),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }
}

/// What an unquoted scalar means, by the rules of go-yaml's `resolve.go`.
pub(crate) fn meaning(text: &str) -> Meaning<'_> {
    let first = text.bytes().next();
    match first {
        None => return Meaning::Null,
        Some(b'+' | b'-' | b'.' | b'0'..=b'9') => {}
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => {
            return word(text);
        }
        Some(_) => return Meaning::Text(text),
    }
    match text {
        ".nan" | ".NaN" | ".NAN" => return Meaning::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Meaning::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Meaning::Float(f64::NEG_INFINITY),
        _ => {}
    }
    number(text).unwrap_or(Meaning::Text(text))
}

fn word(text: &str) -> Meaning<'_> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Meaning::Boolean(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Meaning::Boolean(false)
        }
        "~" | "null" | "Null" | "NULL" => Meaning::Null,
        _ => Meaning::Text(text),
    }
}

fn number(text: &str) -> Option<Meaning<'_>> {
    if text.starts_with('.') {
        return float(text);
    }
    if !text.contains('_') {
        return integer(text).map(Meaning::Integer).or_else(|| float(text));
    }
    let plain = text.replace('_', "");
    match integer(&plain)
        .map(Meaning::Integer)
        .or_else(|| float(&plain))
    {
        Some(Meaning::Integer(number)) => Some(Meaning::Integer(number)),
        Some(Meaning::Float(number)) => Some(Meaning::Float(number)),
        _ => None,
    }
}

/// Go's `ParseInt` and `ParseUint` with base 0: the prefix gives the base.
fn integer(text: &str) -> Option<i128> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // Rust's parser takes a sign of its own.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from_str_radix(digits, base).ok()?;
    let number = if negative { -number } else { number };
    // Only a number without a sign may need the 64th bit.
    let most = if signed {
        i128::from(i64::MAX)
    } else {
        i128::from(u64::MAX)
    };
    (i128::from(i64::MIN)..=most)
        .contains(&number)
        .then_some(number)
}

/// YAML's floats: no `inf`, no hexadecimal digits.
fn float(text: &str) -> Option<Meaning<'static>> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let written = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned
            .bytes()
            .all(|c| matches!(c, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let number: f64 = written.then(|| text.parse().ok())??;
    number.is_finite().then_some(Meaning::Float(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_are_those_of_go_yaml() {
        for (text, expected) in [
            ("y", Meaning::Boolean(true)),
            ("On", Meaning::Boolean(true)),
            ("oN", Meaning::Text("oN")),
            ("NO", Meaning::Boolean(false)),
            ("off", Meaning::Boolean(false)),
            ("Null", Meaning::Null),
            ("", Meaning::Null),
            ("443", Meaning::Integer(443)),
            ("+443", Meaning::Integer(443)),
            ("-1", Meaning::Integer(-1)),
            ("0x1bb", Meaning::Integer(443)),
            ("0o17", Meaning::Integer(15)),
            ("017", Meaning::Integer(15)),
            ("0b11", Meaning::Integer(3)),
            ("-0b11", Meaning::Integer(-3)),
            ("1_000", Meaning::Integer(1000)),
            ("08", Meaning::Float(8.0)),
            (
                "18446744073709551615",
                Meaning::Integer(18_446_744_073_709_551_615),
            ),
            (
                "+18446744073709551615",
                Meaning::Float(18_446_744_073_709_551_615.0),
            ),
            ("1e3", Meaning::Float(1000.0)),
            ("1.", Meaning::Float(1.0)),
            (".5", Meaning::Float(0.5)),
            ("-.5", Meaning::Float(-0.5)),
            ("1e999", Meaning::Text("1e999")),
            ("12:30:45", Meaning::Text("12:30:45")),
            ("2001-01-02", Meaning::Text("2001-01-02")),
            ("1.2.3", Meaning::Text("1.2.3")),
            ("-", Meaning::Text("-")),
            (".", Meaning::Text(".")),
            ("0x", Meaning::Text("0x")),
            ("+-1", Meaning::Text("+-1")),
            ("inf", Meaning::Text("inf")),
            (".inf", Meaning::Float(f64::INFINITY)),
        ] {
            assert_eq!(meaning(text), expected, "{text:?}");
        }
    }
}

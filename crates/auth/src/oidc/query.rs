//! Parameters of URLs and forms (`application/x-www-form-urlencoded`).

use std::fmt::Write;

/// Appends a parameter.
pub(super) fn push(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() && !out.ends_with(['?', '&']) {
        out.push('&');
    }
    encode(out, name);
    out.push('=');
    encode(out, value);
}

/// Appends `text` in the form that parameters have.
pub(super) fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
}

/// The value of the first parameter called `name`.
pub(super) fn value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(found)? == name).then(|| decode(value))?
    })
}

/// `None` when it is not UTF-8, or an escape is incomplete.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
                u8::try_from(value).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_found_and_decoded() {
        let query = "a=1&st%61te=x%2Fy+z&state=2&empty=&bare";
        assert_eq!(value(query, "state").as_deref(), Some("x/y z"));
        assert_eq!(value(query, "empty").as_deref(), Some(""));
        assert_eq!(value(query, "bare").as_deref(), Some(""));
        for (query, name) in [
            ("a=1", "b"),
            ("a=%4", "a"),
            ("a=%zz", "a"),
            ("a=%ff", "a"),
            ("", "a"),
        ] {
            assert_eq!(value(query, name), None, "{query}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(name in "\\PC{1,10}", text in "\\PC{0,40}") {
            let mut query = String::new();
            push(&mut query, "first", "1");
            push(&mut query, &name, &text);
            prop_assume!(name != "first");
            prop_assert!(query.bytes().all(|b| b.is_ascii_graphic()));
            prop_assert_eq!(value(&query, &name), Some(text));
        }

        #[test]
        fn any_query_can_be_read(query in "[ -~]{0,60}") {
            let _ = value(&query, "state");
        }
    }
}

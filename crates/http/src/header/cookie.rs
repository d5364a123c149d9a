//! Cookies of requests and responses (RFC 6265), as far as sticky sessions need them.

/// The values that a Cookie field has for `name`, in order and as sent. Names are case-sensitive.
pub fn values<'a>(field: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    field.split(|b| *b == b';').filter_map(move |pair| {
        let (found, value) = split(pair)?;
        (found == name.as_bytes()).then_some(value)
    })
}

/// Whether a Set-Cookie field sets `name`.
pub fn sets(field: &[u8], name: &str) -> bool {
    let pair = field.split(|b| *b == b';').next().unwrap_or_default();
    split(pair).is_some_and(|(found, _)| found == name.as_bytes())
}

fn split(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr(b'=', pair)?;
    let (name, value) = pair.split_at(equals);
    Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name() {
        let table: &[(&str, &[&str])] = &[
            ("a=1", &["1"]),
            ("b=2; a=1;a=3", &["1", "3"]),
            ("A=1; aa=2; a", &[]),
            ("a=; =a; ;; a = b=c ", &["", "b=c"]),
            ("", &[]),
        ];
        for (field, expected) in table {
            let found: Vec<_> = values(field.as_bytes(), "a")
                .map(|value| std::str::from_utf8(value).unwrap())
                .collect();
            assert_eq!(found, *expected, "{field}");
        }
    }

    #[test]
    fn only_the_first_pair_of_set_cookie_is_the_cookie() {
        assert!(sets(b"sid=1; Path=/", "sid"));
        assert!(sets(b"sid=", "sid"));
        assert!(!sets(b"other=1; sid=2", "sid"));
        assert!(!sets(b"SID=1", "sid"));
        assert!(!sets(b"sid", "sid"));
    }
}

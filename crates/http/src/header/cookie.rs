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

/// The attributes that a Classic load balancer's cookie takes over from an application's (CLB guide: sticky sessions).
const TAKEN_OVER: [&str; 12] = [
    "path",
    "port",
    "domain",
    "secure",
    "httponly",
    "discard",
    "max-age",
    "expires",
    "version",
    "comment",
    "commenturl",
    "samesite",
];

/// The attributes of a Set-Cookie field that the load balancer's own cookie takes over, each with a semicolon before it.
pub fn attributes(field: &[u8]) -> String {
    let mut taken = String::new();
    for attribute in field.split(|b| *b == b';').skip(1) {
        let Ok(attribute) = std::str::from_utf8(attribute.trim_ascii()) else {
            continue;
        };
        let name = attribute.split('=').next().unwrap_or_default().trim_end();
        if !TAKEN_OVER
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
        {
            continue;
        }
        taken.push(';');
        if name.eq_ignore_ascii_case("path") {
            taken.push_str(&attribute.replace('_', "%5F"));
        } else {
            taken.push_str(attribute);
        }
    }
    taken
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

    // CLB guide: sticky sessions, application-controlled.
    #[test]
    fn attributes_are_taken_over_from_the_application() {
        let table = [
            ("sid=1", ""),
            (
                "sid=a_b; Path=/my_app; HttpOnly",
                ";Path=/my%5Fapp;HttpOnly",
            ),
            (
                "sid=1;max-age=60 ; Expires=Wed, 21 Oct 2026 07:28:00 GMT;Priority=High",
                ";max-age=60;Expires=Wed, 21 Oct 2026 07:28:00 GMT",
            ),
            (
                "sid=1; Domain=a.example; Secure; SameSite=Lax; Path",
                ";Domain=a.example;Secure;SameSite=Lax;Path",
            ),
            ("sid=1; ; =x; pathology=1", ""),
        ];
        for (field, expected) in table {
            assert_eq!(attributes(field.as_bytes()), expected, "{field}");
        }
        assert_eq!(attributes(b"sid=1; Path=\xff; Secure"), ";Secure");
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

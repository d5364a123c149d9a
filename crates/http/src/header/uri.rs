//! Request targets, parsed without changing them, and the normalised path that rules see.

use std::borrow::Cow;

/// Schemes of the absolute form.
const SCHEMES: [&str; 2] = ["http://", "https://"];

/// Whether `target` has the origin form, or, with OPTIONS alone, the asterisk form. Every version of
/// HTTP has this rule (RFC 9112, 3.2.1 and 3.2.4; RFC 9113, 8.3.1).
pub fn is_path_of(method: &str, target: &str) -> bool {
    target.starts_with('/') || (target == "*" && method == "OPTIONS")
}

/// Whether `target` has the absolute form (RFC 9112, 3.2.2), which HTTP/2 does not use.
pub fn is_absolute(target: &str) -> bool {
    without_scheme(target).is_some()
}

/// A request target and its parts; all slices are as the client sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTarget<'a> {
    /// The whole target: origin form (`/a?b`), absolute form, or `*`; from HTTP/2 the `:path`.
    pub text: &'a str,
    /// `host` or `host:port` of the absolute form, without user information.
    pub authority: Option<&'a str>,
    /// Starts with `/`, except `*` of OPTIONS; never empty.
    pub path: &'a str,
    /// Between the first `?` and `#` or the end.
    pub query: Option<&'a str>,
}

impl<'a> RequestTarget<'a> {
    /// Splits `text`. Anything that is neither absolute form nor a path counts as a path.
    pub fn parse(text: &'a str) -> Self {
        let (authority, rest) = split_authority(text);
        let rest = rest.split('#').next().unwrap_or_default();
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        Self {
            text,
            authority,
            path: if path.is_empty() { "/" } else { path },
            query,
        }
    }

    /// Appends the origin form, as it stands in the request line for a target.
    pub fn write_origin_form(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.path.as_bytes());
        if let Some(query) = self.query {
            out.push(b'?');
            out.extend_from_slice(query.as_bytes());
        }
    }
}

/// `http://user@host:1/path` -> (`host:1`, `/path`).
fn split_authority(target: &str) -> (Option<&str>, &str) {
    if target.starts_with('/') {
        return (None, target);
    }
    let Some(rest) = without_scheme(target) else {
        return (None, target);
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    (Some(host), rest)
}

/// The part after the scheme of an absolute form.
fn without_scheme(target: &str) -> Option<&str> {
    SCHEMES.iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// `example.com:8080` -> (`example.com`, `8080`), safe for IPv6 literals: `[::1]:80` -> (`[::1]`,
/// `80`). Anything but a host and a numeric port is not split.
pub fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(colon) = memchr::memrchr(b':', authority) else {
        return (authority, None);
    };
    let (host, port) = authority.split_at(colon);
    let port = port.get(1..).unwrap_or_default();
    // Another colon outside of brackets: a bare IPv6 address, which has no port.
    let bracketed = host.first() == Some(&b'[') && host.last() == Some(&b']');
    if !port.iter().all(u8::is_ascii_digit) || (!bracketed && host.contains(&b':')) {
        return (authority, None);
    }
    (host, Some(port))
}

/// The path as rules see it: unreserved characters percent-decoded, dot segments collapsed (parity
/// 1.3). For matching alone: targets and logs get the path as the client sent it.
pub fn normalise(path: &[u8]) -> Cow<'_, [u8]> {
    if !may_need_work(path) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(remove_dot_segments(&decode_unreserved(path)))
}

/// Whether there is a `%`, or a segment that starts with a dot.
fn may_need_work(path: &[u8]) -> bool {
    memchr::memchr2_iter(b'%', b'.', path).any(|at| {
        path.get(at) == Some(&b'%')
            || at
                .checked_sub(1)
                .is_some_and(|before| path.get(before) == Some(&b'/'))
    })
}

fn decode_unreserved(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%'
            && let [high, low, after @ ..] = tail
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
            && is_unreserved(high << 4 | low)
        {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(byte);
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Unreserved characters (RFC 3986, 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Removes dot segments (RFC 3986, 5.2.4) from a path that starts with `/`; any other stays as it is.
fn remove_dot_segments(path: &[u8]) -> Vec<u8> {
    let Some(segments) = path.strip_prefix(b"/") else {
        return path.to_vec();
    };
    let mut out = Vec::with_capacity(path.len());
    let mut last_was_dots = false;
    for segment in segments.split(|&b| b == b'/') {
        last_was_dots = true;
        match segment {
            b"." => {}
            b".." => {
                let parent = memchr::memrchr(b'/', &out).unwrap_or(0);
                out.truncate(parent);
            }
            _ => {
                last_was_dots = false;
                out.push(b'/');
                out.extend_from_slice(segment);
            }
        }
    }
    if last_was_dots {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn targets_are_split_unchanged() {
        type Row = (
            &'static str,
            Option<&'static str>,
            &'static str,
            Option<&'static str>,
        );
        let table: &[Row] = &[
            ("/", None, "/", None),
            ("/a/b?x=1&y=%2F", None, "/a/b", Some("x=1&y=%2F")),
            ("/a?b?c", None, "/a", Some("b?c")),
            ("/a?", None, "/a", Some("")),
            ("/a#f?x", None, "/a", None),
            ("/a?x#f", None, "/a", Some("x")),
            ("*", None, "*", None),
            ("//evil.example/x", None, "//evil.example/x", None),
            ("http://h/a?b", Some("h"), "/a", Some("b")),
            ("HTTPS://h:8443", Some("h:8443"), "/", None),
            ("http://h?x", Some("h"), "/", Some("x")),
            ("http://u:p@h:1/a", Some("h:1"), "/a", None),
            ("http://[::1]:80/a", Some("[::1]:80"), "/a", None),
            ("ftp://h/a", None, "ftp://h/a", None),
            ("", None, "/", None),
        ];
        for (target, authority, path, query) in table {
            let parts = RequestTarget::parse(target);
            assert_eq!(
                (parts.authority, parts.path, parts.query),
                (*authority, *path, *query),
                "{target}"
            );
        }
    }

    #[test]
    fn asterisk_is_for_options_alone() {
        let table: &[(&str, &str, bool)] = &[
            ("GET", "/", true),
            ("OPTIONS", "/a", true),
            ("OPTIONS", "*", true),
            ("GET", "*", false),
            ("options", "*", false),
            ("OPTIONS", "*/", false),
            ("GET", "", false),
            ("GET", "?x", false),
            ("GET", "a/b", false),
            ("GET", "http://h/", false),
        ];
        for (method, target, expected) in table {
            assert_eq!(is_path_of(method, target), *expected, "{method} {target}");
        }
        assert!(is_absolute("HTTP://h") && is_absolute("https://"));
        assert!(!is_absolute("http:/h") && !is_absolute("/http://h"));
    }

    #[test]
    fn origin_form_is_what_the_client_wrote() {
        for (target, origin) in [
            ("/a%2f..//b?q=%20", "/a%2f..//b?q=%20"),
            ("http://h?x", "/?x"),
            ("/a?", "/a?"),
            ("*", "*"),
        ] {
            let mut out = Vec::new();
            RequestTarget::parse(target).write_origin_form(&mut out);
            assert_eq!(out, origin.as_bytes(), "{target}");
        }
    }

    #[test]
    fn ports_are_split_off_hosts_and_ipv6_literals() {
        let table: &[(&str, &str, Option<&str>)] = &[
            ("h", "h", None),
            ("h:80", "h", Some("80")),
            ("h:", "h", Some("")),
            ("h:x", "h:x", None),
            ("[::1]", "[::1]", None),
            ("[::1]:8080", "[::1]", Some("8080")),
            ("::1", "::1", None),
            ("", "", None),
            (":80", "", Some("80")),
        ];
        for (authority, host, port) in table {
            assert_eq!(
                split_port(authority.as_bytes()),
                (host.as_bytes(), port.map(str::as_bytes)),
                "{authority}"
            );
        }
    }

    // Parity 1.3: path rules are evaluated after URI normalisation.
    #[test]
    fn paths_are_normalised_for_rules() {
        let table: &[(&str, &str)] = &[
            ("/", "/"),
            ("/a/b.c", "/a/b.c"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/../../x", "/x"),
            ("/a/b/../../../c", "/c"),
            ("/%61dmin", "/admin"),
            ("/x/%2e%2E/admin", "/admin"),
            ("/a%2Fb", "/a%2Fb"),
            ("/a%2", "/a%2"),
            ("/a%zz%", "/a%zz%"),
            ("/%2561", "/%2561"),
            ("/.hidden", "/.hidden"),
            ("/...", "/..."),
            ("/a//b/", "/a//b/"),
            ("/a//../b", "/a/b"),
            ("*", "*"),
        ];
        for (path, expected) in table {
            assert_eq!(&*normalise(path.as_bytes()), expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn plain_path_is_borrowed() {
        assert!(matches!(
            normalise(b"/bucket/file.tar.gz"),
            Cow::Borrowed(_)
        ));
    }

    proptest! {
        #[test]
        fn normalised_path_has_no_dot_segments_and_is_no_longer(path in "/[a./%25e2E]{0,24}") {
            let normal = normalise(path.as_bytes());
            prop_assert!(normal.len() <= path.len());
            prop_assert!(normal.starts_with(b"/"));
            let mut segments = normal.split(|b| *b == b'/');
            prop_assert!(!segments.any(|segment| matches!(segment, b"." | b"..")));
        }

        #[test]
        fn splitting_off_a_port_loses_nothing(authority in vec(any::<u8>(), 0..20)) {
            let (host, port) = split_port(&authority);
            let joined = [host, port.map_or(&b""[..], |_| b":"), port.unwrap_or_default()].concat();
            prop_assert_eq!(&joined, &authority);
            prop_assert!(port.unwrap_or_default().iter().all(u8::is_ascii_digit));
        }

        #[test]
        fn origin_form_is_split_in_the_same_way(
            target in "(/|http://|HTTPS://u@|)[a-c:/?#@.*%é]{0,24}",
        ) {
            let parts = RequestTarget::parse(&target);
            prop_assert!(!parts.path.is_empty());
            let mut origin = Vec::new();
            parts.write_origin_form(&mut origin);
            let origin = String::from_utf8(origin).unwrap();
            let again = RequestTarget::parse(&origin);
            prop_assert_eq!((again.path, again.query), (parts.path, parts.query));
            prop_assert!(again.authority.is_none() || !parts.path.starts_with('/'));
        }
    }
}

//! Conditions of rules (ALB guide: condition types). A new one is an arm in [`Condition::new`], an
//! arm in [`Condition::holds`] and a test below.

use std::sync::Arc;

use elbow_model::{Expression, Patterns};
use ipnet::IpNet;

use super::Recorder;
use super::pattern::{Case, Pattern};
use super::subject::{Seen, Subject};

/// A compiled condition: it holds when one of its values matches.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Host(Values),
    Path(Values),
    Header { name: Arc<str>, values: Values },
    Method(Box<[Arc<str>]>),
    Query(Box<[Pair]>),
    Source(Box<[IpNet]>),
}

/// Alternatives for one text.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Patterns(Box<[Pattern]>),
    Expressions(Box<[Expression]>),
}

/// A key of a query and its value.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// `None` for any key.
    key: Option<Pattern>,
    value: Pattern,
}

impl Condition {
    pub(super) fn new(condition: &elbow_model::Condition) -> Self {
        use elbow_model::Condition as Model;
        match condition {
            Model::HostHeader(hosts) => Self::Host(Values::new(hosts, Case::Insensitive)),
            Model::PathPattern(paths) => Self::Path(Values::new(paths, Case::Sensitive)),
            Model::HttpHeader { name, values } => Self::Header {
                name: Arc::clone(name),
                values: Values::new(values, Case::Insensitive),
            },
            Model::HttpRequestMethod(methods) => Self::Method(methods.as_slice().into()),
            Model::QueryString(pairs) => Self::Query(pairs.iter().map(Pair::new).collect()),
            Model::SourceIp(networks) => Self::Source(networks.as_slice().into()),
        }
    }

    /// Whether `subject` fulfils it; `recorder` sees every value that was looked at.
    pub(super) fn holds(&self, subject: &mut Subject<'_>, recorder: &mut impl Recorder) -> bool {
        let mut saw = |text| recorder.seen(Seen::Text(text));
        match self {
            Self::Host(values) => subject
                .host()
                .inspect(|host| saw(host))
                .is_some_and(|host| values.matches(host)),
            Self::Path(values) => subject
                .path()
                .inspect(|path| saw(path))
                .is_some_and(|path| values.matches(path)),
            Self::Header { name, values } => subject
                .values(name)
                .inspect(|value| saw(value))
                .any(|value| values.matches(value)),
            Self::Method(methods) => {
                saw(subject.method().as_bytes());
                methods.iter().any(|method| **method == *subject.method())
            }
            Self::Query(pairs) => subject.query().inspect(|member| saw(member)).any(|member| {
                let (key, value) = split_member(member);
                pairs.iter().any(|pair| pair.matches(key, value))
            }),
            Self::Source(networks) => {
                let client = subject.client();
                recorder.seen(Seen::Client(client));
                networks.iter().any(|network| network.contains(&client))
            }
        }
    }
}

impl Values {
    fn new(patterns: &Patterns, case: Case) -> Self {
        match patterns {
            Patterns::Wildcards(values) => {
                Self::Patterns(values.iter().map(|v| Pattern::new(v, case)).collect())
            }
            // The model compiled them with the case of their condition.
            Patterns::Regexes(expressions) => Self::Expressions(expressions.as_slice().into()),
        }
    }

    fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Patterns(patterns) => patterns.iter().any(|p| p.matches(text)),
            Self::Expressions(expressions) => expressions.iter().any(|e| e.is_match(text)),
        }
    }
}

impl Pair {
    fn new(pair: &elbow_model::QueryPair) -> Self {
        let part = |text: &Arc<str>| Pattern::with_escapes(text, Case::Insensitive);
        Self {
            key: pair.key.as_ref().map(part),
            value: part(&pair.value),
        }
    }

    fn matches(&self, key: &[u8], value: &[u8]) -> bool {
        self.key.as_ref().is_none_or(|pattern| pattern.matches(key)) && self.value.matches(value)
    }
}

/// A member of a query: its key and its value, which is empty for a key alone.
fn split_member(member: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'=', member) {
        Some(at) => (
            member.get(..at).unwrap_or_default(),
            member.get(at + 1..).unwrap_or_default(),
        ),
        None => (member, &[]),
    }
}

#[cfg(test)]
mod tests {
    use elbow_model::{Condition as Model, QueryPair};

    use super::*;
    use crate::header::head::RequestHead;
    use crate::test_kit::{field, get, hosts, paths, wildcards};

    /// Whether `condition` holds for a request from `client`.
    fn holds(condition: &Model, head: &RequestHead<'_>, client: &str) -> bool {
        let mut subject = Subject::new(head, client.parse().unwrap());
        Condition::new(condition).holds(&mut subject, &mut ())
    }

    // Parity check 23 and 1.3, host-header.
    #[test]
    fn hosts_match_without_port_and_in_any_case() {
        let table: &[(&str, &str, bool)] = &[
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "A.EXAMPLE.com", true),
            ("*.example.com", "a.example.com:8443", true),
            ("*.example.com", "a.example.com:", true),
            ("*.example.com", "a.example.com.", false),
            ("*.example.com", "a\u{1}.example.com", false),
            ("[::1]", "[::1]", true),
            ("[::1]", "[::1]:80", true),
            ("[::1]", "", false),
        ];
        for (pattern, host, expected) in table {
            let fields = [field("Host", host)];
            let found = holds(&hosts(&[pattern]), &get("/", &fields), "::1");
            assert_eq!(found, *expected, "{host} by {pattern}");
        }
        assert!(!holds(&hosts(&["*"]), &get("/", &[]), "::1"));
    }

    // Parity 1.3: only the first Host header; 1.11: an absolute target's authority is the host.
    #[test]
    fn first_host_counts_unless_the_target_names_one() {
        let is_a = |target: &str, hosts_sent: &[&str]| {
            let fields: Vec<_> = hosts_sent.iter().map(|host| field("Host", host)).collect();
            holds(&hosts(&["a.example"]), &get(target, &fields), "::1")
        };
        assert!(is_a("/", &["a.example", "b.example"]));
        assert!(!is_a("/", &["b.example", "a.example"]));
        assert!(is_a("http://A.example:80/", &["b.example"]));
        assert!(!is_a("http://b.example/", &["a.example"]));
    }

    // Parity check 24 and 1.3, path-pattern.
    #[test]
    fn paths_match_by_case_without_query_and_normalised() {
        for (target, expected) in [
            ("/IMG/x", false),
            ("/img/a/b", true),
            ("/img", false),
            ("/img/x?y", true),
            ("/x?/img/y", false),
            ("/%69mg/x", true),
            ("/a/../img/x", true),
            ("/img/../x", false),
            ("/img/%2e%2e/x", false),
            ("/img%2Fx", false),
            ("/img/\u{7f}", false),
            ("http://h/img/x", true),
        ] {
            let found = holds(&paths(&["/img/*"]), &get(target, &[]), "::1");
            assert_eq!(found, expected, "{target}");
        }
    }

    // Parity 1.3, http-header.
    #[test]
    fn headers_match_in_any_case_and_each_of_their_lines_counts() {
        let fields = [
            field("x-env", "Staging"),
            field("X-Env", "PROD eu"),
            field("X-Bad", "a\u{1}b"),
        ];
        for (name, value, expected) in [
            ("X-ENV", "staging", true),
            ("x-env", "prod*", true),
            ("x-env", "prod", false),
            ("x-env", "?rod ??", true),
            ("x-en*", "staging", false),
            ("x-none", "*", false),
            ("x-bad", "*", false),
        ] {
            let condition = Model::HttpHeader {
                name: name.into(),
                values: wildcards(&[value]),
            };
            let found = holds(&condition, &get("/", &fields), "::1");
            assert_eq!(found, expected, "{name}: {value}");
        }
    }

    // Parity 1.3, http-request-method: exact.
    #[test]
    fn methods_match_exactly() {
        let condition = Model::HttpRequestMethod(vec!["PUT".into(), "GET".into()]);
        for (method, expected) in [
            ("GET", true),
            ("PUT", true),
            ("get", false),
            ("POST", false),
        ] {
            let head = RequestHead {
                method,
                ..get("/", &[])
            };
            assert_eq!(holds(&condition, &head, "::1"), expected, "{method}");
        }
    }

    // Parity 1.3 and check 25, query-string.
    #[test]
    fn queries_match_by_key_and_value_in_any_case() {
        type Pair = (Option<&'static str>, &'static str);
        let version = [(Some("version"), "v1"), (None, "*example*")];
        let table: &[(&[Pair], &str, bool)] = &[
            (&version, "/?VERSION=V1", true),
            (&version, "/?x=1&version=v1", true),
            (&version, "/?version=v12", false),
            (&version, "/?any=an.Example.com", true),
            (&version, "/?example=1", false),
            (&version, "/version=v1", false),
            (&version, "/#?version=v1", false),
            (&version, "/?a#version=v1", false),
            (&version, "/?a?version=v1", false),
            (&version, "/?version=v1\u{1}", false),
            (&version, "/", false),
            (&[(Some("a"), "")], "/?a", true),
            (&[(Some("a"), "")], "/?a=", true),
            (&[(Some("a"), "")], "/?a=b", false),
            (&[(Some("a*"), "b=?")], "/?ab=b=c", true),
            (&[(None, r"\*")], "/?a=*", true),
            (&[(None, r"\*")], "/?a=b", false),
            (&[(None, "*")], "/?&&", false),
            (&[(None, "*")], "/?a\u{1}", false),
        ];
        for (pairs, target, expected) in table {
            let pairs = pairs.iter().map(|(key, value)| QueryPair {
                key: key.map(Arc::from),
                value: (*value).into(),
            });
            let condition = Model::QueryString(pairs.collect());
            let found = holds(&condition, &get(target, &[]), "::1");
            assert_eq!(found, *expected, "{target}");
        }
    }

    // Parity 1.3, source-ip: the TCP peer, never X-Forwarded-For.
    #[test]
    fn sources_are_the_peers_of_connections() {
        let networks = ["10.1.0.0/16", "2001:db8::/32"].map(|n| n.parse().unwrap());
        let condition = Model::SourceIp(networks.into());
        let fields = [field("X-Forwarded-For", "10.1.2.3")];
        for (client, expected) in [
            ("10.1.255.1", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            let found = holds(&condition, &get("/", &fields), client);
            assert_eq!(found, expected, "{client}");
        }
    }

    // Parity 1.3: RegexValues are found anywhere; hosts and headers in any case, paths by case.
    #[test]
    fn regular_expressions_match_hosts_paths_and_headers() {
        let regexes = |text: &str, ignore_case| {
            Patterns::Regexes(vec![Expression::new(text, ignore_case).unwrap()])
        };
        let fields = [field("Host", "API.example.com:80"), field("X-Env", "Prod")];
        let head = get("/a/../v12/x?y", &fields);
        let header = Model::HttpHeader {
            name: "x-env".into(),
            values: regexes("^prod$", true),
        };
        for (condition, expected) in [
            (Model::PathPattern(regexes("^/v[0-9]+/", false)), true),
            (Model::PathPattern(regexes("^/V[0-9]+/", false)), false),
            (Model::PathPattern(regexes("y$", false)), false),
            (Model::HostHeader(regexes("^api[.].*[.]com$", true)), true),
            (header, true),
        ] {
            assert_eq!(holds(&condition, &head, "::1"), expected, "{condition}");
        }
    }
}

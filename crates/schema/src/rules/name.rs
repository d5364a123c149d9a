//! The syntax of names: `k8s.io/apimachinery/pkg/util/validation` and `pkg/api/validate/content`.

use std::borrow::Cow;

/// What is wrong with a text; empty if nothing.
pub(crate) type Problems = Vec<Cow<'static, str>>;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                     and end with an alphanumeric character (e.g. 'my-name', or '123-abc')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                         must start and end with an alphanumeric character (e.g. 'example.com')";
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must \
                        consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character \
                        (e.g. '*.example.com')";
const KEY_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                        alphanumeric character (e.g. 'MyName', or 'my.name', or '123-abc')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
                           and must start and end with an alphanumeric character (e.g. 'MyValue', or 'my_value', or '12345')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', or \
                          'KEY_NAME', or 'key-name')";

fn too_long(text: &str, most: usize) -> Option<Cow<'static, str>> {
    (text.len() > most).then(|| format!("must be no more than {most} characters").into())
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    ends.is_some_and(|(first, last)| inner(*first) && inner(*last))
        && bytes.iter().all(|byte| inner(*byte) || *byte == b'-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// `IsDNS1123Label`.
pub(crate) fn label(text: &str) -> Problems {
    let mut problems: Problems = too_long(text, 63).into_iter().collect();
    if !is_label(text) {
        let dots = is_subdomain(text);
        problems.push(if dots { "must not contain dots" } else { LABEL }.into());
    }
    problems
}

/// `IsDNS1123Subdomain`.
pub(crate) fn subdomain(text: &str) -> Problems {
    let mut problems: Problems = too_long(text, 253).into_iter().collect();
    if !is_subdomain(text) {
        problems.push(SUBDOMAIN.into());
    }
    problems
}

/// `IsWildcardDNS1123Subdomain` where there is a `*`, else [`subdomain`].
pub(crate) fn host(text: &str) -> Problems {
    if !text.contains('*') {
        return subdomain(text);
    }
    let mut problems: Problems = too_long(text, 253).into_iter().collect();
    if !text.strip_prefix("*.").is_some_and(is_subdomain) {
        problems.push(WILDCARD.into());
    }
    problems
}

/// `NameIsDNSSubdomain` and `NameIsDNSLabel` for a prefix of names, which may end with a dash.
pub(crate) fn prefix(text: &str, name: fn(&str) -> Problems) -> Problems {
    match text.strip_suffix('-') {
        // Kubernetes replaces the last two characters by one that is allowed.
        Some(rest) if !rest.is_empty() => {
            let mut kept = rest.to_owned();
            kept.pop();
            kept.push('a');
            name(&kept)
        }
        _ => name(text),
    }
}

/// `IsFullyQualifiedDomainName`, and names of one label are allowed: endpoints may be containers of a network on the machine of
/// elbow.
pub(crate) fn domain(text: &str) -> Problems {
    let text = text.strip_suffix('.').unwrap_or(text);
    let mut problems = subdomain(text);
    if problems.is_empty() {
        problems = text.split('.').flat_map(label).collect();
    }
    problems
}

fn is_key_part(text: &str) -> bool {
    let outer = |byte: u8| byte.is_ascii_alphanumeric();
    let bytes = text.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    ends.is_some_and(|(first, last)| outer(*first) && outer(*last))
        && bytes
            .iter()
            .all(|byte| outer(*byte) || b"-_.".contains(byte))
}

/// `IsQualifiedName`: the key of a label, with an optional DNS subdomain before it.
pub(crate) fn qualified(text: &str) -> Problems {
    let mut problems = Problems::new();
    let mut parts = text.split('/');
    let name = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => name,
        (Some(""), Some(name), None) => {
            problems.push("prefix part must be non-empty".into());
            name
        }
        (Some(prefix), Some(name), None) => {
            let of_prefix = subdomain(prefix).into_iter();
            problems.extend(of_prefix.map(|problem| format!("prefix part {problem}").into()));
            name
        }
        _ => {
            let whole = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
                         with an alphanumeric character with an optional DNS subdomain prefix and '/' (e.g. \
                         'example.com/MyName')";
            return vec![whole.into()];
        }
    };
    if name.len() > 63 {
        problems.push("name part must be no more than 63 characters".into());
    }
    if name.is_empty() {
        problems.push("name part must be non-empty".into());
    } else if !is_key_part(name) {
        problems.push(KEY_PART.into());
    }
    problems
}

/// `IsValidLabelValue`.
pub(crate) fn label_value(text: &str) -> Problems {
    let mut problems: Problems = too_long(text, 63).into_iter().collect();
    if !text.is_empty() && !is_key_part(text) {
        problems.push(LABEL_VALUE.into());
    }
    problems
}

/// `IsValidPortName`.
pub(crate) fn port_name(text: &str) -> Problems {
    let mut problems: Problems = too_long(text, 15).into_iter().collect();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || !text.bytes().all(allowed) {
        problems
            .push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".into());
    }
    if text.contains("--") {
        problems.push("must not contain consecutive hyphens".into());
    }
    if text.starts_with('-') || text.ends_with('-') {
        problems.push("must not begin or end with a hyphen".into());
    }
    problems
}

/// `IsConfigMapKey`: a key of a Secret.
pub(crate) fn config_key(text: &str) -> Problems {
    let mut problems: Problems = too_long(text, 253).into_iter().collect();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if text.is_empty() || !text.bytes().all(allowed) {
        problems.push(CONFIG_KEY.into());
    }
    match text {
        "." => problems.push("must not be '.'".into()),
        ".." => problems.push("must not be '..'".into()),
        _ if text.starts_with("..") => problems.push("must not start with '..'".into()),
        _ => {}
    }
    problems
}

/// `IsPathSegmentName`.
pub(crate) fn path_segment(text: &str) -> Problems {
    match text {
        "." => vec!["may not be '.'".into()],
        ".." => vec!["may not be '..'".into()],
        _ => ["/", "%"]
            .iter()
            .filter(|part| text.contains(**part))
            .map(|part| format!("may not contain '{part}'").into())
            .collect(),
    }
}

/// `IsDomainPrefixedPath`.
pub(crate) fn domain_prefixed_path(text: &str) -> Problems {
    let parts = text.split_once('/');
    let Some((host, path)) = parts.filter(|(host, path)| !host.is_empty() && !path.is_empty())
    else {
        return vec!["must be a domain-prefixed path (such as \"acme.io/foo\")".into()];
    };
    let mut problems = subdomain(host);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
    if !path.bytes().all(allowed) {
        problems.push(
            "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')".into(),
        );
    }
    problems
}

/// `IsHTTPHeaderName`.
pub(crate) fn header_name(text: &str) -> Problems {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !text.is_empty() && text.bytes().all(allowed) {
        return Problems::new();
    }
    vec![
        "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name')"
            .into(),
    ]
}

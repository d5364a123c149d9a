//! URLs of identity providers.

use std::sync::Arc;

use crate::invalid::Place;
use crate::read::is_visible;

/// Characters of a URL.
const MAX_URL: usize = 256;

/// Whether `url` can be the URL of an identity provider: HTTPS, without user info and without a fragment.
pub fn is_provider_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    is_visible(url)
        && is_authority(authority)
        && !url.contains(['#', '"', '<', '>', '\\', '^', '`', '{', '|', '}'])
}

/// The URL of an identity provider.
pub(super) fn endpoint(given: Option<&str>, at: &Place<'_>) -> Option<Arc<str>> {
    let Some(url) = given else {
        at.error("missing-field", "an HTTPS URL is missing");
        return None;
    };
    if !is_provider_url(url) {
        let reason = format!("{url:?} is not an HTTPS URL");
        let hint = "write for example https://id.example.com/keys";
        at.error_with("invalid-url", reason, hint.to_owned());
    } else if url.len() > MAX_URL {
        let reason = format!(
            "the URL has {} characters; {MAX_URL} are allowed",
            url.len()
        );
        at.error("out-of-range", reason);
    }
    Some(url.into())
}

/// A host with an optional port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = !host.is_empty() && host.split('.').all(crate::read::is_label);
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    (is_v6 || is_name) && is_port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_is_a_host_and_a_port() {
        for good in [
            "id.example.com",
            "localhost:8443",
            "[::1]:8443",
            "[::1]",
            "10.0.0.1",
        ] {
            assert!(is_authority(good), "{good}");
        }
        for bad in [
            "", ":443", "a:0", "a:65536", "a:b", "[x]:1", "u@h", "a b", "a..b", "[::1",
        ] {
            assert!(!is_authority(bad), "{bad}");
        }
    }
}

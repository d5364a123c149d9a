//! The ALPN protocols that a listener offers, in the server's order of preference.

use elbow_model::AlpnPolicy;

/// The protocols of an ALB's HTTPS listener; `http2` is the attribute `routing.http2.enabled`.
pub fn application(http2: bool) -> Vec<Vec<u8>> {
    if http2 {
        list(&["h2", "http/1.1"])
    } else {
        list(&["http/1.1"])
    }
}

/// The protocols of an NLB's TLS listener (NLB guide: listeners).
pub fn network(policy: AlpnPolicy) -> Vec<Vec<u8>> {
    match policy {
        AlpnPolicy::Http1Only => list(&["http/1.1", "http/1.0"]),
        AlpnPolicy::Http2Only => list(&["h2"]),
        AlpnPolicy::Http2Optional => list(&["http/1.1", "http/1.0", "h2"]),
        AlpnPolicy::Http2Preferred => list(&["h2", "http/1.1", "http/1.0"]),
        AlpnPolicy::None => Vec::new(),
    }
}

fn list(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols.iter().map(|p| p.as_bytes().to_vec()).collect()
}

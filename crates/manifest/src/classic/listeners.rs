//! The protocols of a Classic load balancer's ports.

use std::collections::BTreeSet;

/// The ports that a certificate applies to, from `aws-load-balancer-ssl-ports`. As in the provider, the list is split at
/// commas without trimming: `443, 8443` names the port ` 8443`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SslPorts {
    /// `None`: all ports.
    listed: Option<(BTreeSet<i64>, BTreeSet<String>)>,
}

impl SslPorts {
    /// Reads the annotation; an absent or empty one and `*` mean every port.
    pub fn parse(annotation: Option<&str>) -> Self {
        let listed = annotation
            .filter(|text| !text.is_empty() && *text != "*")
            .map(|text| {
                let mut numbers = BTreeSet::new();
                let mut names = BTreeSet::new();
                for item in text.split(',') {
                    match item.parse() {
                        Ok(number) => {
                            numbers.insert(number);
                        }
                        Err(_) => {
                            names.insert(item.to_owned());
                        }
                    }
                }
                (numbers, names)
            });
        Self { listed }
    }

    /// Whether the port is one of them. The port's name is compared in lower case.
    pub fn covers(&self, port: u16, name: &str) -> bool {
        self.listed.as_ref().is_none_or(|(numbers, names)| {
            numbers.contains(&i64::from(port)) || names.contains(&name.to_lowercase())
        })
    }
}

/// The protocols of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// Towards the client.
    pub listener: &'static str,
    /// Towards the instance.
    pub instance: &'static str,
}

/// The protocols for a backend protocol (case matters) with or without a certificate (control-plane.md 4). `None`: this
/// backend protocol cannot be combined with a certificate.
pub fn protocols(backend: Option<&str>, certificate: bool) -> Option<Protocols> {
    let (listener, instance) = match (certificate, backend.unwrap_or_default()) {
        (true, "" | "tcp") => ("SSL", "TCP"),
        (true, "ssl") => ("SSL", "SSL"),
        (true, "http") => ("HTTPS", "HTTP"),
        (true, "https") => ("HTTPS", "HTTPS"),
        (true, _) => return None,
        (false, "http") => ("HTTP", "HTTP"),
        (false, _) => ("TCP", "TCP"),
    };
    Some(Protocols { listener, instance })
}

/// Whether a listener speaks TLS with clients.
pub(super) fn secure(protocol: &str) -> bool {
    matches!(protocol, "SSL" | "HTTPS")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 4, the table of listeners.
    #[test]
    fn the_table_of_listeners() {
        for (certificate, backend, expected) in [
            (true, None, Some(("SSL", "TCP"))),
            (true, Some("tcp"), Some(("SSL", "TCP"))),
            (true, Some("ssl"), Some(("SSL", "SSL"))),
            (true, Some("http"), Some(("HTTPS", "HTTP"))),
            (true, Some("https"), Some(("HTTPS", "HTTPS"))),
            (true, Some("HTTPS"), None),
            (true, Some("grpc"), None),
            (false, None, Some(("TCP", "TCP"))),
            (false, Some("http"), Some(("HTTP", "HTTP"))),
            (false, Some("https"), Some(("TCP", "TCP"))),
            (false, Some("ssl"), Some(("TCP", "TCP"))),
            (false, Some("tcp"), Some(("TCP", "TCP"))),
            (false, Some("HTTP"), Some(("TCP", "TCP"))),
        ] {
            let found = protocols(backend, certificate).map(|p| (p.listener, p.instance));
            assert_eq!(
                found, expected,
                "certificate {certificate}, backend {backend:?}"
            );
        }
    }

    /// Section 0.5: `ssl-ports` of the in-tree provider is split without trimming.
    #[test]
    fn ssl_ports_are_not_trimmed() {
        let ports = SslPorts::parse(Some("443, 8443,console"));
        assert!(ports.covers(443, "x"));
        assert!(!ports.covers(8443, "y"));
        assert!(ports.covers(9443, "Console"));
        for all in [None, Some(""), Some("*")] {
            assert!(SslPorts::parse(all).covers(1, ""));
        }
        assert!(!SslPorts::parse(Some("http")).covers(443, "https"));
    }
}

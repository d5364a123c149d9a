//! Certificate selection by SNI (ALB guide: SSL certificates; parity: 2.2).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::ClientHello;
use rustls::{CipherSuite, SignatureScheme};

use crate::certificate::{KeyType, Loaded};

#[cfg(test)]
mod tests;

/// The certificates of a listener, indexed by name.
#[derive(Debug)]
pub(crate) struct Store {
    certificates: Vec<Arc<Loaded>>,
    /// Indexes by name. The key of a wildcard is the name without `*`, so it starts with a dot.
    by_name: HashMap<Box<str>, Vec<usize>>,
    /// Prefer unexpired certificates; only an ALB does.
    skip_expired: bool,
}

/// The inputs of the selection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hello<'a> {
    pub(crate) sni: Option<&'a str>,
    pub(crate) schemes: &'a [SignatureScheme],
    pub(crate) suites: &'a [CipherSuite],
    /// Whether the policy has TLS 1.3, whose suites do not depend on the type of key.
    pub(crate) tls13: bool,
    /// Current time in Unix seconds.
    pub(crate) now: i64,
}

impl<'a> Hello<'a> {
    pub(crate) fn new(hello: &'a ClientHello<'a>, tls13: bool, now: i64) -> Self {
        Self {
            sni: hello.server_name(),
            schemes: hello.signature_schemes(),
            suites: hello.cipher_suites(),
            tls13,
            now,
        }
    }

    fn supports(&self, certificate: &Loaded) -> bool {
        certificate
            .certified
            .key
            .choose_scheme(self.schemes)
            .is_some()
            && self.suites.iter().any(|suite| match suite {
                CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS13_AES_256_GCM_SHA384
                | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => self.tls13,
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => {
                    certificate.key_type() == KeyType::Ecdsa
                }
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => {
                    certificate.key_type() == KeyType::Rsa
                }
                _ => false,
            })
    }
}

/// The certificate selected for one handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) index: usize,
    /// Whether the name matched; otherwise it is the default certificate.
    pub(crate) sni_matched: bool,
}

impl Store {
    /// Creates a store. The first of `certificates` is the default one.
    pub(crate) fn new(certificates: Vec<Arc<Loaded>>, skip_expired: bool) -> Self {
        let mut by_name: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (index, certificate) in certificates.iter().enumerate() {
            for name in certificate.names() {
                let key = name.strip_prefix('*').unwrap_or(name);
                let indexes = by_name.entry(key.into()).or_default();
                if indexes.last() != Some(&index) {
                    indexes.push(index);
                }
            }
        }
        Self {
            certificates,
            by_name,
            skip_expired,
        }
    }

    pub(crate) fn certificates(&self) -> &[Arc<Loaded>] {
        &self.certificates
    }

    /// Selects the best match for the name that the client supports, or the default certificate.
    pub(crate) fn choose(&self, hello: &Hello<'_>) -> Choice {
        let best = hello.sni.and_then(|name| {
            self.matches(&name.to_ascii_lowercase())
                .filter_map(|index| Some((index, self.certificates.get(index)?)))
                .min_by_key(|(index, certificate)| self.rank(hello, *index, certificate))
        });
        match best {
            Some((index, _)) => Choice {
                index,
                sni_matched: true,
            },
            None => Choice {
                index: 0,
                sni_matched: false,
            },
        }
    }

    /// Indexes of exact matches, and of wildcards, which match exactly one label.
    fn matches(&self, name: &str) -> impl Iterator<Item = usize> {
        // A key with a leading dot is a wildcard; no host name starts with a dot.
        let exact = (!name.starts_with('.')).then(|| self.by_name.get(name));
        let wildcard = name
            .find('.')
            .filter(|dot| *dot > 0)
            .map(|dot| self.by_name.get(name.split_at(dot).1));
        [exact, wildcard]
            .into_iter()
            .flatten()
            .flatten()
            .flatten()
            .copied()
    }

    /// AWS's order, best first: supported by the client, ECDSA before RSA, not expired, stronger digest,
    /// longer key, later expiry; then the order in the list of the listener.
    fn rank(&self, hello: &Hello<'_>, index: usize, certificate: &Loaded) -> impl Ord + use<> {
        (
            !hello.supports(certificate),
            certificate.key_type() == KeyType::Rsa,
            self.skip_expired && !certificate.is_valid_at(hello.now),
            Reverse(certificate.digest_bits()),
            Reverse(certificate.key_bits()),
            Reverse(certificate.not_after()),
            index,
        )
    }
}

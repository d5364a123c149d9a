//! Security policies as rustls providers.

use std::sync::Arc;

use elbow_model::{SslNegotiationPolicy, SslPolicy, TlsVersion, ssl_policies, ssl_policy};
use rustls::crypto::aws_lc_rs::{self, cipher_suite as suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{NamedGroup, SupportedCipherSuite, SupportedProtocolVersion};

use crate::hybrid::{SECP384R1_MLKEM1024, Secp384r1MlKem1024};

#[cfg(test)]
mod tests;

/// The part of a security policy that rustls supports: versions, and suites and groups in AWS's order.
#[derive(Clone, Debug)]
pub struct Policy {
    name: Arc<str>,
    is_server_order: bool,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

impl Policy {
    /// AWS's name, or one that lists what a policy of one's own has.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the server's order of suites counts; otherwise the client's does.
    pub(crate) fn is_server_order(&self) -> bool {
        self.is_server_order
    }

    /// Whether the policy has TLS 1.3.
    pub(crate) fn tls13(&self) -> bool {
        self.versions.contains(&&TLS13)
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    pub(crate) fn versions(&self) -> &[&'static SupportedProtocolVersion] {
        &self.versions
    }
}

impl From<&SslPolicy> for Policy {
    /// Leaves out what rustls does not support: TLS 1.0 and 1.1, CBC, RSA key exchange.
    fn from(policy: &SslPolicy) -> Self {
        let groups: &[&dyn SupportedKxGroup] = if policy.post_quantum {
            &[
                kx_group::X25519MLKEM768,
                kx_group::SECP256R1MLKEM768,
                &Secp384r1MlKem1024,
                kx_group::X25519,
                kx_group::SECP256R1,
                kx_group::SECP384R1,
            ]
        } else {
            CLASSICAL
        };
        Self {
            name: policy.name.into(),
            is_server_order: true,
            provider: provider(policy.suites, groups),
            versions: versions(policy.versions),
        }
    }
}

impl From<&SslNegotiationPolicy> for Policy {
    /// Leaves out what rustls does not support. Its name tells it from every other one, so that no session of another policy
    /// resumes.
    fn from(policy: &SslNegotiationPolicy) -> Self {
        let attributes: Vec<String> = policy.attributes().into_keys().collect();
        Self {
            name: attributes.join(" ").into(),
            is_server_order: policy.is_server_order,
            provider: provider(&policy.suites, CLASSICAL),
            versions: versions(&policy.versions),
        }
    }
}

const CLASSICAL: &[&dyn SupportedKxGroup] =
    &[kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];

fn provider(suites: &[&str], groups: &[&'static dyn SupportedKxGroup]) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: suites.iter().filter_map(|name| by_name(name)).collect(),
        kx_groups: groups.to_vec(),
        ..aws_lc_rs::default_provider()
    })
}

fn versions(of_policy: &[TlsVersion]) -> Vec<&'static SupportedProtocolVersion> {
    let served = of_policy.iter().filter_map(|version| match version {
        TlsVersion::Tls13 => Some(&TLS13),
        TlsVersion::Tls12 => Some(&TLS12),
        TlsVersion::Tls11 | TlsVersion::Tls10 => None,
    });
    served.collect()
}

/// Returns the policy called `name`, for example `ELBSecurityPolicy-TLS13-1-2-2021-06`.
pub fn policy(name: &str) -> Result<Policy, UnknownPolicy> {
    match ssl_policy(name) {
        Some(policy) => Ok(policy.into()),
        None => Err(UnknownPolicy {
            name: name.to_owned(),
        }),
    }
}

/// No policy has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown security policy \"{name}\"; use one of {}", known())]
pub struct UnknownPolicy {
    /// The unknown name.
    pub name: String,
}

fn known() -> String {
    let names: Vec<_> = ssl_policies().iter().map(|policy| policy.name).collect();
    names.join(", ")
}

/// OpenSSL's name of a suite, as used in policies and access logs.
pub(crate) fn openssl_name(suite: SupportedCipherSuite) -> &'static str {
    SUITES
        .iter()
        .find(|(_, known)| known.suite() == suite.suite())
        .map_or("-", |(name, _)| name)
}

/// The name of a group in connection logs.
pub(crate) fn group_name(group: NamedGroup) -> Option<&'static str> {
    Some(match group {
        NamedGroup::X25519 => "x25519",
        NamedGroup::secp256r1 => "secp256r1",
        NamedGroup::secp384r1 => "secp384r1",
        NamedGroup::secp521r1 => "secp521r1",
        NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        NamedGroup::secp256r1MLKEM768 => "SecP256r1MLKEM768",
        SECP384R1_MLKEM1024 => "SecP384r1MLKEM1024",
        _ => return None,
    })
}

fn by_name(name: &str) -> Option<SupportedCipherSuite> {
    SUITES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, suite)| *suite)
}

/// The suites that both AWS and rustls support. No policy has ChaCha20 with TLS 1.2.
static SUITES: [(&str, SupportedCipherSuite); 7] = [
    ("TLS_AES_128_GCM_SHA256", suite::TLS13_AES_128_GCM_SHA256),
    ("TLS_AES_256_GCM_SHA384", suite::TLS13_AES_256_GCM_SHA384),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        suite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
];

//! Security policies by AWS's names (ALB guide: security policies), one rustls provider for each.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite as suite, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

#[cfg(test)]
mod tests;

/// What every policy's name starts with.
const PREFIX: &str = "ELBSecurityPolicy-";

/// The part of a security policy that rustls can serve: suites and groups in AWS's order, versions.
#[derive(Clone, Debug)]
pub struct Policy {
    name: &'static str,
    provider: Arc<CryptoProvider>,
    versions: &'static [&'static SupportedProtocolVersion],
}

impl Policy {
    /// The policy's name without `ELBSecurityPolicy-`.
    pub fn short_name(&self) -> &'static str {
        self.name
    }

    /// Whether TLS 1.3 is on; the connections to targets then offer it as well.
    pub fn tls13(&self) -> bool {
        self.versions.iter().any(|v| **v == TLS13)
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    pub(crate) fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        self.versions
    }
}

/// The policy called `name`, e.g. `ELBSecurityPolicy-TLS13-1-2-2021-06`.
pub fn policy(name: &str) -> Result<Policy, UnknownPolicy> {
    let row = name
        .strip_prefix(PREFIX)
        .and_then(|short| ROWS.iter().find(|row| row.name == short));
    match row {
        Some(row) => Ok(row.build()),
        None => Err(UnknownPolicy {
            name: name.to_owned(),
        }),
    }
}

/// The names that [`policy`] knows, in full.
pub fn policy_names() -> impl Iterator<Item = String> {
    ROWS.iter().map(|row| format!("{PREFIX}{}", row.name))
}

/// No policy has this name, or rustls can serve none of its suites.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown security policy \"{name}\"; known ones are {}",
    policy_names().collect::<Vec<_>>().join(", ")
)]
pub struct UnknownPolicy {
    /// What was asked for.
    pub name: String,
}

/// Suites of TLS 1.3 in a policy.
#[derive(Clone, Copy)]
enum Suites13 {
    None,
    /// All three.
    All,
    /// FIPS: no ChaCha20.
    Aes,
    /// RFC 9151 (CNSA): AES-256 alone.
    Aes256,
}

/// Suites of TLS 1.2 in a policy, as far as rustls has them: forward secret GCM or nothing.
#[derive(Clone, Copy)]
enum Suites12 {
    None,
    Gcm,
    Aes256Gcm,
}

/// Groups of the key exchange.
#[derive(Clone, Copy)]
enum Groups {
    Classical,
    /// Hybrids with ML-KEM before the classical ones; rustls has no SecP384r1MLKEM1024.
    PostQuantum,
    /// The curves of NIST alone.
    Nist,
    NistPostQuantum,
    /// RFC 9151.
    P384,
}

struct Row {
    name: &'static str,
    tls13: Suites13,
    tls12: Suites12,
    groups: Groups,
}

impl Row {
    fn build(&self) -> Policy {
        let tls13 = match self.tls13 {
            Suites13::None => &[][..],
            Suites13::All => &ALL13,
            Suites13::Aes => &AES13,
            Suites13::Aes256 => &AES256_13,
        };
        let tls12 = match self.tls12 {
            Suites12::None => &[][..],
            Suites12::Gcm => &GCM12,
            Suites12::Aes256Gcm => &AES256_GCM12,
        };
        let groups: &[&dyn rustls::crypto::SupportedKxGroup] = match self.groups {
            Groups::Classical => &[kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
            Groups::PostQuantum => &[
                kx_group::X25519MLKEM768,
                kx_group::SECP256R1MLKEM768,
                kx_group::X25519,
                kx_group::SECP256R1,
                kx_group::SECP384R1,
            ],
            Groups::Nist => &[kx_group::SECP256R1, kx_group::SECP384R1],
            Groups::NistPostQuantum => &[
                kx_group::X25519MLKEM768,
                kx_group::SECP256R1MLKEM768,
                kx_group::SECP256R1,
                kx_group::SECP384R1,
            ],
            Groups::P384 => &[kx_group::SECP384R1],
        };
        let versions = match (tls13.is_empty(), tls12.is_empty()) {
            (false, true) => &ONLY13[..],
            (true, _) => &ONLY12,
            (false, false) => &BOTH,
        };
        Policy {
            name: self.name,
            provider: Arc::new(CryptoProvider {
                cipher_suites: [tls13, tls12].concat(),
                kx_groups: groups.to_vec(),
                ..aws_lc_rs::default_provider()
            }),
            versions,
        }
    }
}

static ONLY13: [&SupportedProtocolVersion; 1] = [&TLS13];
static ONLY12: [&SupportedProtocolVersion; 1] = [&TLS12];
static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

static ALL13: [SupportedCipherSuite; 3] = [
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
];
static AES13: [SupportedCipherSuite; 2] = [
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
];
static AES256_13: [SupportedCipherSuite; 1] = [suite::TLS13_AES_256_GCM_SHA384];
static GCM12: [SupportedCipherSuite; 4] = [
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];
static AES256_GCM12: [SupportedCipherSuite; 2] = [
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

const fn row(name: &'static str, tls13: Suites13, tls12: Suites12, groups: Groups) -> Row {
    Row {
        name,
        tls13,
        tls12,
        groups,
    }
}

/// Every policy of which rustls can serve something.
#[rustfmt::skip]
static ROWS: &[Row] = &[
    row("TLS13-1-3-2021-06", Suites13::All, Suites12::None, Groups::Classical),
    row("TLS13-1-3-PQ-2025-09", Suites13::All, Suites12::None, Groups::PostQuantum),
    row("TLS13-1-2-Res-2021-06", Suites13::All, Suites12::Gcm, Groups::Classical),
    row("TLS13-1-2-Res-PQ-2025-09", Suites13::All, Suites12::Gcm, Groups::PostQuantum),
    row("TLS13-1-2-2021-06", Suites13::All, Suites12::Gcm, Groups::Classical),
    row("TLS13-1-2-PQ-2025-09", Suites13::All, Suites12::Gcm, Groups::PostQuantum),
    row("TLS13-1-2-Ext1-2021-06", Suites13::All, Suites12::Gcm, Groups::Classical),
    row("TLS13-1-2-Ext1-PQ-2025-09", Suites13::All, Suites12::Gcm, Groups::PostQuantum),
    row("TLS13-1-2-Ext2-2021-06", Suites13::All, Suites12::Gcm, Groups::Classical),
    row("TLS13-1-2-Ext2-PQ-2025-09", Suites13::All, Suites12::Gcm, Groups::PostQuantum),
    row("TLS13-1-1-2021-06", Suites13::All, Suites12::Gcm, Groups::Classical),
    row("TLS13-1-0-2021-06", Suites13::All, Suites12::Gcm, Groups::Classical),
    row("TLS13-1-0-PQ-2025-09", Suites13::All, Suites12::Gcm, Groups::PostQuantum),
    row("2016-08", Suites13::None, Suites12::Gcm, Groups::Classical),
    row("2015-05", Suites13::None, Suites12::Gcm, Groups::Classical),
    row("TLS-1-0-2015-04", Suites13::None, Suites12::Gcm, Groups::Classical),
    row("TLS-1-1-2017-01", Suites13::None, Suites12::Gcm, Groups::Classical),
    row("TLS-1-2-Ext-2018-06", Suites13::None, Suites12::Gcm, Groups::Classical),
    row("TLS-1-2-2017-01", Suites13::None, Suites12::Gcm, Groups::Classical),
    row("FS-2018-06", Suites13::None, Suites12::Gcm, Groups::Classical),
    row("FS-1-1-2019-08", Suites13::None, Suites12::Gcm, Groups::Classical),
    row("FS-1-2-2019-08", Suites13::None, Suites12::Gcm, Groups::Classical),
    row("FS-1-2-Res-2019-08", Suites13::None, Suites12::Gcm, Groups::Classical),
    row("FS-1-2-Res-2020-10", Suites13::None, Suites12::Gcm, Groups::Classical),
    row("TLS13-1-3-FIPS-2023-04", Suites13::Aes, Suites12::None, Groups::Nist),
    row("TLS13-1-2-Res-FIPS-2023-04", Suites13::Aes, Suites12::Gcm, Groups::Nist),
    row("TLS13-1-2-FIPS-2023-04", Suites13::Aes, Suites12::Gcm, Groups::Nist),
    row("TLS13-1-2-Ext0-FIPS-2023-04", Suites13::Aes, Suites12::Gcm, Groups::Nist),
    row("TLS13-1-2-Ext1-FIPS-2023-04", Suites13::Aes, Suites12::Gcm, Groups::Nist),
    row("TLS13-1-2-Ext2-FIPS-2023-04", Suites13::Aes, Suites12::Gcm, Groups::Nist),
    row("TLS13-1-1-FIPS-2023-04", Suites13::Aes, Suites12::Gcm, Groups::Nist),
    row("TLS13-1-0-FIPS-2023-04", Suites13::Aes, Suites12::Gcm, Groups::Nist),
    row("TLS13-1-3-FIPS-PQ-2025-09", Suites13::Aes, Suites12::None, Groups::NistPostQuantum),
    row("TLS13-1-2-Res-FIPS-PQ-2025-09", Suites13::Aes, Suites12::Gcm, Groups::NistPostQuantum),
    row("TLS13-1-2-FIPS-PQ-2025-09", Suites13::Aes, Suites12::Gcm, Groups::NistPostQuantum),
    row("TLS13-1-2-Ext0-FIPS-PQ-2025-09", Suites13::Aes, Suites12::Gcm, Groups::NistPostQuantum),
    row("TLS13-1-2-Ext1-FIPS-PQ-2025-09", Suites13::Aes, Suites12::Gcm, Groups::NistPostQuantum),
    row("TLS13-1-2-Ext2-FIPS-PQ-2025-09", Suites13::Aes, Suites12::Gcm, Groups::NistPostQuantum),
    row("TLS13-1-0-FIPS-PQ-2025-09", Suites13::Aes, Suites12::Gcm, Groups::NistPostQuantum),
    row("TLS13-1-2-RFC9151-FIPS-2023-07", Suites13::Aes256, Suites12::Aes256Gcm, Groups::P384),
    row("TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07", Suites13::Aes256, Suites12::Aes256Gcm, Groups::P384),
];

//! Security policies of one's own, for listeners of Classic load balancers (CLB guide: SSL negotiation configurations).

use std::collections::BTreeMap;

use crate::invalid::Place;
use crate::kinds::Protocol;
use crate::spec::ListenerSpec;
use crate::ssl_policy::{TlsVersion, negotiation_suites, served_suites};
use crate::suggest::did_you_mean;

/// A policy of type `SSLNegotiationPolicyType`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SslNegotiationPolicy {
    /// From the newest to the oldest; TLS 1.2 is among them.
    pub versions: Vec<TlsVersion>,
    /// OpenSSL names in AWS's order of preference; one with ECDHE and AES-GCM is among them.
    pub suites: Vec<&'static str>,
    /// Whether that order counts; otherwise the client's does.
    pub is_server_order: bool,
}

/// The attributes that name versions.
const VERSIONS: [(&str, TlsVersion); 3] = [
    ("Protocol-TLSv1.2", TlsVersion::Tls12),
    ("Protocol-TLSv1.1", TlsVersion::Tls11),
    ("Protocol-TLSv1", TlsVersion::Tls10),
];

const SERVER_ORDER: &str = "Server-Defined-Cipher-Order";

impl SslNegotiationPolicy {
    /// Its attributes by AWS's names, those that are true.
    pub fn attributes(&self) -> BTreeMap<String, bool> {
        let versions = VERSIONS
            .iter()
            .filter(|(_, version)| self.versions.contains(version));
        let order = self.is_server_order.then_some(SERVER_ORDER);
        let names = versions.map(|(name, _)| *name).chain(order);
        let names = names.chain(self.suites.iter().copied());
        names.map(|name| (name.to_owned(), true)).collect()
    }

    pub(crate) fn build(
        spec: &ListenerSpec,
        protocol: Option<Protocol>,
        at: &Place<'_>,
    ) -> Option<Self> {
        let given = spec.ssl_negotiation_policy.as_ref()?;
        let at = at.field("sslNegotiationPolicy");
        if let Some(protocol) = protocol.filter(|protocol| !protocol.is_tls()) {
            let reason = format!("a listener of {} has no TLS", protocol.as_str());
            at.error("invalid-combination", reason);
            return None;
        }
        if spec.ssl_policy.is_some() {
            let hint = "leave out sslPolicy or sslNegotiationPolicy".to_owned();
            let reason = "a listener has one security policy".to_owned();
            at.error_with("invalid-combination", reason, hint);
            return None;
        }
        let known = || {
            let versions = VERSIONS.iter().map(|(name, _)| *name);
            let others = versions.chain([SERVER_ORDER]);
            others.chain(negotiation_suites().iter().copied())
        };
        for name in given.keys().filter(|name| known().all(|k| k != **name)) {
            let reason = format!("{name:?} is no attribute of an SSL negotiation policy");
            at.key(name)
                .wrong_name("unknown-attribute", reason, did_you_mean(name, known()));
        }
        let is_on = |name: &str| given.get(name).copied().unwrap_or_default();
        let versions = VERSIONS.iter().filter(|(name, _)| is_on(name));
        let suites = negotiation_suites().iter().copied();
        let policy = Self {
            versions: versions.map(|(_, version)| *version).collect(),
            suites: suites.filter(|suite| is_on(suite)).collect(),
            is_server_order: is_on(SERVER_ORDER),
        };
        let is_served = policy.versions.contains(&TlsVersion::Tls12)
            && policy
                .suites
                .iter()
                .any(|suite| served_suites().contains(suite));
        if !is_served {
            at.error_with(
                "unknown-ssl-policy",
                "no client could connect: elbow serves TLS 1.2 with ECDHE and AES-GCM".to_owned(),
                format!(
                    "add Protocol-TLSv1.2 and one of {}",
                    served_suites().join(", ")
                ),
            );
            return None;
        }
        Some(policy)
    }
}

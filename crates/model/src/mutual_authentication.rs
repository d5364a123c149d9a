//! Whether a listener asks its clients for certificates (ALB and NLB guides: mutual authentication).

use std::sync::Arc;

use crate::identity_filter::IdentityFilter;
use crate::invalid::Place;
use crate::kinds::{LoadBalancerType, Protocol};
use crate::read::one_of;
use crate::scope::{Lookup, Scope};
use crate::spec::MutualAuthenticationSpec;
use crate::suggest::did_you_mean;
use crate::trust_store::TrustStore;

/// Whether a listener asks its clients for certificates (`MutualAuthenticationAttributes`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MutualAuthentication {
    /// It does not.
    #[default]
    Off,
    /// Targets get what clients send, unverified.
    Passthrough,
    /// Clients need a certificate that a trust store verifies.
    Verify(Verification),
}

/// How certificates of clients are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The authorities.
    pub trust_store: Arc<TrustStore>,
    /// Whether a certificate that has expired is accepted.
    pub ignores_expiry: bool,
    /// Whether clients learn the names of the authorities.
    pub advertises_ca_names: bool,
    /// NLB: a client needs to match one of them, if there are any.
    pub identity_filters: Arc<[IdentityFilter]>,
}

/// The modes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Off,
    Passthrough,
    Verify,
}

impl MutualAuthentication {
    /// The names of the modes.
    pub const MODES: &'static [&'static str] = &["off", "passthrough", "verify"];

    /// The name of its mode.
    pub const fn mode(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Passthrough => "passthrough",
            Self::Verify(_) => "verify",
        }
    }

    /// The trust store, in mode `verify`.
    pub fn trust_store(&self) -> Option<&Arc<TrustStore>> {
        match self {
            Self::Verify(verification) => Some(&verification.trust_store),
            Self::Off | Self::Passthrough => None,
        }
    }

    pub(crate) fn build(
        spec: &MutualAuthenticationSpec,
        kind: Option<LoadBalancerType>,
        protocol: Option<Protocol>,
        scope: &Scope,
        at: &Place<'_>,
    ) -> Self {
        let modes = [
            ("off", Mode::Off),
            ("passthrough", Mode::Passthrough),
            ("verify", Mode::Verify),
        ];
        let mode = match &spec.mode {
            Some(text) => one_of(text, &modes, &at.field("mode")),
            None => {
                at.missing("mode");
                None
            }
        };
        let Some(mode) = mode else {
            return Self::Off;
        };
        if mode != Mode::Verify {
            refuse_verification(spec, at);
        }
        if mode != Mode::Off {
            check_listener(mode, kind, protocol, at);
        }
        let filters = "clientCertificateIdentityFilters";
        let is_given = spec.client_certificate_identity_filters.is_some();
        if is_given && kind == Some(LoadBalancerType::Application) {
            let reason = format!("{filters} belong to network load balancers");
            at.field(filters).error("invalid-combination", reason);
        }
        match mode {
            Mode::Off => Self::Off,
            Mode::Passthrough => Self::Passthrough,
            Mode::Verify => verification(spec, scope, at).map_or(Self::Off, Self::Verify),
        }
    }
}

/// `None` with a finding: the trust store is unknown.
fn verification(
    spec: &MutualAuthenticationSpec,
    scope: &Scope,
    at: &Place<'_>,
) -> Option<Verification> {
    let advertises_ca_names = match &spec.advertise_trust_store_ca_names {
        Some(text) => {
            let at = at.field("advertiseTrustStoreCaNames");
            one_of(text, &[("on", true), ("off", false)], &at).unwrap_or_default()
        }
        None => false,
    };
    let filters = spec.client_certificate_identity_filters.as_deref();
    let at_filters = at.field("clientCertificateIdentityFilters");
    let filters = IdentityFilter::build_all(filters.unwrap_or_default(), &at_filters);
    let Some(name) = &spec.trust_store else {
        at.missing("trustStore");
        return None;
    };
    match scope.trust_store(name) {
        Lookup::Found(store) => Some(Verification {
            trust_store: Arc::clone(store),
            ignores_expiry: spec.ignore_client_certificate_expiry.unwrap_or_default(),
            advertises_ca_names,
            identity_filters: filters.into(),
        }),
        Lookup::Refused => None,
        Lookup::Unknown => {
            at.field("trustStore").error_with(
                "unknown-trust-store",
                format!("no trust store is called {name:?}"),
                did_you_mean(name, scope.trust_store_names()),
            );
            None
        }
    }
}

/// Refuses what only mode `verify` has.
fn refuse_verification(spec: &MutualAuthenticationSpec, at: &Place<'_>) {
    let fields = [
        ("trustStore", spec.trust_store.is_some()),
        (
            "ignoreClientCertificateExpiry",
            spec.ignore_client_certificate_expiry.is_some(),
        ),
        (
            "advertiseTrustStoreCaNames",
            spec.advertise_trust_store_ca_names.is_some(),
        ),
        (
            "clientCertificateIdentityFilters",
            spec.client_certificate_identity_filters.is_some(),
        ),
    ];
    for (name, _) in fields.iter().filter(|(_, is_given)| *is_given) {
        let reason = format!("{name} belongs to mode verify");
        at.field(name).error("invalid-combination", reason);
    }
}

/// HTTPS listeners of an ALB have it, and TLS listeners of an NLB in mode `verify`.
fn check_listener(
    mode: Mode,
    kind: Option<LoadBalancerType>,
    protocol: Option<Protocol>,
    at: &Place<'_>,
) {
    let (Some(kind), Some(protocol)) = (kind, protocol) else {
        return;
    };
    match (kind, protocol) {
        (LoadBalancerType::Application, Protocol::Https) => {}
        (LoadBalancerType::Network, Protocol::Tls) if mode == Mode::Verify => {}
        (LoadBalancerType::Network, Protocol::Tls) => at.field("mode").error(
            "invalid-combination",
            "a network load balancer knows the modes off and verify",
        ),
        _ => at.error(
            "invalid-combination",
            "mutualAuthentication belongs to HTTPS listeners of application load balancers and TLS listeners of network \
             load balancers",
        ),
    }
}

//! Whether a listener asks its clients for certificates.

use elbow_model::{self as model, MutualAuthenticationSpec};
use schemars::JsonSchema;
use serde::Serialize;

use super::item::Item;
use super::values::mutual_authentication_modes;

/// Whether a listener asks its clients for certificates.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct MutualAuthentication {
    #[schemars(schema_with = "mutual_authentication_modes")]
    pub(super) mode: &'static str,
    /// Mode verify: the name of a trust store of this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trust_store: Option<String>,
    /// Mode verify: whether expired certificates are accepted; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ignore_client_certificate_expiry: Option<bool>,
    /// Mode verify: on or off (the default), whether clients learn the names of the authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advertise_trust_store_ca_names: Option<&'static str>,
}

/// What a file says of it.
pub(super) fn read(item: &Item<'_>) -> MutualAuthenticationSpec {
    item.mapping(|fields| MutualAuthenticationSpec {
        mode: fields.text("mode"),
        trust_store: fields.text("trustStore"),
        ignore_client_certificate_expiry: fields.flag("ignoreClientCertificateExpiry"),
        advertise_trust_store_ca_names: fields.text("advertiseTrustStoreCaNames"),
    })
}

/// As a file has it; `None` where no client is asked.
pub(super) fn render(from: &model::MutualAuthentication) -> Option<MutualAuthentication> {
    let mode = from.mode();
    let verification = match from {
        model::MutualAuthentication::Off => return None,
        model::MutualAuthentication::Passthrough => None,
        model::MutualAuthentication::Verify(verification) => Some(verification),
    };
    let advertises = |one: &model::Verification| {
        if one.advertises_ca_names { "on" } else { "off" }
    };
    Some(MutualAuthentication {
        mode,
        trust_store: verification.map(|one| one.trust_store.name.to_string()),
        ignore_client_certificate_expiry: verification.map(|one| one.ignores_expiry),
        advertise_trust_store_ca_names: verification.map(advertises),
    })
}

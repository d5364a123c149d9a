//! Whether a listener asks its clients for certificates.

use elbow_model::{self as model, IdentityFilterSpec, MutualAuthenticationSpec};
use schemars::JsonSchema;
use serde::Serialize;

use super::item::Item;
use super::values::{
    identity_actions, identity_fields, identity_match_types, mutual_authentication_modes,
};

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
    /// Mode verify of a network load balancer: a client needs to match one of them, if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, length(max = 100))]
    pub(super) client_certificate_identity_filters: Vec<IdentityFilter>,
}

/// A value that the certificate of a client may have, in any case but for what follows the host of a URI.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct IdentityFilter {
    #[schemars(schema_with = "identity_fields")]
    pub(super) field: &'static str,
    #[schemars(schema_with = "identity_actions")]
    pub(super) action: &'static str,
    #[schemars(schema_with = "identity_match_types")]
    pub(super) match_type: &'static str,
    #[schemars(length(min = 1, max = 256))]
    pub(super) value: String,
}

/// What a file says of it.
pub(super) fn read(item: &Item<'_>) -> MutualAuthenticationSpec {
    item.mapping(|fields| MutualAuthenticationSpec {
        mode: fields.text("mode"),
        trust_store: fields.text("trustStore"),
        ignore_client_certificate_expiry: fields.flag("ignoreClientCertificateExpiry"),
        advertise_trust_store_ca_names: fields.text("advertiseTrustStoreCaNames"),
        client_certificate_identity_filters: fields
            .list("clientCertificateIdentityFilters", read_filter),
    })
}

fn read_filter(item: &Item<'_>) -> IdentityFilterSpec {
    item.mapping(|fields| IdentityFilterSpec {
        field: fields.text("field"),
        action: fields.text("action"),
        match_type: fields.text("matchType"),
        value: fields.text("value"),
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
        client_certificate_identity_filters: verification
            .iter()
            .flat_map(|one| one.identity_filters.iter())
            .map(render_filter)
            .collect(),
    })
}

fn render_filter(from: &model::IdentityFilter) -> IdentityFilter {
    IdentityFilter {
        field: name_of(model::IdentityFilter::FIELDS, &from.field),
        action: "accept",
        match_type: name_of(model::IdentityFilter::MATCH_TYPES, &from.match_type),
        value: from.value.to_string(),
    }
}

fn name_of<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    let known = table.iter().find(|(_, known)| known == value);
    known.map_or("", |(name, _)| name)
}

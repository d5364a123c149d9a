//! Actions that authenticate requests.

use elbow_model::{self as model, AdditionalClaimSpec, JwtValidationSpec};
use schemars::JsonSchema;
use serde::Serialize;

use super::item::Item;
use super::values::{claim_formats, texts};

/// Lets requests with a valid JSON Web Token in `Authorization: Bearer` through to the next action.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct JwtValidation {
    /// Where the keys of the issuer are.
    #[schemars(length(max = 256), regex(pattern = "^https://"))]
    pub(super) jwks_endpoint: String,
    /// What the claim iss must be.
    #[schemars(length(min = 1, max = 256))]
    pub(super) issuer: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, length(max = 10))]
    pub(super) additional_claims: Vec<AdditionalClaim>,
}

/// A claim that a token must have, with one of these values.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct AdditionalClaim {
    #[schemars(length(min = 1, max = 256))]
    pub(super) name: String,
    #[schemars(schema_with = "claim_formats")]
    pub(super) format: String,
    #[schemars(length(min = 1, max = 10))]
    pub(super) values: Vec<String>,
}

pub(super) fn jwt_validation(item: &Item<'_>) -> JwtValidationSpec {
    let claim = |item: &Item<'_>| {
        item.mapping(|fields| AdditionalClaimSpec {
            name: fields.text("name"),
            format: fields.text("format"),
            values: fields.texts("values").unwrap_or_default(),
        })
    };
    item.mapping(|fields| JwtValidationSpec {
        jwks_endpoint: fields.text("jwksEndpoint"),
        issuer: fields.text("issuer"),
        additional_claims: fields.list("additionalClaims", claim).unwrap_or_default(),
    })
}

pub(super) fn render_jwt_validation(from: &model::JwtValidation) -> JwtValidation {
    let claim = |from: &model::AdditionalClaim| AdditionalClaim {
        name: from.name.to_string(),
        format: from.format.as_str().to_owned(),
        values: texts(&from.values),
    };
    JwtValidation {
        jwks_endpoint: from.jwks_endpoint.to_string(),
        issuer: from.issuer.to_string(),
        additional_claims: from.additional_claims.iter().map(claim).collect(),
    }
}

//! Actions that authenticate requests.

use std::collections::BTreeMap;

use elbow_model::{
    self as model, AdditionalClaimSpec, AuthenticateCognitoSpec, AuthenticateOidcSpec,
    JwtValidationSpec, LoginSpec,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::item::{Fields, Item};
use super::values::{claim_formats, on_unauthenticated, texts};

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

/// Lets users that an OpenID Connect provider knows through to the next action; sends others there to log in.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct AuthenticateOidc {
    /// What the claim iss of ID tokens must be.
    pub(super) issuer: String,
    #[schemars(length(max = 256), regex(pattern = "^https://"))]
    pub(super) authorization_endpoint: String,
    #[schemars(length(max = 256), regex(pattern = "^https://"))]
    pub(super) token_endpoint: String,
    #[schemars(length(max = 256), regex(pattern = "^https://"))]
    pub(super) user_info_endpoint: String,
    #[serde(rename = "clientID")]
    pub(super) client_id: String,
    pub(super) client_secret: String,
    #[serde(flatten)]
    pub(super) login: Login,
}

/// Lets users of an Amazon Cognito user pool through to the next action; sends others there to log in. The environment
/// file has the secret of the client.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct AuthenticateCognito {
    #[serde(rename = "userPoolARN")]
    pub(super) user_pool_arn: String,
    #[serde(rename = "userPoolClientID")]
    pub(super) user_pool_client_id: String,
    /// A prefix of Amazon Cognito's domain, or a domain of its own.
    pub(super) user_pool_domain: String,
    #[serde(flatten)]
    pub(super) login: Login,
}

/// How users log in, and for how long.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Login {
    /// AWSELBAuthSessionCookie by default.
    session_cookie_name: Option<String>,
    /// openid by default.
    scope: Option<String>,
    /// Seconds; a week by default.
    #[schemars(range(min = 1, max = 604800))]
    session_timeout: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    authentication_request_extra_params: BTreeMap<String, String>,
    /// authenticate by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "on_unauthenticated")]
    on_unauthenticated_request: Option<String>,
}

/// Shown instead of the secret of a client.
const HIDDEN: &str = "(not shown)";

pub(super) fn oidc(item: &Item<'_>) -> AuthenticateOidcSpec {
    item.mapping(|fields| AuthenticateOidcSpec {
        issuer: fields.text("issuer"),
        authorization_endpoint: fields.text("authorizationEndpoint"),
        token_endpoint: fields.text("tokenEndpoint"),
        user_info_endpoint: fields.text("userInfoEndpoint"),
        client_id: fields.text("clientID"),
        client_secret: fields.text("clientSecret"),
        login: login(fields),
    })
}

pub(super) fn cognito(item: &Item<'_>) -> AuthenticateCognitoSpec {
    item.mapping(|fields| AuthenticateCognitoSpec {
        user_pool_arn: fields.text("userPoolARN"),
        user_pool_client_id: fields.text("userPoolClientID"),
        user_pool_domain: fields.text("userPoolDomain"),
        login: login(fields),
    })
}

fn login(fields: &Fields<'_>) -> LoginSpec {
    let extra = |item: Item<'_>| -> BTreeMap<String, String> {
        let entries = item.entries().into_iter();
        entries
            .filter_map(|(name, value)| Some((name.to_owned(), value.text()?.to_owned())))
            .collect()
    };
    LoginSpec {
        session_cookie_name: fields.text("sessionCookieName"),
        scope: fields.text("scope"),
        session_timeout: fields.number("sessionTimeout"),
        extra_params: fields
            .get("authenticationRequestExtraParams")
            .map(extra)
            .unwrap_or_default(),
        on_unauthenticated_request: fields.text("onUnauthenticatedRequest"),
    }
}

pub(super) fn render_oidc(from: &model::AuthenticateOidc) -> AuthenticateOidc {
    AuthenticateOidc {
        issuer: from.issuer.to_string(),
        authorization_endpoint: from.authorization_endpoint.to_string(),
        token_endpoint: from.token_endpoint.to_string(),
        user_info_endpoint: from.user_info_endpoint.to_string(),
        client_id: from.client_id.to_string(),
        client_secret: HIDDEN.to_owned(),
        login: render_login(from),
    }
}

pub(super) fn render_cognito(from: &model::AuthenticateCognito) -> AuthenticateCognito {
    let provider = &from.provider;
    AuthenticateCognito {
        user_pool_arn: from.user_pool_arn.to_string(),
        user_pool_client_id: provider.client_id.to_string(),
        user_pool_domain: from.user_pool_domain.to_string(),
        login: render_login(provider),
    }
}

fn render_login(from: &model::AuthenticateOidc) -> Login {
    let extra = from.extra_params.iter();
    let extra = extra.map(|(name, value)| (name.to_string(), value.to_string()));
    Login {
        session_cookie_name: Some(from.session_cookie_name.to_string()),
        scope: Some(from.scope.to_string()),
        session_timeout: Some(from.session_timeout.as_secs()),
        authentication_request_extra_params: extra.collect(),
        on_unauthenticated_request: Some(from.on_unauthenticated.as_str().to_owned()),
    }
}

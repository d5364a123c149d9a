//! Actions of listeners and rules.

use elbow_model::{
    self as model, ActionSpec, FixedResponseSpec, ForwardSpec, ForwardStickinessSpec, RedirectSpec,
    WeightedTargetGroupSpec,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::authenticate::{self, AuthenticateCognito, AuthenticateOidc, JwtValidation};
use super::item::Item;
use super::values::{action_types, content_types, redirect_codes};

/// One action, with the config that goes with its type.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Action {
    #[serde(rename = "type")]
    #[schemars(schema_with = "action_types")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) forward_config: Option<Forward>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redirect_config: Option<Redirect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fixed_response_config: Option<FixedResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jwt_validation_config: Option<JwtValidation>,
    #[serde(
        rename = "authenticateOIDCConfig",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) authenticate_oidc_config: Option<AuthenticateOidc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) authenticate_cognito_config: Option<AuthenticateCognito>,
}

/// Target groups by weight.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Forward {
    #[schemars(length(min = 1, max = 5))]
    pub(super) target_groups: Vec<WeightedTargetGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target_group_stickiness_config: Option<Stickiness>,
}

/// Whether and how long a client stays with its group.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Stickiness {
    #[schemars(default)]
    pub(super) enabled: bool,
    #[schemars(range(min = 1, max = 604800))]
    pub(super) duration_seconds: Option<u64>,
}

/// A target group of this file and its share.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct WeightedTargetGroup {
    pub(super) target_group: String,
    #[schemars(default = "one", range(max = 999))]
    pub(super) weight: u32,
}

fn one() -> u32 {
    1
}

/// The new location; its parts may contain #{protocol}, #{host}, #{port}, #{path} and #{query}.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Redirect {
    /// HTTP, HTTPS or #{protocol}.
    pub(super) protocol: Option<String>,
    /// 1-65535 or #{port}.
    pub(super) port: Option<String>,
    pub(super) host: Option<String>,
    /// Starts with "/"; /#{path} keeps the path.
    pub(super) path: Option<String>,
    /// Without the "?".
    pub(super) query: Option<String>,
    #[schemars(schema_with = "redirect_codes")]
    pub(super) status_code: String,
}

/// A response of the load balancer itself.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct FixedResponse {
    #[schemars(regex(pattern = r"^(2|4|5)\d\d$"))]
    pub(super) status_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "content_types")]
    pub(super) content_type: Option<String>,
    #[schemars(length(max = 1024))]
    pub(super) message_body: Option<String>,
}

/// What a file says of an action.
pub(super) fn read(item: &Item<'_>) -> ActionSpec {
    item.mapping(|fields| ActionSpec {
        kind: fields.text("type"),
        forward_config: fields.get("forwardConfig").map(|item| forward(&item)),
        redirect_config: fields.get("redirectConfig").map(|item| redirect(&item)),
        fixed_response_config: fields
            .get("fixedResponseConfig")
            .map(|item| fixed_response(&item)),
        jwt_validation_config: fields
            .get("jwtValidationConfig")
            .map(|item| authenticate::jwt_validation(&item)),
        authenticate_oidc_config: fields
            .get("authenticateOIDCConfig")
            .map(|item| authenticate::oidc(&item)),
        authenticate_cognito_config: fields
            .get("authenticateCognitoConfig")
            .map(|item| authenticate::cognito(&item)),
    })
}

fn forward(item: &Item<'_>) -> ForwardSpec {
    let group = |item: &Item<'_>| {
        item.mapping(|fields| WeightedTargetGroupSpec {
            target_group: fields.text("targetGroup"),
            weight: fields.number("weight"),
        })
    };
    let stickiness = |item: Item<'_>| {
        item.mapping(|fields| ForwardStickinessSpec {
            enabled: fields.flag("enabled"),
            duration_seconds: fields.number("durationSeconds"),
        })
    };
    item.mapping(|fields| ForwardSpec {
        target_groups: fields.list("targetGroups", group),
        target_group_stickiness_config: fields.get("targetGroupStickinessConfig").map(stickiness),
    })
}

fn redirect(item: &Item<'_>) -> RedirectSpec {
    item.mapping(|fields| RedirectSpec {
        protocol: fields.text("protocol"),
        port: fields.text("port"),
        host: fields.text("host"),
        path: fields.text("path"),
        query: fields.text("query"),
        status_code: fields.text("statusCode"),
    })
}

fn fixed_response(item: &Item<'_>) -> FixedResponseSpec {
    item.mapping(|fields| FixedResponseSpec {
        status_code: fields.text("statusCode"),
        content_type: fields.text("contentType"),
        message_body: fields.text("messageBody"),
    })
}

/// An action as a file has it.
pub(super) fn render(from: &model::Action) -> Action {
    match from {
        model::Action::Forward(forward) => Action {
            kind: "forward".to_owned(),
            forward_config: Some(Forward {
                target_groups: forward
                    .target_groups
                    .iter()
                    .map(|group| WeightedTargetGroup {
                        target_group: group.target_group.to_string(),
                        weight: group.weight,
                    })
                    .collect(),
                target_group_stickiness_config: forward.stickiness.map(|duration| Stickiness {
                    enabled: true,
                    duration_seconds: Some(duration.as_secs()),
                }),
            }),
            ..Action::default()
        },
        model::Action::Redirect(config) => Action {
            kind: "redirect".to_owned(),
            redirect_config: Some(render_redirect(config)),
            ..Action::default()
        },
        model::Action::FixedResponse(config) => Action {
            kind: "fixed-response".to_owned(),
            fixed_response_config: Some(FixedResponse {
                status_code: config.status.to_string(),
                content_type: Some(config.content_type.as_str().to_owned()),
                message_body: Some(config.body.to_string()),
            }),
            ..Action::default()
        },
        model::Action::JwtValidation(config) => Action {
            kind: "jwt-validation".to_owned(),
            jwt_validation_config: Some(authenticate::render_jwt_validation(config)),
            ..Action::default()
        },
        model::Action::AuthenticateOidc(config) => Action {
            kind: "authenticate-oidc".to_owned(),
            authenticate_oidc_config: Some(authenticate::render_oidc(config)),
            ..Action::default()
        },
        model::Action::AuthenticateCognito(config) => Action {
            kind: "authenticate-cognito".to_owned(),
            authenticate_cognito_config: Some(authenticate::render_cognito(config)),
            ..Action::default()
        },
    }
}

fn render_redirect(from: &model::Redirect) -> Redirect {
    Redirect {
        protocol: Some(from.protocol.to_string()),
        port: Some(from.port.to_string()),
        host: Some(from.host.to_string()),
        path: Some(from.path.to_string()),
        query: Some(from.query.to_string()),
        status_code: from.status.as_str().to_owned(),
    }
}

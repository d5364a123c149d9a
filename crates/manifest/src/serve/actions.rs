//! The actions of listeners and rules, in the words of the model.

use std::rc::Rc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{
    ActionSpec, AdditionalClaimSpec, At, AuthenticateCognitoSpec, AuthenticateOidcSpec,
    FixedResponseSpec, ForwardSpec, ForwardStickinessSpec, JwtValidationSpec, LoginSpec, Origin,
    RedirectSpec, WeightedTargetGroupSpec,
};
use serde_json::Value;

use super::groups::{Group, Groups};
use super::place::{LeftOut, Part};
use super::values::unsigned;
use crate::inventory::Key;
use crate::objects::Secret;
use crate::scope::Scope;
use crate::secret;
use crate::stack::{Action, Forward, Reference, Stickiness, text};

/// The body of the 503 that stands in for an action that elbow does not serve.
const REFUSES: &str = "elbow does not serve what this rule asks for";

/// Why actions cannot be built.
pub(super) enum Unbuilt {
    /// A part of them is left out, which has been reported.
    LeftOut,
    /// One forwards to a target group that does not exist.
    Unknown(At<String>),
}

impl Unbuilt {
    /// The warning about a target group that does not exist; `consequence` says what happens instead.
    pub(super) fn warning(self, consequence: &str) -> Option<Diagnostic> {
        let Self::Unknown(name) = self else {
            return None;
        };
        let message = format!("no target group of these objects is {name}; {consequence}");
        let unknown = Diagnostic::warning("unknown-target-group", message);
        Some(name.origin.place(unknown))
    }
}

/// Builds the actions of a load balancer.
pub(super) struct Actions<'a, 'd> {
    known: &'a Groups<'a>,
    left_out: &'d LeftOut,
    /// Has the Secrets of OIDC clients.
    scope: Scope<'a>,
    /// The target groups that they forward to.
    pub(super) used: Vec<Rc<Group<'a>>>,
    /// Warnings about them.
    pub(super) notes: Vec<Diagnostic>,
    /// Errors in them.
    pub(super) faults: Vec<Diagnostic>,
}

impl<'a, 'd> Actions<'a, 'd> {
    pub(super) fn new(known: &'a Groups<'a>, left_out: &'d LeftOut, scope: Scope<'a>) -> Self {
        Self {
            known,
            left_out,
            scope,
            used: Vec::new(),
            notes: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(super) fn is_left_out(&self, part: &Part) -> bool {
        self.left_out.contains(part)
    }

    /// The actions of a rule or a listener.
    pub(super) fn build(&mut self, actions: &[At<Action>]) -> Result<Vec<ActionSpec>, Unbuilt> {
        actions
            .iter()
            .map(|action| match &action.value {
                Action::Forward(forward) => self.forward(forward, &action.origin),
                Action::Other {
                    kind,
                    value,
                    secret,
                    ..
                } => self.other(kind, value, secret.as_ref(), &action.origin),
            })
            .collect()
    }

    /// An action of another type than `forward`.
    fn other(
        &mut self,
        kind: &str,
        value: &Value,
        secret: Option<&Key>,
        origin: &Origin,
    ) -> Result<ActionSpec, Unbuilt> {
        let mut spec = other(kind, value);
        let (Some(oidc), Some(key)) = (&mut spec.authenticate_oidc_config, secret) else {
            return Ok(spec);
        };
        let Some((id, password)) = self.scope.secret(key).and_then(credentials) else {
            let (namespace, name) = key;
            let message = format!(
                "auth-idp-oidc: the rule answers 503 until the Secret {namespace}/{name} has a clientID and a clientSecret that can be read"
            );
            self.notes
                .push(origin.place(Diagnostic::warning("unknown-secret", message)));
            return Err(Unbuilt::LeftOut);
        };
        (oidc.client_id, oidc.client_secret) = (Some(id), Some(password));
        Ok(spec)
    }

    fn forward(&mut self, forward: &Forward, origin: &Origin) -> Result<ActionSpec, Unbuilt> {
        let mut groups = Vec::with_capacity(forward.target_groups.len());
        for weighted in &forward.target_groups {
            let Some(group) = self.known.find(&weighted.target_group) else {
                let name = name_of(&weighted.target_group).to_owned();
                return Err(Unbuilt::Unknown(At::new(name, origin.clone())));
            };
            let name = group.name();
            if self.left_out.contains(&Part::Group(name.to_owned())) {
                return Err(Unbuilt::LeftOut);
            }
            self.used.push(group.clone());
            groups.push(WeightedTargetGroupSpec {
                target_group: Some(name.to_owned()),
                weight: weighted
                    .weight
                    .map(|weight| unsigned(weight, origin, &mut self.faults)),
            });
        }
        let is_enabled = |one: &&Stickiness| one.enabled == Some(true);
        let stickiness = forward.stickiness.as_ref().filter(is_enabled);
        Ok(ActionSpec::weighted(ForwardSpec {
            target_groups: Some(groups),
            target_group_stickiness_config: stickiness.map(|one| ForwardStickinessSpec {
                enabled: Some(true),
                duration_seconds: one
                    .duration_seconds
                    .map(|seconds| unsigned(seconds, origin, &mut self.faults)),
            }),
        }))
    }
}

fn name_of(reference: &Reference) -> &str {
    match reference {
        Reference::Literal(name) => name,
        Reference::Resource { id, .. } => id,
    }
}

/// An action of another type than `forward`.
fn other(kind: &str, value: &Value) -> ActionSpec {
    let mut spec = ActionSpec {
        kind: Some(kind.to_owned()),
        ..ActionSpec::default()
    };
    match kind {
        "redirect" => spec.redirect_config = Some(redirect(value)),
        "fixed-response" => spec.fixed_response_config = Some(fixed_response(value)),
        "jwt-validation" => spec.jwt_validation_config = Some(jwt_validation(value)),
        "authenticate-oidc" => spec.authenticate_oidc_config = Some(authenticate_oidc(value)),
        "authenticate-cognito" => {
            spec.authenticate_cognito_config = Some(authenticate_cognito(value));
        }
        _ => {}
    }
    spec
}

fn redirect(value: &Value) -> RedirectSpec {
    RedirectSpec {
        protocol: text(value, "protocol"),
        port: text(value, "port"),
        host: text(value, "host"),
        path: text(value, "path"),
        query: text(value, "query"),
        status_code: text(value, "statusCode"),
    }
}

fn fixed_response(value: &Value) -> FixedResponseSpec {
    FixedResponseSpec {
        status_code: text(value, "statusCode"),
        content_type: text(value, "contentType"),
        message_body: text(value, "messageBody"),
    }
}

fn jwt_validation(value: &Value) -> JwtValidationSpec {
    let list = |value: &Value, name: &str| {
        let list = value.get(name).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let claim = |value: &Value| AdditionalClaimSpec {
        name: text(value, "name"),
        format: text(value, "format"),
        values: list(value, "values")
            .iter()
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect(),
    };
    JwtValidationSpec {
        jwks_endpoint: text(value, "jwksEndpoint"),
        issuer: text(value, "issuer"),
        additional_claims: list(value, "additionalClaims").iter().map(claim).collect(),
    }
}

/// Without the credentials, which are in a Secret.
fn authenticate_oidc(value: &Value) -> AuthenticateOidcSpec {
    AuthenticateOidcSpec {
        issuer: text(value, "issuer"),
        authorization_endpoint: text(value, "authorizationEndpoint"),
        token_endpoint: text(value, "tokenEndpoint"),
        user_info_endpoint: text(value, "userInfoEndpoint"),
        client_id: None,
        client_secret: None,
        login: login(value),
    }
}

fn authenticate_cognito(value: &Value) -> AuthenticateCognitoSpec {
    AuthenticateCognitoSpec {
        user_pool_arn: text(value, "userPoolARN"),
        user_pool_client_id: text(value, "userPoolClientID"),
        user_pool_domain: text(value, "userPoolDomain"),
        login: login(value),
    }
}

fn login(value: &Value) -> LoginSpec {
    let extra = value.get("authenticationRequestExtraParams");
    let extra = extra.and_then(Value::as_object).into_iter().flatten();
    let timeout = value.get("sessionTimeout").and_then(Value::as_i64);
    LoginSpec {
        session_cookie_name: text(value, "sessionCookieName"),
        scope: text(value, "scope"),
        session_timeout: timeout.map(|seconds| u32::try_from(seconds).unwrap_or_default()),
        extra_params: extra
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
        on_unauthenticated_request: text(value, "onUnauthenticatedRequest"),
    }
}

/// The id and the secret of the client in a Secret, trimmed at their ends as the controller does.
fn credentials(from: &Secret) -> Option<(String, String)> {
    let value = |key: &str| {
        let text = secret::text(from.data.get(key)?)?;
        let end = |c: char| c.is_whitespace() || c.is_control();
        Some(text.trim_end_matches(end).to_owned())
    };
    Some((
        value("clientID").or_else(|| value("clientId"))?,
        value("clientSecret")?,
    ))
}

/// A fixed response 503.
pub(super) fn unavailable() -> Vec<ActionSpec> {
    let response = FixedResponseSpec {
        status_code: Some("503".to_owned()),
        content_type: Some("text/plain".to_owned()),
        message_body: Some(REFUSES.to_owned()),
    };
    vec![ActionSpec {
        kind: Some("fixed-response".to_owned()),
        fixed_response_config: Some(response),
        ..ActionSpec::default()
    }]
}

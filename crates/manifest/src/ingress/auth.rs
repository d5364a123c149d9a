//! Authentication in front of a backend: OIDC, Cognito, or a JWT.

use elbow_model::At;
use elbow_model::diagnostic::Diagnostic;
use serde_json::{Map, Value, json};

use super::Build;
use super::group::Member;
use super::json::{Fields, Wrong, read_json};
use super::shape;
use crate::Refusal;
use crate::annotations::{Row, ingress as keys};
use crate::lookup::Lookup;
use crate::stack::Action;

/// How clients are authenticated; only HTTPS listeners do so.
#[derive(Clone, Debug)]
pub(super) enum Authentication {
    /// The action.
    Action(At<Action>),
    /// The configuration is incomplete: the error for the first HTTPS listener that needs it.
    Broken(Refusal),
}

/// The values of `auth-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthType {
    None,
    Cognito,
    Oidc,
}

impl AuthType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Cognito => "cognito",
            Self::Oidc => "oidc",
        }
    }
}

fn auth_type(annotations: &Lookup<'_>) -> Result<AuthType, Refusal> {
    let Some(found) = annotations.find(keys::AUTH_TYPE) else {
        return Ok(AuthType::None);
    };
    let known = [AuthType::None, AuthType::Cognito, AuthType::Oidc];
    let kind = known.into_iter().find(|kind| kind.as_str() == found.value);
    kind.ok_or_else(|| {
        let message = format!(
            "auth-type: expected none, oidc or cognito, found \"{}\"",
            found.value
        );
        found.refuse("unknown-value", message)
    })
}

impl Build<'_> {
    /// The authentication that the annotations configure; those of a single Service precede those of the Ingress.
    pub(super) fn authentication(
        &self,
        member: &Member<'_>,
        annotations: &Lookup<'_>,
    ) -> Result<Option<Authentication>, Refusal> {
        let jwt = read_json(&member.annotations(), keys::JWT_VALIDATION, shape::JWT, jwt);
        let cognito = read_json(annotations, keys::AUTH_IDP_COGNITO, shape::COGNITO, cognito);
        let oidc = read_json(annotations, keys::AUTH_IDP_OIDC, shape::OIDC, oidc);
        let refused = &self.refused;
        let timeout = refused.or_default(annotations.integer(keys::AUTH_SESSION_TIMEOUT));
        let timeout = timeout.unwrap_or(604_800);
        let read = (
            refused.keep(auth_type(annotations)),
            refused.keep(jwt),
            refused.keep(cognito),
            refused.keep(oidc),
        );
        let (Some(kind), Some(jwt), Some(cognito), Some(oidc)) = read else {
            return Ok(None);
        };
        let meta = &member.ingress.meta;
        let mut credentials = None;
        let (name, config, provider) = match kind {
            AuthType::None => {
                let origin = member
                    .annotations()
                    .origin(keys::JWT_VALIDATION, &meta.origin());
                let action = |jwt| Authentication::Action(At::new(jwt, origin));
                return Ok(jwt.map(action));
            }
            AuthType::Cognito => ("authenticate-cognito", "authenticateCognitoConfig", cognito),
            AuthType::Oidc => {
                let (provider, secret) = oidc.unzip();
                if let Some(secret) = secret {
                    if let Some(refusal) = self.broken_secret(member, &secret) {
                        return Ok(Some(Authentication::Broken(refusal)));
                    }
                    credentials = Some((meta.namespace.clone(), secret));
                }
                ("authenticate-oidc", "authenticateOIDCConfig", provider)
            }
        };
        if jwt.is_some() {
            let message = "auth-type and jwt-validation cannot be combined; remove one of them";
            return Ok(Some(Authentication::Broken(
                meta.refuse("conflict", message),
            )));
        }
        let Some(mut value) = provider else {
            let kind = kind.as_str();
            let message = format!("auth-type {kind} needs auth-idp-{kind}");
            return Ok(Some(Authentication::Broken(
                meta.refuse("missing-annotation", message),
            )));
        };
        let text = |suffix: &'static Row, default: &str| -> Value {
            annotations.text(suffix).unwrap_or(default).into()
        };
        value.insert(
            "onUnauthenticatedRequest".into(),
            text(keys::AUTH_ON_UNAUTHENTICATED_REQUEST, "authenticate"),
        );
        value.insert("scope".into(), text(keys::AUTH_SCOPE, "openid"));
        value.insert(
            "sessionCookieName".into(),
            text(keys::AUTH_SESSION_COOKIE, "AWSELBAuthSessionCookie"),
        );
        value.insert("sessionTimeout".into(), timeout.into());
        let action = Action::Other {
            kind: name,
            config,
            value: value.into(),
            secret: credentials,
        };
        let origin = annotations.origin(keys::AUTH_TYPE, &meta.origin());
        Ok(Some(Authentication::Action(At::new(action, origin))))
    }

    /// The error about the Secret of an OIDC client, if it is missing or incomplete.
    fn broken_secret(&self, member: &Member<'_>, name: &str) -> Option<Refusal> {
        let meta = &member.ingress.meta;
        let key = (meta.namespace.clone(), name.to_owned());
        let Some(secret) = self.scope.secret(&key) else {
            let message = format!("there is no Secret {}/{name}", meta.namespace);
            if self.context.stands_in_for_objects() {
                let message = format!("{message}; one with clientID and clientSecret stands in");
                let warning = Diagnostic::warning("unknown-secret", message)
                    .hint("add a Secret with clientID and clientSecret to the manifests");
                self.found.borrow_mut().push(meta.found(warning));
                return None;
            }
            return Some(meta.refuse("unknown-secret", message));
        };
        let has = |key: &str| secret.data.contains_key(key);
        let missing = if !has("clientID") && !has("clientId") {
            "clientID"
        } else if !has("clientSecret") {
            "clientSecret"
        } else {
            return None;
        };
        Some(
            secret
                .meta
                .refuse("incomplete-secret", format!("the Secret has no {missing}")),
        )
    }
}

fn jwt(value: &Value) -> Result<Action, Wrong> {
    let fields = Fields::of(value, "the configuration")?;
    let required = |name: &str| {
        let text = fields.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| format!("{name} is missing"))
    };
    let mut config = Map::new();
    let claims = fields.list("additionalClaims")?;
    if !claims.is_empty() {
        let claims = claims.iter().map(claim).collect::<Result<Vec<_>, _>>()?;
        config.insert("additionalClaims".into(), claims.into());
    }
    config.insert("issuer".into(), required("issuer")?.into());
    config.insert("jwksEndpoint".into(), required("jwksEndpoint")?.into());
    Ok(Action::Other {
        kind: "jwt-validation",
        config: "jwtValidationConfig",
        value: config.into(),
        secret: None,
    })
}

fn claim(value: &Value) -> Result<Value, Wrong> {
    let fields = Fields::of(value, "a claim")?;
    let name = fields.text("name")?.unwrap_or_default();
    let format = fields.text("format")?.unwrap_or_default();
    let values = fields.texts("values")?;
    if name.is_empty() || format.is_empty() || values.is_empty() {
        return Err("a claim needs a name, a format and values".into());
    }
    Ok(json!({"format": format, "name": name, "values": values}))
}

fn provider(fields: Fields<'_>, names: &[&str]) -> Result<Map<String, Value>, Wrong> {
    let mut config = Map::new();
    if let Some(Value::Object(extra)) = fields.value("authenticationRequestExtraParams") {
        config.insert(
            "authenticationRequestExtraParams".into(),
            extra.clone().into(),
        );
    }
    for &name in names {
        let text = fields.text(name)?.unwrap_or_default();
        config.insert(name.to_owned(), text.into());
    }
    Ok(config)
}

fn cognito(value: &Value) -> Result<Map<String, Value>, Wrong> {
    let fields = Fields::of(value, "the configuration")?;
    provider(
        fields,
        &["userPoolARN", "userPoolClientID", "userPoolDomain"],
    )
}

/// The provider and the name of its Secret. The controller does not print the content of the Secret.
fn oidc(value: &Value) -> Result<(Map<String, Value>, String), Wrong> {
    let fields = Fields::of(value, "the configuration")?;
    let names = [
        "issuer",
        "authorizationEndpoint",
        "tokenEndpoint",
        "userInfoEndpoint",
    ];
    let mut config = provider(fields, &names)?;
    config.insert("clientID".into(), "[REDACTED]".into());
    config.insert("clientSecret".into(), "[REDACTED]".into());
    Ok((config, fields.text("secretName")?.unwrap_or_default()))
}

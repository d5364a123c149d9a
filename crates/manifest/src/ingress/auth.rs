//! Authentication in front of a backend: OIDC, Cognito, or a JWT.

use serde_json::{Map, Value, json};

use super::Build;
use super::backend::read_json;
use super::group::Member;
use super::json::{Fields, Wrong};
use crate::Refusal;
use crate::annotations::Lookup;
use crate::stack::Action;

/// What must be known of a client first; done by HTTPS listeners only.
#[derive(Clone, Debug)]
pub(super) enum Authentication {
    /// An action that is complete.
    Action(Action),
    /// One that lacks something: the error of the first HTTPS listener that needs it.
    Broken(Refusal),
}

impl Build<'_> {
    /// What the annotations ask for; those of a lone Service go before those of the Ingress.
    pub(super) fn authentication(
        &self,
        member: &Member<'_>,
        annotations: &Lookup<'_>,
    ) -> Result<Option<Authentication>, Refusal> {
        let jwt = read_json(&member.annotations(), "jwt-validation", jwt)?;
        let kind = annotations.text("auth-type").unwrap_or("none");
        let timeout = annotations
            .integer("auth-session-timeout")?
            .unwrap_or(604_800);
        let cognito = read_json(annotations, "auth-idp-cognito", cognito)?;
        let oidc = read_json(annotations, "auth-idp-oidc", oidc)?;
        let meta = &member.ingress.meta;
        let (name, config, provider) = match kind {
            "none" => return Ok(jwt.map(Authentication::Action)),
            _ if jwt.is_some() => {
                let message = "auth-type and jwt-validation exclude each other";
                return Err(meta.refuse("conflict", message));
            }
            "cognito" => ("authenticate-cognito", "authenticateCognitoConfig", cognito),
            "oidc" => {
                let (provider, secret) = oidc.unzip();
                if let Some(refusal) = secret.and_then(|secret| self.broken_secret(member, &secret))
                {
                    return Ok(Some(Authentication::Broken(refusal)));
                }
                ("authenticate-oidc", "authenticateOIDCConfig", provider)
            }
            other => {
                let message = format!("auth-type is none, oidc or cognito, not \"{other}\"");
                return Err(match annotations.find("auth-type") {
                    Some(found) => found.refuse("unknown-value", message),
                    None => meta.refuse("unknown-value", message),
                });
            }
        };
        let Some(mut value) = provider else {
            let message = format!("auth-type {kind} needs auth-idp-{kind}");
            return Ok(Some(Authentication::Broken(
                meta.refuse("missing-annotation", message),
            )));
        };
        let text = |suffix: &str, default: &str| -> Value {
            annotations.text(suffix).unwrap_or(default).into()
        };
        value.insert(
            "onUnauthenticatedRequest".into(),
            text("auth-on-unauthenticated-request", "authenticate"),
        );
        value.insert("scope".into(), text("auth-scope", "openid"));
        value.insert(
            "sessionCookieName".into(),
            text("auth-session-cookie", "AWSELBAuthSessionCookie"),
        );
        value.insert("sessionTimeout".into(), timeout.into());
        Ok(Some(Authentication::Action(Action::Other {
            kind: name,
            config,
            value: value.into(),
        })))
    }

    /// What is wrong with the Secret of an OIDC client.
    fn broken_secret(&self, member: &Member<'_>, name: &str) -> Option<Refusal> {
        let meta = &member.ingress.meta;
        let key = (meta.namespace.clone(), name.to_owned());
        let Some(secret) = self.scope.secret(&key) else {
            let message = format!("there is no Secret {}/{name}", meta.namespace);
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
                .refuse("incomplete-secret", format!("the Secret lacks {missing}")),
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
    })
}

fn claim(value: &Value) -> Result<Value, Wrong> {
    let fields = Fields::of(value, "a claim")?;
    let name = fields.text("name")?.unwrap_or_default();
    let format = fields.text("format")?.unwrap_or_default();
    let values = fields.texts("values")?;
    if !matches!(
        &format[..],
        "single-string" | "string-array" | "space-separated-values"
    ) {
        return Err(format!(
            "the format of a claim is single-string, string-array or space-separated-values, not \"{format}\""
        ));
    }
    if name.is_empty() || values.is_empty() {
        return Err("a claim needs a name and values".into());
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

/// The provider and the name of its Secret. The controller does not print what the Secret holds.
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

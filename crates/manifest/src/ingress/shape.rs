//! The Go types of the JSON in annotations (`pkg/ingress/config_types.go`). Go refuses a value of the wrong type in
//! every known field, also in those that the rest of the value makes useless; unknown fields are ignored.

use serde_json::Value;

/// What is wrong, in one line.
pub(super) type Wrong = String;

/// The type of a value. `null` is of every type.
#[derive(Debug)]
pub(super) enum Shape {
    /// `string`.
    Text,
    /// `int32`.
    Integer,
    /// `bool`.
    Boolean,
    /// `intstr.IntOrString`.
    Port,
    /// `map[string]string`.
    Texts,
    /// A slice.
    List(&'static Self),
    /// A struct.
    Object(&'static [(&'static str, Self)]),
}

use Shape::{Boolean, Integer, List, Object, Port, Text, Texts};

const VALUES: Shape = Object(&[("values", List(&Text))]);
const PATTERNS: Shape = Object(&[("values", List(&Text)), ("regexValues", List(&Text))]);
const HEADER: Shape = Object(&[
    ("httpHeaderName", Text),
    ("values", List(&Text)),
    ("regexValues", List(&Text)),
]);
const QUERY: Shape = Object(&[("values", List(&Object(&[("key", Text), ("value", Text)])))]);

/// `conditions.{service}`.
pub(super) const CONDITIONS: &Shape = &List(&Object(&[
    ("field", Text),
    ("hostHeaderConfig", PATTERNS),
    ("httpHeaderConfig", HEADER),
    ("httpRequestMethodConfig", VALUES),
    ("pathPatternConfig", PATTERNS),
    ("queryStringConfig", QUERY),
    ("sourceIPConfig", VALUES),
]));

const REWRITES: Shape = Object(&[(
    "rewrites",
    List(&Object(&[("regex", Text), ("replace", Text)])),
)]);

/// `transforms.{service}`.
pub(super) const TRANSFORMS: &Shape = &List(&Object(&[
    ("type", Text),
    ("hostHeaderRewriteConfig", REWRITES),
    ("urlRewriteConfig", REWRITES),
]));

const FIXED_RESPONSE: Shape = Object(&[
    ("contentType", Text),
    ("messageBody", Text),
    ("statusCode", Text),
]);
const REDIRECT: Shape = Object(&[
    ("host", Text),
    ("path", Text),
    ("port", Text),
    ("protocol", Text),
    ("query", Text),
    ("statusCode", Text),
]);
const TARGET_GROUP: Shape = Object(&[
    ("targetGroupARN", Text),
    ("targetGroupName", Text),
    ("serviceName", Text),
    ("servicePort", Port),
    ("weight", Integer),
]);
const STICKINESS: Shape = Object(&[("enabled", Boolean), ("durationSeconds", Integer)]);
const FORWARD: Shape = Object(&[
    ("targetGroups", List(&TARGET_GROUP)),
    ("targetGroupStickinessConfig", STICKINESS),
]);

/// `actions.{name}`.
pub(super) const ACTION: &Shape = &Object(&[
    ("type", Text),
    ("targetGroupARN", Text),
    ("targetGroupName", Text),
    ("fixedResponseConfig", FIXED_RESPONSE),
    ("redirectConfig", REDIRECT),
    ("forwardConfig", FORWARD),
]);

/// `auth-idp-cognito`.
pub(super) const COGNITO: &Shape = &Object(&[
    ("userPoolARN", Text),
    ("userPoolClientID", Text),
    ("userPoolDomain", Text),
    ("authenticationRequestExtraParams", Texts),
]);

/// `auth-idp-oidc`.
pub(super) const OIDC: &Shape = &Object(&[
    ("issuer", Text),
    ("authorizationEndpoint", Text),
    ("tokenEndpoint", Text),
    ("userInfoEndpoint", Text),
    ("secretName", Text),
    ("authenticationRequestExtraParams", Texts),
]);

/// `jwt-validation`.
pub(super) const JWT: &Shape = &Object(&[
    ("jwksEndpoint", Text),
    ("issuer", Text),
    (
        "additionalClaims",
        List(&Object(&[
            ("format", Text),
            ("name", Text),
            ("values", List(&Text)),
        ])),
    ),
]);

/// `mutual-authentication`.
pub(super) const MUTUAL_AUTHENTICATION: &Shape = &List(&Object(&[
    ("port", Integer),
    ("mode", Text),
    ("trustStore", Text),
    ("ignoreClientCertificateExpiry", Boolean),
    ("advertiseTrustStoreCaNames", Text),
]));

impl Shape {
    /// Refuses a value that is not of this type.
    pub(super) fn check(&self, value: &Value) -> Result<(), Wrong> {
        self.check_at("", value)
    }

    fn check_at(&self, at: &str, value: &Value) -> Result<(), Wrong> {
        if value.is_null() {
            return Ok(());
        }
        let is_int32 = || value.as_i64().is_some_and(|one| i32::try_from(one).is_ok());
        let fits = match self {
            Text => value.is_string(),
            Integer => is_int32(),
            Boolean => value.is_boolean(),
            Port => value.is_string() || is_int32(),
            Texts | Object(_) => value.is_object(),
            List(_) => value.is_array(),
        };
        if !fits {
            let expected = self.name();
            return Err(if at.is_empty() {
                format!("expected {expected}")
            } else {
                format!("{at}: expected {expected}")
            });
        }
        match (self, value) {
            (List(items), Value::Array(list)) => {
                for item in list {
                    items.check_at(at, item)?;
                }
            }
            (Object(fields), Value::Object(map)) => {
                for (key, value) in map {
                    let mut fields = fields.iter();
                    if let Some((name, shape)) =
                        fields.find(|(name, _)| key.eq_ignore_ascii_case(name))
                    {
                        shape.check_at(name, value)?;
                    }
                }
            }
            (Texts, Value::Object(map)) => {
                for value in map.values() {
                    Text.check_at(at, value)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        match self {
            Text => "a string",
            Integer => "a whole number",
            Boolean => "true or false",
            Port => "a port number or name",
            Texts | Object(_) => "an object",
            List(_) => "a list",
        }
    }
}

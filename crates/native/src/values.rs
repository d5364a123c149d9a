//! Values: schemas of those that are narrower than their Rust type, and lists of texts.

use std::collections::{BTreeMap, BTreeSet};

use elbow_model::{
    ATTRIBUTES, Action, AlpnPolicy, BackendServerPolicy, Certificate, ClaimFormat, Condition,
    ContentType, HealthCheckProtocol, IdentityFilter, IpAddressType, IpProtocol, LoadBalancerType,
    MAX_HEADER_NAME, MAX_HEADER_VALUE, MutualAuthentication, OnUnauthenticated, Protocol,
    ProtocolVersion, RedirectStatus, Resource, Scheme, TargetType, Transforms, Values,
    classic_ssl_policies, ssl_policies,
};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

/// A certificate has one source.
pub(super) fn one_form(schema: &mut Schema) {
    let forms = Certificate::FORMS.iter();
    let forms: Vec<_> = forms
        .map(|fields| json_schema!({"required": fields}))
        .collect();
    schema.insert("oneOf".to_owned(), json!(forms));
}

fn names<T>(table: &[(&'static str, T)]) -> Vec<&'static str> {
    table.iter().map(|(name, _)| *name).collect()
}

fn protocols(protocols: &[Protocol]) -> Vec<&'static str> {
    protocols.iter().map(|protocol| protocol.as_str()).collect()
}

macro_rules! one_of {
    ($($function:ident: $names:expr;)*) => {$(
        pub(super) fn $function(_: &mut SchemaGenerator) -> Schema {
            json_schema!({"enum": $names})
        }
    )*};
}

one_of! {
    types: names(LoadBalancerType::NAMES);
    ip_protocols: names(IpProtocol::NAMES);
    schemes: names(Scheme::NAMES);
    ip_address_types: names(IpAddressType::NAMES);
    listener_protocols: names(Protocol::NAMES);
    classic_protocols: protocols(Protocol::of_listeners(LoadBalancerType::Classic));
    alpn_policies: names(AlpnPolicy::NAMES);
    mutual_authentication_modes: MutualAuthentication::MODES;
    identity_fields: names(IdentityFilter::FIELDS);
    identity_actions: names(IdentityFilter::ACTIONS);
    identity_match_types: names(IdentityFilter::MATCH_TYPES);
    ssl_policy_names: {
        let all = ssl_policies().iter().chain(classic_ssl_policies()).map(|p| p.name);
        all.collect::<BTreeSet<_>>()
    };
    condition_fields: Condition::FIELDS;
    source_ip_address_types: names(Condition::ADDRESS_TYPES);
    transform_types: Transforms::TYPES;
    action_types: Action::TYPES;
    redirect_codes: names(RedirectStatus::NAMES);
    content_types: names(ContentType::NAMES);
    claim_formats: names(ClaimFormat::NAMES);
    on_unauthenticated: names(OnUnauthenticated::NAMES);
    group_protocols: protocols(Protocol::OF_GROUPS);
    protocol_versions: names(ProtocolVersion::NAMES);
    target_types: names(TargetType::NAMES);
    check_protocols: names(HealthCheckProtocol::OF_GROUPS);
}

pub(super) fn backend_server_policies(_: &mut SchemaGenerator) -> Schema {
    let policies = json_schema!({"enum": names(BackendServerPolicy::NAMES)});
    json_schema!({
        "type": "object",
        "patternProperties": {"^[0-9]+$": {"type": "array", "items": policies}},
        "additionalProperties": false,
    })
}

pub(super) fn instance_ports(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "patternProperties": {"^[0-9]+$": {"type": "integer", "minimum": 1, "maximum": 65535}},
        "additionalProperties": false,
    })
}

pub(super) fn check_port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            {"const": "traffic-port"},
            {"type": "integer", "minimum": 1, "maximum": 65535},
            {"type": "string", "pattern": "^[0-9]+$"},
        ]
    })
}

/// The attributes of every kind of load balancer.
pub(super) fn load_balancer_attributes(_: &mut SchemaGenerator) -> Schema {
    attributes(Resource::Application)
}

/// The attributes of every kind of listener.
pub(super) fn listener_attributes(_: &mut SchemaGenerator) -> Schema {
    attributes(Resource::HttpListener)
}

/// The attributes of every kind of target group.
pub(super) fn target_group_attributes(_: &mut SchemaGenerator) -> Schema {
    attributes(Resource::ApplicationGroup)
}

/// The attributes of a kind of resource and its siblings.
fn attributes(of: Resource) -> Schema {
    // The values of one key can differ between kinds of resources.
    let mut known: BTreeMap<&str, Vec<Schema>> = BTreeMap::new();
    let is_sibling = |other: &Resource| other.is_sibling(of);
    for attribute in ATTRIBUTES.iter().filter(|a| a.of.iter().any(is_sibling)) {
        let schemas = known.entry(attribute.key).or_default();
        let own = value(attribute.values);
        if !schemas.contains(&own) {
            schemas.push(own);
        }
    }
    let properties: BTreeMap<&str, Schema> = known
        .into_iter()
        .map(|(key, schemas)| match &schemas[..] {
            [one] => (key, one.clone()),
            several => (key, json_schema!({"anyOf": several})),
        })
        .collect();
    json_schema!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// In AWS, attribute values are strings; a number or a flag without quotes is accepted, too.
fn value(values: Values) -> Schema {
    match values {
        Values::Flag => json_schema!({"enum": ["true", "false", true, false]}),
        Values::AlwaysOn => json_schema!({"enum": ["true", true]}),
        Values::OneOf(names) if names.contains(&"true") => {
            json_schema!({"anyOf": [{"type": "boolean"}, {"enum": names}]})
        }
        Values::OneOf(names) => json_schema!({"enum": names}),
        Values::Number(from, to) => json_schema!({
            "type": ["string", "integer"],
            "pattern": "^[0-9]+$",
            "minimum": from,
            "maximum": to,
        }),
        Values::ZeroOr(_, to) => value(Values::Number(0, to)),
        Values::OffOr(from, to) => {
            json_schema!({"anyOf": [{"const": "off"}, value(Values::Number(from, to))]})
        }
        Values::HeaderName => {
            json_schema!({"type": "string", "minLength": 1, "maxLength": MAX_HEADER_NAME})
        }
        Values::HeaderValue => json_schema!({"type": "string", "maxLength": MAX_HEADER_VALUE}),
        Values::S3Prefix => json_schema!({"type": "string", "not": {"pattern": "AWSLogs"}}),
        Values::Cidrs | Values::CookieName | Values::Text => json_schema!({"type": "string"}),
    }
}

/// Values as a file has them.
pub(super) fn texts(from: &[impl ToString]) -> Vec<String> {
    from.iter().map(ToString::to_string).collect()
}

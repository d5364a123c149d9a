//! What values may be where a type does not say it.

use std::collections::BTreeSet;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::super::{
    action, certificate, classic, condition, health_check, listener, load_balancer, security_group,
    target_group, transform,
};
use crate::{classic_ssl_policies, ssl_policies};

/// A certificate comes from one place alone.
pub(super) fn one_form(schema: &mut Schema) {
    let forms = certificate::FORMS.map(|(fields, _)| json_schema!({"required": fields}));
    schema.insert("oneOf".to_owned(), json!(forms));
}

/// How `value` is spelt.
pub(in super::super) fn spelling<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> String {
    let found = table.iter().find(|(_, v)| v == value);
    found
        .map(|(name, _)| (*name).to_owned())
        .unwrap_or_default()
}

fn names<T>(table: &[(&'static str, T)]) -> Vec<&'static str> {
    table.iter().map(|(name, _)| *name).collect()
}

macro_rules! one_of {
    ($($function:ident: $names:expr;)*) => {$(
        pub(super) fn $function(_: &mut SchemaGenerator) -> Schema {
            json_schema!({"enum": $names})
        }
    )*};
}

one_of! {
    types: names(load_balancer::TYPES);
    ip_protocols: names(security_group::PROTOCOLS);
    schemes: names(load_balancer::SCHEMES);
    ip_address_types: names(load_balancer::IP_ADDRESS_TYPES);
    listener_protocols: ["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "SSL"];
    classic_protocols: names(classic::PROTOCOLS);
    alpn_policies: names(listener::ALPN_POLICIES);
    ssl_policy_names: {
        let all = ssl_policies().iter().chain(classic_ssl_policies()).map(|p| p.name);
        all.collect::<BTreeSet<_>>()
    };
    condition_fields: names(condition::KINDS);
    transform_types: names(transform::KINDS);
    action_types: names(action::KINDS);
    redirect_codes: names(action::REDIRECT_CODES);
    content_types: names(action::CONTENT_TYPES);
    group_protocols: names(target_group::PROTOCOLS);
    protocol_versions: names(target_group::VERSIONS);
    target_types: names(target_group::TYPES);
    check_protocols: names(health_check::PROTOCOLS);
}

pub(super) fn backend_server_policies(_: &mut SchemaGenerator) -> Schema {
    let policies = json_schema!({"enum": names(classic::POLICIES)});
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

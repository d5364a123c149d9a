//! The shape of the native file as types: its JSON schema comes from them, and a model is written
//! through them. Their fields are those that the readers beside them know; a test compares both.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use super::{attribute, certificate};
use values::*;

pub(super) use values::spelling;

mod values;

mod rule;

pub(super) use rule::{
    Condition, HttpHeader, Patterns, QueryPair, QueryString, Rewrite, Rewrites, Rule, Transform,
    Values,
};

/// The JSON schema of the native file, kept as `config/native.schema.json`.
pub fn schema() -> Value {
    let schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<File>();
    schema.to_value()
}

/// elbow's native file: load balancers, their target groups and certificates.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct File {
    #[schemars(default)]
    pub(super) load_balancers: Vec<LoadBalancer>,
    #[schemars(default)]
    pub(super) target_groups: Vec<TargetGroup>,
    #[schemars(default)]
    pub(super) certificates: Vec<Certificate>,
}

/// One load balancer and its listeners.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct LoadBalancer {
    /// Unique; 1 to 32 letters, digits and hyphens.
    #[schemars(regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$"))]
    pub(super) name: String,
    #[serde(rename = "type")]
    #[schemars(schema_with = "types")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "schemes")]
    pub(super) scheme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "ip_address_types")]
    pub(super) ip_address_type: Option<String>,
    /// Where it listens; without it, an address of the pool that depends on the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) addresses: Vec<String>,
    /// Who may open connections; without any, everybody may.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) security_groups: Vec<SecurityGroup>,
    /// By their AWS keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, schema_with = "attribute::load_balancer_schema")]
    pub(super) attributes: BTreeMap<String, String>,
    #[schemars(default)]
    pub(super) listeners: Vec<Listener>,
    /// Classic load balancers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_check: Option<ClassicHealthCheck>,
    /// Classic load balancers only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) instances: Vec<Instance>,
    /// Classic load balancers only: by instance port.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, schema_with = "backend_server_policies")]
    pub(super) backend_server_policies: BTreeMap<String, Vec<String>>,
}

/// Who may open connections, and to which ports.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct SecurityGroup {
    pub(super) group_name: String,
    /// Whom none of them names stays out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) ingress: Vec<Permission>,
}

/// One of the permissions of a security group.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Permission {
    #[schemars(schema_with = "ip_protocols")]
    pub(super) ip_protocol: String,
    /// tcp and udp only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from_port: Option<u16>,
    /// tcp and udp only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_port: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) ip_ranges: Vec<IpRange>,
    #[serde(rename = "ipv6Ranges", skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) ipv6_ranges: Vec<Ipv6Range>,
}

/// An IPv4 block, e.g. `10.0.0.0/8`.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct IpRange {
    #[serde(rename = "cidrIP")]
    pub(super) cidr: String,
}

/// An IPv6 block, e.g. `::/0`.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Ipv6Range {
    #[serde(rename = "cidrIPv6")]
    pub(super) cidr: String,
}

/// One instance of a classic load balancer.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Instance {
    /// IPv4, IPv6 or a host name.
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) availability_zone: Option<String>,
    /// Instance ports that are other ones on this instance; beyond AWS.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, schema_with = "instance_ports")]
    pub(super) ports: BTreeMap<String, u16>,
}

/// How a classic load balancer checks its instances.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct ClassicHealthCheck {
    /// `TCP:port`, `SSL:port`, `HTTP:port/path` or `HTTPS:port/path`.
    pub(super) target: String,
    #[schemars(range(min = 5, max = 300))]
    pub(super) interval: Option<u32>,
    #[schemars(range(min = 2, max = 60))]
    pub(super) timeout: Option<u32>,
    #[schemars(range(min = 2, max = 10))]
    pub(super) healthy_threshold: Option<u32>,
    #[schemars(range(min = 2, max = 10))]
    pub(super) unhealthy_threshold: Option<u32>,
}

/// One port of a load balancer.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Listener {
    #[schemars(range(min = 1, max = 65535))]
    pub(super) port: u16,
    /// Application: HTTP, HTTPS. Network: TCP, TLS, UDP, TCP_UDP. Classic: TCP, SSL, HTTP, HTTPS.
    #[schemars(schema_with = "listener_protocols")]
    pub(super) protocol: String,
    /// For HTTPS and TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "ssl_policy_names")]
    pub(super) ssl_policy: Option<String>,
    /// For TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "alpn_policies")]
    pub(super) alpn_policy: Option<String>,
    /// Names of certificates of this file; the first is the default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) certificates: Vec<String>,
    /// Application load balancers only; the lowest priority that matches wins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) rules: Vec<Rule>,
    /// What happens when no rule matches; not for classic load balancers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, length(max = 1))]
    pub(super) default_actions: Vec<Action>,
    /// By AWS's keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, schema_with = "attribute::listener_schema")]
    pub(super) attributes: BTreeMap<String, String>,
    /// Classic load balancers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "classic_protocols")]
    pub(super) instance_protocol: Option<String>,
    /// Classic load balancers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub(super) instance_port: Option<u16>,
}

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

/// Where to; parts may hold #{protocol}, #{host}, #{port}, #{path} and #{query}.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Redirect {
    /// HTTP, HTTPS or #{protocol}.
    pub(super) protocol: Option<String>,
    /// 1-65535 or #{port}.
    pub(super) port: Option<String>,
    pub(super) host: Option<String>,
    /// From "/"; /#{path} keeps it.
    pub(super) path: Option<String>,
    /// Without the "?".
    pub(super) query: Option<String>,
    #[schemars(schema_with = "redirect_codes")]
    pub(super) status_code: String,
}

/// An answer that the load balancer gives itself.
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

/// Targets and how their health is checked.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct TargetGroup {
    /// Unique; 1 to 32 letters, digits and hyphens.
    #[schemars(regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$"))]
    pub(super) name: String,
    #[schemars(schema_with = "group_protocols")]
    pub(super) protocol: String,
    /// For HTTP and HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "protocol_versions")]
    pub(super) protocol_version: Option<String>,
    /// Of targets that give none.
    #[schemars(range(min = 1, max = 65535))]
    pub(super) port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "target_types")]
    pub(super) target_type: Option<String>,
    pub(super) health_check_config: Option<HealthCheck>,
    /// By their AWS keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, schema_with = "attribute::target_group_schema")]
    pub(super) attributes: BTreeMap<String, String>,
    #[schemars(default)]
    pub(super) targets: Vec<Target>,
}

/// Active checks.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct HealthCheck {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "check_protocols")]
    pub(super) protocol: Option<String>,
    /// traffic-port or 1-65535.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "check_port")]
    pub(super) port: Option<String>,
    /// For HTTP and HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = r"^/"))]
    pub(super) path: Option<String>,
    /// For HTTP and HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) matcher: Option<Matcher>,
    #[schemars(range(min = 5, max = 300))]
    pub(super) interval_seconds: Option<u64>,
    #[schemars(range(min = 2, max = 120))]
    pub(super) timeout_seconds: Option<u64>,
    #[schemars(range(min = 2, max = 10))]
    pub(super) healthy_threshold_count: Option<u32>,
    #[schemars(range(min = 2, max = 10))]
    pub(super) unhealthy_threshold_count: Option<u32>,
}

/// Which answers pass.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Matcher {
    /// Codes and ranges, e.g. 200,403 or 200-299.
    #[schemars(regex(pattern = r"^\s*\d{3}\s*(-\s*\d{3}\s*)?(,\s*\d{3}\s*(-\s*\d{3}\s*)?)*$"))]
    pub(super) http_code: String,
}

/// One target.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Target {
    /// IPv4, IPv6 or a host name.
    pub(super) id: String,
    /// The group's without it.
    #[schemars(range(min = 1, max = 65535))]
    pub(super) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) availability_zone: Option<String>,
}

/// A certificate and its key: from files, as text, or issued by elbow's local authority.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, transform = one_form)]
pub(super) struct Certificate {
    /// Unique.
    pub(super) name: String,
    /// PEM file of the chain, leaf first, seen from the folder of this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificate_file: Option<String>,
    /// PEM file of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) private_key_file: Option<String>,
    /// The chain in PEM, leaf first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificate: Option<String>,
    /// The key in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) private_key: Option<String>,
    /// DNS names (the first label may be *) and IP addresses that a certificate is issued for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = certificate::MAX_HOSTS))]
    pub(super) self_signed: Option<Vec<String>>,
}

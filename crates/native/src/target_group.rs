//! Target groups, their targets and health checks.

use std::collections::BTreeMap;

use elbow_model::{
    self as model, HealthCheckProtocol, HealthCheckSpec, MatcherSpec, ProtocolVersion,
    TargetGroupSpec, TargetSpec,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::item::Item;
use super::values::{
    check_port, check_protocols, group_protocols, protocol_versions, target_group_attributes,
    target_types,
};

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
    /// For HTTP and HTTPS. Groups of HTTP2 and GRPC need listeners of protocol HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "protocol_versions")]
    pub(super) protocol_version: Option<String>,
    /// The default port of targets.
    #[schemars(range(min = 1, max = 65535))]
    pub(super) port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "target_types")]
    pub(super) target_type: Option<String>,
    pub(super) health_check_config: Option<HealthCheck>,
    /// By their AWS keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, schema_with = "target_group_attributes")]
    pub(super) attributes: BTreeMap<String, String>,
    #[schemars(default)]
    pub(super) targets: Vec<Target>,
}

/// Active health checks.
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

/// Which responses pass.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Matcher {
    /// Codes and ranges, e.g. 200,403 or 200-299.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\s*\d{3}\s*(-\s*\d{3}\s*)?(,\s*\d{3}\s*(-\s*\d{3}\s*)?)*$"))]
    pub(super) http_code: Option<String>,
    /// For protocolVersion GRPC, instead of httpCode: codes and ranges, e.g. 12 or 0-99.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(
        pattern = r"^\s*\d{1,2}\s*(-\s*\d{1,2}\s*)?(,\s*\d{1,2}\s*(-\s*\d{1,2}\s*)?)*$"
    ))]
    pub(super) grpc_code: Option<String>,
}

/// One target.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Target {
    /// IPv4, IPv6 or a host name.
    pub(super) id: String,
    /// The group's port by default.
    #[schemars(range(min = 1, max = 65535))]
    pub(super) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) availability_zone: Option<String>,
    /// For groups of protocol QUIC and TCP_QUIC: the 8 octets that connection IDs of the target contain.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^0x[0-9a-f]{16}$"))]
    pub(super) quic_server_id: Option<String>,
}

/// What a file says of a target group.
pub(super) fn read(item: &Item<'_>) -> TargetGroupSpec {
    item.mapping(|fields| {
        fields.refuse("ipAddressType");
        TargetGroupSpec {
            name: fields.text("name"),
            protocol: fields.text("protocol"),
            protocol_version: fields.text("protocolVersion"),
            port: fields.number("port"),
            target_type: fields.text("targetType"),
            target_control_port: fields.number("targetControlPort"),
            health_check_config: fields
                .get("healthCheckConfig")
                .map(|item| read_check(&item))
                .unwrap_or_default(),
            attributes: fields.attributes().unwrap_or_default(),
            targets: fields.list("targets", target).unwrap_or_default(),
        }
    })
}

fn read_check(item: &Item<'_>) -> HealthCheckSpec {
    let matcher = |item: Item<'_>| {
        item.mapping(|fields| MatcherSpec {
            http_code: fields.text("httpCode"),
            grpc_code: fields.text("grpcCode"),
        })
    };
    item.mapping(|fields| {
        fields.refuse("enabled");
        HealthCheckSpec {
            protocol: fields.text("protocol"),
            port: fields.text("port"),
            path: fields.text("path"),
            matcher: fields.get("matcher").map(matcher),
            interval_seconds: fields.number("intervalSeconds"),
            timeout_seconds: fields.number("timeoutSeconds"),
            healthy_threshold_count: fields.number("healthyThresholdCount"),
            unhealthy_threshold_count: fields.number("unhealthyThresholdCount"),
        }
    })
}

fn target(item: &Item<'_>) -> TargetSpec {
    item.mapping(|fields| TargetSpec {
        id: fields.text("id"),
        port: fields.number("port"),
        availability_zone: fields.text("availabilityZone"),
        quic_server_id: fields.text("quicServerId"),
    })
}

/// A target group as a file has it.
pub(super) fn render(from: &model::TargetGroup) -> TargetGroup {
    let is_http = from.protocol.is_http();
    let version = from.protocol_version.as_str().to_owned();
    TargetGroup {
        name: from.name.to_string(),
        protocol: from.protocol.as_str().to_owned(),
        protocol_version: is_http.then_some(version),
        port: from.port,
        target_type: Some(from.target_type.as_str().to_owned()),
        health_check_config: Some(render_check(&from.health_check)),
        attributes: from.attributes.raw.clone(),
        targets: from
            .targets
            .iter()
            .map(|target| Target {
                id: target.id.to_string(),
                port: Some(target.port),
                availability_zone: target.availability_zone.as_deref().map(str::to_owned),
                quic_server_id: target.quic_server_id.map(|id| id.to_string()),
            })
            .collect(),
    }
}

fn render_check(from: &model::HealthCheck) -> HealthCheck {
    let speaks_http = matches!(
        from.protocol,
        HealthCheckProtocol::Http | HealthCheckProtocol::Https
    );
    HealthCheck {
        protocol: Some(from.protocol.as_str().to_owned()),
        port: Some(from.port.to_string()),
        path: speaks_http.then(|| from.path.to_string()),
        matcher: speaks_http.then(|| {
            let (is_grpc, codes) = (
                from.version == ProtocolVersion::Grpc,
                from.matcher.to_string(),
            );
            Matcher {
                grpc_code: is_grpc.then(|| codes.clone()),
                http_code: (!is_grpc).then_some(codes),
            }
        }),
        interval_seconds: Some(from.interval.as_secs()),
        timeout_seconds: Some(from.timeout.as_secs()),
        healthy_threshold_count: Some(from.healthy_threshold),
        unhealthy_threshold_count: Some(from.unhealthy_threshold),
    }
}

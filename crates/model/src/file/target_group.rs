use std::net::IpAddr;
use std::sync::Arc;

use super::item::{Item, Seen, resource_name};
use super::{Declared, attribute, health_check};
use crate::{Protocol, ProtocolVersion, Target, TargetGroup, TargetId, TargetType};

pub(super) const FIELDS: &[&str] = &[
    "name",
    "protocol",
    "protocolVersion",
    "port",
    "targetType",
    "healthCheckConfig",
    "attributes",
    "targets",
];

pub(super) const TARGET_FIELDS: &[&str] = &["id", "port", "availabilityZone"];

pub(super) const PROTOCOLS: &[(&str, Protocol)] = &[
    ("TCP", Protocol::Tcp),
    ("TLS", Protocol::Tls),
    ("UDP", Protocol::Udp),
    ("TCP_UDP", Protocol::TcpUdp),
    ("HTTP", Protocol::Http),
    ("HTTPS", Protocol::Https),
];

pub(super) const VERSIONS: &[(&str, ProtocolVersion)] = &[
    ("HTTP1", ProtocolVersion::Http1),
    ("HTTP2", ProtocolVersion::Http2),
    ("GRPC", ProtocolVersion::Grpc),
];

pub(super) const TYPES: &[(&str, TargetType)] = &[
    ("instance", TargetType::Instance),
    ("ip", TargetType::Ip),
    ("alb", TargetType::Alb),
];

/// A group without a name cannot be referred to, so it is left out.
pub(super) fn read(item: &Item<'_>, names: &mut Seen<Arc<str>>) -> Option<Declared<TargetGroup>> {
    let name = item.peek("name").unwrap_or_default();
    let item = item.of(format!("targetGroup/{name}"));
    let fields = item.fields_but(FIELDS, &["ipAddressType", "targetControlPort"])?;
    let protocol = fields.required("protocol").and_then(|item| {
        let protocol = item.one_of(PROTOCOLS)?;
        if protocol == Protocol::Udp {
            item.not_supported("target groups of protocol UDP are");
        }
        Some(protocol)
    });
    // What stands in for a protocol that was reported; nothing of it is used.
    let assumed = protocol.unwrap_or(Protocol::Http);
    let port = fields.required("port").and_then(|p| p.number(1..=65535));
    let target_type = fields.get("targetType").and_then(|item| {
        let target_type = item.one_of(TYPES)?;
        if target_type == TargetType::Alb {
            item.not_supported("targets of type alb are");
        }
        Some(target_type)
    });
    let health_check = match fields.get("healthCheckConfig") {
        Some(item) => health_check::read(&item, assumed),
        None => health_check::default(assumed),
    };
    let attributes = fields
        .get("attributes")
        .zip(protocol)
        .map(|(item, protocol)| attribute::target_group(&item, protocol))
        .unwrap_or_default();
    let mut seen = Seen::new("target");
    let targets = fields.items("targets");
    let targets = targets
        .iter()
        .filter_map(|item| target(item, port, &mut seen))
        .collect();
    let protocol_version = fields
        .get("protocolVersion")
        .and_then(|item| version(&item, protocol));

    let name_item = fields.required("name")?;
    let name = resource_name(&name_item)?;
    names.check(name.clone(), &name_item, "duplicate-name");
    Some(Declared {
        name: name.clone(),
        protocol,
        value: Arc::new(TargetGroup {
            name,
            protocol: assumed,
            protocol_version: protocol_version.unwrap_or_default(),
            port: port.unwrap_or_default(),
            target_type: target_type.unwrap_or_default(),
            health_check,
            attributes,
            targets,
        }),
    })
}

fn version(item: &Item<'_>, group: Option<Protocol>) -> Option<ProtocolVersion> {
    let version = item.one_of(VERSIONS)?;
    if version != ProtocolVersion::Http1 {
        let name = item.text().unwrap_or_default();
        item.not_supported(format_args!("protocolVersion {name} is"));
    }
    if group.is_some_and(|p| !matches!(p, Protocol::Http | Protocol::Https)) {
        item.error(
            "invalid-combination",
            "protocolVersion belongs to HTTP and HTTPS groups",
        );
    }
    Some(version)
}

fn target(item: &Item<'_>, group_port: Option<u16>, seen: &mut Seen<String>) -> Option<Target> {
    let fields = item.fields(TARGET_FIELDS)?;
    let id_item = fields.required("id");
    let port = match fields.get("port") {
        Some(item) => item.number(1..=65535),
        None => group_port,
    };
    let availability_zone = fields
        .get("availabilityZone")
        .and_then(|item| item.text())
        .map(Arc::from);
    let id = target_id(&id_item?)?;
    let port = port?;
    let name = match &id {
        TargetId::Ip(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        id => format!("{id}:{port}"),
    };
    seen.check(name, item, "duplicate-target")
        .then_some(Target {
            id,
            port,
            availability_zone,
        })
}

pub(super) fn target_id(item: &Item<'_>) -> Option<TargetId> {
    let text = item.text()?;
    if let Ok(ip) = text.parse() {
        return Some(TargetId::Ip(ip));
    }
    if is_host_name(text) {
        return Some(TargetId::Host(text.into()));
    }
    item.error_with(
        "invalid-target",
        format!("{text:?} is no IPv4 or IPv6 address and no host name"),
        text.contains(':')
            .then(|| "the port goes into a field of its own, and IPv6 has no brackets".to_owned()),
    );
    None
}

/// RFC 1123, and the underscore that DNS has; one that ends in a number is a mistyped address.
fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

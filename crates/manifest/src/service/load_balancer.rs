//! The Network Load Balancer itself: scheme, addresses, attributes.

use elbow_model::At;

use crate::annotations::{Row, service as keys};
use crate::context::Context;
use crate::stack::Attributes;

use crate::lookup::service::{Reader, Refused};

/// The scheme from the annotations, if any.
pub(super) fn scheme(read: &Reader<'_>) -> Result<Option<&'static str>, Refused> {
    let key = keys::SCHEME;
    match read.text(key) {
        Some("internal") => Ok(Some("internal")),
        Some("internet-facing") => Ok(Some("internet-facing")),
        Some(other) => Err(Refused::annotation(key, format!("unknown scheme: {other}"))
            .hint("internal or internet-facing")),
        None => Ok(read.bool(keys::INTERNAL)?.map(|internal| {
            if internal {
                "internal"
            } else {
                "internet-facing"
            }
        })),
    }
}

/// `ipv4` or `dualstack`.
pub(super) fn ip_address_type(read: &Reader<'_>) -> Result<&'static str, Refused> {
    let key = keys::IP_ADDRESS_TYPE;
    match read.text(key) {
        None | Some("ipv4") => Ok("ipv4"),
        Some("dualstack") => Ok("dualstack"),
        Some(other) => Err(
            Refused::annotation(key, format!("unknown IPAddressType: {other}"))
                .hint("ipv4 or dualstack"),
        ),
    }
}

/// The attributes: those of `aws-load-balancer-attributes`, overridden by the older annotations. `read` keeps the errors.
pub(super) fn attributes(read: &Reader<'_>) -> Attributes {
    let key = keys::ATTRIBUTES;
    let refused = &read.refused;
    let mut attributes = refused.or_default(read.attributes(key));
    if let Some(policy) = attributes.get("dns_record.client_routing_policy") {
        const POLICIES: [&str; 3] = [
            "availability_zone_affinity",
            "partial_availability_zone_affinity",
            "any_availability_zone",
        ];
        if !POLICIES.contains(&policy.as_str()) {
            let message = format!("invalid dns_record.client_routing_policy {}", **policy);
            let error = Refused::annotation(key, message);
            refused.add(error.hint(format!("one of {}", POLICIES.join(", "))));
        }
    }
    let mut set = |attribute: &str, value: String, key: &'static Row| {
        attributes.insert(attribute.to_owned(), At::new(value, read.origin(&[key])));
    };
    let key = keys::ACCESS_LOG_ENABLED;
    if refused.or_default(read.bool(key)) == Some(true) {
        set("access_logs.s3.enabled", "true".to_owned(), key);
        for (part, key) in [
            ("bucket", keys::ACCESS_LOG_S3_BUCKET_NAME),
            ("prefix", keys::ACCESS_LOG_S3_BUCKET_PREFIX),
        ] {
            if let Some(value) = read.text(key) {
                set(&format!("access_logs.s3.{part}"), value.to_owned(), key);
            }
        }
    }
    let key = keys::CROSS_ZONE_LOAD_BALANCING_ENABLED;
    if let Some(enabled) = refused.or_default(read.bool(key)) {
        let value = enabled.to_string();
        set("load_balancing.cross_zone.enabled", value, key);
    }
    attributes
}

/// The reserved capacity units, if any; the controller ignores them while the feature gate is off.
pub(super) fn minimum_capacity(
    read: &Reader<'_>,
    context: &Context,
) -> Result<Option<i32>, Refused> {
    if !context.gate("LBCapacityReservation", true) {
        return Ok(None);
    }
    let key = keys::MINIMUM_LOAD_BALANCER_CAPACITY;
    let mut units = None;
    for (name, value) in read.map(key)? {
        if name != "CapacityUnits" {
            return Err(
                Refused::annotation(key, format!("expected CapacityUnits, found {name}"))
                    .hint("CapacityUnits=n"),
            );
        }
        let number = value.parse().map_err(|_| {
            Refused::annotation(key, format!("expected a whole number, found {value:?}"))
        })?;
        units = Some(number);
    }
    Ok(units)
}

/// `on` or `off`, if the annotation is there.
pub(super) fn on_off(
    read: &Reader<'_>,
    key: &'static Row,
) -> Result<Option<&'static str>, Refused> {
    match read.text(key) {
        None => Ok(None),
        Some("on") => Ok(Some("on")),
        Some("off") => Ok(Some("off")),
        Some(other) => Err(Refused::annotation(
            key,
            format!("expected on or off, found {other:?}"),
        )),
    }
}

/// The name that the user gave, if any.
pub(super) fn explicit_name(read: &Reader<'_>) -> Result<Option<String>, Refused> {
    let key = keys::NAME;
    match read.text(key) {
        // The controller counts bytes.
        Some(name) if name.len() > 32 => Err(Refused::annotation(
            key,
            "load balancer name cannot be longer than 32 characters",
        )),
        name => Ok(name.map(str::to_owned)),
    }
}

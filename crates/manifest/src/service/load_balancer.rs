//! The Network Load Balancer itself: scheme, addresses, attributes.

use std::collections::BTreeMap;

use super::read::{Reader, Refused};

/// The scheme that the annotations ask for; `None`: they do not say.
pub(super) fn scheme(read: &Reader<'_>) -> Result<Option<&'static str>, Refused> {
    let key = "aws-load-balancer-scheme";
    match read.text(key) {
        Some("internal") => Ok(Some("internal")),
        Some("internet-facing") => Ok(Some("internet-facing")),
        Some(other) => Err(Refused::annotation(key, format!("unknown scheme: {other}"))
            .hint("internal or internet-facing")),
        None => Ok(read.bool("aws-load-balancer-internal")?.map(|internal| {
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
    let key = "aws-load-balancer-ip-address-type";
    match read.text(key) {
        None | Some("ipv4") => Ok("ipv4"),
        Some("dualstack") => Ok("dualstack"),
        Some(other) => Err(
            Refused::annotation(key, format!("unknown IPAddressType: {other}"))
                .hint("ipv4 or dualstack"),
        ),
    }
}

/// The attributes: those of `-attributes`, over which the older annotations win.
pub(super) fn attributes(read: &Reader<'_>) -> Result<BTreeMap<String, String>, Refused> {
    let key = "aws-load-balancer-attributes";
    let mut attributes = read.map(key)?;
    if let Some(policy) = attributes.get("dns_record.client_routing_policy") {
        const POLICIES: [&str; 3] = [
            "availability_zone_affinity",
            "partial_availability_zone_affinity",
            "any_availability_zone",
        ];
        if !POLICIES.contains(&policy.as_str()) {
            return Err(Refused::annotation(
                key,
                format!("invalid dns_record.client_routing_policy {policy}"),
            )
            .hint(format!("one of {}", POLICIES.join(", "))));
        }
    }
    if read.bool("aws-load-balancer-access-log-enabled")? == Some(true) {
        attributes.insert("access_logs.s3.enabled".to_owned(), "true".to_owned());
        for part in ["bucket", "prefix"] {
            if let Some(value) = read.text(&format!(
                "aws-load-balancer-access-log-s3-bucket-{}",
                if part == "bucket" { "name" } else { part }
            )) {
                attributes.insert(format!("access_logs.s3.{part}"), value.to_owned());
            }
        }
    }
    if let Some(enabled) = read.bool("aws-load-balancer-cross-zone-load-balancing-enabled")? {
        attributes.insert(
            "load_balancing.cross_zone.enabled".to_owned(),
            enabled.to_string(),
        );
    }
    Ok(attributes)
}

/// The capacity units reserved, if any.
pub(super) fn minimum_capacity(read: &Reader<'_>) -> Result<Option<i32>, Refused> {
    let key = "aws-load-balancer-minimum-load-balancer-capacity";
    let mut units = None;
    for (name, value) in read.map(key)? {
        if name != "CapacityUnits" {
            return Err(
                Refused::annotation(key, format!("{name} is not a capacity"))
                    .hint("CapacityUnits=n"),
            );
        }
        let number = value
            .parse()
            .map_err(|_| Refused::annotation(key, format!("{value:?} is not a whole number")))?;
        units = Some(number);
    }
    Ok(units)
}

/// `on` or `off`, where the annotation is given.
pub(super) fn on_off(read: &Reader<'_>, key: &str) -> Result<Option<&'static str>, Refused> {
    match read.text(key) {
        None => Ok(None),
        Some("on") => Ok(Some("on")),
        Some("off") => Ok(Some("off")),
        Some(other) => Err(Refused::annotation(
            key,
            format!("{other:?} is neither on nor off"),
        )),
    }
}

/// The name that the user gave, if any.
pub(super) fn explicit_name(read: &Reader<'_>) -> Result<Option<String>, Refused> {
    let key = "aws-load-balancer-name";
    match read.text(key) {
        Some(name) if name.chars().count() > 32 => Err(Refused::annotation(
            key,
            "load balancer name cannot be longer than 32 characters",
        )),
        name => Ok(name.map(str::to_owned)),
    }
}

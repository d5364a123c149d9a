//! `healthCheckConfig` of a target group (ALB guide and NLB guide: health checks).

use std::ops::RangeInclusive;
use std::time::Duration;

use super::item::{Fields, Item};
use crate::{HealthCheck, HealthCheckPort, HealthCheckProtocol, Matcher, Protocol};

pub(super) const FIELDS: &[&str] = &[
    "protocol",
    "port",
    "path",
    "matcher",
    "intervalSeconds",
    "timeoutSeconds",
    "healthyThresholdCount",
    "unhealthyThresholdCount",
];

pub(super) const MATCHER_FIELDS: &[&str] = &["httpCode"];

pub(super) const PROTOCOLS: &[(&str, HealthCheckProtocol)] = &[
    ("TCP", HealthCheckProtocol::Tcp),
    ("HTTP", HealthCheckProtocol::Http),
    ("HTTPS", HealthCheckProtocol::Https),
];

/// Longest `path`, in characters.
const MAX_PATH: usize = 1024;

/// What AWS checks when a group says nothing.
pub(super) fn default(group: Protocol) -> HealthCheck {
    let layer7 = matches!(group, Protocol::Http | Protocol::Https);
    let protocol = if layer7 {
        HealthCheckProtocol::Http
    } else {
        HealthCheckProtocol::Tcp
    };
    HealthCheck {
        protocol,
        port: HealthCheckPort::TrafficPort,
        path: "/".into(),
        matcher: default_matcher(layer7),
        interval: Duration::from_secs(30),
        timeout: default_timeout(layer7, protocol),
        healthy_threshold: 5,
        unhealthy_threshold: 2,
    }
}

fn default_matcher(layer7: bool) -> Matcher {
    Matcher(vec![if layer7 { 200..=200 } else { 200..=399 }])
}

fn default_timeout(layer7: bool, protocol: HealthCheckProtocol) -> Duration {
    Duration::from_secs(match (layer7, protocol) {
        (true, _) => 5,
        (false, HealthCheckProtocol::Http) => 6,
        (false, _) => 10,
    })
}

pub(super) fn read(item: &Item<'_>, group: Protocol) -> HealthCheck {
    let mut check = default(group);
    let layer7 = matches!(group, Protocol::Http | Protocol::Https);
    let Some(fields) = item.fields_but(FIELDS, &["enabled"]) else {
        return check;
    };
    if let Some(protocol) = fields.get("protocol").and_then(|p| protocol(&p, layer7)) {
        check.protocol = protocol;
    }
    if let Some(port) = fields.get("port").and_then(|p| port(&p)) {
        check.port = port;
    }
    http(&fields, layer7, &mut check);
    let seconds = |name, range: RangeInclusive<u64>| {
        let number = fields.get(name)?.number(range)?;
        Some(Duration::from_secs(number))
    };
    if let Some(interval) = seconds("intervalSeconds", 5..=300) {
        check.interval = interval;
    }
    // A default never outlasts an interval that somebody chose.
    check.timeout = default_timeout(layer7, check.protocol).min(check.interval);
    if let Some(timeout) = seconds("timeoutSeconds", 2..=120) {
        check.timeout = timeout;
        if timeout > check.interval {
            let (timeout, interval) = (timeout.as_secs(), check.interval.as_secs());
            if let Some(item) = fields.get("timeoutSeconds") {
                item.error(
                    "invalid-combination",
                    format!("the timeout, {timeout} s, is longer than the interval, {interval} s"),
                );
            }
        }
    }
    let threshold = |name| fields.get(name)?.number(2..=10);
    if let Some(count) = threshold("healthyThresholdCount") {
        check.healthy_threshold = count;
    }
    if let Some(count) = threshold("unhealthyThresholdCount") {
        check.unhealthy_threshold = count;
    }
    check
}

fn protocol(item: &Item<'_>, layer7: bool) -> Option<HealthCheckProtocol> {
    let protocol = item.one_of(PROTOCOLS)?;
    if layer7 && protocol == HealthCheckProtocol::Tcp {
        item.error(
            "invalid-combination",
            "targets of an HTTP or HTTPS group are checked by HTTP or HTTPS, not TCP",
        );
        return None;
    }
    Some(protocol)
}

fn port(item: &Item<'_>) -> Option<HealthCheckPort> {
    if item.text()? == "traffic-port" {
        return Some(HealthCheckPort::TrafficPort);
    }
    item.number(1..=65535).map(HealthCheckPort::Port)
}

/// What only HTTP and HTTPS checks have.
fn http(fields: &Fields<'_>, layer7: bool, check: &mut HealthCheck) {
    let speaks_http = check.protocol != HealthCheckProtocol::Tcp;
    check.matcher = default_matcher(layer7);
    for name in ["path", "matcher"] {
        if let Some(item) = fields.get(name).filter(|_| !speaks_http) {
            item.error_with(
                "invalid-combination",
                format!("{name} belongs to HTTP and HTTPS checks; this one is TCP"),
                "set protocol: HTTP".to_owned(),
            );
        }
    }
    if let Some(item) = fields.get("path")
        && let Some(text) = item.text()
    {
        let visible = text.bytes().all(|b| b.is_ascii_graphic());
        if text.starts_with('/') && text.len() <= MAX_PATH && visible {
            check.path = text.into();
        } else {
            item.error(
                "invalid-path",
                format!("{text:?} is not a path: 1 to {MAX_PATH} visible characters from \"/\""),
            );
        }
    }
    let code = fields
        .get("matcher")
        .and_then(|m| m.fields_but(MATCHER_FIELDS, &["grpcCode"]))
        .and_then(|m| m.required("httpCode"));
    if let Some(found) = code.and_then(|item| matcher(&item, layer7)) {
        check.matcher = found;
    }
}

/// `200`, `200,202`, `200-299` and combinations: 200-499 for an ALB, 200-599 for an NLB.
fn matcher(item: &Item<'_>, layer7: bool) -> Option<Matcher> {
    let text = item.text()?;
    let Some(ranges) = parse_matcher(text) else {
        item.error_with(
            "invalid-matcher",
            format!("{text:?} is not a list of codes"),
            "for example \"200\", \"200,202\" or \"200-299\"".to_owned(),
        );
        return None;
    };
    let last = if layer7 { 499 } else { 599 };
    if ranges.iter().any(|r| *r.start() < 200 || *r.end() > last) {
        item.error(
            "out-of-range",
            format!("{text:?} has codes that are not from 200 to {last}"),
        );
        return None;
    }
    Some(Matcher(ranges))
}

fn parse_matcher(text: &str) -> Option<Vec<RangeInclusive<u16>>> {
    let code = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    text.split(',')
        .map(|part| {
            let part = part.trim();
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let range: RangeInclusive<u16> = code(from.trim())?..=code(to.trim())?;
            (!range.is_empty()).then_some(range)
        })
        .collect()
}

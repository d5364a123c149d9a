//! The health checks by which the Network Load Balancer in front checks the Application Load Balancer.

use elbow_model::At;
use serde_json::Value;

use super::group::Member;
use crate::Refusal;
use crate::annotations::{Row, ingress as keys};
use crate::refusal::Refusals;
use crate::stack::{HealthCheck, Matcher};

/// A field of a health check: of the first member that sets it, else the default.
struct Field<T> {
    value: At<T>,
    is_explicit: bool,
    row: &'static Row,
}

impl<T: PartialEq + std::fmt::Display> Field<T> {
    fn new(member: &Member<'_>, row: &'static Row, value: T) -> Self {
        let meta = member.ingress.meta.origin();
        let found = member.annotations().find(row);
        Self {
            is_explicit: found.is_some(),
            value: At::new(value, found.map_or(meta, |found| found.origin())),
            row,
        }
    }

    fn merge(&mut self, other: Self, port: u16) -> Result<(), Refusal> {
        if self.is_explicit && other.is_explicit {
            if *self.value == *other.value {
                return Ok(());
            }
            let message = format!(
                "port {port} of the Network Load Balancer: the members of the group set different values for {}: {} \
                 and {}",
                self.row, *self.value, *other.value
            );
            let error = elbow_model::diagnostic::Diagnostic::error("conflict", message);
            let error = error.hint("set it on one member, or to the same value on each");
            return Err(Box::new(other.value.origin.place(error)));
        }
        if other.is_explicit {
            *self = other;
        }
        Ok(())
    }
}

/// The health checks that members set together.
pub(super) struct HealthChecks {
    port: Field<Value>,
    protocol: Field<String>,
    path: Field<String>,
    codes: Field<String>,
    interval: Field<i32>,
    timeout: Field<i32>,
    healthy: Field<i32>,
    unhealthy: Field<i32>,
}

impl HealthChecks {
    /// What a member sets. Errors go to `refused`.
    pub(super) fn of(member: &Member<'_>, refused: &Refusals<Refusal>) -> Self {
        let annotations = member.annotations();
        let text = |row: &'static Row, default: &str| {
            let text = annotations.text(row).unwrap_or(default).to_owned();
            Field::new(member, row, text)
        };
        let number = |row: &'static Row, default| {
            let number = refused.or_default(annotations.int32(row));
            Field::new(member, row, number.unwrap_or(default))
        };
        let protocol = text(keys::FRONTEND_NLB_HEALTHCHECK_PROTOCOL, "HTTP");
        if !matches!(protocol.value.as_str(), "HTTP" | "HTTPS") {
            let message = format!(
                "{}: expected HTTP or HTTPS, found \"{}\"",
                protocol.row, *protocol.value
            );
            let error = elbow_model::diagnostic::Diagnostic::error("unknown-value", message);
            refused.add(Box::new(protocol.value.origin.place(error)));
        }
        let port = refused.or(TRAFFIC_PORT.into(), check_port(member));
        Self {
            port: Field::new(member, keys::FRONTEND_NLB_HEALTHCHECK_PORT, port),
            protocol,
            path: text(keys::FRONTEND_NLB_HEALTHCHECK_PATH, "/"),
            codes: text(keys::FRONTEND_NLB_HEALTHCHECK_SUCCESS_CODES, "200"),
            interval: number(keys::FRONTEND_NLB_HEALTHCHECK_INTERVAL_SECONDS, 15),
            timeout: number(keys::FRONTEND_NLB_HEALTHCHECK_TIMEOUT_SECONDS, 5),
            healthy: number(keys::FRONTEND_NLB_HEALTHCHECK_HEALTHY_THRESHOLD_COUNT, 2),
            unhealthy: number(keys::FRONTEND_NLB_HEALTHCHECK_UNHEALTHY_THRESHOLD_COUNT, 2),
        }
    }

    /// Adds what another member sets for the same port.
    pub(super) fn merge(&mut self, other: Self, port: u16) -> Result<(), Refusal> {
        self.interval.merge(other.interval, port)?;
        self.timeout.merge(other.timeout, port)?;
        self.healthy.merge(other.healthy, port)?;
        self.unhealthy.merge(other.unhealthy, port)?;
        self.protocol.merge(other.protocol, port)?;
        self.path.merge(other.path, port)?;
        self.codes.merge(other.codes, port)?;
        self.port.merge(other.port, port)
    }

    pub(super) fn into_config(self) -> HealthCheck {
        HealthCheck {
            healthy_threshold_count: Some(self.healthy.value),
            interval_seconds: Some(self.interval.value),
            matcher: Some(self.codes.value.map(Matcher::HttpCode)),
            path: Some(self.path.value),
            port: self.port.value,
            protocol: self.protocol.value,
            timeout_seconds: Some(self.timeout.value),
            unhealthy_threshold_count: Some(self.unhealthy.value),
        }
    }
}

/// The value of a port that stands for that of the listener.
const TRAFFIC_PORT: &str = "traffic-port";

fn check_port(member: &Member<'_>) -> Result<Value, Refusal> {
    let row = keys::FRONTEND_NLB_HEALTHCHECK_PORT;
    match member.annotations().find(row) {
        None => Ok(TRAFFIC_PORT.into()),
        Some(found) if found.value == TRAFFIC_PORT => Ok(TRAFFIC_PORT.into()),
        Some(found) => {
            let number: i32 = found.value.parse().map_err(|_| {
                let message = format!(
                    "{row}: expected a port number or {TRAFFIC_PORT}, found \"{}\"",
                    found.value
                );
                found.refuse("invalid-annotation", message)
            })?;
            Ok(number.into())
        }
    }
}

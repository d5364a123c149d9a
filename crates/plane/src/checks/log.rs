//! The health check logs of ALBs.

use std::net::SocketAddr;

use elbow_health::{Checkup, Outcome};
use elbow_model::{HealthCheck, HealthCheckProtocol, ProtocolVersion};
use elbow_telemetry::HealthRecord;

use super::Checked;

/// Logs a check of `targets` for the load balancers that have a health check log.
pub(super) fn write(
    targets: &[Checked],
    check: &HealthCheck,
    target: SocketAddr,
    checkup: &Checkup,
) {
    let Some((status_code, failure)) = result(check.version, &checkup.outcome) else {
        return;
    };
    for checked in targets {
        let group = &checked.group.config.name;
        let record = HealthRecord {
            kind: kind(check),
            time: checkup.time,
            latency: checkup.latency,
            target,
            target_group: group,
            status_code,
            failure,
        };
        let shared = &checked.shared;
        let snapshot = shared.snapshot.load();
        let users = snapshot.groups.get(group).map(|state| &state.users);
        let balancers = users.into_iter().flatten();
        for balancer in balancers.filter_map(|name| snapshot.balancers.get(name)) {
            let account = &shared.options.dns.account;
            let log = (shared.logs).health_checks(&balancer.config, &balancer.addresses, account);
            if let Some(log) = log {
                log.send(record.line(), 1);
            }
        }
    }
}

fn kind(check: &HealthCheck) -> &'static str {
    match (check.version, check.protocol) {
        (ProtocolVersion::Grpc, _) => "grpc",
        (ProtocolVersion::Http2, _) => "h2",
        (ProtocolVersion::Http1, HealthCheckProtocol::Https | HealthCheckProtocol::Ssl) => "https",
        (ProtocolVersion::Http1, _) => "http",
    }
}

/// The status code, and why the check failed in the words of the ALB guide; `None` if there was none.
fn result(
    version: ProtocolVersion,
    outcome: &Outcome,
) -> Option<(Option<u16>, Option<&'static str>)> {
    Some(match outcome {
        Outcome::Pass { code } => (*code, None),
        Outcome::Mismatch(code) if version == ProtocolVersion::Grpc => {
            (Some(*code), Some("GRPCUnexpectedStatus"))
        }
        Outcome::Mismatch(code @ 500..) => (Some(*code), Some("TargetError")),
        Outcome::Mismatch(code) => (Some(*code), Some("ResponseCodeMismatch")),
        Outcome::Timeout => (None, Some("TimedOut")),
        Outcome::Failed(_) => (None, Some("ConnectionReset")),
        Outcome::Skipped(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // ALB guide, health check logs: the reason codes.
    #[test]
    fn outcomes_have_the_reasons_of_the_guide() {
        let http = |outcome| result(ProtocolVersion::Http1, &outcome).unwrap();
        assert_eq!(http(Outcome::Pass { code: Some(200) }), (Some(200), None));
        assert_eq!(
            http(Outcome::Mismatch(404)),
            (Some(404), Some("ResponseCodeMismatch"))
        );
        assert_eq!(
            http(Outcome::Mismatch(502)),
            (Some(502), Some("TargetError"))
        );
        assert_eq!(http(Outcome::Timeout), (None, Some("TimedOut")));
        assert_eq!(
            http(Outcome::Failed(String::new())),
            (None, Some("ConnectionReset"))
        );
        let grpc = result(ProtocolVersion::Grpc, &Outcome::Mismatch(14)).unwrap();
        assert_eq!(grpc, (Some(14), Some("GRPCUnexpectedStatus")));
    }
}

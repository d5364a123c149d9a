//! What a target group without a healthy target should change, told once.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use elbow_balance::Group;
use elbow_health::Outcome;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::personality::HealthUnit;
use elbow_model::{HealthCheck, HealthCheckProtocol, Protocol, ProtocolVersion, TargetState};
use rustc_hash::FxHashSet;
use tracing::warn;

/// The target groups that were told about; they are forgotten when a target is healthy.
#[derive(Clone, Default)]
pub(super) struct Told(Rc<RefCell<FxHashSet<Arc<str>>>>);

impl Told {
    /// Warns if the group has no healthy target and was not told about yet.
    pub(super) fn follow(
        &self,
        group: &Group,
        check: &HealthCheck,
        address: SocketAddr,
        outcome: &Outcome,
    ) {
        let mut states = group.targets.iter().map(|target| target.state());
        let mut told = self.0.borrow_mut();
        let name = &group.config.name;
        if states.any(|state| state == TargetState::Healthy) {
            told.remove(name);
        } else if told.insert(Arc::clone(name))
            && let Some(found) = diagnose(group, check, address, outcome)
        {
            warn!("{found}");
        }
    }
}

/// What the target answered and which setting to change.
fn diagnose(
    group: &Group,
    check: &HealthCheck,
    address: SocketAddr,
    outcome: &Outcome,
) -> Option<Diagnostic> {
    let is_http = matches!(
        check.protocol,
        HealthCheckProtocol::Http | HealthCheckProtocol::Https
    );
    let is_classic = group.personality.health_unit == HealthUnit::Instance;
    let asked = match check.protocol {
        HealthCheckProtocol::Tcp => format!("tcp://{address}"),
        HealthCheckProtocol::Ssl => format!("tls://{address}"),
        HealthCheckProtocol::Http => format!("http://{address}{}", check.path),
        HealthCheckProtocol::Https => format!("https://{address}{}", check.path),
    };
    let (answer, hint) = match outcome {
        Outcome::Pass { .. } | Outcome::Skipped(_) => return None,
        Outcome::Mismatch(code) => {
            let advice = if is_classic {
                "only 200 passes: use a path that answers 200"
            } else {
                "use a path that answers so, or add the code to the success codes"
            };
            let what = if check.version == ProtocolVersion::Grpc {
                "gRPC code"
            } else {
                "status"
            };
            let expected = format!("{what} {code}, expected {}", check.matcher);
            (
                expected,
                format!("{advice} ({})", Settings::of(group).codes),
            )
        }
        Outcome::Timeout => (
            "no answer in time".to_owned(),
            format!(
                "check that the target listens on port {} and answers within {} s ({})",
                address.port(),
                check.timeout.as_secs(),
                Settings::of(group).port
            ),
        ),
        Outcome::Failed(why) => {
            let speaks_tls = is_http && check.protocol == HealthCheckProtocol::Https;
            let advice = if why.starts_with("connection refused") {
                format!("nothing listens on port {}", address.port())
            } else if speaks_tls {
                "the target may speak plain HTTP".to_owned()
            } else if is_http {
                "the target may speak TLS".to_owned()
            } else {
                "look at the target's log".to_owned()
            };
            (
                why.clone(),
                format!("{advice} ({})", Settings::of(group).port),
            )
        }
    };
    let message = format!(
        "target group {} has no healthy target: {asked}: {answer}",
        group.config.name
    );
    Some(Diagnostic::warning("unhealthy-targets", message).hint(hint))
}

/// The names of the settings, of manifests.
struct Settings {
    codes: &'static str,
    port: &'static str,
}

impl Settings {
    fn of(group: &Group) -> Self {
        match group.config.protocol {
            Protocol::Http | Protocol::Https => Self {
                codes: "healthcheck-path and success-codes; in a native file healthCheckConfig.path and .matcher",
                port: "healthcheck-port, healthcheck-protocol and backend-protocol; in a native file healthCheckConfig.port and .protocol",
            },
            _ => Self {
                codes: "aws-load-balancer-healthcheck-path and -success-codes; in a native file healthCheckConfig.path and .matcher",
                port: "aws-load-balancer-healthcheck-port and -protocol; in a native file healthCheckConfig.port and .protocol",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use elbow_model::{HealthCheckSpec, Model};

    use super::*;

    /// A group of this protocol without targets.
    fn group(protocol: &str) -> Group {
        let text = format!(
            "targetGroups: [{{name: web, protocol: {protocol}, port: 8080}}]\nloadBalancers: []\n"
        );
        let (model, found) = elbow_native::parse(&text, "a.yaml");
        let model: Model = model.unwrap_or_else(|| panic!("{found:?}"));
        let config = Arc::clone(&model.target_groups[0]);
        Group::new(config, Vec::new(), 1)
    }

    fn told(protocol: &str, outcome: &Outcome) -> (String, String) {
        let spec = HealthCheckSpec {
            path: Some("/up".into()).filter(|_| protocol == "HTTP"),
            ..HealthCheckSpec::default()
        };
        let group = group(protocol);
        let check = HealthCheck::new(&spec, group.config.protocol)
            .value
            .unwrap();
        let address = "10.0.0.7:8080".parse().unwrap();
        let found = diagnose(&group, &check, address, outcome).unwrap();
        (found.message, found.hint.unwrap())
    }

    #[test]
    fn the_answer_and_the_setting_are_named() {
        let (message, hint) = told("HTTP", &Outcome::Mismatch(404));
        assert_eq!(
            message,
            "target group web has no healthy target: http://10.0.0.7:8080/up: status 404, expected 200"
        );
        assert!(hint.contains("success-codes"), "{hint}");
        let refused = Outcome::Failed("connection refused: x".into());
        let (message, hint) = told("TCP", &refused);
        assert!(
            message.ends_with("tcp://10.0.0.7:8080: connection refused: x"),
            "{message}"
        );
        assert!(
            hint.starts_with("nothing listens on port 8080 (aws-load-balancer-"),
            "{hint}"
        );
        let (_, hint) = told("HTTP", &Outcome::Failed("no valid HTTP response: x".into()));
        assert!(hint.starts_with("the target may speak TLS"), "{hint}");
        let (message, _) = told("HTTP", &Outcome::Timeout);
        assert!(message.ends_with("/up: no answer in time"), "{message}");
    }
}

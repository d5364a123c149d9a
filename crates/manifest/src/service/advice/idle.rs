//! Annotations of a Service that have no effect beside others of it.

use elbow_model::diagnostic::Diagnostic;

use super::super::ownership::Owner;
use super::super::read::{PREFIX, Reader};
use crate::advice::idle;
use crate::annotations::parse_bool;
use crate::objects::Service;
use crate::stack::Stack;

const NO_CERTIFICATE: &str = "without aws-load-balancer-ssl-cert no listener speaks TLS";

/// Those that the rules of sections 3 and 4 pass over.
pub(super) fn report(service: &Service, owner: Owner) -> Vec<Diagnostic> {
    if owner == Owner::Nobody {
        return Vec::new();
    }
    let read = Reader::new(&service.meta.annotations);
    let text = |name: &str| read.text(&format!("aws-load-balancer-{name}"));
    let on = |name: &str| text(name).and_then(parse_bool) == Some(true);
    let mut found = Vec::new();
    let mut idle_when = |is: bool, names: &[&str], why: &str| {
        for name in names.iter().filter(|_| is) {
            let key = format!("{PREFIX}{name}");
            if service.meta.annotations.contains_key(&key) {
                found.push(idle(&service.meta, &key, why));
            }
        }
    };
    idle_when(
        text("ssl-cert").is_none_or(str::is_empty),
        &[
            "aws-load-balancer-ssl-ports",
            "aws-load-balancer-ssl-negotiation-policy",
        ],
        NO_CERTIFICATE,
    );
    idle_when(
        !on("access-log-enabled"),
        &[
            "aws-load-balancer-access-log-emit-interval",
            "aws-load-balancer-access-log-s3-bucket-name",
            "aws-load-balancer-access-log-s3-bucket-prefix",
        ],
        "aws-load-balancer-access-log-enabled is not true",
    );
    idle_when(
        !service.load_balancer_source_ranges.is_empty(),
        &["load-balancer-source-ranges"],
        "spec.loadBalancerSourceRanges goes before it",
    );
    match owner {
        Owner::Classic => idle_when(
            !on("connection-draining-enabled"),
            &["aws-load-balancer-connection-draining-timeout"],
            "aws-load-balancer-connection-draining-enabled is not true",
        ),
        Owner::Lbc => controller(&text, on("disable-nlb-sg"), &mut idle_when),
        Owner::ProviderNlb | Owner::Nobody => {}
    }
    found
}

/// What the AWS Load Balancer Controller alone reads.
fn controller<'a>(
    text: &impl Fn(&str) -> Option<&'a str>,
    no_security_groups: bool,
    idle_when: &mut impl FnMut(bool, &[&str], &str),
) {
    let named = text("security-groups").is_some_and(|list| !list.is_empty());
    idle_when(
        text("scheme").is_some(),
        &["aws-load-balancer-internal"],
        "aws-load-balancer-scheme goes before it",
    );
    idle_when(
        text("proxy-protocol").is_some(),
        &["aws-load-balancer-proxy-protocol-per-target-group"],
        "aws-load-balancer-proxy-protocol switches it on for all",
    );
    idle_when(
        named,
        &[
            "load-balancer-source-ranges",
            "aws-load-balancer-security-group-prefix-lists",
        ],
        "only a security group that the controller makes has rules, and others are named",
    );
    idle_when(
        !named,
        &["aws-load-balancer-manage-backend-security-group-rules"],
        "it goes with aws-load-balancer-security-groups",
    );
    idle_when(
        no_security_groups,
        &["aws-load-balancer-security-groups"],
        "aws-load-balancer-disable-nlb-sg is true",
    );
    idle_when(
        text("ssl-cert").is_none_or(str::is_empty),
        &["aws-load-balancer-alpn-policy"],
        NO_CERTIFICATE,
    );
    let pods = text("nlb-target-type") == Some("ip") || text("type") == Some("nlb-ip");
    idle_when(
        pods,
        &["aws-load-balancer-target-node-labels"],
        "targets are pods, not nodes",
    );
    idle_when(
        matches!(text("backend-protocol"), Some("http" | "https")),
        &["aws-load-balancer-backend-protocol"],
        "of a Network Load Balancer only ssl changes anything, and the rest is TCP",
    );
}

/// Annotations for listeners and ports that the load balancer has not.
pub(super) fn of_ports(service: &Service, stack: &Stack) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for key in service.meta.annotations.keys() {
        let Some(name) = key.strip_prefix(PREFIX) else {
            continue;
        };
        let listener = name
            .strip_prefix("aws-load-balancer-listener-attributes.")
            .or_else(|| name.strip_prefix("actions."));
        if let Some(listener) = listener {
            found.extend(crate::advice::missing_listener(
                &service.meta,
                key,
                listener,
                stack,
            ));
        }
        let port = name.strip_prefix("aws-load-balancer-target-group-attributes.");
        let is_of = |port: &str| {
            let mut ports = service.ports.iter();
            ports.any(|known| known.port.to_string() == port || known.name == port)
        };
        if port.is_some_and(|port| !is_of(port)) {
            found.push(idle(&service.meta, key, "the Service has no such port"));
        }
    }
    found
}

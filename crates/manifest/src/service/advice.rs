//! What is taken but will not do what its author thinks: warnings and notes.

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::suggest::did_you_mean;
use elbow_model::yaml::Position;

use crate::classic::SslPorts;
use crate::context::Context;
use crate::objects::{Meta, Service, ServiceType};

use super::ownership::Owner;
use super::read::{PREFIX, Reader};

/// What the annotations that a load balancer is made of start with.
const BALANCER: &str = "aws-load-balancer-";

/// Annotations of either controller that are one word each, without [`BALANCER`].
const KNOWN: &[&str] = &[
    "access-log-emit-interval",
    "access-log-enabled",
    "access-log-s3-bucket-name",
    "access-log-s3-bucket-prefix",
    "additional-resource-tags",
    "alpn-policy",
    "attributes",
    "backend-protocol",
    "connection-draining-enabled",
    "connection-draining-timeout",
    "connection-idle-timeout",
    "cross-zone-load-balancing-enabled",
    "disable-nlb-sg",
    "eip-allocations",
    "enable-icmp-for-path-mtu-discovery",
    "enable-prefix-for-ipv6-source-nat",
    "enable-tcp-udp-listener",
    "extra-security-groups",
    "healthcheck-healthy-threshold",
    "healthcheck-interval",
    "healthcheck-path",
    "healthcheck-port",
    "healthcheck-protocol",
    "healthcheck-success-codes",
    "healthcheck-timeout",
    "healthcheck-unhealthy-threshold",
    "inbound-sg-rules-on-private-link-traffic",
    "internal",
    "ip-address-type",
    "ipv6-addresses",
    "manage-backend-security-group-rules",
    "minimum-load-balancer-capacity",
    "multi-cluster-target-group",
    "name",
    "nlb-target-type",
    "private-ipv4-addresses",
    "proxy-protocol",
    "proxy-protocol-per-target-group",
    "quic-enabled-ports",
    "scheme",
    "security-group-prefix-lists",
    "security-groups",
    "source-nat-ipv6-prefixes",
    "ssl-cert",
    "ssl-negotiation-policy",
    "ssl-ports",
    "subnets",
    "target-group-attributes",
    "target-node-labels",
    "type",
];

/// Of those, the ones that are followed by a dot and a port.
const PER_PORT: &[&str] = &["target-group-attributes", "listener-attributes"];

/// Of those, the ones that the AWS Load Balancer Controller does not read.
const PROVIDER_ONLY: &[&str] = &[
    "access-log-emit-interval",
    "connection-draining-enabled",
    "connection-draining-timeout",
    "connection-idle-timeout",
    "extra-security-groups",
];

/// Everything worth saying about a Service that is not refused.
pub(super) fn advise(service: &Service, owner: Owner, context: &Context) -> Vec<Diagnostic> {
    let mut found = annotations(&service.meta, owner);
    match owner {
        Owner::Classic => found.extend(plain_beside_secure(service)),
        Owner::Nobody if service.kind == ServiceType::LoadBalancer => {
            found.push(nobody(service, context));
        }
        _ => {}
    }
    found
}

/// Annotations that nobody reads.
fn annotations(meta: &Meta, owner: Owner) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (key, annotation) in &meta.annotations {
        let name = key
            .strip_prefix(PREFIX)
            .and_then(|key| key.strip_prefix(BALANCER));
        let Some(name) = name else { continue };
        let per_port = name
            .split_once('.')
            .is_some_and(|(name, _)| PER_PORT.contains(&name));
        if !per_port && !KNOWN.contains(&name) {
            let message = format!("no controller reads the annotation {key}");
            let mut warning = at(meta, key, annotation.key_at, "unknown-annotation", message);
            let whole: Vec<String> = KNOWN
                .iter()
                .map(|name| format!("{PREFIX}{BALANCER}{name}"))
                .collect();
            warning.hint = did_you_mean(key, whole.iter().map(String::as_str));
            found.push(warning);
        } else if owner == Owner::Lbc && PROVIDER_ONLY.contains(&name) {
            let message = format!("the AWS Load Balancer Controller does not read {key}");
            found.push(at(
                meta,
                key,
                annotation.key_at,
                "ignored-annotation",
                message,
            ));
        }
    }
    found
}

/// Section 1, S4: `backend-protocol: http` makes plain HTTP of the ports that the certificate leaves out.
fn plain_beside_secure(service: &Service) -> Option<Diagnostic> {
    let read = Reader::new(&service.meta.annotations);
    let key = "aws-load-balancer-backend-protocol";
    if read.text(key) != Some("http") || read.text("aws-load-balancer-ssl-cert").is_none() {
        return None;
    }
    let ssl_ports = SslPorts::parse(read.text("aws-load-balancer-ssl-ports"));
    let left_out = service
        .ports
        .iter()
        .filter(|port| !ssl_ports.covers(port.port, &port.name));
    let left_out: Vec<String> = left_out.map(|port| port.port.to_string()).collect();
    if left_out.is_empty() {
        return None;
    }
    let message = format!(
        "port {} is not among the ssl-ports and becomes plain HTTP; a backend that speaks TLS there breaks",
        left_out.join(", ")
    );
    let key = format!("{PREFIX}{key}");
    let at_key = service
        .meta
        .annotations
        .get(&key)
        .map_or(service.meta.place.at, |one| one.at);
    Some(at(&service.meta, &key, at_key, "plain-listener", message))
}

/// A Service that waits for a load balancer for ever.
fn nobody(service: &Service, context: &Context) -> Diagnostic {
    let meta = &service.meta;
    let message = "no controller makes a load balancer for this Service".to_owned();
    let note = Diagnostic::new(Severity::Warning, "unowned-service", message);
    let hint = match &service.load_balancer_class {
        Some(class) => {
            let own = &context.defaults.load_balancer_class;
            format!("its loadBalancerClass is {class}; the controller answers to {own}")
        }
        None => "type external needs aws-load-balancer-nlb-target-type: instance or ip, and \
                 personality lbc or lbc-default"
            .to_owned(),
    };
    meta.found(note.field("spec.type")).hint(hint)
}

fn at(meta: &Meta, key: &str, place: Position, code: &'static str, message: String) -> Diagnostic {
    meta.found(Diagnostic::warning(code, message).field(format!("metadata.annotations.{key}")))
        .at(&*meta.place.file, place.line, place.column)
}

//! What is taken but will not do what its author thinks: warnings and notes.

mod idle;
mod known;

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::yaml::Position;

use crate::classic::SslPorts;
use crate::context::Context;
use crate::ingress::on_a_service;
use crate::objects::{Meta, Service, ServiceType};
use crate::scope::Scope;
use crate::stack::Stack;

use super::ownership::Owner;
use super::read::{PREFIX, Reader};

/// Everything worth saying about a Service that is not refused; `stack` is what it became.
pub(super) fn advise(
    service: &Service,
    owner: Owner,
    stack: Option<&Stack>,
    scope: Scope<'_>,
    context: &Context,
) -> Vec<Diagnostic> {
    let mut found = known::report(&service.meta, owner);
    found.extend(idle::report(service, owner));
    found.extend(on_a_service(service, scope));
    match owner {
        Owner::Classic => found.extend(plain_beside_secure(service)),
        Owner::Nobody => found.extend(match service.kind {
            ServiceType::LoadBalancer => Some(nobody(service, context)),
            ServiceType::ClusterIp => known::in_vain(&service.meta, "ClusterIP"),
            ServiceType::NodePort => known::in_vain(&service.meta, "NodePort"),
            ServiceType::ExternalName => known::in_vain(&service.meta, "ExternalName"),
        }),
        Owner::Lbc | Owner::ProviderNlb => {
            found.extend(
                stack
                    .map(|stack| idle::of_ports(service, stack))
                    .into_iter()
                    .flatten(),
            );
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

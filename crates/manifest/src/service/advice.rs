//! Warnings and notes about Services that are accepted.

mod idle;
mod known;

use elbow_model::diagnostic::{Diagnostic, Severity};

use crate::annotations::service as keys;
use crate::classic::SslPorts;
use crate::context::Context;
use crate::ingress::on_a_service;
use crate::objects::{Service, ServiceType};
use crate::scope::Scope;
use crate::stack::Stack;

use super::ownership::Owner;
use crate::lookup::service::Reader;

/// The warnings and notes about a Service; `stack` is its stack, unless it was refused.
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

/// control-plane.md 1, S4: with `backend-protocol: http`, ports outside `ssl-ports` become plain HTTP.
fn plain_beside_secure(service: &Service) -> Option<Diagnostic> {
    let read = Reader::new(&service.meta);
    let key = keys::BACKEND_PROTOCOL;
    if read.text(key) != Some("http") || read.text(keys::SSL_CERT).is_none() {
        return None;
    }
    let ssl_ports = SslPorts::parse(read.text(keys::SSL_PORTS));
    let left_out = service
        .ports
        .iter()
        .filter(|port| !ssl_ports.covers(port.port, &port.name));
    let left_out: Vec<String> = left_out.map(|port| port.port.to_string()).collect();
    if left_out.is_empty() {
        return None;
    }
    let message = format!(
        "port {} is not in ssl-ports and becomes plain HTTP, which breaks a backend that expects TLS",
        left_out.join(", ")
    );
    let found = Diagnostic::warning("plain-listener", message);
    Some(read.origin_of(key).place(found))
}

/// The warning about a Service that no controller serves.
fn nobody(service: &Service, context: &Context) -> Diagnostic {
    let meta = &service.meta;
    let message = "no controller makes a load balancer for this Service".to_owned();
    let note = Diagnostic::new(Severity::Warning, "unowned-service", message);
    let hint = match &service.load_balancer_class {
        Some(class) => {
            let own = context.defaults.ownership.load_balancer_class();
            format!("its loadBalancerClass is {class}; the controller serves {own}")
        }
        None => "type external needs aws-load-balancer-nlb-target-type: instance or ip, and \
                 personality lbc or lbc-default"
            .to_owned(),
    };
    meta.found(note.field("spec.type")).hint(hint)
}

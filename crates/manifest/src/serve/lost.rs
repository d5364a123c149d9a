//! Why a Service has fewer targets than expected.

use elbow_model::Origin;
use elbow_model::diagnostic::{Diagnostic, Severity};

use crate::objects::Service;

/// A reason for missing targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// No endpoints say where the pods are.
    NoEndpoints,
    /// There are nodes, but no cluster gave the Service a node port, and there are no endpoints.
    NotCreated,
    /// No endpoint is ready.
    NoneReady,
    /// The endpoints have ports with other names.
    OtherPorts(Vec<String>),
    /// No node may take traffic.
    NoNode,
    /// The only nodes carry the label that keeps load balancers away.
    ExcludedNodes(Vec<String>),
    /// An endpoint that is not of a Pod.
    NotAPod(Origin, String),
}

/// The label that keeps a node out of load balancers; control planes carry it.
pub(super) const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Notes and warnings about the targets of a Service.
pub(super) fn notes(lost: &[Lost], stand_in: bool, service: &Service) -> Vec<Diagnostic> {
    let name = service.meta.key();
    let at = service.meta.origin();
    let mut notes: Vec<Diagnostic> = lost.iter().map(|lost| note(lost, &name, &at)).collect();
    if stand_in {
        let message = format!(
            "the endpoints of Service {name} stand in for nodes with node ports, which are not among the objects"
        );
        let note = Diagnostic::new(Severity::Note, "endpoints-stand-in", message);
        notes.push(service.meta.found(note));
    }
    notes
}

fn note(lost: &Lost, service: &str, at: &Origin) -> Diagnostic {
    let warning = |code, message: String| at.place(Diagnostic::warning(code, message));
    match lost {
        Lost::NoEndpoints => {
            let message = format!("no endpoints of Service {service} are known; it has no targets");
            warning("no-endpoints", message).hint(
                "add an EndpointSlice with the label kubernetes.io/service-name, or apply the dump of a cluster",
            )
        }
        Lost::NoneReady => warning(
            "no-endpoints",
            format!("no endpoint of Service {service} is ready"),
        ),
        Lost::NotCreated => {
            let message = format!(
                "Service {service} has no node ports from a cluster and no endpoints; it has no targets until it is created"
            );
            warning("no-node-ports", message).hint("apply the Service, or give its nodePort")
        }
        Lost::OtherPorts(names) => {
            let message = format!("the endpoints of Service {service} have none of its ports");
            let hint = format!("the endpoints' ports are called: {}", names.join(", "));
            warning("no-endpoints", message).hint(hint)
        }
        Lost::NoNode => {
            let message =
                format!("no node may take traffic for Service {service}: none is ready and chosen");
            warning("no-nodes", message)
        }
        Lost::ExcludedNodes(nodes) => {
            let message = format!(
                "Service {service} has no targets: the only nodes ({}) carry {EXCLUDE} or another label \
                 that keeps load balancers away",
                nodes.join(", ")
            );
            let hint = format!(
                "kubectl label node {} {EXCLUDE}-, or set ignoreExcludedNodes: true in the environment",
                nodes.first().map_or("NODE", |name| name)
            );
            warning("excluded-nodes", message).hint(hint)
        }
        Lost::NotAPod(origin, kind) => {
            let message = format!("an endpoint of a {kind} is no target, only one of a Pod is");
            origin.place(Diagnostic::new(Severity::Note, "foreign-endpoint", message))
        }
    }
}

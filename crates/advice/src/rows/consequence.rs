//! What follows from objects that are valid.

use super::{NOTE, WARNING};
use crate::{Advice, Example};

/// In the order of the documentation.
pub(super) const ROWS: &[Advice] = &[
    Advice {
        code: "hidden-rule",
        severities: WARNING,
        cause: "An earlier rule of each listener takes every request that this rule would match.",
        consequence: "The rule never fires. If it denies something, it denies nothing.",
        remedy: "Put it first. Within one entry of `spec.rules` the controller puts Exact paths first, then Prefix from long to short, \
                 then ImplementationSpecific; entries keep their order, and IngressGroups follow `group.order`.",
        page: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html#listener-rule-priority",
        example: Example::File,
    },
    Advice {
        code: "open-access",
        severities: WARNING,
        cause: "An annotation of another controller restricts access, such as an allow-list of ingress-nginx or an internal load balancer \
                of another cloud.",
        consequence: "No load balancer of AWS reads it: those get in whom it would keep out.",
        remedy: "Write the annotation of the hint, and remove this one.",
        page: "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#access-control",
        example: Example::File,
    },
    Advice {
        code: "failing-health-check",
        severities: WARNING,
        cause: "The health check speaks another protocol than its port, or goes to a port that is not open.",
        consequence: "Every target is unhealthy. A load balancer without healthy targets sends requests to all of them, and a deployment \
                      that waits for healthy targets stops.",
        remedy: "Check the traffic port with the protocol of the targets.",
        page: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
        example: Example::File,
    },
    Advice {
        code: "unhealthy-targets",
        severities: WARNING,
        cause: "No target of a group passes its health checks; the message has the answer of one.",
        consequence: "An Application or Network Load Balancer sends requests to all targets, healthy or not. A Classic Load Balancer \
                      answers 503.",
        remedy: "Change the setting of the hint, or let the target answer.",
        page: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html",
        example: Example::None(
            "needs running targets: `elbow run` and `demo` log it once for each target group",
        ),
    },
    Advice {
        code: "grpc-over-http",
        severities: WARNING,
        cause: "A listener of HTTP forwards to a target group of gRPC or HTTP/2.",
        consequence: "AWS refuses the listener or the rule, and so does elbow: gRPC and HTTP/2 need a listener of HTTPS.",
        remedy: "Listen with HTTPS, and redirect HTTP with `ssl-redirect`.",
        page: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html#target-group-protocol-version",
        example: Example::File,
    },
    Advice {
        code: "private-subnets",
        severities: WARNING,
        cause: "An internet-facing load balancer stands in private subnets.",
        consequence: "Clients of the internet do not reach it there: private subnets have no route from an internet gateway.",
        remedy: "Name public subnets. Targets may stay in private ones.",
        page: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#subnets-load-balancer",
        example: Example::File,
    },
    Advice {
        code: "target-outside-zones",
        severities: WARNING,
        cause: "Targets are in a zone where their load balancer has no subnet.",
        consequence: "On AWS these targets are unused and get no traffic. elbow sends them their share.",
        remedy: "Name a subnet of each zone that has targets.",
        page: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-register-targets.html",
        example: Example::File,
    },
    Advice {
        code: "hairpin",
        severities: NOTE,
        cause: "The targets of a Network Load Balancer see the addresses of their clients, and some clients are beside them.",
        consequence: "A client that is sent to itself, or to a target in its own network, times out.",
        remedy: "Use the ClusterIP of the Service inside the cluster, or turn `preserve_client_ip.enabled` off.",
        page: "https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-troubleshooting.html",
        example: Example::File,
    },
];

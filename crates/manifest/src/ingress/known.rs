//! The annotations that are known, to find those that are misspelt.

use elbow_model::diagnostic::Diagnostic;
use elbow_model::suggest::did_you_mean;

use super::PREFIX;
use crate::objects::Meta;

const KNOWN: &[&str] = &[
    "acm-pca-arn",
    "auth-idp-cognito",
    "auth-idp-oidc",
    "auth-on-unauthenticated-request",
    "auth-scope",
    "auth-session-cookie",
    "auth-session-timeout",
    "auth-type",
    "backend-protocol",
    "backend-protocol-version",
    "certificate-arn",
    "create-acm-cert",
    "customer-owned-ipv4-pool",
    "dry-run-plan",
    "enable-frontend-nlb",
    "frontend-nlb-attributes",
    "frontend-nlb-eip-allocations",
    "frontend-nlb-healthcheck-healthy-threshold-count",
    "frontend-nlb-healthcheck-interval-seconds",
    "frontend-nlb-healthcheck-path",
    "frontend-nlb-healthcheck-port",
    "frontend-nlb-healthcheck-protocol",
    "frontend-nlb-healthcheck-success-codes",
    "frontend-nlb-healthcheck-timeout-seconds",
    "frontend-nlb-healthcheck-unhealthy-threshold-count",
    "frontend-nlb-listener-port-mapping",
    "frontend-nlb-scheme",
    "frontend-nlb-security-groups",
    "frontend-nlb-subnets",
    "frontend-nlb-tags",
    "group.name",
    "group.order",
    "healthcheck-interval-seconds",
    "healthcheck-path",
    "healthcheck-port",
    "healthcheck-protocol",
    "healthcheck-timeout-seconds",
    "healthy-threshold-count",
    "inbound-cidrs",
    "ip-address-type",
    "ipam-ipv4-pool-id",
    "jwt-validation",
    "listen-ports",
    "load-balancer-attributes",
    "load-balancer-name",
    "manage-backend-security-group-rules",
    "minimum-load-balancer-capacity",
    "multi-cluster-target-group",
    "mutual-authentication",
    "scheme",
    "security-group-prefix-lists",
    "security-groups",
    "shield-advanced-protection",
    "ssl-policy",
    "ssl-redirect",
    "subnets",
    "success-codes",
    "tags",
    "target-group-attributes",
    "target-node-labels",
    "target-type",
    "unhealthy-threshold-count",
    "use-regex-path-match",
    "waf-acl-id",
    "wafv2-acl-arn",
    "wafv2-acl-name",
    "web-acl-id",
];

/// Annotations for things beside the load balancer that are not made.
const NOT_MADE: &[&str] = &[
    "acm-pca-arn",
    "create-acm-cert",
    "enable-frontend-nlb",
    "shield-advanced-protection",
    "waf-acl-id",
    "wafv2-acl-arn",
    "wafv2-acl-name",
    "web-acl-id",
];

/// What a name follows: the name of a Service, an action, a protocol and a port.
const KNOWN_STARTS: &[&str] = &[
    "actions.",
    "conditions.",
    "transforms.",
    "listener-attributes.",
    "target-control-port.",
];

/// Reports the annotations of ours that do not exist.
pub(super) fn report(meta: &Meta, found: &mut Vec<Diagnostic>) {
    for (key, annotation) in &meta.annotations {
        let Some(name) = key
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            continue;
        };
        if NOT_MADE.contains(&name) && annotation.value != "false" {
            let (code, message) = match name {
                "enable-frontend-nlb" => (
                    "not-supported",
                    format!(
                        "{key} is not supported: the network load balancer in front is not made"
                    ),
                ),
                _ => (
                    "no-effect",
                    format!("{key} is known, but what it asks for is not made"),
                ),
            };
            let mut no_effect = meta.found(Diagnostic::warning(code, message));
            no_effect.line = annotation.key_at.line;
            no_effect.column = annotation.key_at.column;
            no_effect.field = format!("metadata.annotations.{key}");
            found.push(no_effect);
        }
        if KNOWN.contains(&name) || KNOWN_STARTS.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        let message = format!("there is no annotation {key}; it does nothing");
        let mut unknown = meta.found(Diagnostic::warning("unknown-annotation", message));
        unknown.line = annotation.key_at.line;
        unknown.column = annotation.key_at.column;
        unknown.field = format!("metadata.annotations.{key}");
        unknown.hint = did_you_mean(name, KNOWN.iter().copied());
        found.push(unknown);
    }
}

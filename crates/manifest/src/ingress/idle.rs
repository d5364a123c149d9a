//! Annotations of an Ingress that have no effect beside others of it.

use std::collections::BTreeSet;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::suggest::did_you_mean;

use super::PREFIX;
use super::backend::HINTS;
use super::group::Member;
use super::known::backends;
use crate::advice::{idle, missing_listener};
use crate::objects::{Meta, PathType};
use crate::stack::Stack;

const NO_HTTPS: &str = "no listener of this Ingress speaks HTTPS";

/// What says how clients are known, beside `auth-type`, which says that they are.
const AUTHENTICATION: &[&str] = &[
    "auth-idp-cognito",
    "auth-idp-oidc",
    "auth-on-unauthenticated-request",
    "auth-scope",
    "auth-session-cookie",
    "auth-session-timeout",
];

/// Those that the rules of section 2 pass over; `authenticating`: a Service of the namespace asks clients who they are, and
/// its Ingress may say how. What other members of a group say is not held against one.
pub(super) fn report(member: &Member<'_>, authenticating: bool, found: &mut Vec<Diagnostic>) {
    let meta = &member.ingress.meta;
    let annotations = member.annotations();
    let has = |name: &str| annotations.text(name).is_some_and(|text| !text.is_empty());
    let alone = member.params.is_none() && !has("group.name");
    let mut idle_when = |is: bool, names: &[&str], why: &str| {
        for name in names.iter().filter(|_| is) {
            let key = format!("{PREFIX}/{name}");
            if meta.annotations.contains_key(&key) {
                found.push(idle(meta, &key, why));
            }
        }
    };
    idle_when(
        has("security-groups"),
        &["inbound-cidrs", "security-group-prefix-lists"],
        "only a security group that the controller makes has rules, and others are named",
    );
    idle_when(
        alone && !has("security-groups"),
        &["manage-backend-security-group-rules"],
        "it goes with security-groups",
    );
    idle_when(alone, &["group.order"], "the Ingress is in no group");
    idle_when(
        annotations.text("target-type") == Some("ip"),
        &["target-node-labels"],
        "targets are pods, not nodes",
    );
    idle_when(
        !asks(meta) && !authenticating,
        AUTHENTICATION,
        "auth-type is none",
    );
    idle_when(
        !speaks_https(member, alone),
        &[
            "ssl-policy",
            "mutual-authentication",
            "auth-type",
            "jwt-validation",
        ],
        NO_HTTPS,
    );
    idle_when(
        annotations
            .text("listen-ports")
            .is_some_and(|ports| !ports.contains("HTTPS")),
        &["certificate-arn"],
        NO_HTTPS,
    );
    idle_when(
        !has_patterns(member),
        &["use-regex-path-match"],
        "no path is of type ImplementationSpecific",
    );
    idle_when(
        true,
        &["dry-run-plan"],
        "the controller writes it and does not read it",
    );
    unused_backends(member, found);
}

/// Whether a Service or an Ingress asks clients who they are.
pub(crate) fn asks(meta: &Meta) -> bool {
    let kind = meta.annotations.get(&format!("{PREFIX}/auth-type"));
    kind.is_some_and(|kind| kind.value != "none")
}

/// Section 2.2, listen-ports: HTTPS where it is asked for, or where a certificate is named and nothing is
/// asked for. An IngressClassParams may ask for it too.
fn speaks_https(member: &Member<'_>, alone: bool) -> bool {
    let annotations = member.annotations();
    match annotations.text("listen-ports") {
        Some(ports) => ports.contains("HTTPS"),
        None => {
            !alone
                || annotations.text("certificate-arn").is_some()
                || annotations.text("create-acm-cert").is_some()
        }
    }
}

fn has_patterns(member: &Member<'_>) -> bool {
    let rules = member.ingress.rules.iter();
    let mut paths = rules.filter_map(|rule| rule.paths.as_ref()).flatten();
    paths.any(|path| path.path_type == PathType::ImplementationSpecific)
}

/// `actions.x`, `conditions.x` and `transforms.x` for backends that no path leads to.
fn unused_backends(member: &Member<'_>, found: &mut Vec<Diagnostic>) {
    let meta = &member.ingress.meta;
    let mut told = 0;
    let leads: BTreeSet<&str> = backends(member.ingress).collect();
    for key in meta.annotations.keys() {
        let name = key
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix('/'));
        let of = name.and_then(|name| {
            let starts = ["actions.", "conditions.", "transforms."];
            starts.iter().find_map(|start| name.strip_prefix(start))
        });
        let Some(of) = of else { continue };
        if leads.contains(of) {
            continue;
        }
        let mut unused = idle(
            meta,
            key,
            &format!("no path leads to a backend called {of}"),
        );
        told += 1;
        if told <= HINTS {
            unused.hint = did_you_mean(of, leads.iter().copied());
        }
        found.push(unused);
    }
}

/// `listener-attributes.HTTPS-443` for listeners that the group has not.
pub(super) fn of_listeners(meta: &Meta, stack: &Stack) -> Vec<Diagnostic> {
    let start = format!("{PREFIX}/listener-attributes.");
    let keys = meta.annotations.keys();
    let missing = keys.filter_map(|key| {
        let listener = key.strip_prefix(&start)?;
        missing_listener(meta, key, listener, stack)
    });
    missing.collect()
}

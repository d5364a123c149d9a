//! Annotations of an Ingress that have no effect because of its other annotations.

use std::collections::BTreeSet;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::suggest::did_you_mean;

use super::backend::HINTS;
use super::group::Member;
use crate::advice::{idle, missing_listener};
use crate::annotations::{Row, ingress as keys};
use crate::inventory::{asks, backends};
use crate::objects::{Meta, PathType};
use crate::stack::Stack;

const NO_HTTPS: &str = "no listener of this Ingress speaks HTTPS";

/// The annotations that configure what `auth-type` turns on.
const AUTHENTICATION: &[&Row] = &[
    keys::AUTH_IDP_COGNITO,
    keys::AUTH_IDP_OIDC,
    keys::AUTH_ON_UNAUTHENTICATED_REQUEST,
    keys::AUTH_SCOPE,
    keys::AUTH_SESSION_COOKIE,
    keys::AUTH_SESSION_TIMEOUT,
];

/// Reports the annotations that section 2 of control-plane.md ignores. `authenticating`: a Service of the namespace turns
/// authentication on, which the Ingress may configure. Other members of the group do not count.
pub(super) fn report(member: &Member<'_>, authenticating: bool, found: &mut Vec<Diagnostic>) {
    let meta = &member.ingress.meta;
    let annotations = member.annotations();
    let has = |row: &'static Row| annotations.text(row).is_some_and(|text| !text.is_empty());
    let alone = member.params.is_none() && !has(keys::GROUP_NAME);
    let mut idle_when = |is: bool, rows: &[&'static Row], why: &str| {
        for row in rows.iter().filter(|_| is) {
            if meta.annotations.contains_key(row.key) {
                found.push(idle(meta, row.key, why));
            }
        }
    };
    idle_when(
        has(keys::SECURITY_GROUPS),
        &[keys::INBOUND_CIDRS, keys::SECURITY_GROUP_PREFIX_LISTS],
        "security-groups names existing groups; only a group that the controller makes gets rules",
    );
    idle_when(
        alone && !has(keys::SECURITY_GROUPS),
        &[keys::MANAGE_BACKEND_SECURITY_GROUP_RULES],
        "it needs security-groups",
    );
    idle_when(alone, &[keys::GROUP_ORDER], "the Ingress is not in a group");
    idle_when(
        annotations.text(keys::TARGET_TYPE) == Some("ip"),
        &[keys::TARGET_NODE_LABELS],
        "targets are pods",
    );
    idle_when(
        !asks(meta) && !authenticating,
        AUTHENTICATION,
        "auth-type is none",
    );
    idle_when(
        !speaks_https(member, alone),
        &[
            keys::SSL_POLICY,
            keys::MUTUAL_AUTHENTICATION,
            keys::AUTH_TYPE,
            keys::JWT_VALIDATION,
        ],
        NO_HTTPS,
    );
    idle_when(
        annotations
            .text(keys::LISTEN_PORTS)
            .is_some_and(|ports| !ports.contains("HTTPS")),
        &[keys::CERTIFICATE_ARN],
        NO_HTTPS,
    );
    idle_when(
        !has_patterns(member),
        &[keys::USE_REGEX_PATH_MATCH],
        "no path has the type ImplementationSpecific",
    );
    idle_when(true, &[keys::DRY_RUN_PLAN], "the controller only writes it");
    unused_backends(member, found);
}

/// Section 2.2: HTTPS if `listen-ports` says so, or without `listen-ports` if a certificate is named. IngressClassParams
/// may name one too.
fn speaks_https(member: &Member<'_>, alone: bool) -> bool {
    let annotations = member.annotations();
    match annotations.text(keys::LISTEN_PORTS) {
        Some(ports) => ports.contains("HTTPS"),
        None => {
            !alone
                || annotations.text(keys::CERTIFICATE_ARN).is_some()
                || annotations.text(keys::CREATE_ACM_CERT).is_some()
        }
    }
}

fn has_patterns(member: &Member<'_>) -> bool {
    let rules = member.ingress.rules.iter();
    let mut paths = rules.filter_map(|rule| rule.paths.as_ref()).flatten();
    paths.any(|path| path.path_type == PathType::ImplementationSpecific)
}

/// `actions.x`, `conditions.x` and `transforms.x` for backends that no path uses.
fn unused_backends(member: &Member<'_>, found: &mut Vec<Diagnostic>) {
    let meta = &member.ingress.meta;
    let mut told = 0;
    let leads: BTreeSet<&str> = backends(member.ingress).collect();
    for key in meta.annotations.keys() {
        let rows = [keys::ACTIONS, keys::CONDITIONS, keys::TRANSFORMS];
        let of = rows.iter().find_map(|row| row.tail_of(key));
        let Some(of) = of else { continue };
        if leads.contains(of) {
            continue;
        }
        let mut unused = idle(meta, key, &format!("no path has a backend called {of}"));
        told += 1;
        if told <= HINTS {
            unused.hint = did_you_mean(of, leads.iter().copied());
        }
        found.push(unused);
    }
}

/// `listener-attributes.HTTPS-443` for listeners that the group does not have.
pub(super) fn of_listeners(meta: &Meta, stack: &Stack) -> Vec<Diagnostic> {
    let keys = meta.annotations.keys();
    let missing = keys.filter_map(|key| {
        let listener = keys::LISTENER_ATTRIBUTES.tail_of(key)?;
        missing_listener(meta, key, listener, stack)
    });
    missing.collect()
}

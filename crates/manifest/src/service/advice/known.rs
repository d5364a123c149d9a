//! Annotations of a Service that nobody reads, or not the controller that makes its load balancer.

use elbow_model::diagnostic::Diagnostic;

use super::super::ownership::Owner;
use crate::advice::{about, idle};
use crate::annotations::service::{self as keys, PREFIX};
use crate::annotations::{Readers, Row, find};
use crate::objects::Meta;

/// How the names of most annotations start, after [`PREFIX`].
const BALANCER: &str = "aws-load-balancer-";

/// What to write for a controller that does not read an annotation.
const INSTEAD: &[(&Row, Owner, &str)] = &[
    (keys::SCHEME, Owner::Classic, INTERNAL),
    (keys::SCHEME, Owner::ProviderNlb, INTERNAL),
    (
        keys::CONNECTION_IDLE_TIMEOUT,
        Owner::Lbc,
        "write aws-load-balancer-listener-attributes.TCP-PORT: tcp.idle_timeout.seconds=N",
    ),
    (keys::CONNECTION_DRAINING_ENABLED, Owner::Lbc, DRAINING),
    (keys::CONNECTION_DRAINING_TIMEOUT, Owner::Lbc, DRAINING),
    (
        keys::EXTRA_SECURITY_GROUPS,
        Owner::Lbc,
        "write every security group in aws-load-balancer-security-groups",
    ),
    (
        keys::ATTRIBUTES,
        Owner::Classic,
        "write aws-load-balancer-connection-idle-timeout and the other annotations for single attributes",
    ),
    (
        keys::ATTRIBUTES,
        Owner::ProviderNlb,
        "write aws-load-balancer-cross-zone-load-balancing-enabled and aws-load-balancer-access-log-enabled",
    ),
    (
        keys::PROXY_PROTOCOL,
        Owner::ProviderNlb,
        "write aws-load-balancer-target-group-attributes: proxy_protocol_v2.enabled=true",
    ),
];
const INTERNAL: &str = "write aws-load-balancer-internal: \"true\" for an internal load balancer";
const DRAINING: &str =
    "write aws-load-balancer-target-group-attributes: deregistration_delay.timeout_seconds=N";

/// Annotations that nobody reads, or not the controller that makes the load balancer of the Service.
pub(super) fn report(meta: &Meta, owner: Owner) -> Vec<Diagnostic> {
    let keys = meta.annotations.keys();
    keys.filter_map(|key| check(meta, key, owner)).collect()
}

fn check(meta: &Meta, key: &str, owner: Owner) -> Option<Diagnostic> {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
    let is_ours = prefix == PREFIX.trim_end_matches('/');
    let meant = format!("{PREFIX}{name}");
    let Some(row) = find(keys::ROWS, &meant) else {
        let suggestion = || Some(crate::annotations::meant(key, readers(owner))?.hint(key));
        let is_aws =
            name.starts_with("aws-") && (prefix.is_empty() || prefix.ends_with("kubernetes.io"));
        return if is_aws {
            Some(unknown(meta, key, suggestion()))
        } else {
            // Other clouds use the same prefix.
            let hint = suggestion().filter(|_| is_ours)?;
            Some(unknown(meta, key, Some(hint)))
        };
    };
    if !is_ours {
        let is_meant = name.starts_with(BALANCER) || prefix.starts_with("service.");
        let hint = format!("did you mean \"{meant}\"?");
        return is_meant.then(|| unknown(meta, key, Some(hint)));
    }
    let (reader, controller) = match owner {
        Owner::Lbc => (
            Readers::LBC,
            "the AWS Load Balancer Controller does not read",
        ),
        Owner::Classic => (
            Readers::CLASSIC,
            "no Classic load balancer is configured by",
        ),
        Owner::ProviderNlb => (
            Readers::PROVIDER,
            "no Network Load Balancer of the cloud provider is configured by",
        ),
        Owner::Nobody => return None,
    };
    if row.readers.include(reader) {
        return None;
    }
    let ignored = Diagnostic::warning("ignored-annotation", format!("{controller} {key}"));
    let mut found = about(meta, key, ignored);
    let instead = INSTEAD
        .iter()
        .find(|(one, of, _)| *one == row && *of == owner);
    found.hint = instead.map(|(.., hint)| (*hint).to_owned());
    Some(found)
}

/// Who reads the annotations of a Service with this owner.
fn readers(owner: Owner) -> Readers {
    match owner {
        Owner::Lbc => Readers::LBC,
        Owner::Classic => Readers::CLASSIC,
        Owner::ProviderNlb => Readers::PROVIDER,
        Owner::Nobody => Readers::LBC.and(Readers::CLASSIC).and(Readers::PROVIDER),
    }
}

fn unknown(meta: &Meta, key: &str, hint: Option<String>) -> Diagnostic {
    let message = format!("no controller reads the annotation {key}");
    let unknown = Diagnostic::warning("unknown-annotation", message);
    let mut found = about(meta, key, unknown);
    found.hint = hint;
    found
}

/// The warning that annotations describe a load balancer that the Service does not get.
pub(super) fn in_vain(meta: &Meta, service_type: &str) -> Option<Diagnostic> {
    let start = format!("{PREFIX}{BALANCER}");
    let mut keys = meta.annotations.keys();
    let key = keys.find(|key| key.starts_with(&start))?;
    let why = format!("a Service of type {service_type} gets no load balancer");
    let hint = "set spec.type: LoadBalancer; in a Tenant, spec.exposeServices";
    Some(idle(meta, key, &why).hint(hint))
}

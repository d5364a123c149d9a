//! The annotations of Services, and who reads which.

use elbow_model::diagnostic::Diagnostic;
use elbow_model::suggest::did_you_mean;

use super::super::ownership::Owner;
use super::super::read::PREFIX;
use crate::advice::{about, idle};
use crate::objects::Meta;

/// What the annotations that a load balancer is made of start with.
pub(super) const BALANCER: &str = "aws-load-balancer-";

/// Readers of an annotation: the provider for a Classic load balancer, the provider for a Network Load
/// Balancer, the AWS Load Balancer Controller.
#[derive(Clone, Copy)]
struct By(bool, bool, bool);

const ALL: By = By(true, true, true);
const CLASSIC: By = By(true, false, false);
const CLASSIC_AND_LBC: By = By(true, false, true);
const NETWORK: By = By(false, true, true);
const LBC: By = By(false, false, true);

impl By {
    const fn reads(self, owner: Owner) -> bool {
        let Self(classic, provider, lbc) = self;
        match owner {
            Owner::Classic => classic,
            Owner::ProviderNlb => provider,
            Owner::Lbc => lbc,
            Owner::Nobody => true,
        }
    }
}

/// Sections 3.1 and 4, without [`BALANCER`].
const KNOWN: &[(&str, By)] = &[
    ("access-log-emit-interval", CLASSIC),
    ("access-log-enabled", ALL),
    ("access-log-s3-bucket-name", ALL),
    ("access-log-s3-bucket-prefix", ALL),
    ("additional-resource-tags", ALL),
    ("alpn-policy", LBC),
    ("attributes", NETWORK),
    ("backend-protocol", ALL),
    ("connection-draining-enabled", CLASSIC),
    ("connection-draining-timeout", CLASSIC),
    ("connection-idle-timeout", CLASSIC),
    ("cross-zone-load-balancing-enabled", ALL),
    ("disable-nlb-sg", LBC),
    ("eip-allocations", NETWORK),
    ("enable-icmp-for-path-mtu-discovery", LBC),
    ("enable-prefix-for-ipv6-source-nat", LBC),
    ("enable-tcp-udp-listener", LBC),
    ("extra-security-groups", CLASSIC),
    ("healthcheck-healthy-threshold", ALL),
    ("healthcheck-interval", ALL),
    ("healthcheck-path", ALL),
    ("healthcheck-port", ALL),
    ("healthcheck-protocol", ALL),
    ("healthcheck-success-codes", LBC),
    ("healthcheck-timeout", ALL),
    ("healthcheck-unhealthy-threshold", ALL),
    ("inbound-sg-rules-on-private-link-traffic", LBC),
    ("internal", ALL),
    ("ip-address-type", LBC),
    ("ipv6-addresses", LBC),
    ("manage-backend-security-group-rules", LBC),
    ("minimum-load-balancer-capacity", LBC),
    ("multi-cluster-target-group", LBC),
    ("name", LBC),
    ("nlb-target-type", LBC),
    ("private-ipv4-addresses", NETWORK),
    ("proxy-protocol", CLASSIC_AND_LBC),
    ("proxy-protocol-per-target-group", LBC),
    ("quic-enabled-ports", LBC),
    ("scheme", LBC),
    ("security-group-prefix-lists", LBC),
    ("security-groups", CLASSIC_AND_LBC),
    ("source-nat-ipv6-prefixes", LBC),
    ("ssl-cert", ALL),
    ("ssl-negotiation-policy", ALL),
    ("ssl-ports", ALL),
    ("subnets", ALL),
    ("target-group-attributes", NETWORK),
    ("target-node-labels", ALL),
    ("type", ALL),
];

/// Those that are followed by a dot and a port, or a protocol and a port.
const PER_PORT: &[(&str, By)] = &[
    ("listener-attributes", LBC),
    ("target-group-attributes", LBC),
];

/// The one without [`BALANCER`] that has no port in it.
const SOURCE_RANGES: &str = "load-balancer-source-ranges";

/// What to write for a controller that does not read an annotation.
const INSTEAD: &[(&str, Owner, &str)] = &[
    (
        "scheme",
        Owner::Classic,
        "write aws-load-balancer-internal: \"true\" for an internal one",
    ),
    (
        "scheme",
        Owner::ProviderNlb,
        "write aws-load-balancer-internal: \"true\" for an internal one",
    ),
    (
        "connection-idle-timeout",
        Owner::Lbc,
        "write aws-load-balancer-listener-attributes.TCP-PORT: tcp.idle_timeout.seconds=N",
    ),
    (
        "connection-draining-enabled",
        Owner::Lbc,
        "write aws-load-balancer-target-group-attributes: deregistration_delay.timeout_seconds=N",
    ),
    (
        "connection-draining-timeout",
        Owner::Lbc,
        "write aws-load-balancer-target-group-attributes: deregistration_delay.timeout_seconds=N",
    ),
    (
        "extra-security-groups",
        Owner::Lbc,
        "write all groups in aws-load-balancer-security-groups",
    ),
    (
        "attributes",
        Owner::Classic,
        "write aws-load-balancer-connection-idle-timeout and its like",
    ),
    (
        "proxy-protocol",
        Owner::ProviderNlb,
        "write aws-load-balancer-target-group-attributes: proxy_protocol_v2.enabled=true",
    ),
];

/// Annotations that nobody reads, or not the controller that answers for the Service.
pub(super) fn report(meta: &Meta, owner: Owner) -> Vec<Diagnostic> {
    let keys = meta.annotations.keys();
    keys.filter_map(|key| check(meta, key, owner)).collect()
}

fn check(meta: &Meta, key: &str, owner: Owner) -> Option<Diagnostic> {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
    let ours = prefix == PREFIX.trim_end_matches('/');
    let Some(readers) = readers(name) else {
        // Annotations of other clouds have this prefix too.
        let meant = if name.starts_with("aws-") {
            let whole: Vec<String> = all().collect();
            Some(did_you_mean(key, whole.iter().map(String::as_str)))
        } else if ours {
            did_you_mean(name, [SOURCE_RANGES]).map(Some)
        } else {
            None
        };
        return meant.map(|hint| unknown(meta, key, hint));
    };
    if !ours {
        let wrong = name.starts_with(BALANCER) || prefix.starts_with("service.");
        let hint = format!("did you mean \"{PREFIX}{name}\"?");
        return wrong.then(|| unknown(meta, key, Some(hint)));
    }
    if readers.reads(owner) {
        return None;
    }
    let message = match owner {
        Owner::Lbc => format!("the AWS Load Balancer Controller does not read {key}"),
        Owner::Classic => format!("no controller reads {key} for a Classic load balancer"),
        Owner::ProviderNlb | Owner::Nobody => {
            format!("the provider does not read {key} for its Network Load Balancers")
        }
    };
    let mut found = about(
        meta,
        key,
        Diagnostic::warning("ignored-annotation", message),
    );
    let instead = INSTEAD.iter().find(|(annotation, of, _)| {
        Some(*annotation) == name.strip_prefix(BALANCER) && *of == owner
    });
    found.hint = instead.map(|(.., hint)| (*hint).to_owned());
    Some(found)
}

fn unknown(meta: &Meta, key: &str, hint: Option<String>) -> Diagnostic {
    let message = format!("no controller reads the annotation {key}");
    let mut found = about(
        meta,
        key,
        Diagnostic::warning("unknown-annotation", message),
    );
    found.hint = hint;
    found
}

/// Who reads an annotation, by its name without the prefix; `None`: there is no such one.
fn readers(name: &str) -> Option<By> {
    if name == SOURCE_RANGES {
        return Some(ALL);
    }
    if name.starts_with("actions.") {
        return Some(LBC);
    }
    let name = name.strip_prefix(BALANCER)?;
    let of = |table: &[(&str, By)], name: &str| {
        let entry = table.iter().find(|(known, _)| *known == name);
        entry.map(|(_, readers)| *readers)
    };
    of(KNOWN, name).or_else(|| of(PER_PORT, name.split_once('.')?.0))
}

/// All whole keys.
fn all() -> impl Iterator<Item = String> {
    let known = KNOWN
        .iter()
        .map(|(name, _)| format!("{PREFIX}{BALANCER}{name}"));
    known.chain([format!("{PREFIX}{SOURCE_RANGES}")])
}

/// The warning that a load balancer is described and none is asked for.
pub(super) fn in_vain(meta: &Meta, service_type: &str) -> Option<Diagnostic> {
    let start = format!("{PREFIX}{BALANCER}");
    let key = meta
        .annotations
        .keys()
        .find(|key| key.starts_with(&start))?;
    let why = format!("no load balancer is made for a Service of type {service_type}");
    let hint = "set spec.type: LoadBalancer (a Tenant: spec.exposeServices)";
    Some(idle(meta, key, &why).hint(hint))
}

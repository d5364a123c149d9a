//! Annotations of a Service that have no effect because of its other annotations.

use elbow_model::diagnostic::Diagnostic;

use super::super::ownership::Owner;
use crate::advice::idle;
use crate::annotations::{Row, parse_bool, service as keys};
use crate::lookup::service::Reader;
use crate::objects::Service;
use crate::stack::Stack;

const NO_CERTIFICATE: &str = "no listener speaks TLS without aws-load-balancer-ssl-cert";

/// Reports the annotations that control-plane.md 3 and 4 ignore.
pub(super) fn report(service: &Service, owner: Owner) -> Vec<Diagnostic> {
    if owner == Owner::Nobody {
        return Vec::new();
    }
    let read = Reader::new(&service.meta);
    let text = |row: &'static Row| read.text(row);
    let on = |row: &'static Row| text(row).and_then(parse_bool) == Some(true);
    let mut found = Vec::new();
    let mut idle_when = |is: bool, rows: &[&'static Row], why: &str| {
        for row in rows.iter().filter(|_| is) {
            if service.meta.annotations.contains_key(row.key) {
                found.push(idle(&service.meta, row.key, why));
            }
        }
    };
    idle_when(
        text(keys::SSL_CERT).is_none_or(str::is_empty),
        &[keys::SSL_PORTS, keys::SSL_NEGOTIATION_POLICY],
        NO_CERTIFICATE,
    );
    idle_when(
        !on(keys::ACCESS_LOG_ENABLED),
        &[
            keys::ACCESS_LOG_EMIT_INTERVAL,
            keys::ACCESS_LOG_S3_BUCKET_NAME,
            keys::ACCESS_LOG_S3_BUCKET_PREFIX,
        ],
        "aws-load-balancer-access-log-enabled is not true",
    );
    idle_when(
        !service.load_balancer_source_ranges.is_empty(),
        &[keys::SOURCE_RANGES],
        "spec.loadBalancerSourceRanges overrides it",
    );
    match owner {
        Owner::Classic => idle_when(
            !on(keys::CONNECTION_DRAINING_ENABLED),
            &[keys::CONNECTION_DRAINING_TIMEOUT],
            "aws-load-balancer-connection-draining-enabled is not true",
        ),
        Owner::Lbc => controller(&text, on(keys::DISABLE_NLB_SG), &mut idle_when),
        Owner::ProviderNlb => idle_when(
            true,
            &[keys::HEALTHCHECK_TIMEOUT],
            "the provider reads it and leaves the timeout to ELB: 10 seconds",
        ),
        Owner::Nobody => {}
    }
    found
}

/// The annotations that only the AWS Load Balancer Controller reads.
fn controller<'a>(
    text: &impl Fn(&'static Row) -> Option<&'a str>,
    no_security_groups: bool,
    idle_when: &mut impl FnMut(bool, &[&'static Row], &str),
) {
    let named = text(keys::SECURITY_GROUPS).is_some_and(|list| !list.is_empty());
    idle_when(
        text(keys::SCHEME).is_some(),
        &[keys::INTERNAL],
        "aws-load-balancer-scheme overrides it",
    );
    idle_when(
        text(keys::PROXY_PROTOCOL).is_some(),
        &[keys::PROXY_PROTOCOL_PER_TARGET_GROUP],
        "aws-load-balancer-proxy-protocol turns it on for all target groups",
    );
    idle_when(
        named,
        &[keys::SOURCE_RANGES, keys::SECURITY_GROUP_PREFIX_LISTS],
        "aws-load-balancer-security-groups names existing groups; only a group that the controller makes gets rules",
    );
    idle_when(
        !named,
        &[keys::MANAGE_BACKEND_SECURITY_GROUP_RULES],
        "it needs aws-load-balancer-security-groups",
    );
    let icmp = text(keys::ENABLE_ICMP_FOR_PATH_MTU_DISCOVERY);
    idle_when(
        icmp.is_some_and(|value| !matches!(value, "on" | "off")),
        &[keys::ENABLE_ICMP_FOR_PATH_MTU_DISCOVERY],
        "only the value on lets ICMP in",
    );
    idle_when(
        no_security_groups,
        &[keys::SECURITY_GROUPS],
        "aws-load-balancer-disable-nlb-sg is true",
    );
    idle_when(
        text(keys::SSL_CERT).is_none_or(str::is_empty),
        &[keys::ALPN_POLICY],
        NO_CERTIFICATE,
    );
    let pods = text(keys::NLB_TARGET_TYPE) == Some("ip") || text(keys::TYPE) == Some("nlb-ip");
    idle_when(pods, &[keys::TARGET_NODE_LABELS], "targets are pods");
    idle_when(
        matches!(text(keys::BACKEND_PROTOCOL), Some("http" | "https")),
        &[keys::BACKEND_PROTOCOL],
        "a Network Load Balancer only supports ssl here and uses TCP otherwise",
    );
}

/// Annotations for listeners and ports that the load balancer does not have.
pub(super) fn of_ports(service: &Service, stack: &Stack) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for key in service.meta.annotations.keys() {
        let rows = [keys::LISTENER_ATTRIBUTES, keys::ACTIONS];
        let listener = rows.iter().find_map(|row| row.tail_of(key));
        if let Some(listener) = listener {
            found.extend(crate::advice::missing_listener(
                &service.meta,
                key,
                listener,
                stack,
            ));
        }
        let port = keys::PORT_TARGET_GROUP_ATTRIBUTES.tail_of(key);
        let is_of = |port: &str| {
            let mut ports = service.ports.iter();
            ports.any(|known| known.port.to_string() == port || known.name == port)
        };
        if port.is_some_and(|port| !is_of(port)) {
            found.push(idle(&service.meta, key, "the Service has no such port"));
        }
    }
    found
}

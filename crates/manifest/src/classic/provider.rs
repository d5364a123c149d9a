//! The steps of `EnsureLoadBalancer` in cloud-provider-aws (`pkg/providers/v1/aws.go`) that Classic and Network Load
//! Balancers share.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::annotations::{Row, service as keys};
use crate::bounds::Budget;
use crate::context::Context;
use crate::lookup::service::{Reader, Refused};
use crate::objects::Service;

const RANGES: &Row = keys::SOURCE_RANGES;
/// What the keys of tags start with that say which cluster may use a subnet.
const CLUSTER_TAG: &str = "kubernetes.io/cluster/";
/// The older tag, whose value is the cluster.
const LEGACY_TAG: &str = "KubernetesCluster";

/// Refuses Services that no load balancer of the provider serves; `protocols` are those that it serves.
pub(crate) fn refuse_the_impossible(service: &Service, protocols: &[&str]) -> Result<(), Refused> {
    if service.client_affinity {
        let message = "unsupported load balancer affinity: ClientIP";
        return Err(Refused::field("spec.sessionAffinity", message)
            .hint("the provider's load balancers need sessionAffinity: None"));
    }
    let only = || format!("it supports {}", protocols.join(" and "));
    let Some(first) = service.ports.first() else {
        return Err(Refused::field("spec.ports", "a load balancer needs a port"));
    };
    let mut ports = service.ports.iter();
    if ports.any(|port| port.protocol != first.protocol) {
        let message = "mixed protocol is not supported for LoadBalancer";
        return Err(Refused::field("spec.ports", message)
            .hint("make a Service for each protocol, or use the AWS Load Balancer Controller"));
    }
    if !protocols.contains(&first.protocol.as_str()) {
        let message = format!("Protocol {} not supported by LoadBalancer", first.protocol);
        return Err(Refused::field("spec.ports", message).hint(only()));
    }
    if !service.load_balancer_ip.is_empty() {
        let message = "the address of a load balancer cannot be chosen; remove loadBalancerIP";
        return Err(Refused::field("spec.loadBalancerIP", message));
    }
    Ok(())
}

/// Refuses to make a Classic Load Balancer of a Network Load Balancer that exists, and the other way round
/// (`validateServiceAnnotations` in `aws_validations.go`): its name, in the status, says of which type it is.
pub(crate) fn refuse_another_type(
    service: &Service,
    is_network: bool,
    context: &Context,
) -> Result<(), Refused> {
    let name = &service.hostname;
    let ends = |suffix: &str, before: &str| name.ends_with(&format!("{before}.{suffix}"));
    let suffix = context.dns_zone().suffix;
    let suffixes = ["amazonaws.com", &*suffix];
    // Other names are of other clouds, and say nothing.
    let Some(suffix) = suffixes.into_iter().find(|suffix| ends(suffix, "")) else {
        return Ok(());
    };
    let is_classic = ends(suffix, ".elb");
    if is_network != is_classic {
        return Ok(());
    }
    let exists = if is_classic { "Classic" } else { "Network" };
    let message = format!(
        "the status says that the Service has a {exists} Load Balancer, {name}, whose type cannot change"
    );
    Err(Refused::annotation(keys::TYPE, message).hint(
        "make another Service of the other type, or remove the status if it is that of another cluster",
    ))
}

/// Whether the load balancer is internal: any text but an empty one and `false` says so.
pub(crate) fn internal(read: &Reader<'_>) -> bool {
    !matches!(read.text(keys::INTERNAL), None | Some("" | "false"))
}

/// The networks that may connect, in order and without duplicates: those of the field, else of the annotation
/// (`GetLoadBalancerSourceRanges` in `k8s.io/cloud-provider/service/helpers`).
pub(crate) fn source_ranges(read: &Reader<'_>, service: &Service) -> Result<Vec<IpNet>, Refused> {
    let own = &service.load_balancer_source_ranges;
    let ranges: Vec<&str> = if own.is_empty() {
        let text = read.text(RANGES).unwrap_or_default().trim();
        if text.is_empty() { "0.0.0.0/0" } else { text }
            .split(',')
            .collect()
    } else {
        own.iter().map(String::as_str).collect()
    };
    let mut networks = Vec::with_capacity(ranges.len());
    for range in ranges {
        let Ok(network) = range.trim().parse::<IpNet>() else {
            let message = format!("expected an address range, found {range:?}");
            let refused = if own.is_empty() {
                Refused::annotation(RANGES, message)
            } else {
                Refused::field("spec.loadBalancerSourceRanges", message)
            };
            return Err(refused.hint("write for example 10.0.0.0/8"));
        };
        networks.push(network.trunc());
    }
    networks.sort();
    networks.dedup();
    Ok(networks)
}

/// The pairs of a list `key=value,key` (`getKeyValuePropertiesFromAnnotation`): spaces around a pair do not count, those
/// around its `=` do, and a second `=` ends the value.
pub(crate) fn key_values(text: &str) -> BTreeMap<String, String> {
    let pair = |item: &str| {
        let mut parts = item.trim().split('=');
        let key = parts.next().filter(|key| !key.is_empty())?;
        Some((key.to_owned(), parts.next().unwrap_or_default().to_owned()))
    };
    text.trim().split(',').filter_map(pair).collect()
}

/// The user's tags, overridden by those of the provider.
pub(crate) fn tags(
    read: &Reader<'_>,
    service: &Service,
    context: &Context,
) -> BTreeMap<String, String> {
    let mut tags = key_values(
        read.text(keys::ADDITIONAL_RESOURCE_TAGS)
            .unwrap_or_default(),
    );
    let cluster = &context.cluster_name;
    tags.extend([
        ("kubernetes.io/service-name".to_owned(), service.meta.key()),
        (LEGACY_TAG.to_owned(), cluster.clone()),
        (format!("{CLUSTER_TAG}{cluster}"), "owned".to_owned()),
    ]);
    tags
}

/// Refuses a Service whose ports, times its annotations, exceed what a load balancer may hold.
pub(crate) fn bound(read: &Reader<'_>, service: &Service) -> Result<(), Refused> {
    let copied = [
        keys::ADDITIONAL_RESOURCE_TAGS,
        keys::SSL_CERT,
        keys::SSL_NEGOTIATION_POLICY,
        keys::HEALTHCHECK_PATH,
    ];
    let copied: usize = copied
        .iter()
        .filter_map(|key| read.text(key))
        .map(crate::bounds::of_list)
        .sum();
    let spent = Budget::default().spend(copied * service.ports.len());
    spent.map_err(Refused::too_much)
}

#[cfg(test)]
mod tests {
    use super::key_values;

    /// `TestGetKeyValuePropertiesFromAnnotation` and the recordings of tags with spaces.
    #[test]
    fn pairs_are_split_as_the_provider_splits_them() {
        for (text, expected) in [
            ("Key=Val", vec![("Key", "Val")]),
            (
                "Key1=Val1, Key2=Val2",
                vec![("Key1", "Val1"), ("Key2", "Val2")],
            ),
            ("Key1=, Key2=Val2", vec![("Key1", ""), ("Key2", "Val2")]),
            ("Key1, Key2=Val2", vec![("Key1", ""), ("Key2", "Val2")]),
            ("=Val", vec![]),
            ("", vec![]),
            ("a=b=c", vec![("a", "b")]),
            ("a=b, c = d", vec![("a", "b"), ("c ", " d")]),
        ] {
            let found = key_values(text);
            let found: Vec<_> = found
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}

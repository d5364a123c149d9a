use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::item::{Item, Seen, resource_name};
use super::{Scope, attribute, classic, listener, security_group};
use crate::{IpAddressType, LoadBalancer, LoadBalancerType, Scheme};

pub(super) const FIELDS: &[&str] = &[
    "name",
    "type",
    "scheme",
    "ipAddressType",
    "addresses",
    "securityGroups",
    "attributes",
    "listeners",
    "healthCheck",
    "instances",
    "backendServerPolicies",
];

pub(super) const TYPES: &[(&str, LoadBalancerType)] = &[
    ("application", LoadBalancerType::Application),
    ("network", LoadBalancerType::Network),
    ("classic", LoadBalancerType::Classic),
];

pub(super) const SCHEMES: &[(&str, Scheme)] = &[
    ("internet-facing", Scheme::InternetFacing),
    ("internal", Scheme::Internal),
];

pub(super) const IP_ADDRESS_TYPES: &[(&str, IpAddressType)] = &[
    ("ipv4", IpAddressType::Ipv4),
    ("dualstack", IpAddressType::Dualstack),
];

pub(super) fn read_all(items: &[Item<'_>], scope: &Scope<'_>) -> Vec<Arc<LoadBalancer>> {
    let mut names = Seen::new("load balancer");
    let mut sockets = Seen::new("socket");
    let all: Vec<Arc<LoadBalancer>> = items
        .iter()
        .filter_map(|item| read(item, scope, &mut names, &mut sockets))
        .map(Arc::new)
        .collect();
    warn_of_shared_groups(items, &all);
    all
}

fn read(
    item: &Item<'_>,
    scope: &Scope<'_>,
    names: &mut Seen<Arc<str>>,
    sockets: &mut Seen<String>,
) -> Option<LoadBalancer> {
    let name = item.peek("name").unwrap_or_default();
    let item = item.of(format!("loadBalancer/{name}"));
    let fields = item.fields(FIELDS)?;
    let kind = fields.required("type").and_then(|t| t.one_of(TYPES));
    let scheme = fields.get("scheme").and_then(|s| s.one_of(SCHEMES));
    let ip_address_type = fields
        .get("ipAddressType")
        .and_then(|t| t.one_of(IP_ADDRESS_TYPES))
        .unwrap_or_default();
    let address_items = fields.items("addresses");
    let addresses: Vec<IpAddr> = address_items
        .iter()
        .filter_map(|item| address(item, ip_address_type))
        .collect();
    let groups = fields.items("securityGroups");
    let attributes = fields
        .get("attributes")
        .zip(kind)
        .map(|(item, kind)| attribute::load_balancer(&item, kind))
        .unwrap_or_default();
    let listener_items = fields.items("listeners");
    let listeners = listener::read_all(&listener_items, name, kind, scope);
    let classic = classic::read(&fields, kind, &listeners);
    for listener in &listeners {
        for (address, item) in addresses.iter().zip(&address_items) {
            let socket = match address {
                IpAddr::V4(ip) => format!("{ip}:{}", listener.port),
                IpAddr::V6(ip) => format!("[{ip}]:{}", listener.port),
            };
            sockets.check(socket, item, "address-in-use");
        }
    }

    let name_item = fields.required("name")?;
    let name = resource_name(&name_item)?;
    names.check(name.clone(), &name_item, "duplicate-name");
    Some(LoadBalancer {
        name,
        // What stands in for a type that was reported; the model is refused.
        kind: kind.unwrap_or(LoadBalancerType::Application),
        scheme: scheme.unwrap_or_default(),
        ip_address_type,
        addresses,
        security_groups: groups.iter().filter_map(security_group::read).collect(),
        attributes,
        listeners,
        classic,
    })
}

fn address(item: &Item<'_>, family: IpAddressType) -> Option<IpAddr> {
    let text = item.text()?;
    let Ok(ip) = text.parse::<IpAddr>() else {
        item.error("invalid-address", format!("{text:?} is no IP address"));
        return None;
    };
    if ip.is_ipv6() && family == IpAddressType::Ipv4 {
        item.error_with(
            "invalid-combination",
            format!("{ip} is an IPv6 address, and ipAddressType is ipv4"),
            "set ipAddressType: dualstack".to_owned(),
        );
    }
    Some(ip)
}

/// AWS lets a target group serve one load balancer alone (ALB guide: quotas).
fn warn_of_shared_groups(items: &[Item<'_>], all: &[Arc<LoadBalancer>]) {
    let mut users: HashMap<&str, &str> = HashMap::new();
    for load_balancer in all {
        for group in load_balancer.target_groups() {
            let first = *users.entry(group).or_insert(&load_balancer.name);
            if first == &*load_balancer.name {
                continue;
            }
            let mut items = items.iter();
            let item = items.find(|item| item.peek("name") == Some(&load_balancer.name));
            if let Some(item) = item {
                item.of(format!("loadBalancer/{}", load_balancer.name)).warn(
                    "shared-target-group",
                    format!(
                        "target group \"{group}\" also serves {first}; on AWS a group serves one load \
                         balancer"
                    ),
                );
            }
        }
    }
}

//! The plan of a Network Load Balancer, written down as the controller's stack.

use serde_json::Value;

use crate::Context;
use crate::objects::Service;
use crate::stack::{
    Action, Attribute, BindingSpec, Certificate, Forward, HealthCheck, IpRange, Ipv6Range,
    Listener, ListenerAttribute, LoadBalancer, Matcher, MinimumCapacity, NodeSelector, Permission,
    PrefixList, Reference, SecurityGroup, ServiceRef, Stack, Stickiness, SubnetMapping,
    TargetGroup, TargetGroupBinding, WeightedGroup,
};

use super::firewall::{self, Source};
use super::plan::{self, GroupRef, Plan, Security};

const LOAD_BALANCER: &str = "LoadBalancer";
const MANAGED: &str = "ManagedLBSecurityGroup";

/// The stack of a Service.
pub(super) fn stack(service: &Service, plan: &Plan, context: &Context) -> Stack {
    let mut stack = Stack::new(service.meta.key()).made_of(&service.meta);
    if let Security::Managed {
        name, permissions, ..
    } = &plan.security
    {
        let group = SecurityGroup {
            description: "[k8s] Managed SecurityGroup for LoadBalancer".to_owned(),
            group_name: name.clone(),
            ingress: permissions.iter().map(permission).collect(),
            tags: plan.tags.clone(),
        };
        stack.security_groups.insert(MANAGED.to_owned(), group);
    }
    stack
        .load_balancers
        .insert(LOAD_BALANCER.to_owned(), load_balancer(plan));
    for one in &plan.listeners {
        stack
            .listeners
            .insert(one.port.to_string(), listener(one, plan));
    }
    for group in &plan.groups {
        stack
            .target_groups
            .insert(group.id.clone(), target_group(group, plan));
        stack
            .bindings
            .insert(group.id.clone(), binding(group, context));
    }
    stack
}

fn permission(permission: &firewall::Permission) -> Permission {
    let mut written = Permission {
        from_port: Some(permission.from_port),
        ip_protocol: permission.protocol.clone(),
        to_port: Some(permission.to_port),
        ..Permission::default()
    };
    match permission.source.clone() {
        Source::Ipv4(cidr) => written.ip_ranges.push(IpRange { cidr }),
        Source::Ipv6(cidr) => written.ipv6_ranges.push(Ipv6Range { cidr }),
        Source::PrefixList(id) => written.prefix_lists.push(PrefixList { id }),
    }
    written
}

fn load_balancer(plan: &Plan) -> LoadBalancer {
    let mapping = |mapping: &super::addresses::Mapping| SubnetMapping {
        allocation_id: mapping.allocation_id.clone(),
        ipv6_address: mapping.ipv6_address.clone(),
        private_ipv4_address: mapping.private_ipv4_address.clone(),
        source_nat_ipv6_prefix: mapping.source_nat_ipv6_prefix.clone(),
        subnet_id: mapping.subnet_id.clone(),
    };
    let literal = |id: &String| Reference::Literal(id.clone());
    let (mut security_groups, backend) = match &plan.security {
        Security::Open => (Vec::new(), &None),
        Security::Managed { backend, .. } => (vec![Reference::security_group(MANAGED)], backend),
        Security::Named { ids, backend } => (ids.iter().map(literal).collect(), backend),
    };
    security_groups.extend(backend.as_ref().map(literal));
    LoadBalancer {
        enable_prefix_for_ipv6_source_nat: Some(plan.source_nat.to_owned()),
        ip_address_type: plan.ip_address_type.to_owned(),
        load_balancer_attributes: Attribute::list(&plan.attributes),
        minimum_load_balancer_capacity: plan
            .minimum_capacity
            .map(|capacity_units| MinimumCapacity { capacity_units }),
        name: plan.name.clone(),
        scheme: plan.scheme.to_owned(),
        security_groups,
        security_groups_inbound_rules_on_private_link: plan.private_link_rules.map(str::to_owned),
        subnet_mapping: plan.mappings.iter().map(mapping).collect(),
        tags: plan.tags.clone(),
        kind: "network",
        ..LoadBalancer::default()
    }
}

fn listener(listener: &plan::Listener, plan: &Plan) -> Listener {
    let group = |weighted: &plan::Weighted| WeightedGroup {
        target_group: match &weighted.group {
            GroupRef::Own(id) => Reference::target_group(id),
            GroupRef::Arn(arn) => Reference::Literal(arn.clone()),
        },
        weight: weighted.weight,
    };
    let attribute = |(key, value): (&String, &String)| ListenerAttribute {
        key: key.clone(),
        value: value.clone(),
    };
    let stickiness = listener.sticky.map(|enabled| Stickiness {
        enabled: Some(enabled),
        ..Stickiness::default()
    });
    Listener {
        alpn_policy: listener.alpn_policy.iter().cloned().collect(),
        certificates: listener
            .certificates
            .iter()
            .map(|arn| Certificate { arn: arn.clone() })
            .collect(),
        default_actions: vec![Action::Forward(Forward {
            target_groups: listener.targets.iter().map(group).collect(),
            stickiness,
        })],
        listener_attributes: listener.attributes.iter().map(attribute).collect(),
        load_balancer: Reference::load_balancer(LOAD_BALANCER),
        mutual_authentication: None,
        port: listener.port,
        protocol: listener.protocol.as_str().to_owned(),
        ssl_policy: listener.ssl_policy.clone(),
        tags: plan.tags.clone(),
    }
}

fn target_group(group: &plan::Group, plan: &Plan) -> TargetGroup {
    let check = &group.health_check;
    TargetGroup {
        health_check_config: HealthCheck {
            healthy_threshold_count: Some(check.healthy),
            interval_seconds: Some(check.interval),
            matcher: check.codes.clone().map(Matcher::HttpCode),
            path: check.path.clone(),
            port: check
                .port
                .map_or_else(|| Value::from("traffic-port"), Value::from),
            protocol: check.protocol.to_owned(),
            timeout_seconds: Some(check.timeout),
            unhealthy_threshold_count: Some(check.unhealthy),
        },
        ip_address_type: family(group).to_owned(),
        name: group.name.clone(),
        port: Some(i32::from(group.port)),
        protocol: group.protocol.as_str().to_owned(),
        protocol_version: None,
        tags: plan.tags.clone(),
        target_control_port: None,
        target_group_attributes: Attribute::list(&group.attributes),
        target_type: group.kind.as_str().to_owned(),
        source: crate::stack::Source::default(),
    }
}

fn binding(group: &plan::Group, context: &Context) -> TargetGroupBinding {
    let selected = (!group.node_labels.is_empty()).then(|| group.node_labels.clone());
    TargetGroupBinding {
        name: group.name.clone(),
        namespace: group.namespace.clone(),
        spec: BindingSpec {
            ip_address_type: family(group).to_owned(),
            multi_cluster_target_group: group.multi_cluster.then_some(true),
            node_selector: selected.map(|match_labels| NodeSelector { match_labels }),
            service_ref: ServiceRef {
                name: group.service.clone(),
                port: group.service_port.into(),
            },
            target_group: Reference::target_group(&group.id),
            target_group_protocol: group.protocol.as_str().to_owned(),
            target_type: group.kind.as_str().to_owned(),
            vpc_id: context.vpc.id.clone(),
        },
    }
}

const fn family(group: &plan::Group) -> &'static str {
    if group.ipv6 { "ipv6" } else { "ipv4" }
}

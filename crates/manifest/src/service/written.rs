//! The plan of a Network Load Balancer as a stack.

use elbow_model::{At, Origin};
use serde_json::Value;

use crate::Context;
use crate::annotations::{Row, service as keys};
use crate::objects::Service;
use crate::stack::{
    Action, Attribute, BindingSpec, Certificate, Forward, HealthCheck, IpRange, Ipv6Range,
    Listener, ListenerAttribute, LoadBalancer, Matcher, MinimumCapacity, NodeSelector, Permission,
    PrefixList, Reference, SecurityGroup, ServiceRef, Stack, Stickiness, SubnetMapping,
    TargetGroup, TargetGroupBinding, WeightedGroup,
};

use super::firewall::{self, Source};
use super::plan::{self, GroupRef, Plan, Security};
use crate::lookup::service::Reader;

const LOAD_BALANCER: &str = "LoadBalancer";
const MANAGED: &str = "ManagedLBSecurityGroup";

/// The stack of a Service.
pub(super) fn stack(service: &Service, plan: &Plan, context: &Context) -> Stack {
    let mut stack = Stack::new(service.meta.key()).made_of(service.meta.origin());
    if let Security::Managed {
        name, permissions, ..
    } = &plan.security
    {
        let origin = Reader::of(service, context.personality).origin(&[keys::SOURCE_RANGES]);
        let group = SecurityGroup {
            description: "[k8s] Managed SecurityGroup for LoadBalancer".to_owned(),
            group_name: name.clone(),
            ingress: permissions
                .iter()
                .map(|one| permission(one, &origin))
                .collect(),
            tags: plan.tags.clone(),
        };
        stack.security_groups.insert(MANAGED.to_owned(), group);
    }
    let writer = Writer {
        read: Reader::of(service, context.personality),
        origin: service.meta.origin(),
        plan,
    };
    stack
        .load_balancers
        .insert(LOAD_BALANCER.to_owned(), Box::new(writer.load_balancer()));
    for one in &plan.listeners {
        stack
            .listeners
            .insert(one.port.to_string(), Box::new(writer.listener(one)));
    }
    for group in &plan.groups {
        stack
            .target_groups
            .insert(group.id.clone(), Box::new(writer.target_group(group)));
        stack
            .bindings
            .insert(group.id.clone(), binding(group, context));
    }
    stack
}

fn permission(permission: &firewall::Permission, origin: &Origin) -> Permission {
    let mut written = Permission {
        from_port: Some(permission.from_port),
        ip_protocol: permission.protocol.clone(),
        to_port: Some(permission.to_port),
        origin: origin.clone(),
        ..Permission::default()
    };
    match permission.source.clone() {
        Source::Ipv4(cidr) => written.ip_ranges.push(IpRange { cidr }),
        Source::Ipv6(cidr) => written.ipv6_ranges.push(Ipv6Range { cidr }),
        Source::PrefixList(id) => written.prefix_lists.push(PrefixList { id }),
    }
    written
}

/// Writes the resources of a plan, each value with its origin.
struct Writer<'a> {
    read: Reader<'a>,
    /// The Service.
    origin: Origin,
    plan: &'a Plan,
}

impl Writer<'_> {
    /// A value with the origin of the first of these annotations that is there, else of the Service.
    fn at<T>(&self, rows: &[&'static Row], value: T) -> At<T> {
        At::new(value, self.read.origin(rows))
    }

    fn load_balancer(&self) -> LoadBalancer {
        let plan = self.plan;
        let private = |address: &String| {
            let key = keys::PRIVATE_IPV4_ADDRESSES;
            self.at(&[key], address.clone())
        };
        let mapping = |mapping: &super::addresses::Mapping| SubnetMapping {
            allocation_id: mapping.allocation_id.clone(),
            ipv6_address: mapping.ipv6_address.clone(),
            private_ipv4_address: mapping.private_ipv4_address.as_ref().map(private),
            source_nat_ipv6_prefix: mapping.source_nat_ipv6_prefix.clone(),
            subnet_id: mapping.subnet_id.clone(),
        };
        LoadBalancer {
            enable_prefix_for_ipv6_source_nat: Some(plan.source_nat.to_owned()),
            ip_address_type: self.at(&[keys::IP_ADDRESS_TYPE], plan.ip_address_type.to_owned()),
            load_balancer_attributes: Attribute::list(plan.attributes.clone()),
            minimum_load_balancer_capacity: plan
                .minimum_capacity
                .map(|capacity_units| MinimumCapacity { capacity_units }),
            name: self.at(&[keys::NAME], plan.name.clone()),
            scheme: self.at(&[keys::SCHEME, keys::INTERNAL], plan.scheme.to_owned()),
            security_groups: self.security_groups(),
            security_groups_inbound_rules_on_private_link: plan
                .private_link_rules
                .map(str::to_owned),
            subnet_mapping: plan.mappings.iter().map(mapping).collect(),
            tags: plan.tags.clone(),
            kind: "network",
            ..LoadBalancer::default()
        }
    }

    fn security_groups(&self) -> Vec<At<Reference>> {
        let literal = |id: &String| Reference::Literal(id.clone());
        let (mut groups, backend) = match &self.plan.security {
            Security::Open => (Vec::new(), &None),
            Security::Managed { backend, .. } => {
                (vec![Reference::security_group(MANAGED)], backend)
            }
            Security::Named { ids, backend } => (ids.iter().map(literal).collect(), backend),
        };
        groups.extend(backend.as_ref().map(literal));
        let keys = [keys::SOURCE_RANGES, keys::SECURITY_GROUPS];
        let groups = groups.into_iter();
        groups.map(|group| self.at(&keys, group)).collect()
    }

    fn listener(&self, listener: &plan::Listener) -> Listener {
        let group = |weighted: &plan::Weighted| WeightedGroup {
            target_group: match &weighted.group {
                GroupRef::Own(id) => Reference::target_group(id),
                GroupRef::Arn(arn) => Reference::Literal(arn.clone()),
            },
            weight: weighted.weight,
        };
        let stickiness = listener.sticky.map(|enabled| Stickiness {
            enabled,
            ..Stickiness::default()
        });
        let certificate = |arn: &String| Certificate {
            arn: self.at(&[keys::SSL_CERT], arn.clone()),
        };
        let forward = Action::Forward(Forward {
            target_groups: listener.targets.iter().map(group).collect(),
            stickiness,
        });
        let protocol = listener.protocol.as_str();
        let actions = keys::ACTIONS.of(&format!("{protocol}-{}", listener.port));
        let alpn = listener.alpn_policy.iter();
        let policy = listener.ssl_policy.iter();
        Listener {
            alpn_policy: alpn
                .map(|policy| self.at(&[keys::ALPN_POLICY], policy.clone()))
                .collect(),
            certificates: listener.certificates.iter().map(certificate).collect(),
            default_actions: vec![At::new(forward, self.read.origin_of(&actions))],
            listener_attributes: ListenerAttribute::list(listener.attributes.clone()),
            load_balancer: Reference::load_balancer(LOAD_BALANCER),
            mutual_authentication: None,
            port: At::new(listener.port, self.origin.clone()),
            protocol: At::new(protocol.to_owned(), self.origin.clone()),
            ssl_policy: policy
                .map(|name| self.at(&[keys::SSL_NEGOTIATION_POLICY], name.clone()))
                .next(),
            tags: self.plan.tags.clone(),
        }
    }

    fn target_group(&self, group: &plan::Group) -> TargetGroup {
        TargetGroup {
            health_check_config: self.health_check(group),
            ip_address_type: family(group).to_owned(),
            name: group.name.clone(),
            port: Some(i32::from(group.port)),
            protocol: self.at(
                &[keys::BACKEND_PROTOCOL],
                group.protocol.as_str().to_owned(),
            ),
            protocol_version: None,
            tags: self.plan.tags.clone(),
            target_control_port: None,
            target_group_attributes: Attribute::list(group.attributes.clone()),
            target_type: group.kind.as_str().to_owned(),
            origin: self.origin.clone(),
        }
    }

    fn health_check(&self, group: &plan::Group) -> HealthCheck {
        let check = &group.health_check;
        let number = |row: &'static Row, number: i32| Some(self.at(&[row], number));
        let codes = check.codes.clone().map(Matcher::HttpCode);
        let path = check.path.clone();
        let port = check
            .port
            .map_or_else(|| Value::from("traffic-port"), Value::from);
        HealthCheck {
            healthy_threshold_count: number(keys::HEALTHCHECK_HEALTHY_THRESHOLD, check.healthy),
            interval_seconds: number(keys::HEALTHCHECK_INTERVAL, check.interval),
            matcher: codes.map(|codes| self.at(&[keys::HEALTHCHECK_SUCCESS_CODES], codes)),
            path: path.map(|path| self.at(&[keys::HEALTHCHECK_PATH], path)),
            port: self.at(&[keys::HEALTHCHECK_PORT], port),
            protocol: self.at(&[keys::HEALTHCHECK_PROTOCOL], check.protocol.to_owned()),
            timeout_seconds: number(keys::HEALTHCHECK_TIMEOUT, check.timeout),
            unhealthy_threshold_count: number(
                keys::HEALTHCHECK_UNHEALTHY_THRESHOLD,
                check.unhealthy,
            ),
        }
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

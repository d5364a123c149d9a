//! Stacks in the form of the report.

use elbow_manifest::classic::{ClassicListener, ClassicSecurityGroup, ClassicSpec};
use elbow_manifest::stack::{self, Reference};
use elbow_manifest::{Context, quota};
use elbow_model::At;
use serde_json::Value;

use super::report::{
    Listener, LoadBalancer, Rule, SecurityGroup, Service, Stack, Subnet, TargetGroup,
};
use super::words::text;
use super::{defaults, words};

/// Describes `stack`; `targets` counts the known targets of its target groups.
pub(crate) fn stack(stack: &stack::Stack, targets: &quota::Targets, context: &Context) -> Stack {
    let modern = stack.load_balancers.iter();
    let modern = modern.map(|(id, balancer)| load_balancer(id, balancer, stack, context));
    let classic = stack.classic.as_ref();
    let classic_groups = classic.into_iter().flat_map(|spec| &spec.security_groups);
    // Only generated groups have ingress rules.
    let classic_groups = classic_groups.filter(|group| !group.ingress.is_empty());
    let security_groups = stack.security_groups.values().map(|group| SecurityGroup {
        name: group.group_name.clone(),
        ingress: group.ingress.iter().map(words::permission).collect(),
    });
    let groups = stack.target_groups.iter();
    Stack {
        id: stack.id.clone(),
        objects: stack
            .origins
            .iter()
            .map(|one| one.object.to_string())
            .collect(),
        load_balancers: modern
            .chain(classic.map(|spec| self::classic(spec, targets, context)))
            .collect(),
        target_groups: groups
            .map(|(id, group)| target_group(id, group, stack, targets))
            .collect(),
        security_groups: security_groups
            .chain(classic_groups.map(classic_group))
            .collect(),
        services: stack.others.iter().filter_map(service).collect(),
        quotas: quota::of_stack(stack, targets),
    }
}

fn load_balancer(
    id: &str,
    from: &stack::LoadBalancer,
    stack: &stack::Stack,
    context: &Context,
) -> LoadBalancer {
    let security_group = |reference: &At<Reference>| match &reference.value {
        Reference::Literal(id) => id.clone(),
        Reference::Resource { id, .. } => match stack.security_groups.get(id) {
            Some(group) => group.group_name.clone(),
            None => id.clone(),
        },
    };
    let mut listeners: Vec<Listener> = stack
        .listeners
        .iter()
        .filter(|(_, listener)| listener.load_balancer.leads_to(id))
        .map(|(id, listener)| self::listener(id, listener, stack))
        .collect();
    listeners.sort_by_key(|listener| listener.port);
    LoadBalancer {
        name: from.name.value.clone(),
        kind: from.kind.to_owned(),
        scheme: from.scheme.value.clone(),
        ip_address_type: Some(from.ip_address_type.value.clone()),
        dns_name: dns_name(&from.name, from.kind, &from.scheme, &context.region),
        subnets: from
            .subnet_mapping
            .iter()
            .map(|one| mapping(one, context))
            .collect(),
        security_groups: from.security_groups.iter().map(security_group).collect(),
        attributes: defaults::of_load_balancer(from),
        health_check: None,
        instances: None,
        listeners,
    }
}

/// The shape of the DNS name. AWS appends digits that cannot be known in advance.
fn dns_name(name: &str, kind: &str, scheme: &str, region: &str) -> String {
    let name = name.to_lowercase();
    match (kind, scheme) {
        ("network", _) => format!("{name}-{{hex16}}.elb.{region}.amazonaws.com"),
        (_, "internal") => format!("internal-{name}-{{digits}}.{region}.elb.amazonaws.com"),
        _ => format!("{name}-{{digits}}.{region}.elb.amazonaws.com"),
    }
}

fn mapping(from: &stack::SubnetMapping, context: &Context) -> Subnet {
    let private = from.private_ipv4_address.as_ref().map(|one| &one.value);
    let address = from.allocation_id.as_ref().or(private);
    Subnet {
        address: address.or(from.ipv6_address.as_ref()).cloned(),
        ..subnet(&from.subnet_id, context)
    }
}

fn subnet(id: &str, context: &Context) -> Subnet {
    let known = context.subnets.iter().find(|subnet| subnet.id == id);
    Subnet {
        id: id.to_owned(),
        availability_zone: known.map(|subnet| subnet.availability_zone.clone()),
        address: None,
    }
}

fn listener(id: &str, from: &stack::Listener, stack: &stack::Stack) -> Listener {
    let of_listener = |rule: &&stack::ListenerRule| rule.listener.leads_to(id);
    let rules = stack.rules.values().map(|rule| &**rule);
    let mut own: Vec<&stack::ListenerRule> = rules.filter(of_listener).collect();
    own.sort_by_key(|rule| rule.priority);
    let actions = |actions: &[At<stack::Action>]| {
        let words = actions.iter().map(|action| words::action(action, stack));
        words.collect::<Vec<_>>()
    };
    let mut rules: Vec<Rule> = own
        .into_iter()
        .map(|rule| Rule {
            priority: rule.priority.to_string(),
            conditions: rule
                .conditions
                .iter()
                .map(|one| words::condition(one))
                .collect(),
            transforms: rule
                .transforms
                .iter()
                .map(|one| words::transform(one))
                .collect(),
            actions: actions(&rule.actions),
        })
        .collect();
    rules.push(Rule {
        priority: "default".to_owned(),
        actions: actions(&from.default_actions),
        ..Rule::default()
    });
    let attributes = from.listener_attributes.iter();
    let attributes = attributes.map(|attribute| (&*attribute.key, attribute.value.as_str()));
    let mutual = from.mutual_authentication.as_ref();
    Listener {
        port: *from.port,
        protocol: from.protocol.value.clone(),
        ssl_policy: from.ssl_policy.as_ref().map(|one| one.value.clone()),
        alpn_policy: from.alpn_policy.first().map(|one| one.value.clone()),
        certificates: from
            .certificates
            .iter()
            .map(|one| one.arn.value.clone())
            .collect(),
        mutual_authentication: mutual.and_then(|one| words::mutual_authentication(one)),
        attributes: defaults::of_listener(&from.protocol, attributes),
        rules,
        instance: None,
    }
}

fn target_group(
    id: &str,
    from: &stack::TargetGroup,
    stack: &stack::Stack,
    targets: &quota::Targets,
) -> TargetGroup {
    let binding = stack.bindings.get(id);
    let service = binding.map(|binding| {
        let port = &binding.spec.service_ref.port;
        let port = port
            .as_str()
            .map_or_else(|| port.to_string(), str::to_owned);
        format!(
            "{}/{}:{port}",
            binding.namespace, binding.spec.service_ref.name
        )
    });
    let selector = binding.and_then(|binding| binding.spec.node_selector.as_ref());
    TargetGroup {
        name: from.name.clone(),
        protocol: from.protocol.value.clone(),
        protocol_version: from.protocol_version.as_ref().map(|one| one.value.clone()),
        port: from.port,
        target_type: from.target_type.clone(),
        ip_address_type: from.ip_address_type.clone(),
        service,
        load_balancer: stack
            .alb_targets
            .get(id)
            .map(|alb| format!("{}:{}", alb.name, alb.port)),
        targets: targets.get(&from.name).copied().unwrap_or(0),
        health_check: words::health_check(&from.health_check_config),
        attributes: defaults::of_target_group(from),
        node_labels: selector
            .map(|one| one.match_labels.clone())
            .unwrap_or_default(),
    }
}

fn classic(from: &ClassicSpec, targets: &quota::Targets, context: &Context) -> LoadBalancer {
    let (name, scheme) = (&from.load_balancer_name, &from.scheme);
    let security_groups = from.security_groups.iter();
    LoadBalancer {
        name: name.clone(),
        kind: "classic".to_owned(),
        scheme: scheme.value.clone(),
        ip_address_type: None,
        dns_name: dns_name(name, "classic", scheme, &context.region),
        subnets: from.subnets.iter().map(|id| subnet(id, context)).collect(),
        security_groups: security_groups.map(|one| one.group_name.clone()).collect(),
        attributes: defaults::of_classic(&from.attributes),
        health_check: Some(words::classic_health_check(&from.health_check)),
        instances: Some(targets.get(name).copied().unwrap_or(0)),
        listeners: from
            .listeners
            .iter()
            .map(|one| classic_listener(one, from))
            .collect(),
    }
}

fn classic_listener(from: &ClassicListener, of: &ClassicSpec) -> Listener {
    let port = from.instance_port;
    let own = of
        .backend_server_policies
        .iter()
        .filter(|policy| policy.instance_port == port);
    let names: Vec<&str> = own
        .flat_map(|one| &one.policy_names)
        .map(|name| name.as_str())
        .collect();
    let mut instance = format!("{}:{port}", from.instance_protocol);
    if !names.is_empty() {
        instance = format!("{instance} with {}", names.join(", "));
    }
    Listener {
        port: from.load_balancer_port,
        protocol: (*from.protocol).to_owned(),
        ssl_policy: from.policy_names.first().map(|one| one.value.clone()),
        certificates: from
            .ssl_certificate_id
            .iter()
            .map(|one| one.value.clone())
            .collect(),
        instance: Some(instance),
        ..Listener::default()
    }
}

/// Describes a generated security group.
fn classic_group(group: &ClassicSecurityGroup) -> SecurityGroup {
    SecurityGroup {
        name: group.group_name.clone(),
        ingress: group
            .ingress
            .iter()
            .map(words::classic_permission)
            .collect(),
    }
}

/// Describes a Service among the other resources of a stack.
fn service(((kind, name), spec): (&(String, String), &Value)) -> Option<Service> {
    if kind != "K8S::Service" {
        return None;
    }
    let spec = &spec["spec"];
    let ports = spec["ports"].as_array().into_iter().flatten();
    let port = |port: &Value| {
        let name = text(port, "name");
        format!("{} -> {} ({name})", port["port"], port["targetPort"])
    };
    Some(Service {
        name: name.clone(),
        kind: match text(spec, "clusterIP") {
            "None" => "headless".to_owned(),
            _ => text(spec, "type").to_owned(),
        },
        ports: ports.map(port).collect(),
    })
}

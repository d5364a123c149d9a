//! A stack as the report has it.

use elbow_manifest::classic::{ClassicListener, ClassicSecurityGroup, ClassicSpec};
use elbow_manifest::stack::{self, Reference};
use elbow_manifest::{Context, quota};
use serde_json::Value;

use super::report::{
    Listener, LoadBalancer, Rule, SecurityGroup, Service, Stack, Subnet, TargetGroup,
};
use super::words::text;
use super::{defaults, words};

/// `stack`, with the targets that its groups have.
pub(crate) fn stack(stack: &stack::Stack, targets: &quota::Targets, context: &Context) -> Stack {
    let modern = stack.load_balancers.iter();
    let modern = modern.map(|(id, balancer)| load_balancer(id, balancer, stack, context));
    let classic = stack.classic.as_ref();
    let classic_groups = classic.into_iter().flat_map(|spec| &spec.security_groups);
    // Only those that are made say who may come in.
    let classic_groups = classic_groups.filter(|group| !group.ingress.is_empty());
    let security_groups = stack.security_groups.values().map(|group| SecurityGroup {
        name: group.group_name.clone(),
        ingress: group.ingress.iter().map(words::permission).collect(),
    });
    let groups = stack.target_groups.iter();
    Stack {
        id: stack.id.clone(),
        objects: stack.origins.iter().map(|one| one.object.clone()).collect(),
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
    let security_group = |reference: &Reference| match reference {
        Reference::Literal(id) => id.clone(),
        Reference::Resource { id, .. } => match stack.security_groups.get(id) {
            Some(group) => group.group_name.clone(),
            None => id.clone(),
        },
    };
    let mut listeners: Vec<Listener> = stack
        .listeners
        .values()
        .filter(|listener| listener.load_balancer.leads_to(id))
        .map(|listener| self::listener(listener, stack))
        .collect();
    listeners.sort_by_key(|listener| listener.port);
    LoadBalancer {
        name: from.name.clone(),
        kind: from.kind.to_owned(),
        scheme: from.scheme.clone(),
        ip_address_type: Some(from.ip_address_type.clone()),
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

/// Section 0.3 of the specification: what AWS adds cannot be known beforehand.
fn dns_name(name: &str, kind: &str, scheme: &str, region: &str) -> String {
    let name = name.to_lowercase();
    match (kind, scheme) {
        ("network", _) => format!("{name}-{{hex16}}.elb.{region}.amazonaws.com"),
        (_, "internal") => format!("internal-{name}-{{digits}}.{region}.elb.amazonaws.com"),
        _ => format!("{name}-{{digits}}.{region}.elb.amazonaws.com"),
    }
}

fn mapping(from: &stack::SubnetMapping, context: &Context) -> Subnet {
    let address = [
        &from.allocation_id,
        &from.private_ipv4_address,
        &from.ipv6_address,
    ];
    Subnet {
        address: address.into_iter().flatten().next().cloned(),
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

fn listener(from: &stack::Listener, stack: &stack::Stack) -> Listener {
    let id = from.port.to_string();
    let of_listener = |rule: &&stack::ListenerRule| rule.listener.leads_to(&id);
    let mut own: Vec<&stack::ListenerRule> = stack.rules.values().filter(of_listener).collect();
    own.sort_by_key(|rule| rule.priority);
    let actions = |actions: &[stack::Action]| {
        let words = actions.iter().map(|action| words::action(action, stack));
        words.collect::<Vec<_>>()
    };
    let mut rules: Vec<Rule> = own
        .into_iter()
        .map(|rule| Rule {
            priority: rule.priority.to_string(),
            conditions: rule.conditions.iter().map(words::condition).collect(),
            transforms: rule.transforms.iter().map(words::transform).collect(),
            actions: actions(&rule.actions),
        })
        .collect();
    rules.push(Rule {
        priority: "default".to_owned(),
        actions: actions(&from.default_actions),
        ..Rule::default()
    });
    let attributes = from.listener_attributes.iter();
    let attributes = attributes.map(|attribute| (&*attribute.key, &*attribute.value));
    let mutual = from.mutual_authentication.as_ref();
    Listener {
        port: from.port,
        protocol: from.protocol.clone(),
        ssl_policy: from.ssl_policy.clone(),
        alpn_policy: from.alpn_policy.first().cloned(),
        certificates: from
            .certificates
            .iter()
            .map(|one| one.arn.clone())
            .collect(),
        mutual_authentication: mutual.and_then(words::mutual_authentication),
        attributes: defaults::of_listener(attributes),
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
        protocol: from.protocol.clone(),
        protocol_version: from.protocol_version.clone(),
        port: from.port,
        target_type: from.target_type.clone(),
        ip_address_type: from.ip_address_type.clone(),
        service,
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
        scheme: scheme.clone(),
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
        .map(String::as_str)
        .collect();
    let mut instance = format!("{}:{port}", from.instance_protocol);
    if !names.is_empty() {
        instance = format!("{instance} with {}", names.join(", "));
    }
    Listener {
        port: from.load_balancer_port,
        protocol: from.protocol.to_owned(),
        ssl_policy: from.policy_names.first().cloned(),
        certificates: from.ssl_certificate_id.iter().cloned().collect(),
        instance: Some(instance),
        ..Listener::default()
    }
}

/// Who may come in through a generated group.
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

/// A Service among the other resources of a stack.
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

//! `-o tree`: the AWS resources as a tree.

use std::collections::BTreeMap;

use elbow_manifest::quota::Usage;

use super::changes::{Act, Changes};
use super::report::{Listener, LoadBalancer, Rule, Stack, Summary, TargetGroup};
use super::screen::{Branch, Style};

/// A stack and its resources.
pub(crate) fn stack(stack: &Stack) -> Branch {
    let title = Branch::new(Style::Bold, &stack.id).text(&made_of(&stack.objects));
    let balancers = stack.load_balancers.iter().map(load_balancer);
    let groups = stack.target_groups.iter().map(target_group);
    let security_groups = stack.security_groups.iter().map(|group| {
        let rest = match &group.ingress[..] {
            [] => "no ingress rules".to_owned(),
            ingress => ingress.join("; "),
        };
        line("security group", &group.name, &rest)
    });
    let services = stack.services.iter().map(|service| {
        let rest = format!("{}, {}", service.kind, service.ports.join(", "));
        line("Service", &service.name, &rest)
    });
    let high = stack.quotas.iter().filter(|usage| usage.is_high());
    title
        .with(balancers)
        .with(groups)
        .with(security_groups)
        .with(services)
        .with(high.map(quota))
}

/// The first objects of a stack; a group may have hundreds.
fn made_of(objects: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = match objects.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let shown = &objects[..objects.len().min(SHOWN)];
    format!("from {}{more}", shown.join(", "))
}

fn load_balancer(balancer: &LoadBalancer) -> Branch {
    let kind = match &*balancer.kind {
        "application" => "ALB",
        "network" => "NLB",
        _ => "Classic",
    };
    let family = balancer.ip_address_type.iter().map(String::as_str);
    let traits: Vec<&str> = std::iter::once(&*balancer.scheme).chain(family).collect();
    let subnet = |subnet: &super::report::Subnet| {
        let zone = subnet.availability_zone.as_deref();
        let notes = zone.into_iter().chain(subnet.address.as_deref());
        match notes.collect::<Vec<_>>().join(", ") {
            notes if notes.is_empty() => subnet.id.clone(),
            notes => format!("{} ({notes})", subnet.id),
        }
    };
    let subnets: Vec<String> = balancer.subnets.iter().map(subnet).collect();
    let instances = balancer.instances.filter(|number| *number > 0);
    let instances = instances.map(|number| count(number, "instance"));
    let traits: Vec<&str> = traits.into_iter().chain(instances.as_deref()).collect();
    line(kind, &balancer.name, &traits.join(", "))
        .with([field("DNS name", &balancer.dns_name)])
        .with(list("subnets", &subnets))
        .with(list("security groups", &balancer.security_groups))
        .with(attributes(&balancer.attributes))
        .with(
            balancer
                .health_check
                .iter()
                .map(|check| field("health check", check)),
        )
        .with(balancer.listeners.iter().map(listener))
}

fn listener(listener: &Listener) -> Branch {
    let name = format!("{}:{}", listener.protocol, listener.port);
    let instance = listener
        .instance
        .iter()
        .map(|to| format!("to instances {to}"));
    let policy = listener
        .ssl_policy
        .iter()
        .map(|name| format!("policy {name}"));
    let alpn = listener
        .alpn_policy
        .iter()
        .map(|name| format!("ALPN {name}"));
    let rest: Vec<String> = instance.chain(policy).chain(alpn).collect();
    let mutual = listener.mutual_authentication.iter();
    line("listener", &name, &rest.join(", "))
        .with(list("certificates", &listener.certificates))
        .with(mutual.map(|words| field("client certificates", words)))
        .with(attributes(&listener.attributes))
        .with(listener.rules.iter().map(rule))
}

fn rule(rule: &Rule) -> Branch {
    let does: Vec<&str> = rule
        .transforms
        .iter()
        .chain(&rule.actions)
        .map(String::as_str)
        .collect();
    let does = does.join(", then ");
    let text = match &rule.conditions[..] {
        [] => does,
        conditions => format!("{} -> {does}", conditions.join(" and ")),
    };
    Branch::new(Style::Bold, &format!("{}:", rule.priority)).text(&text)
}

fn target_group(group: &TargetGroup) -> Branch {
    let protocol = match group.port {
        Some(port) => format!("{}:{port}", group.protocol),
        None => group.protocol.clone(),
    };
    let version = group
        .protocol_version
        .iter()
        .filter(|version| *version != "HTTP1");
    let family = Some(&group.ip_address_type).filter(|family| *family != "ipv4");
    let mut traits: Vec<String> = vec![protocol];
    traits.extend(version.cloned());
    traits.push(group.target_type.clone());
    traits.extend(family.cloned());
    traits.extend(
        group
            .service
            .iter()
            .map(|service| format!("Service {service}")),
    );
    traits.extend(group.load_balancer.iter().map(|alb| format!("ALB {alb}")));
    if group.targets > 0 {
        traits.push(count(group.targets, "target"));
    }
    line("target group", &group.name, &traits.join(", "))
        .with([field("health check", &group.health_check)])
        .with(attributes(&group.attributes))
        .with(map("node labels", &group.node_labels))
}

fn quota(usage: &Usage) -> Branch {
    let style = if usage.is_exceeded() {
        Style::Red
    } else {
        Style::Yellow
    };
    let text = format!(
        "{}/{} {} of {}",
        usage.used, usage.limit, usage.what, usage.resource
    );
    Branch::new(style, "quota").text(&text)
}

/// The quotas of the region with high usage, if there are any.
pub(crate) fn region(quotas: &[Usage]) -> Option<Branch> {
    let high: Vec<Branch> = quotas
        .iter()
        .filter(|usage| usage.is_high())
        .map(quota)
        .collect();
    (!high.is_empty()).then(|| Branch::new(Style::Bold, "region").with(high))
}

/// The changes to a running elbow.
pub(crate) fn changes(changes: &Changes) -> Branch {
    let title = format!(
        "{} to create, {} to change, {} to delete",
        changes.create, changes.change, changes.delete
    );
    let items = changes.items.iter().map(|item| {
        let (style, sign) = match item.action {
            Act::Create => (Style::Green, "+"),
            Act::Change => (Style::Yellow, "~"),
            Act::Delete => (Style::Red, "-"),
        };
        let fields = item.fields.iter().map(|one| {
            let or = |text: &str| match text {
                "" => "nothing".to_owned(),
                text => text.to_owned(),
            };
            field(&one.field, &format!("{} -> {}", or(&one.from), or(&one.to)))
        });
        Branch::new(style, sign)
            .text(&format!("{} {}", item.kind, item.name))
            .with(fields)
    });
    let head = format!("changes at {}:", changes.against);
    Branch::new(Style::Bold, &head).text(&title).with(items)
}

/// `1 stack: 1 load balancer, 2 listeners, …`.
pub(crate) fn summary(summary: &Summary) -> String {
    let parts = [
        (summary.load_balancers, "load balancer"),
        (summary.listeners, "listener"),
        (summary.rules, "rule"),
        (summary.target_groups, "target group"),
        (summary.services, "Service"),
    ];
    let parts = parts.into_iter().filter(|(number, _)| *number > 0);
    let parts: Vec<String> = parts.map(|(number, what)| count(number, what)).collect();
    let stacks = count(summary.stacks, "stack");
    if parts.is_empty() {
        return stacks;
    }
    format!("{stacks}: {}", parts.join(", "))
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn line(kind: &str, name: &str, rest: &str) -> Branch {
    Branch::new(Style::Plain, kind).name(name).text(rest)
}

fn field(name: &str, value: &str) -> Branch {
    Branch::new(Style::Dim, &format!("{name}:")).text(value)
}

fn list(name: &str, values: &[String]) -> Option<Branch> {
    (!values.is_empty()).then(|| field(name, &values.join(", ")))
}

fn attributes(attributes: &BTreeMap<String, String>) -> Option<Branch> {
    map("attributes", attributes)
}

fn map(name: &str, map: &BTreeMap<String, String>) -> Option<Branch> {
    let pairs: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    list(name, &pairs)
}

//! `-o table`: a table for each kind of resource, in the layout of kubectl.

use super::changes::{Act, Changes};
use super::report::{Report, Stack};
use super::screen::clean;
use crate::table::table;

/// All tables with at least one row.
pub(crate) fn tables(report: &Report) -> String {
    let tables = [
        load_balancers(&report.stacks),
        listeners(&report.stacks),
        rules(&report.stacks),
        target_groups(&report.stacks),
        services(&report.stacks),
        quotas(report),
        report.changes.as_ref().map_or_else(Vec::new, changes),
    ];
    let printed = tables
        .iter()
        .filter(|rows| rows.len() > 1)
        .map(|rows| table(rows));
    printed.collect::<Vec<_>>().join("\n\n")
}

fn load_balancers(stacks: &[Stack]) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "LOAD BALANCER",
        "TYPE",
        "SCHEME",
        "LISTENERS",
        "STACK",
    ])];
    for stack in stacks {
        for balancer in &stack.load_balancers {
            let listeners = balancer.listeners.iter();
            let listeners: Vec<String> = listeners
                .map(|listener| format!("{}:{}", listener.protocol, listener.port))
                .collect();
            rows.push(row([
                &balancer.name,
                &balancer.kind,
                &balancer.scheme,
                &listeners.join(","),
                &stack.id,
            ]));
        }
    }
    rows
}

fn listeners(stacks: &[Stack]) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "LISTENER",
        "PROTOCOL",
        "TO",
        "POLICY",
        "CERTIFICATES",
    ])];
    for balancer in stacks.iter().flat_map(|stack| &stack.load_balancers) {
        for listener in &balancer.listeners {
            let rules = match listener.rules.len() {
                1 => "1 rule".to_owned(),
                count => format!("{count} rules"),
            };
            rows.push(row([
                &format!("{}:{}", balancer.name, listener.port),
                &listener.protocol,
                listener.instance.as_ref().unwrap_or(&rules),
                listener.ssl_policy.as_deref().unwrap_or_default(),
                &listener.certificates.join(","),
            ]));
        }
    }
    rows
}

fn rules(stacks: &[Stack]) -> Vec<Vec<String>> {
    let mut rows = vec![row(["RULE", "CONDITIONS", "ACTIONS"])];
    for balancer in stacks.iter().flat_map(|stack| &stack.load_balancers) {
        for listener in &balancer.listeners {
            for rule in &listener.rules {
                let does = rule.transforms.iter().chain(&rule.actions).cloned();
                rows.push(row([
                    &format!("{}:{}/{}", balancer.name, listener.port, rule.priority),
                    &rule.conditions.join(" and "),
                    &does.collect::<Vec<_>>().join(", then "),
                ]));
            }
        }
    }
    rows
}

fn target_groups(stacks: &[Stack]) -> Vec<Vec<String>> {
    let heads = [
        "TARGET GROUP",
        "PROTOCOL",
        "PORT",
        "TYPE",
        "TARGETS",
        "SERVICE",
    ];
    let mut rows = vec![row(heads)];
    for group in stacks.iter().flat_map(|stack| &stack.target_groups) {
        rows.push(row([
            &group.name,
            &group.protocol,
            &group.port.map(|port| port.to_string()).unwrap_or_default(),
            &group.target_type,
            &group.targets.to_string(),
            group.service.as_deref().unwrap_or_default(),
        ]));
    }
    rows
}

fn services(stacks: &[Stack]) -> Vec<Vec<String>> {
    let mut rows = vec![row(["SERVICE", "TYPE", "PORTS", "STACK"])];
    for stack in stacks {
        for service in &stack.services {
            let ports = service.ports.join(",");
            rows.push(row([&service.name, &service.kind, &ports, &stack.id]));
        }
    }
    rows
}

/// The quotas with more than half of them used.
fn quotas(report: &Report) -> Vec<Vec<String>> {
    let mut rows = vec![row(["QUOTA", "RESOURCE", "USED", "LIMIT"])];
    let of_stacks = report.stacks.iter().flat_map(|stack| &stack.quotas);
    for usage in of_stacks
        .chain(&report.quotas)
        .filter(|usage| usage.is_high())
    {
        let (used, limit) = (usage.used.to_string(), usage.limit.to_string());
        rows.push(row([usage.quota, &usage.resource, &used, &limit]));
    }
    rows
}

fn changes(changes: &Changes) -> Vec<Vec<String>> {
    let mut rows = vec![row(["CHANGE", "KIND", "NAME", "FIELDS"])];
    for item in &changes.items {
        let action = match item.action {
            Act::Create => "create",
            Act::Change => "change",
            Act::Delete => "delete",
        };
        let fields: Vec<&str> = item.fields.iter().map(|field| &*field.field).collect();
        rows.push(row([action, item.kind, &item.name, &fields.join(",")]));
    }
    rows
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    let cell = |text: &str| match text {
        "" => "-".to_owned(),
        text => clean(text),
    };
    cells.into_iter().map(cell).collect()
}

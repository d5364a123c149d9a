//! The certificates that listeners name, and the hosts that each is wanted for.

use std::collections::BTreeSet;

use elbow_model::{At, LoadBalancerType, Scheme, dns_name, is_certificate_host};
use serde_json::Value;

use crate::Context;
use crate::scope::Scope;
use crate::stack::{Listener, OWN, Reference, Stack};

/// The certificates that the listeners of a load balancer name, each once.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) arns: Vec<At<String>>,
    names: BTreeSet<String>,
}

impl Wanted {
    /// Adds a certificate, unless one of that name is there.
    pub(super) fn add(&mut self, arn: &At<String>) {
        if self.names.insert(name(arn)) {
            self.arns.push(arn.clone());
        }
    }
}

/// The name of a certificate in the model: its ARN, with a hyphen for each letter that names cannot have.
pub(super) fn name(arn: &str) -> String {
    let fit = |letter: char| letter.is_ascii_alphanumeric() || "-_.:/*".contains(letter);
    let letters = arn.chars().take(256);
    letters
        .map(|letter| if fit(letter) { letter } else { '-' })
        .collect()
}

/// The certificates of a listener without repetition: one that two members of a group name is listed twice. A listener
/// without any gets its own.
pub(super) fn of_listener(stack: &Stack, listener: &Listener) -> Vec<At<String>> {
    let mut names = BTreeSet::new();
    let arns = listener.certificates.iter().map(|one| &one.arn);
    let mut arns: Vec<At<String>> = arns
        .filter(|arn| names.insert(name(arn)))
        .cloned()
        .collect();
    if arns.is_empty() && *listener.protocol == "HTTPS" {
        let own = format!("{OWN}{}", stack.id);
        arns.push(At::new(own, listener.port.origin.clone()));
    }
    arns
}

/// The hosts that each certificate of a stack is wanted for: those of the Ingresses, the name of the load
/// balancer, and this machine.
pub(super) fn wanted(
    stack: &Stack,
    scope: Scope<'_>,
    context: &Context,
) -> Vec<(String, BTreeSet<String>)> {
    let mut wanted = Vec::new();
    let own = |kind, scheme: &str, name: &str| {
        let scheme = match scheme {
            "internal" => Scheme::Internal,
            _ => Scheme::InternetFacing,
        };
        let name = dns_name(kind, scheme, name, &context.dns_zone());
        BTreeSet::from([name, "localhost".to_owned()])
    };
    for balancer in stack.load_balancers.values() {
        let kind = match balancer.kind {
            "application" => LoadBalancerType::Application,
            _ => LoadBalancerType::Network,
        };
        for listener in stack.listeners.values() {
            let mut hosts = own(kind, &balancer.scheme, &balancer.name);
            hosts.extend(rule_hosts(stack, &listener.port.to_string()));
            let members = stack.members.iter();
            let members = members.filter_map(|key| scope.ingress(key));
            hosts.extend(members.flat_map(|ingress| ingress.tls_hosts.iter().cloned()));
            hosts.retain(|host| is_certificate_host(host));
            for arn in of_listener(stack, listener) {
                wanted.push((arn.value, hosts.clone()));
            }
        }
    }
    if let Some(classic) = &stack.classic {
        let arns = classic.listeners.iter();
        for arn in
            arns.filter_map(|listener| Some(listener.ssl_certificate_id.as_ref()?.value.clone()))
        {
            let hosts = own(
                LoadBalancerType::Classic,
                &classic.scheme,
                &classic.load_balancer_name,
            );
            wanted.push((arn, hosts));
        }
    }
    wanted
}

/// The hosts in the conditions of a listener's rules.
fn rule_hosts<'s>(stack: &'s Stack, port: &str) -> impl Iterator<Item = String> + use<'s> {
    let listener = Reference::listener(port);
    let rules = stack.rules.values();
    let rules = rules.filter(move |rule| rule.listener == listener);
    let conditions = rules.flat_map(|rule| rule.conditions.iter());
    let values = conditions.filter_map(|condition| {
        let config = condition.get("hostHeaderConfig")?;
        config.get("values")?.as_array()
    });
    values
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
}

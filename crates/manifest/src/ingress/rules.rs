//! Listeners and their rules.

use std::collections::BTreeMap;

use elbow_model::{At, Origin};

use super::Build;
use super::attributes::merged;
use super::conditions::{self, Condition};
use super::group::Member;
use super::load_balancer;
use super::optimizer::optimize;
use super::ports::PortConfig;
use crate::Refusal;
use crate::annotations::ingress as keys;
use crate::bounds;
use crate::objects::{IngressPath, IngressRule, PathType};
use crate::stack::{
    Action, Certificate, Listener, ListenerAttribute, ListenerRule, Reference, Tags,
};

impl<'a> Build<'a> {
    /// The members that listen on a port, in order.
    fn listening(&self, config: &PortConfig) -> Vec<Member<'a>> {
        let members = config.members.iter();
        members
            .filter_map(|&index| self.group.members.get(index).cloned())
            .collect()
    }

    /// Whether the port only redirects to the HTTPS port.
    fn only_redirects(&self, config: &PortConfig) -> Option<u16> {
        self.ssl_redirect.filter(|_| config.protocol == "HTTP")
    }

    /// Refuses a group with more rules, its ports times its paths, than a load balancer may have.
    pub(super) fn bound_rules(&self, ports: &BTreeMap<u16, PortConfig>) -> Result<(), Refusal> {
        let paths = self.group.members.iter();
        let paths: Vec<usize> = paths.map(|member| member.ingress.paths().count()).collect();
        let ports = ports
            .values()
            .filter(|config| self.only_redirects(config).is_none());
        let members = ports.flat_map(|config| &config.members);
        let rules = members.filter_map(|&index| paths.get(index)).sum();
        bounds::rules(rules).map_err(|bound| self.group.too_much(bound))
    }

    /// Adds the listener of a port.
    pub(super) fn add_listener(&mut self, port: u16, config: &PortConfig) -> Result<(), Refusal> {
        let members = self.listening(config);
        let default_actions = self.default_actions(config, &members);
        let default_actions = self.refused.or_default(default_actions);
        let borrowed: Vec<&Member<'_>> = members.iter().collect();
        let name = format!("{}-{port}", config.protocol);
        let attributes = merged(keys::LISTENER_ATTRIBUTES.of(&name), &members, |params| {
            let mut listeners = params.listeners.iter();
            let listener =
                listeners.find(|one| one.port == port && one.protocol == config.protocol);
            listener.map(|listener| listener.attributes.clone())
        });
        let attributes = self.refused.or_default(attributes);
        let certificates = config.certificates.iter().cloned();
        let listener = Listener {
            alpn_policy: Vec::new(),
            certificates: certificates.map(|arn| Certificate { arn }).collect(),
            default_actions,
            listener_attributes: ListenerAttribute::list(attributes),
            load_balancer: Reference::load_balancer(load_balancer::ID),
            mutual_authentication: config.mutual_authentication.clone(),
            port: At::new(port, config.origin.clone()),
            protocol: At::new(config.protocol.to_owned(), config.origin.clone()),
            ssl_policy: config.ssl_policy.clone(),
            tags: self.refused.or_default(self.group_tags(&borrowed)),
        };
        let charged = self.budget.take(&listener);
        charged.map_err(|bound| self.group.too_much(bound))?;
        let listener = Box::new(listener);
        self.stack.listeners.insert(port.to_string(), listener);
        Ok(())
    }

    fn default_actions(
        &mut self,
        config: &PortConfig,
        members: &[Member<'a>],
    ) -> Result<Vec<At<Action>>, Refusal> {
        let of_listener = |action| vec![At::new(action, config.origin.clone())];
        if let Some(port) = self.only_redirects(config) {
            return Ok(of_listener(Action::Other {
                kind: "redirect",
                config: "redirectConfig",
                value: serde_json::json!({
                    "port": port.to_string(), "protocol": "HTTPS", "statusCode": "HTTP_301",
                }),
                secret: None,
            }));
        }
        let mut defaults = members
            .iter()
            .filter_map(|member| Some((member, member.ingress.default_backend.as_ref()?)));
        match (defaults.next(), defaults.next()) {
            (None, _) => Ok(of_listener(Action::Other {
                kind: "fixed-response",
                config: "fixedResponseConfig",
                value: serde_json::json!({"contentType": "text/plain", "statusCode": "404"}),
                secret: None,
            })),
            (Some((member, backend)), None) => {
                let backend = self.backend(member, backend)?;
                self.actions(config.protocol, member, &backend, &config.origin)
            }
            (Some((first, _)), Some((second, _))) => {
                let message = format!(
                    "the group has a second default backend: the first is set in {}",
                    first.key()
                );
                Err(second.ingress.meta.refuse("two-default-backends", message))
            }
        }
    }

    /// Adds the rules of a port.
    pub(super) fn add_rules(&mut self, port: u16, config: &PortConfig) -> Result<(), Refusal> {
        if self.only_redirects(config).is_some() {
            return Ok(());
        }
        let mut rules = Vec::new();
        for member in self.listening(config) {
            let tags = self.refused.or_default(self.rule_tags(&member));
            for rule in &member.ingress.rules {
                for path in sorted(rule) {
                    let made = self.rule((port, config), &member, (rule, path));
                    let Some(made) = self.refused.keep(made) else {
                        continue;
                    };
                    let rule = ListenerRule {
                        tags: tags.clone(),
                        ..made
                    };
                    self.charge(&rule, &member.ingress.meta)?;
                    rules.push(rule);
                }
            }
        }
        let rules = optimize(port, config.protocol, rules, &mut self.fates);
        for (index, mut rule) in rules.into_iter().enumerate() {
            rule.priority = index + 1;
            self.stack
                .rules
                .insert(format!("{port}:{}", rule.priority), Box::new(rule));
        }
        Ok(())
    }

    /// The rule of a path, without priority and tags.
    fn rule(
        &mut self,
        (port, config): (u16, &PortConfig),
        member: &Member<'a>,
        (rule, path): (&IngressRule, &IngressPath),
    ) -> Result<ListenerRule, Refusal> {
        let backend = self.backend(member, &path.backend);
        let regex = self.refused.or_default(is_regex(member, path));
        let own = own_conditions(rule, path, regex);
        let own = own.map_err(|message| refuse_path(member, path, message));
        let own = self.refused.or_default(own);
        let backend = backend?;
        let origin = origin_of(member, path);
        let conditions = conditions::join(own, &backend.conditions, &origin);
        let conditions = conditions.map_err(|message| refuse_path(member, path, message))?;
        Ok(ListenerRule {
            actions: self.actions(config.protocol, member, &backend, &origin)?,
            conditions,
            listener: Reference::listener(port.to_string()),
            priority: 0,
            tags: Tags::new(),
            transforms: backend.transforms.clone(),
            origin,
        })
    }
}

/// Whether a path is a regular expression. The annotation is not even read for paths of other types.
fn is_regex(member: &Member<'_>, path: &IngressPath) -> Result<bool, Refusal> {
    if path.path_type != PathType::ImplementationSpecific || path.path.is_empty() {
        return Ok(false);
    }
    let regex = member.annotations().boolean(keys::USE_REGEX_PATH_MATCH)?;
    Ok(regex.unwrap_or(false))
}

/// The origin of a path.
fn origin_of(member: &Member<'_>, path: &IngressPath) -> Origin {
    Origin {
        line: path.at.line,
        column: path.at.column,
        ..member.ingress.meta.origin()
    }
}

fn refuse_path(member: &Member<'_>, path: &IngressPath, message: String) -> Refusal {
    let mut refusal = member.ingress.meta.refuse("invalid-path", message);
    refusal.line = path.at.line;
    refusal.column = path.at.column;
    refusal
}

/// Exact paths first, then prefixes from long to short, then the others; otherwise in the order of the Ingress.
fn sorted(rule: &IngressRule) -> Vec<&IngressPath> {
    let mut paths: Vec<&IngressPath> = rule.paths.iter().flatten().collect();
    paths.sort_by_key(|path| match path.path_type {
        PathType::Exact => (0, 0),
        PathType::Prefix => (1, usize::MAX - path.path.len()),
        PathType::ImplementationSpecific => (2, 0),
    });
    paths
}

/// The conditions from the host and the path of a rule.
fn own_conditions(
    rule: &IngressRule,
    path: &IngressPath,
    regex: bool,
) -> Result<Vec<Condition>, String> {
    let mut conditions = Vec::new();
    if !rule.host.is_empty() {
        conditions.push(Condition::host(vec![rule.host.clone()], Vec::new()));
    }
    let written = &path.path;
    if written.is_empty() {
        return Ok(conditions);
    }
    let wildcards = written.contains(['*', '?']);
    let (values, patterns) = match path.path_type {
        PathType::ImplementationSpecific if regex => {
            // The slash is there because every path must begin with one; it is not part of the expression.
            let pattern = written.chars().skip(1).collect();
            (Vec::new(), vec![pattern])
        }
        PathType::ImplementationSpecific => (vec![written.clone()], Vec::new()),
        PathType::Prefix if written == "/" => (vec!["/*".to_owned()], Vec::new()),
        PathType::Exact | PathType::Prefix if wildcards => {
            return Err(format!(
                "a path of type Exact or Prefix cannot contain wildcards: {written}"
            ));
        }
        PathType::Exact => (vec![written.clone()], Vec::new()),
        PathType::Prefix => {
            let stem = written.strip_suffix('/').unwrap_or(written);
            (vec![stem.to_owned(), format!("{stem}/*")], Vec::new())
        }
    };
    conditions.push(Condition::path(values, patterns));
    Ok(conditions)
}

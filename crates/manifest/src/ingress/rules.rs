//! Listeners and their rules.

use std::collections::BTreeMap;

use super::Build;
use super::conditions::{self, Condition};
use super::group::Member;
use super::load_balancer;
use super::optimizer::optimize;
use super::ports::PortConfig;
use crate::Refusal;
use crate::bounds;
use crate::objects::{IngressPath, IngressRule, PathType};
use crate::stack::{
    Action, Certificate, Listener, ListenerAttribute, ListenerRule, Reference, Source,
};

impl<'a> Build<'a> {
    /// The members that listen on a port, in order.
    fn listening(&self, config: &PortConfig) -> Vec<Member<'a>> {
        let members = config.members.iter();
        members
            .filter_map(|&index| self.group.members.get(index).cloned())
            .collect()
    }

    /// Whether the port only leads to the HTTPS port.
    fn only_redirects(&self, config: &PortConfig) -> Option<u16> {
        self.ssl_redirect.filter(|_| config.protocol == "HTTP")
    }

    /// Refuses a group whose ports and paths multiply beyond what a load balancer may have.
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
        let default_actions = self.default_actions(config, &members)?;
        let borrowed: Vec<&Member<'_>> = members.iter().collect();
        let name = format!("{}-{port}", config.protocol);
        let attributes = self.merged(
            &format!("listener-attributes.{name}"),
            members.iter(),
            |params| {
                let listener = params
                    .listeners
                    .iter()
                    .find(|listener| listener.port == port && listener.protocol == config.protocol);
                listener
                    .map(|listener| listener.attributes.clone())
                    .unwrap_or_default()
            },
        )?;
        let attribute = |(key, value)| ListenerAttribute { key, value };
        let certificates = config.certificates.iter().cloned();
        let listener = Listener {
            alpn_policy: Vec::new(),
            certificates: certificates.map(|arn| Certificate { arn }).collect(),
            default_actions,
            listener_attributes: attributes.into_iter().map(attribute).collect(),
            load_balancer: Reference::load_balancer(load_balancer::ID),
            mutual_authentication: config.mutual_authentication.clone(),
            port,
            protocol: config.protocol.to_owned(),
            ssl_policy: config.ssl_policy.clone(),
            tags: self.group_tags(&borrowed)?,
        };
        let charged = self.budget.take(&listener);
        charged.map_err(|bound| self.group.too_much(bound))?;
        self.stack.listeners.insert(port.to_string(), listener);
        Ok(())
    }

    fn default_actions(
        &mut self,
        config: &PortConfig,
        members: &[Member<'a>],
    ) -> Result<Vec<Action>, Refusal> {
        if let Some(port) = self.only_redirects(config) {
            return Ok(vec![Action::Other {
                kind: "redirect",
                config: "redirectConfig",
                value: serde_json::json!({
                    "port": port.to_string(), "protocol": "HTTPS", "statusCode": "HTTP_301",
                }),
            }]);
        }
        let mut defaults = members
            .iter()
            .filter_map(|member| Some((member, member.ingress.default_backend.as_ref()?)));
        match (defaults.next(), defaults.next()) {
            (None, _) => Ok(vec![Action::Other {
                kind: "fixed-response",
                config: "fixedResponseConfig",
                value: serde_json::json!({"contentType": "text/plain", "statusCode": "404"}),
            }]),
            (Some((member, backend)), None) => {
                let backend = self.backend(member, backend)?;
                self.actions(config.protocol, member, &backend)
            }
            (Some((first, _)), Some((second, _))) => {
                let message = format!("a default backend is set here and in {}", first.key());
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
            let tags = self.rule_tags(&member)?;
            let regex = member
                .annotations()
                .boolean("use-regex-path-match")?
                .unwrap_or(false);
            for rule in &member.ingress.rules {
                for path in sorted(rule) {
                    let backend = self.backend(&member, &path.backend)?;
                    let own = own_conditions(rule, path, regex);
                    let own = own.map_err(|message| refuse_path(&member, path, message))?;
                    let conditions = conditions::join(own, &backend.conditions);
                    let conditions =
                        conditions.map_err(|message| refuse_path(&member, path, message))?;
                    let rule = ListenerRule {
                        actions: self.actions(config.protocol, &member, &backend)?,
                        conditions,
                        listener: Reference::listener(port.to_string()),
                        priority: 0,
                        tags: tags.clone(),
                        transforms: backend.transforms.clone(),
                        source: Source {
                            at: Some(path.at),
                            backend: path.backend.name().to_owned(),
                            ..member.source()
                        },
                    };
                    self.charge(&rule, &member.ingress.meta)?;
                    rules.push(rule);
                }
            }
        }
        let rules = optimize(port, config.protocol, rules);
        for (index, mut rule) in rules.into_iter().enumerate() {
            rule.priority = index + 1;
            self.stack
                .rules
                .insert(format!("{port}:{}", rule.priority), rule);
        }
        Ok(())
    }
}

fn refuse_path(member: &Member<'_>, path: &IngressPath, message: String) -> Refusal {
    let mut refusal = member.ingress.meta.refuse("invalid-path", message);
    refusal.line = path.at.line;
    refusal.column = path.at.column;
    refusal
}

/// Exact paths first, then prefixes from long to short, then the others, each as written.
fn sorted(rule: &IngressRule) -> Vec<&IngressPath> {
    let mut paths: Vec<&IngressPath> = rule.paths.iter().flatten().collect();
    paths.sort_by_key(|path| match path.path_type {
        PathType::Exact => (0, 0),
        PathType::Prefix => (1, usize::MAX - path.path.len()),
        PathType::ImplementationSpecific => (2, 0),
    });
    paths
}

/// What the host and the path of a rule ask for.
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
            // A path must begin with a slash, a regular expression need not.
            let pattern = written.chars().skip(1).collect();
            (Vec::new(), vec![pattern])
        }
        PathType::ImplementationSpecific => (vec![written.clone()], Vec::new()),
        PathType::Prefix if written == "/" => (vec!["/*".to_owned()], Vec::new()),
        PathType::Exact | PathType::Prefix if wildcards => {
            return Err(format!(
                "an Exact or Prefix path has no wildcards: {written}"
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

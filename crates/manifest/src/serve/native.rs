//! A stack as a native document.

use elbow_model::diagnostic::Diagnostic;
use elbow_model::file::{Document, Origin};
use elbow_model::yaml::{Node as Tree, Position};
use serde_json::json;

use super::Surroundings;
use super::certificates;
use super::draft::{self, Cuts, Draft, Role};
use super::groups::{Group, write_attributes};
use super::trail::{INGRESS, Trail, origin};
use crate::Refusal;
use crate::object::Place;
use crate::stack::{
    Action, Attribute, Forward, Listener, ListenerRule, LoadBalancer, Reference, Stack,
};

/// What a rule answers that must not do what it was written for.
const REFUSES: &str = "elbow does not serve what this rule asks for";

/// Writes the document of a stack.
pub(super) struct Writer<'a> {
    stack: &'a Stack,
    surroundings: &'a Surroundings<'a>,
    cuts: Cuts,
    trail: Trail<'a>,
    draft: Draft,
    /// The target groups that are forwarded to.
    groups: Vec<&'a Group<'a>>,
    certificates: Vec<(String, Origin)>,
}

/// Why an action cannot be written.
enum Unwritten {
    /// A part of it was found not to be served, which has been said.
    Cut,
    /// It leads to a target group that nobody knows.
    Unknown(String),
}

impl<'a> Writer<'a> {
    pub(super) fn new(stack: &'a Stack, surroundings: &'a Surroundings<'a>, cuts: Cuts) -> Self {
        Self {
            stack,
            surroundings,
            cuts,
            trail: Trail::of_stack(stack, surroundings.inventory),
            draft: Draft::default(),
            groups: Vec::new(),
            certificates: Vec::new(),
        }
    }

    /// Where the load balancer comes from.
    pub(super) fn origin(&self) -> Origin {
        self.trail.object()
    }

    /// The document, and the role of each of its origins; `None`: the stack has no load balancer.
    pub(super) fn document(
        mut self,
        found: &mut Vec<Diagnostic>,
    ) -> Result<Option<(Document, Vec<Role>)>, Refusal> {
        let Some(spec) = self.stack.load_balancers.values().next() else {
            return Ok(None);
        };
        let at = self.draft.spot(self.trail.object(), Role::Fixed);
        let balancer = self.load_balancer(spec, found);
        let surroundings = self.surroundings;
        let mut groups: Vec<&Group<'_>> = surroundings.groups.of_stack(&self.stack.id).collect();
        for group in std::mem::take(&mut self.groups) {
            if !groups.iter().any(|there| std::ptr::eq(*there, group)) {
                groups.push(group);
            }
        }
        groups.retain(|group| !self.cuts.contains(&Role::Group(group.name().to_owned())));
        let groups = groups.into_iter();
        let groups = groups
            .map(|group| group.write(&mut self.draft, &self.cuts, found))
            .collect();
        let mut written = Vec::new();
        for (arn, origin) in std::mem::take(&mut self.certificates) {
            let known = &surroundings.certificates;
            written.push(known.write(&arn, &origin, &mut self.draft, found)?);
        }
        let root = draft::map(
            at,
            vec![
                ("loadBalancers", draft::list(at, vec![balancer])),
                ("targetGroups", draft::list(at, groups)),
                ("certificates", draft::list(at, written)),
            ],
        );
        Ok(Some(self.draft.finish(root)))
    }

    fn spot(&mut self, suffixes: &[&str], role: Role) -> Position {
        let origin = self.trail.annotation(suffixes);
        self.draft.spot(origin, role)
    }

    fn load_balancer(&mut self, spec: &LoadBalancer, found: &mut Vec<Diagnostic>) -> Tree {
        let at = self.draft.spot(self.trail.object(), Role::Fixed);
        let name = self.spot(
            &["load-balancer-name", "aws-load-balancer-name"],
            Role::Fixed,
        );
        let scheme = self.spot(
            &[
                "scheme",
                "aws-load-balancer-scheme",
                "aws-load-balancer-internal",
            ],
            Role::Fixed,
        );
        let family = self.spot(
            &["ip-address-type", "aws-load-balancer-ip-address-type"],
            Role::Fixed,
        );
        let dualstack = spec.ip_address_type.starts_with("dualstack");
        let keys = [
            "load-balancer-attributes",
            "aws-load-balancer-attributes",
            "aws-load-balancer-cross-zone-load-balancing-enabled",
            "aws-load-balancer-access-log-enabled",
        ];
        let attributes = write_attributes(
            "load balancer",
            &keys,
            &spec.load_balancer_attributes,
            &self.trail,
            &mut self.draft,
            &self.cuts,
        );
        let mut listeners: Vec<&'a Listener> = self.stack.listeners.values().collect();
        listeners.sort_by_key(|listener| listener.port);
        let listeners: Vec<Tree> = listeners
            .into_iter()
            .filter_map(|listener| self.listener(listener, spec.kind, found))
            .collect();
        draft::map(
            at,
            vec![
                ("name", draft::text(name, &spec.name)),
                ("type", draft::text(at, spec.kind)),
                ("scheme", draft::text(scheme, &spec.scheme)),
                (
                    "ipAddressType",
                    draft::text(family, if dualstack { "dualstack" } else { "ipv4" }),
                ),
                ("attributes", attributes),
                ("listeners", draft::list(at, listeners)),
            ],
        )
    }

    fn listener(
        &mut self,
        listener: &'a Listener,
        kind: &str,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Tree> {
        let id = listener.port.to_string();
        let whole = Role::Listener(id.clone());
        if self.cuts.contains(&whole) {
            return None;
        }
        let at = self.spot(&["listen-ports"], whole.clone());
        let role = match kind {
            "network" => whole.clone(),
            _ => Role::Default(id.clone()),
        };
        let default = match self.actions(&listener.default_actions, kind, role, at) {
            Ok(actions) => actions,
            Err(why) => {
                let origin = self.trail.object();
                let lost = match kind {
                    "network" => "the listener is left out",
                    _ => "what no other rule takes is answered 503",
                };
                found.extend(unknown(why, &origin, lost));
                match kind {
                    "network" => return None,
                    _ => unavailable(at),
                }
            }
        };
        let mut fields = vec![
            ("port", draft::text(at, listener.port)),
            ("protocol", draft::text(at, &listener.protocol)),
        ];
        if let Some(policy) = &listener.ssl_policy {
            let at = self.spot(
                &["ssl-policy", "aws-load-balancer-ssl-negotiation-policy"],
                Role::Fixed,
            );
            fields.push(("sslPolicy", draft::text(at, policy)));
        }
        if let Some(policy) = listener.alpn_policy.first() {
            let at = self.spot(&["aws-load-balancer-alpn-policy"], Role::Fixed);
            fields.push(("alpnPolicy", draft::text(at, policy)));
        }
        if let Some(certificates) = self.certificates(listener) {
            fields.push(("certificates", certificates));
        }
        fields.extend(self.mutual_authentication(listener, whole));
        fields.extend(self.listener_attributes(listener, &id));
        let rules = self.rules(&id, kind, found);
        if !rules.is_empty() {
            fields.push(("rules", draft::list(at, rules)));
        }
        fields.push(("defaultActions", default));
        Some(draft::map(at, fields))
    }

    fn certificates(&mut self, listener: &Listener) -> Option<Tree> {
        let arns = certificates::of_listener(self.stack, listener);
        let mut names = Vec::with_capacity(arns.len());
        for arn in arns {
            let suffixes = ["certificate-arn", "aws-load-balancer-ssl-cert"];
            let origin = self.trail.containing(&suffixes, &arn);
            let at = self.draft.spot(origin.clone(), Role::Fixed);
            let name = certificates::name(&arn);
            names.push(draft::text(at, &name));
            let there = |(one, _): &(String, Origin)| certificates::name(one) == name;
            if !self.certificates.iter().any(there) {
                self.certificates.push((arn, origin));
            }
        }
        let first = names.first()?.at;
        Some(draft::list(first, names))
    }

    /// Nobody who would have been asked for a certificate gets in without: where it is not
    /// served, the listener is left out.
    fn mutual_authentication(
        &mut self,
        listener: &Listener,
        whole: Role,
    ) -> Option<(&'static str, Tree)> {
        let mutual = listener.mutual_authentication.as_ref();
        let mutual = mutual.filter(|mutual| mutual.mode != "off")?;
        let role = match &mutual.mode[..] {
            "verify" => whole,
            _ => Role::Field(listener.port.to_string(), "mutualAuthentication".into()),
        };
        if self.cuts.contains(&role) {
            return None;
        }
        let at = self.spot(&["mutual-authentication"], role);
        let value = serde_json::to_value(mutual).ok()?;
        Some(("mutualAuthentication", draft::json(at, &value)))
    }

    fn listener_attributes(
        &mut self,
        listener: &Listener,
        id: &str,
    ) -> Option<(&'static str, Tree)> {
        let attributes = listener.listener_attributes.iter();
        let attributes: Vec<Attribute> = attributes
            .map(|one| Attribute {
                key: one.key.clone(),
                value: one.value.clone(),
            })
            .collect();
        let owner = format!("listener {id}");
        let whole = Role::Field(owner.clone(), "attributes".into());
        if attributes.is_empty() || self.cuts.contains(&whole) {
            return None;
        }
        let name = format!("{}-{id}", listener.protocol);
        let keys = [
            format!("listener-attributes.{name}"),
            format!("aws-load-balancer-listener-attributes.{name}"),
        ];
        let keys = keys.each_ref().map(String::as_str);
        let written = write_attributes(
            &owner,
            &keys,
            &attributes,
            &self.trail,
            &mut self.draft,
            &self.cuts,
        );
        Some(("attributes", written))
    }

    fn rules(&mut self, port: &str, kind: &str, found: &mut Vec<Diagnostic>) -> Vec<Tree> {
        let listener = Reference::listener(port);
        let rules = self.stack.rules.iter();
        let mut rules: Vec<(&String, &ListenerRule)> = rules
            .filter(|(_, rule)| rule.listener == listener)
            .collect();
        rules.sort_by_key(|(_, rule)| rule.priority);
        rules
            .into_iter()
            .map(|(id, rule)| self.rule(id, rule, kind, found))
            .collect()
    }

    fn rule(
        &mut self,
        id: &str,
        rule: &'a ListenerRule,
        kind: &str,
        found: &mut Vec<Diagnostic>,
    ) -> Tree {
        let trail = self.rule_trail(rule);
        let path = self.path(rule);
        let at = self.draft.spot(path.clone(), Role::Fixed);
        let backend = &rule.source.backend;
        let annotated = |name: &str| trail.annotation_only(&format!("{name}.{backend}"));
        let whole = Role::Rule(id.to_owned());
        let mut served = !self.cuts.contains(&whole);
        let mut conditions = Vec::with_capacity(rule.conditions.len());
        for (index, condition) in rule.conditions.iter().enumerate() {
            let role = Role::Condition(id.to_owned(), index);
            if self.cuts.contains(&role) {
                served = false;
                continue;
            }
            let from = annotated("conditions").unwrap_or_else(|| path.clone());
            let at = self.draft.spot(from, role);
            conditions.push(draft::json(at, condition));
        }
        if conditions.is_empty() {
            let all = json!({"field": "path-pattern", "pathPatternConfig": {"values": ["/*"]}});
            conditions.push(draft::json(at, &all));
        }
        let from = annotated("actions").unwrap_or_else(|| path.clone());
        let acts = self.draft.spot(from.clone(), whole.clone());
        let actions = match served {
            true => self.actions(&rule.actions, kind, whole.clone(), acts),
            false => Err(Unwritten::Cut),
        };
        let mut fields = vec![
            ("priority", draft::text(at, rule.priority)),
            ("conditions", draft::list(at, conditions)),
        ];
        match actions {
            Ok(actions) => {
                fields.push(("actions", actions));
                if !rule.transforms.is_empty() {
                    let from = annotated("transforms").unwrap_or(path);
                    let at = self.draft.spot(from, whole);
                    let transforms = rule.transforms.iter();
                    let transforms = transforms.map(|one| draft::json(at, one)).collect();
                    fields.push(("transforms", draft::list(at, transforms)));
                }
            }
            Err(why) => {
                found.extend(unknown(why, &from, "the rule answers 503"));
                fields.push(("actions", unavailable(at)));
            }
        }
        draft::map(at, fields)
    }

    /// The Ingress of a rule.
    fn rule_trail(&self, rule: &ListenerRule) -> Trail<'a> {
        let ingress = rule.source.ingress.as_ref();
        let ingress = ingress.and_then(|key| self.surroundings.inventory.ingresses.get(key));
        Trail::new(
            INGRESS,
            ingress.map(|ingress| &ingress.meta).into_iter().collect(),
        )
    }

    /// The path that a rule was made of.
    fn path(&self, rule: &ListenerRule) -> Origin {
        let ingress = rule.source.ingress.as_ref();
        let ingress = ingress.and_then(|key| self.surroundings.inventory.ingresses.get(key));
        let (Some(ingress), Some(at)) = (ingress, rule.source.at) else {
            return self.trail.object();
        };
        let file = ingress.meta.place.file.clone();
        origin(&Place { file, at }, &ingress.meta.path(), "")
    }

    fn actions(
        &mut self,
        actions: &'a [Action],
        kind: &str,
        role: Role,
        at: Position,
    ) -> Result<Tree, Unwritten> {
        if self.cuts.contains(&role) {
            return Err(Unwritten::Cut);
        }
        let mut written = Vec::with_capacity(actions.len());
        for action in actions {
            written.push(match action {
                Action::Forward(forward) => self.forward(forward, &role, at)?,
                Action::Other {
                    kind,
                    config,
                    value,
                } => draft::map(
                    at,
                    vec![
                        ("type", draft::text(at, kind)),
                        (*config, draft::json(at, value)),
                    ],
                ),
            });
        }
        // An ALB that is to do nothing at all is none that AWS would make.
        if written.is_empty() && kind != "network" {
            return Err(Unwritten::Cut);
        }
        Ok(draft::list(at, written))
    }

    fn forward(
        &mut self,
        forward: &'a Forward,
        role: &Role,
        at: Position,
    ) -> Result<Tree, Unwritten> {
        let mut groups = Vec::with_capacity(forward.target_groups.len());
        for weighted in &forward.target_groups {
            let known = &self.surroundings.groups;
            let Some(group) = known.find(&self.stack.id, &weighted.target_group) else {
                return Err(Unwritten::Unknown(name_of(&weighted.target_group)));
            };
            let name = group.name();
            if self.cuts.contains(&Role::Group(name.to_owned())) {
                return Err(Unwritten::Cut);
            }
            self.groups.push(group);
            let mut fields = vec![("targetGroup", draft::text(at, name))];
            fields.extend(
                weighted
                    .weight
                    .map(|weight| ("weight", draft::text(at, weight))),
            );
            groups.push(draft::map(at, fields));
        }
        let mut config = vec![("targetGroups", draft::list(at, groups))];
        let owner = match role {
            Role::Rule(id) | Role::Default(id) | Role::Listener(id) => id.clone(),
            _ => String::new(),
        };
        let sticky = Role::Field(owner, "targetGroupStickinessConfig".into());
        if let Some(stickiness) = &forward.stickiness
            && stickiness.enabled == Some(true)
            && !self.cuts.contains(&sticky)
        {
            let mut fields = vec![("enabled", true.to_string())];
            let duration = stickiness.duration_seconds;
            fields.extend(duration.map(|seconds| ("durationSeconds", seconds.to_string())));
            let origin = self.draft.origin(at);
            let at = self.draft.spot(origin, sticky);
            let fields = fields.into_iter();
            let fields = fields.map(|(name, value)| (name, draft::text(at, value)));
            config.push((
                "targetGroupStickinessConfig",
                draft::map(at, fields.collect()),
            ));
        }
        Ok(draft::map(
            at,
            vec![
                ("type", draft::text(at, "forward")),
                ("forwardConfig", draft::map(at, config)),
            ],
        ))
    }
}

fn name_of(reference: &Reference) -> String {
    match reference {
        Reference::Literal(name) => name.clone(),
        Reference::Resource { id, .. } => id.clone(),
    }
}

fn unknown(why: Unwritten, origin: &Origin, lost: &str) -> Option<Diagnostic> {
    let Unwritten::Unknown(name) = why else {
        return None;
    };
    let message = format!("no target group of these objects is {name}; {lost}");
    let unknown = Diagnostic::warning("unknown-target-group", message);
    Some(origin.place(unknown))
}

/// A fixed answer 503.
fn unavailable(at: Position) -> Tree {
    let answer = json!([{
        "type": "fixed-response",
        "fixedResponseConfig": {"statusCode": "503", "contentType": "text/plain", "messageBody": REFUSES},
    }]);
    draft::json(at, &answer)
}

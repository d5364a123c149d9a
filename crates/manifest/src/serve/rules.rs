//! The rules and the actions of a listener as the native file has them.

use elbow_model::diagnostic::Diagnostic;
use elbow_model::file::Origin;
use elbow_model::yaml::{Node as Tree, Position};
use serde_json::json;

use super::draft::{self, Role};
use super::native::Writer;
use super::trail::{INGRESS, Trail, origin};
use crate::object::Place;
use crate::stack::{Action, Forward, ListenerRule, Reference};

/// What a rule answers that must not do what it was written for.
const REFUSES: &str = "elbow does not serve what this rule asks for";

/// Why an action cannot be written.
pub(super) enum Unwritten {
    /// A part of it was found not to be served, which has been said.
    Cut,
    /// It leads to a target group that nobody knows.
    Unknown(String),
}

impl<'a> Writer<'a> {
    pub(super) fn rules(
        &mut self,
        port: &str,
        kind: &str,
        found: &mut Vec<Diagnostic>,
    ) -> Vec<Tree> {
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
        // What is wrong with all of them together is mostly the annotation's, and told once for all ports and paths.
        let from = annotated("conditions").unwrap_or_else(|| path.clone());
        let whole_list = self.draft.spot(from, Role::Fixed);
        if conditions.is_empty() {
            let all = json!({"field": "path-pattern", "pathPatternConfig": {"values": ["/*"]}});
            conditions.push(draft::json(at, &all));
        }
        let from = annotated("actions").unwrap_or_else(|| path.clone());
        let acts = self.draft.spot(from.clone(), whole.clone());
        let actions = match served {
            true => self.actions(&rule.actions, kind, whole.clone(), (acts, &trail)),
            false => Err(Unwritten::Cut),
        };
        let mut fields = vec![
            ("priority", draft::text(at, rule.priority)),
            ("conditions", draft::list(whole_list, conditions)),
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
        let scope = self.surroundings.scope;
        let key = rule.source.ingress.as_ref();
        let service = key.and_then(|(namespace, _)| {
            let name = &rule.source.backend;
            scope.service(namespace, name)
        });
        let ingress = key.and_then(|key| scope.ingress(key));
        let metas = service.map(|service| &service.meta).into_iter();
        let metas = metas.chain(ingress.map(|ingress| &ingress.meta));
        Trail::new(INGRESS, metas.collect())
    }

    /// The path that a rule was made of.
    fn path(&self, rule: &ListenerRule) -> Origin {
        let ingress = rule.source.ingress.as_ref();
        let ingress = ingress.and_then(|key| self.surroundings.scope.ingress(key));
        let (Some(ingress), Some(at)) = (ingress, rule.source.at) else {
            return self.trail.object();
        };
        let file = ingress.meta.place.file.clone();
        origin(&Place { file, at }, &ingress.meta.path(), "")
    }

    pub(super) fn actions(
        &mut self,
        actions: &'a [Action],
        kind: &str,
        role: Role,
        (at, trail): (Position, &Trail<'_>),
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
                } => {
                    let at = match asks_first(kind) {
                        None => at,
                        Some(suffix) => {
                            let origin = trail.annotation_only(suffix);
                            let origin = origin.unwrap_or_else(|| self.draft.origin(at));
                            self.draft.spot(origin, role.clone())
                        }
                    };
                    let kind = ("type", draft::text(at, kind));
                    draft::map(at, vec![kind, (*config, draft::json(at, value))])
                }
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
            let Some(group) = self.known.find(&weighted.target_group) else {
                return Err(Unwritten::Unknown(name_of(&weighted.target_group)));
            };
            let name = group.name();
            if self.cuts.contains(&Role::Group(name.to_owned())) {
                return Err(Unwritten::Cut);
            }
            self.groups.push(group.clone());
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

/// The annotation that asks for an action in front of the one that answers.
fn asks_first(kind: &str) -> Option<&'static str> {
    match kind {
        "jwt-validation" => Some("jwt-validation"),
        "authenticate-oidc" | "authenticate-cognito" => Some("auth-type"),
        _ => None,
    }
}

fn name_of(reference: &Reference) -> String {
    match reference {
        Reference::Literal(name) => name.clone(),
        Reference::Resource { id, .. } => id.clone(),
    }
}

pub(super) fn unknown(why: Unwritten, origin: &Origin, lost: &str) -> Option<Diagnostic> {
    let Unwritten::Unknown(name) = why else {
        return None;
    };
    let message = format!("no target group of these objects is {name}; {lost}");
    let unknown = Diagnostic::warning("unknown-target-group", message);
    Some(origin.place(unknown))
}

/// A fixed answer 503.
pub(super) fn unavailable(at: Position) -> Tree {
    let answer = json!([{
        "type": "fixed-response",
        "fixedResponseConfig": {"statusCode": "503", "contentType": "text/plain", "messageBody": REFUSES},
    }]);
    draft::json(at, &answer)
}

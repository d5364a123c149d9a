//! The backend of a path: a Service or the action of an annotation, with conditions, transforms and authentication.

use std::collections::BTreeSet;
use std::rc::Rc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::suggest::did_you_mean;
use elbow_model::{At, Origin, stable_id};
use serde_json::{Value, json};

use super::Build;
use super::auth::Authentication;
use super::conditions::{self, Condition};
use super::group::Member;
use super::json::{Fields, Wrong, read_json};
use super::shape;
use crate::Refusal;
use crate::annotations::ingress as keys;
use crate::lookup::Lookup;
use crate::objects::{Backend, BackendPort, Ingress, Port, Service};
use crate::scope::Scope;
use crate::stack::Stickiness;

/// A backend with everything that annotations add to it.
#[derive(Debug)]
pub(super) struct EnhancedBackend<'a> {
    pub(super) action: BackendAction<'a>,
    /// The annotation that defines the action, if there is one.
    pub(super) origin: Option<Origin>,
    /// Each with its annotation.
    pub(super) conditions: At<Vec<Condition>>,
    pub(super) transforms: Vec<At<Value>>,
    pub(super) authentication: Option<Authentication>,
}

/// The action of a backend.
#[derive(Debug)]
pub(super) enum BackendAction<'a> {
    /// Forward to target groups.
    Forward(Vec<Tuple<'a>>, Option<Stickiness>),
    /// Any other: type, name of the configuration, configuration.
    Other(&'static str, &'static str, Value),
}

/// A target group of a forward.
#[derive(Debug)]
pub(super) struct Tuple<'a> {
    pub(super) target: Target<'a>,
    pub(super) weight: Option<i32>,
}

/// A target group: an existing one, or that of a Service.
#[derive(Debug)]
pub(super) enum Target<'a> {
    Arn(String),
    Service(&'a Service, Port),
}

/// A target group of a forward, before its Service is looked up.
struct Named {
    target: NamedTarget,
    weight: Option<i32>,
}

enum NamedTarget {
    Arn(String),
    /// An existing group, by its name.
    Group(String),
    Service(String, Port),
}

/// Unknown names in one Ingress that get a "did you mean" hint.
pub(super) const HINTS: usize = 10;

/// Warns of paths to Services that do not exist: the load balancer answers them with 503.
pub(super) fn report_missing(ingress: &Ingress, scope: Scope<'_>, found: &mut Vec<Diagnostic>) {
    let namespace = &ingress.meta.namespace;
    let paths = ingress.paths().map(|path| &path.backend);
    let mut told = BTreeSet::new();
    for backend in paths.chain(&ingress.default_backend) {
        let Backend::Service {
            name,
            port: BackendPort::Service(_),
        } = backend
        else {
            continue;
        };
        if scope.service(namespace, name).is_some() || !told.insert(name) {
            continue;
        }
        let message =
            format!("there is no Service {namespace}/{name}: requests for it are answered 503");
        let mut missing = ingress
            .meta
            .found(Diagnostic::warning("missing-service", message));
        let at = ingress.place_of(name, None);
        (missing.line, missing.column) = (at.line, at.column);
        // The search is slow, and many missing Services at once are no typing errors.
        if told.len() <= HINTS {
            missing.hint = did_you_mean(name, scope.services_of(namespace));
        }
        found.push(missing);
    }
}

enum Described {
    Forward(Vec<Named>, Option<Stickiness>),
    Other(&'static str, &'static str, Value),
}

impl<'a> Build<'a> {
    /// The backend of a path of `member`, shared by all of its ports and paths.
    pub(super) fn backend(
        &mut self,
        member: &Member<'a>,
        backend: &Backend,
    ) -> Result<Rc<EnhancedBackend<'a>>, Refusal> {
        let key = (member.key(), backend.clone());
        if let Some(known) = self.backends.get(&key) {
            return Ok(known.clone());
        }
        let read = Rc::new(self.read_backend(member, backend)?);
        self.backends.insert(key, read.clone());
        Ok(read)
    }

    fn read_backend(
        &self,
        member: &Member<'a>,
        backend: &Backend,
    ) -> Result<EnhancedBackend<'a>, Refusal> {
        let Backend::Service { name, port } = backend else {
            let message = "a backend must be a Service";
            return Err(member.ingress.meta.refuse("resource-backend", message));
        };
        let annotations = member.annotations();
        let conditions = read_json(
            &annotations,
            keys::CONDITIONS.of(name),
            shape::CONDITIONS,
            conditions::read,
        );
        let conditions = self.refused.or_default(conditions);
        let transforms_of = keys::TRANSFORMS.of(name);
        let transforms = read_json(&annotations, &transforms_of, shape::TRANSFORMS, transforms);
        let transforms = self.refused.or_default(transforms);
        let meta = member.ingress.meta.origin();
        let transformed = annotations.origin(&transforms_of, &meta);
        let transforms = transforms.unwrap_or_default().into_iter();
        let conditioned = annotations.origin(keys::CONDITIONS.of(name), &meta);
        let acted = match port {
            BackendPort::Annotation => annotations.find(keys::ACTIONS.of(name)),
            BackendPort::Service(_) => None,
        };
        let described = match port {
            BackendPort::Annotation => {
                let described =
                    read_json(&annotations, keys::ACTIONS.of(name), shape::ACTION, action)?;
                described.unwrap_or_else(|| unavailable("Backend action does not exist"))
            }
            BackendPort::Service(port) => {
                let target = NamedTarget::Service(name.clone(), port.clone());
                Described::Forward(
                    vec![Named {
                        target,
                        weight: None,
                    }],
                    None,
                )
            }
        };
        let action = self.load(member, described)?;
        let mut layers = Vec::new();
        if let BackendAction::Forward(tuples, _) = &action
            && let [
                Tuple {
                    target: Target::Service(service, _),
                    ..
                },
            ] = &tuples[..]
        {
            layers.push(&service.meta);
        }
        layers.push(&member.ingress.meta);
        let authentication = self.authentication(member, &Lookup::new(layers))?;
        Ok(EnhancedBackend {
            action,
            origin: acted.map(|found| found.origin()),
            conditions: At::new(conditions.unwrap_or_default(), conditioned),
            transforms: transforms
                .map(|one| At::new(one, transformed.clone()))
                .collect(),
            authentication,
        })
    }

    /// Looks the Services up. A single missing Service answers 503; one among several refuses the stack.
    fn load(
        &self,
        member: &Member<'a>,
        described: Described,
    ) -> Result<BackendAction<'a>, Refusal> {
        let (named, stickiness) = match described {
            Described::Forward(named, stickiness) => (named, stickiness),
            Described::Other(kind, config, value) => {
                return Ok(BackendAction::Other(kind, config, value));
            }
        };
        let alone = named.len() == 1;
        let mut tuples = Vec::with_capacity(named.len());
        for Named { target, weight } in named {
            let target = match target {
                NamedTarget::Arn(arn) => Target::Arn(arn),
                NamedTarget::Group(name) => Target::Arn(self.group_called(member, &name)?),
                NamedTarget::Service(name, port) => {
                    let namespace = &member.ingress.meta.namespace;
                    match self.scope.service(namespace, &name) {
                        Some(service) => Target::Service(service, port),
                        None if alone => {
                            let missing = unavailable("Backend service does not exist");
                            return self.load(member, missing);
                        }
                        None => {
                            let message = format!("there is no Service {namespace}/{name}");
                            return Err(member.ingress.meta.refuse("unknown-service", message));
                        }
                    }
                }
            };
            tuples.push(Tuple { target, weight });
        }
        Ok(BackendAction::Forward(tuples, stickiness))
    }
}

impl Build<'_> {
    /// The ARN of a target group that exists: in the account, or in another stack.
    fn group_called(&self, member: &Member<'_>, name: &str) -> Result<String, Refusal> {
        let resource = format!("targetgroup/{name}/{}", stable_id(name));
        let service = "elasticloadbalancing";
        if (self.has_group)(name) {
            let account = self.context.dns_zone().account;
            return Ok(account.arn(service, &resource));
        }
        self.arn_of(name, service, &resource).ok_or_else(|| {
            let message = format!("there is no target group {name}");
            let refusal = member.ingress.meta.refuse("unknown-target-group", message);
            Box::new(refusal.hint("list its ARN under resources in the environment file"))
        })
    }
}

fn unavailable(body: &str) -> Described {
    Described::Other(
        "fixed-response",
        "fixedResponseConfig",
        json!({"contentType": "text/plain", "messageBody": body, "statusCode": "503"}),
    )
}

/// `actions.{name}`.
fn action(value: &Value) -> Result<Described, Wrong> {
    let fields = Fields::of(value, "an action")?;
    match &fields.text("type")?.unwrap_or_default()[..] {
        "fixed-response" => {
            let config = fields
                .object("fixedResponseConfig")?
                .ok_or("fixedResponseConfig is missing")?;
            let value = copied(config, &["contentType", "messageBody"], "statusCode")?;
            Ok(Described::Other(
                "fixed-response",
                "fixedResponseConfig",
                value,
            ))
        }
        "redirect" => {
            let config = fields
                .object("redirectConfig")?
                .ok_or("redirectConfig is missing")?;
            let optional = ["host", "path", "port", "protocol", "query"];
            let value = copied(config, &optional, "statusCode")?;
            Ok(Described::Other("redirect", "redirectConfig", value))
        }
        "forward" => forward(fields),
        other => Err(format!(
            "type of an action: expected forward, redirect or fixed-response, found \"{other}\""
        )),
    }
}

/// Copies the texts of a configuration; `required` must be there.
fn copied(config: Fields<'_>, optional: &[&str], required: &str) -> Result<Value, Wrong> {
    let mut copy = serde_json::Map::new();
    for &name in optional {
        if let Some(text) = config.text(name)? {
            copy.insert(name.to_owned(), text.into());
        }
    }
    let text = config.text(required)?.filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| format!("{required} is missing"))?;
    copy.insert(required.to_owned(), text.into());
    Ok(copy.into())
}

fn forward(fields: Fields<'_>) -> Result<Described, Wrong> {
    let arn = fields.text("targetGroupARN")?;
    let name = fields.text("targetGroupName")?;
    let config = fields.object("forwardConfig")?;
    match (existing(arn, name), config) {
        (Some(target), None) => Ok(Described::Forward(
            vec![Named {
                target,
                weight: None,
            }],
            None,
        )),
        (None, Some(config)) => advanced(config),
        _ => Err(
            "a forward needs exactly one of targetGroupARN, targetGroupName and forwardConfig"
                .into(),
        ),
    }
}

/// A target group that exists: by its ARN, else by its name.
fn existing(arn: Option<String>, name: Option<String>) -> Option<NamedTarget> {
    arn.map(NamedTarget::Arn)
        .or_else(|| name.map(NamedTarget::Group))
}

fn advanced(config: Fields<'_>) -> Result<Described, Wrong> {
    let groups = config.list("targetGroups")?;
    let mut named = Vec::with_capacity(groups.len());
    for group in groups {
        let fields = Fields::of(group, "a target group")?;
        let arn = fields.text("targetGroupARN")?;
        let name = fields.text("targetGroupName")?;
        let target = match (existing(arn, name), fields.text("serviceName")?) {
            (Some(target), None) => target,
            (None, Some(service)) => {
                let port = service_port(fields.value("servicePort"))?;
                NamedTarget::Service(service, port)
            }
            _ => return Err(
                "a target group needs exactly one of targetGroupARN, targetGroupName and serviceName"
                    .into(),
            ),
        };
        let weight = fields.integer("weight")?;
        if weight.is_none() && groups.len() > 1 {
            return Err("each of several target groups needs a weight".into());
        }
        named.push(Named { target, weight });
    }
    let stickiness = match config.object("targetGroupStickinessConfig")? {
        None => None,
        Some(fields) => Some(Stickiness {
            duration_seconds: fields.integer("durationSeconds")?,
            enabled: fields.boolean("enabled")?,
        }),
    };
    Ok(Described::Forward(named, stickiness))
}

fn service_port(value: Option<&Value>) -> Result<Port, Wrong> {
    match value {
        Some(Value::String(text)) => Ok(Port::parse(text)),
        Some(Value::Number(number)) => {
            let port = number.as_u64().and_then(|port| u16::try_from(port).ok());
            port.map(Port::Number)
                .ok_or_else(|| format!("servicePort {number} is out of range"))
        }
        _ => Err("servicePort is missing".into()),
    }
}

/// `transforms.{service}`.
fn transforms(value: &Value) -> Result<Vec<Value>, Wrong> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let transforms = value.as_array().ok_or("expected a list of transforms")?;
    transforms.iter().map(transform).collect()
}

fn transform(value: &Value) -> Result<Value, Wrong> {
    let fields = Fields::of(value, "a transform")?;
    let kind = fields.text("type")?.unwrap_or_default();
    let name = match &kind[..] {
        "url-rewrite" => "urlRewriteConfig",
        "host-header-rewrite" => "hostHeaderRewriteConfig",
        other => {
            return Err(format!(
                "type of a transform: expected url-rewrite or host-header-rewrite, found \"{other}\""
            ));
        }
    };
    let config = fields
        .object(name)?
        .ok_or_else(|| format!("{name} is missing"))?;
    let rewrites = config.list("rewrites")?;
    if rewrites.is_empty() {
        return Err("rewrites is empty".into());
    }
    let rewrite = |value: &Value| {
        let fields = Fields::of(value, "a rewrite")?;
        let regex = fields.text("regex")?.unwrap_or_default();
        let replace = fields.text("replace")?.unwrap_or_default();
        Ok(json!({"regex": regex, "replace": replace}))
    };
    let rewrites = rewrites
        .iter()
        .map(rewrite)
        .collect::<Result<Vec<_>, Wrong>>()?;
    Ok(json!({"type": kind, (name): {"rewrites": rewrites}}))
}

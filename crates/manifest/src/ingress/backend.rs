//! Where a path leads: a Service, or an action by annotation, with conditions, transforms and authentication.

use std::collections::BTreeSet;
use std::rc::Rc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::suggest::did_you_mean;
use serde_json::{Value, json};

use super::auth::Authentication;
use super::conditions::{self, Condition};
use super::group::Member;
use super::json::{Fields, Wrong};
use super::{Build, PREFIX};
use crate::Refusal;
use crate::annotations::Lookup;
use crate::objects::{Backend, BackendPort, Ingress, Port, Service};
use crate::scope::Scope;
use crate::stack::Stickiness;

/// A backend with everything that annotations add.
#[derive(Debug)]
pub(super) struct EnhancedBackend<'a> {
    pub(super) action: BackendAction<'a>,
    pub(super) conditions: Vec<Condition>,
    pub(super) transforms: Vec<Value>,
    pub(super) authentication: Option<Authentication>,
}

/// What a backend does.
#[derive(Debug)]
pub(super) enum BackendAction<'a> {
    /// To target groups.
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

/// A target group: one that is there, or that of a Service.
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
    Service(String, Port),
}

/// Unknown names of one kind in one Ingress for which the nearest known one is looked for.
pub(super) const HINTS: usize = 10;

/// Warns of Services that paths lead to and that do not exist: AWS answers for them.
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
            format!("there is no Service {namespace}/{name}: what leads to it is answered 503");
        let mut missing = ingress
            .meta
            .found(Diagnostic::warning("missing-service", message));
        let at = ingress.place_of(name, None);
        (missing.line, missing.column) = (at.line, at.column);
        // To look for the nearest name costs, and many that are missing are no slips of the hand.
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
    /// The backend of a path of `member`; the same for all of its ports and paths.
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
            &format!("conditions.{name}"),
            conditions::read,
        )?;
        let transforms = read_json(&annotations, &format!("transforms.{name}"), transforms)?;
        let described = match port {
            BackendPort::Annotation => {
                let described = read_json(&annotations, &format!("actions.{name}"), action)?;
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
        let authentication = self.authentication(member, &Lookup::new(PREFIX, layers))?;
        Ok(EnhancedBackend {
            action,
            conditions: conditions.unwrap_or_default(),
            transforms: transforms.unwrap_or_default(),
            authentication,
        })
    }

    /// Looks the Services up. One Service that is missing answers 503, one among several refuses the stack.
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

/// Reads a JSON annotation; what is wrong refuses the stack at its place.
pub(super) fn read_json<T>(
    annotations: &Lookup<'_>,
    suffix: &str,
    read: impl FnOnce(&Value) -> Result<T, Wrong>,
) -> Result<Option<T>, Refusal> {
    let Some((found, value)) = annotations.json(suffix)? else {
        return Ok(None);
    };
    let read = read(&value);
    read.map(Some)
        .map_err(|wrong| found.refuse("invalid-annotation", format!("{suffix}: {wrong}")))
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
            "an action is a forward, redirect or fixed-response, not \"{other}\""
        )),
    }
}

/// The texts of a configuration that are there, one of which must be.
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
    match (arn.or(name), config) {
        (Some(arn), None) => {
            let target = NamedTarget::Arn(arn);
            Ok(Described::Forward(
                vec![Named {
                    target,
                    weight: None,
                }],
                None,
            ))
        }
        (None, Some(config)) => advanced(config),
        _ => Err(
            "a forward has targetGroupARN, targetGroupName or forwardConfig, one of them".into(),
        ),
    }
}

fn advanced(config: Fields<'_>) -> Result<Described, Wrong> {
    let groups = config.list("targetGroups")?;
    let mut named = Vec::with_capacity(groups.len());
    for group in groups {
        let fields = Fields::of(group, "a target group")?;
        let arn = fields.text("targetGroupARN")?;
        let name = fields.text("targetGroupName")?;
        let target = match (arn.or(name), fields.text("serviceName")?) {
            (Some(arn), None) => NamedTarget::Arn(arn),
            (None, Some(service)) => {
                let port = service_port(fields.value("servicePort"))?;
                NamedTarget::Service(service, port)
            }
            _ => return Err(
                "a target group has targetGroupARN, targetGroupName or serviceName, one of them"
                    .into(),
            ),
        };
        let weight = fields.integer("weight")?;
        if weight.is_none() && groups.len() > 1 {
            return Err("with several target groups each needs a weight".into());
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
    let transforms = value.as_array().ok_or("transforms are no list")?;
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
                "a transform is a url-rewrite or a host-header-rewrite, not \"{other}\""
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

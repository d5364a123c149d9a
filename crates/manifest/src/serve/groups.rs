//! Target groups with their targets, in the words of the model.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::{At, HealthCheckSpec, MatcherSpec, Origin, Step, TargetGroupSpec};
use serde_json::Value;

use super::Surroundings;
use super::bindings::bound;
use super::lost::notes;
use super::place::{LeftOut, Part, Place, of_attribute};
use super::server_ids;
use super::targets::{self, Finder, Instances, Target, Targets};
use super::values::{attributes, unsigned};
use super::zones;
use crate::bounds::{self, TooMuch};
use crate::objects::{Binding, Node, Port, Selector, Service, group_name};
use crate::scope::Scope;
use crate::stack::{Action, HealthCheck, Matcher, Reference, Stack, TargetGroup};

/// A target group of a stack, with its Service and targets.
pub(super) struct Group<'a> {
    spec: &'a TargetGroup,
    service: Option<&'a Service>,
    targets: Targets<'a>,
    /// Notes and warnings about the targets.
    notes: Vec<Diagnostic>,
    /// The endpoints' port for each node port of the Service.
    ports: BTreeMap<u16, u16>,
}

/// The target groups of a stack, and those that it refers to.
pub(super) struct Groups<'a> {
    finder: Finder<'a>,
    /// Those of the stack, by id.
    own: BTreeMap<&'a str, Rc<Group<'a>>>,
    /// Those of any stack that it refers to, by name.
    named: BTreeMap<&'a str, Rc<Group<'a>>>,
}

impl<'a> Groups<'a> {
    /// Finds the groups and their targets, those of TargetGroupBindings included. Fails when there are too many targets.
    pub(super) fn new(
        stack: &'a Stack,
        surroundings: &'a Surroundings<'a>,
    ) -> Result<Self, TooMuch> {
        let Surroundings { catalog, scope, .. } = *surroundings;
        let finder = Finder::new(scope, surroundings.context);
        let mut targets = 0;
        let mut group = |stack, id, spec| {
            let group = Group::new(stack, id, spec, &finder, surroundings);
            targets += group.targets.list.len();
            bounds::targets(targets).map(|()| Rc::new(group))
        };
        let mut own: BTreeMap<&str, Rc<Group<'_>>> = BTreeMap::new();
        for (id, spec) in &stack.target_groups {
            own.insert(id, group(stack, id, spec)?);
        }
        let mut named = BTreeMap::new();
        let wanted: BTreeSet<&str> = names(stack).collect();
        for name in wanted {
            let Some((owner, id)) = catalog.group(name, scope) else {
                continue;
            };
            let Some(spec) = owner.target_groups.get(id) else {
                continue;
            };
            let found = match own.get(id).filter(|_| owner.key() == stack.key()) {
                Some(own) => own.clone(),
                None => group(owner, id, spec)?,
            };
            named.insert(name, found);
        }
        Ok(Self { finder, own, named })
    }

    /// The group that a reference means: one of this stack, or one of any stack by name or ARN.
    pub(super) fn find(&self, to: &Reference) -> Option<&Rc<Group<'a>>> {
        match to {
            Reference::Resource { id, .. } => self.own.get(id.as_str()),
            Reference::Literal(arn) => self.named.get(group_name(arn).unwrap_or(arn)),
        }
    }

    /// The instances of a Classic load balancer.
    pub(super) fn instances(&self, service: &Service) -> Instances {
        self.finder.instances(service)
    }

    /// The groups of the stack.
    pub(super) fn own(&self) -> impl Iterator<Item = &Rc<Group<'a>>> {
        self.own.values()
    }
}

/// The names of target groups that a stack refers to by name or ARN.
fn names(stack: &Stack) -> impl Iterator<Item = &str> {
    let rules = stack.rules.values().flat_map(|rule| &rule.actions);
    let listeners = stack.listeners.values();
    let actions = listeners.flat_map(|listener| &listener.default_actions);
    let groups = actions
        .chain(rules)
        .filter_map(|action| match &action.value {
            Action::Forward(forward) => Some(&forward.target_groups),
            Action::Other { .. } => None,
        });
    groups.flatten().filter_map(|to| match &to.target_group {
        Reference::Literal(arn) => Some(group_name(arn).unwrap_or(arn)),
        Reference::Resource { .. } => None,
    })
}

/// Whether targets of a protocol need QUIC server IDs.
fn is_quic(protocol: &str) -> bool {
    matches!(protocol, "QUIC" | "TCP_QUIC")
}

fn port_of(port: &Value) -> Port {
    match port {
        Value::String(name) => Port::parse(name),
        number => Port::Number(
            number
                .as_u64()
                .and_then(|number| u16::try_from(number).ok())
                .unwrap_or(0),
        ),
    }
}

impl<'a> Group<'a> {
    fn new(
        stack: &'a Stack,
        id: &str,
        spec: &'a TargetGroup,
        finder: &Finder<'a>,
        surroundings: &'a Surroundings<'a>,
    ) -> Self {
        let Surroundings { catalog, scope, .. } = *surroundings;
        let binding = stack.bindings.get(id);
        let service = binding.and_then(|binding| {
            let name = &binding.spec.service_ref.name;
            scope.service(&binding.namespace, name)
        });
        let mut group = Group {
            spec,
            service,
            targets: Targets::default(),
            notes: Vec::new(),
            ports: BTreeMap::new(),
        };
        if let Some(alb) = stack.alb_targets.get(id) {
            group.targets.list.push(Target {
                id: alb.name.clone(),
                port: alb.port,
                zone: None,
                endpoint: None,
                server_id: None,
                origin: spec.origin.clone(),
            });
        }
        if let (Some(binding), Some(service)) = (binding, service) {
            let selector = binding.spec.node_selector.as_ref();
            let selector = selector.map(|selector| targets::labelled(&selector.match_labels));
            group.fill(
                &port_of(&binding.spec.service_ref.port),
                service,
                &selector.unwrap_or_default(),
                finder,
            );
        }
        let owner = catalog.group(&spec.name, scope);
        if owner.is_some_and(|(owner, owned)| owned == id && owner.key() == stack.key()) {
            for binding in scope.bindings(&spec.name) {
                group.bind(binding, finder, scope);
            }
        }
        if is_quic(&spec.protocol) && spec.target_type == "ip" {
            group
                .notes
                .extend(server_ids::assign(&mut group.targets.list, surroundings));
        }
        let outside = service.and_then(|service| {
            zones::outside(stack, &group.targets.list, service, surroundings.context)
        });
        group.notes.extend(outside);
        zones::keep_known(&mut group.targets.list, surroundings.context);
        group
    }

    /// Adds the targets of a TargetGroupBinding.
    fn bind(&mut self, binding: &Binding, finder: &Finder<'a>, scope: Scope<'a>) {
        for target in bound(binding, &self.spec.target_type, finder, scope) {
            let there = |one: &Target<'_>| (&one.id, one.port) == (&target.id, target.port);
            if !self.targets.list.iter().any(there) {
                self.targets.list.push(target);
                self.notes.clear();
            }
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &'a str {
        &self.spec.name
    }

    fn fill(
        &mut self,
        port: &Port,
        service: &'a Service,
        selector: &Selector,
        finder: &Finder<'a>,
    ) {
        let Some(port) = service.port(port) else {
            return;
        };
        let ipv6 = self.spec.ip_address_type == "ipv6";
        self.targets = match &self.spec.target_type[..] {
            "ip" => finder.ip(service, port, ipv6),
            _ => {
                let selects = |node: &Node| selector.matches(&node.meta.labels);
                finder.instance(service, port, &selects, ipv6)
            }
        };
        self.notes = notes(&self.targets.lost, self.targets.stands_in, service);
        if self.targets.stands_in {
            for port in service.ports.iter().filter(|port| port.node_port != 0) {
                let of_endpoints = finder.endpoint_port(service, port);
                self.ports
                    .extend(of_endpoints.map(|number| (port.node_port, number)));
            }
        }
    }

    /// The group in the words of the model, without the parts that are left out. Notes and warnings go to `notes`,
    /// errors to `faults`.
    pub(super) fn spec(
        &self,
        left_out: &LeftOut,
        notes: &mut Vec<Diagnostic>,
        faults: &mut Vec<Diagnostic>,
    ) -> TargetGroupSpec {
        notes.extend(self.notes.iter().cloned());
        let spec = self.spec;
        let is_served = |field| !left_out.contains(&self.field(field));
        let text = |value: &At<String>| value.value.clone();
        TargetGroupSpec {
            name: Some(spec.name.clone()),
            protocol: Some(text(&spec.protocol)),
            protocol_version: spec
                .protocol_version
                .as_ref()
                .filter(|_| is_served(VERSION))
                .map(text),
            port: Some(unsigned(spec.port.unwrap_or(1), &spec.origin, faults)),
            target_type: Some(spec.target_type.clone()),
            target_control_port: spec
                .target_control_port
                .as_ref()
                .filter(|_| is_served(CONTROL_PORT))
                .map(|port| unsigned(port.value, &port.origin, faults)),
            health_check_config: self.health_check(is_served(MATCHER), notes, faults),
            attributes: attributes(&spec.target_group_attributes),
            targets: self.targets.list.iter().map(Target::spec).collect(),
        }
    }

    fn field(&self, name: &'static str) -> Part {
        Part::GroupField(self.spec.name.clone(), name)
    }

    fn health_check(
        &self,
        has_matcher: bool,
        notes: &mut Vec<Diagnostic>,
        faults: &mut Vec<Diagnostic>,
    ) -> HealthCheckSpec {
        let check = &self.spec.health_check_config;
        let (protocol, port) = self.check_port(check, notes);
        let speaks_http = protocol != "TCP";
        let matcher = check.matcher.as_ref();
        let matcher = matcher.filter(|_| speaks_http && has_matcher);
        let mut number = |number: &Option<At<i32>>| {
            let number = number.as_ref()?;
            Some(unsigned(number.value, &number.origin, faults))
        };
        HealthCheckSpec {
            protocol: Some(protocol),
            port: Some(port),
            path: check
                .path
                .as_ref()
                .filter(|_| speaks_http)
                .map(|path| path.value.clone()),
            matcher: matcher.map(|matcher| match &matcher.value {
                Matcher::HttpCode(codes) => MatcherSpec {
                    http_code: Some(codes.clone()),
                    grpc_code: None,
                },
                Matcher::GrpcCode(codes) => MatcherSpec {
                    http_code: None,
                    grpc_code: Some(codes.clone()),
                },
            }),
            interval_seconds: number(&check.interval_seconds),
            timeout_seconds: number(&check.timeout_seconds),
            healthy_threshold_count: number(&check.healthy_threshold_count),
            unhealthy_threshold_count: number(&check.unhealthy_threshold_count),
        }
    }

    /// Protocol and port of the health check. Nothing listens on node ports when endpoints stand in for nodes, so the
    /// check goes to the endpoint's own port.
    fn check_port(&self, check: &HealthCheck, notes: &mut Vec<Diagnostic>) -> (String, String) {
        let written = match &check.port.value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => "traffic-port".to_owned(),
        };
        let protocol = check.protocol.value.clone();
        let Some(number) = written.parse().ok().filter(|_| self.targets.stands_in) else {
            return (protocol, written);
        };
        let kept = self.service.map(|service| service.health_check_node_port);
        if kept == Some(number) {
            let note = Diagnostic::new(Severity::Note, "endpoints-stand-in", LOCAL_CHECK);
            notes.push(self.spec.origin.place(note));
            return ("TCP".to_owned(), "traffic-port".to_owned());
        }
        match self.ports.get(&number) {
            Some(port) => (protocol, port.to_string()),
            None => (protocol, written),
        }
    }

    /// The place of a field.
    pub(super) fn place(&self, steps: &[Step]) -> Place {
        let spec = self.spec;
        let whole = |origin: &Origin| Place::of(origin, Part::Group(spec.name.clone()));
        let or_group = |origin: Option<&Origin>| origin.unwrap_or(&spec.origin).clone();
        match steps {
            [Step::Field("protocol"), ..] => whole(&spec.protocol.origin),
            [Step::Field("targetType")] => whole(&spec.origin),
            [Step::Field("protocolVersion"), ..] => {
                let version = spec.protocol_version.as_ref();
                Place::of(
                    &or_group(version.map(|one| &one.origin)),
                    self.field(VERSION),
                )
            }
            [Step::Field("targetControlPort"), ..] => {
                let port = spec.target_control_port.as_ref();
                Place::of(
                    &or_group(port.map(|one| &one.origin)),
                    self.field(CONTROL_PORT),
                )
            }
            [Step::Field("healthCheckConfig"), rest @ ..] => self.check_place(rest),
            [Step::Field("attributes"), Step::Key(key), ..] => {
                let attributes = spec.target_group_attributes.iter();
                let attributes = attributes.map(|one| (one.key.as_str(), &one.value.origin));
                Place::fixed(&or_group(of_attribute(attributes, key)))
            }
            [Step::Field("targets"), Step::Index(at), ..] => {
                let target = self.targets.list.get(*at);
                Place::fixed(&or_group(target.map(|one| &one.origin)))
            }
            _ => Place::fixed(&spec.origin),
        }
    }

    fn check_place(&self, steps: &[Step]) -> Place {
        let check = &self.spec.health_check_config;
        let number = |number: &'a Option<At<i32>>| number.as_ref().map(|one| &one.origin);
        let origin = match steps {
            [Step::Field("protocol"), ..] => Some(&check.protocol.origin),
            [Step::Field("port"), ..] => Some(&check.port.origin),
            [Step::Field("path"), ..] => check.path.as_ref().map(|one| &one.origin),
            [Step::Field("matcher"), ..] => check.matcher.as_ref().map(|one| &one.origin),
            [Step::Field("intervalSeconds"), ..] => number(&check.interval_seconds),
            [Step::Field("timeoutSeconds"), ..] => number(&check.timeout_seconds),
            [Step::Field("healthyThresholdCount"), ..] => number(&check.healthy_threshold_count),
            [Step::Field("unhealthyThresholdCount"), ..] => {
                number(&check.unhealthy_threshold_count)
            }
            _ => None,
        };
        let origin = origin.unwrap_or(&self.spec.origin);
        match steps {
            [Step::Field("matcher"), ..] => Place::of(origin, self.field(MATCHER)),
            _ => Place::fixed(origin),
        }
    }
}

/// The fields of a target group that may be left out.
const VERSION: &str = "protocolVersion";
const CONTROL_PORT: &str = "targetControlPort";
const MATCHER: &str = "matcher";

/// The note about a health check that only nodes can answer.
pub(super) const LOCAL_CHECK: &str = "a node tells at healthCheckNodePort whether it has a pod; endpoints that stand in \
     for nodes are checked by TCP at their own port";

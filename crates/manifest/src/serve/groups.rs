//! Target groups with their targets, as the native file has them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::file::Origin;
use elbow_model::yaml::{Node as Tree, Position};
use serde_json::Value;

use super::Surroundings;
use super::bindings::bound;
use super::classic::LOCAL_CHECK;
use super::draft::{self, Cuts, Draft, Role};
use super::targets::{self, EXCLUDE, Finder, Instances, Lost, Target, Targets};
use super::trail::{INGRESS, SERVICE, Trail, of_meta};
use crate::bounds::{self, TooMuch};
use crate::objects::{Binding, Node, Port, Selector, Service, group_name};
use crate::scope::Scope;
use crate::stack::{Action, Attribute, HealthCheck, Matcher, Reference, Stack, TargetGroup};

/// A target group of a stack, with what it is filled from.
pub(super) struct Group<'a> {
    spec: &'a TargetGroup,
    trail: Trail<'a>,
    service: Option<&'a Service>,
    targets: Targets,
    /// What is worth saying about the targets.
    notes: Vec<Diagnostic>,
    /// The port of the endpoints for each node port of the Service.
    ports: BTreeMap<u16, u16>,
}

/// The target groups that a stack has to do with.
pub(super) struct Groups<'a> {
    finder: Finder<'a>,
    /// Those of the stack, by id.
    own: BTreeMap<&'a str, Rc<Group<'a>>>,
    /// Those of any stack that it names, by name.
    named: BTreeMap<&'a str, Rc<Group<'a>>>,
}

impl<'a> Groups<'a> {
    /// The groups of a stack with their targets, those of TargetGroupBindings among the objects included. The error is
    /// that there are too many.
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

    /// The group that a reference leads to: that of the stack, or one of any stack by name or ARN.
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

/// The target groups that a stack names and that it may not have itself.
fn names(stack: &Stack) -> impl Iterator<Item = &str> {
    let rules = stack.rules.values().flat_map(|rule| &rule.actions);
    let listeners = stack.listeners.values();
    let actions = listeners.flat_map(|listener| &listener.default_actions);
    let groups = actions.chain(rules).filter_map(|action| match action {
        Action::Forward(forward) => Some(&forward.target_groups),
        Action::Other { .. } => None,
    });
    groups.flatten().filter_map(|to| match &to.target_group {
        Reference::Literal(arn) => Some(group_name(arn).unwrap_or(arn)),
        Reference::Resource { .. } => None,
    })
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
        let ingress = spec.source.ingress.as_ref();
        let ingress = ingress.and_then(|key| scope.ingress(key));
        let metas = service.map(|service| &service.meta).into_iter();
        let metas = metas.chain(ingress.map(|ingress| &ingress.meta)).collect();
        let prefix = match ingress {
            Some(_) => INGRESS,
            None => SERVICE,
        };
        let mut group = Group {
            spec,
            trail: Trail::new(prefix, metas),
            service,
            targets: Targets::default(),
            notes: Vec::new(),
            ports: BTreeMap::new(),
        };
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
        group
    }

    /// The targets of a TargetGroupBinding come to those that are there.
    fn bind(&mut self, binding: &Binding, finder: &Finder<'a>, scope: Scope<'a>) {
        for target in bound(binding, &self.spec.target_type, finder, scope) {
            let there = |one: &Target| (&one.id, one.port) == (&target.id, target.port);
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

    /// The group as the native file has it.
    pub(super) fn write(
        &self,
        draft: &mut Draft,
        cuts: &Cuts,
        found: &mut Vec<Diagnostic>,
    ) -> Tree {
        found.extend(self.notes.iter().cloned());
        let spec = self.spec;
        let name = &spec.name;
        let at = draft.spot(self.trail.object(), Role::Group(name.clone()));
        let fixed = draft.spot(self.trail.object(), Role::Fixed);
        let field = |field: &str| Role::Field(name.clone(), field.to_owned());
        let protocol = self
            .trail
            .annotation(&["backend-protocol", "aws-load-balancer-backend-protocol"]);
        let protocol = draft.spot(protocol, Role::Group(name.clone()));
        let mut fields = vec![
            ("name", draft::text(fixed, name)),
            ("protocol", draft::text(protocol, &spec.protocol)),
            ("port", draft::text(fixed, spec.port.unwrap_or(1))),
            ("targetType", draft::text(at, &spec.target_type)),
        ];
        let version = field("protocolVersion");
        if let Some(written) = spec
            .protocol_version
            .as_ref()
            .filter(|_| !cuts.contains(&version))
        {
            let origin = self.trail.annotation(&["backend-protocol-version"]);
            fields.push((
                "protocolVersion",
                draft::text(draft.spot(origin, version), written),
            ));
        }
        let control = field("targetControlPort");
        if let Some(port) = spec
            .target_control_port
            .filter(|_| !cuts.contains(&control))
        {
            let at = draft.spot(self.trail.object(), control);
            fields.push(("targetControlPort", draft::text(at, port)));
        }
        fields.push(("healthCheckConfig", self.health_check(draft, cuts, found)));
        let attributes = &spec.target_group_attributes;
        let origin = |key: &str| self.attribute_origin(key);
        let attributes = write_attributes(name, attributes, &origin, draft, cuts);
        fields.push(("attributes", attributes));
        let targets = self.targets.list.iter();
        let targets = targets.map(|target| write_target(target, draft)).collect();
        fields.push(("targets", draft::list(fixed, targets)));
        draft::map(at, fields)
    }

    fn attribute_origin(&self, key: &str) -> Origin {
        const NETWORK: &str = "aws-load-balancer-target-group-attributes";
        let mut suffixes = Vec::new();
        if key == "proxy_protocol_v2.enabled" {
            suffixes.push("aws-load-balancer-proxy-protocol".to_owned());
            suffixes.push("aws-load-balancer-proxy-protocol-per-target-group".to_owned());
        }
        let ports = self.service.iter().flat_map(|service| &service.ports);
        suffixes.extend(ports.map(|port| format!("{NETWORK}.{}", port.port)));
        suffixes.push(NETWORK.to_owned());
        suffixes.push("target-group-attributes".to_owned());
        let suffixes: Vec<&str> = suffixes.iter().map(String::as_str).collect();
        self.trail.containing(&suffixes, key)
    }

    fn health_check(&self, draft: &mut Draft, cuts: &Cuts, found: &mut Vec<Diagnostic>) -> Tree {
        let check = &self.spec.health_check_config;
        let at = draft.spot(self.trail.object(), Role::Fixed);
        let (protocol, port) = self.check_port(check, found);
        let mut fields: Vec<(&str, String)> = vec![("protocol", protocol), ("port", port)];
        let speaks_http = fields
            .first()
            .is_some_and(|(_, protocol)| protocol != "TCP");
        if let Some(path) = check.path.as_ref().filter(|_| speaks_http) {
            fields.push(("path", path.clone()));
        }
        let numbers = [
            ("intervalSeconds", check.interval_seconds),
            ("timeoutSeconds", check.timeout_seconds),
            ("healthyThresholdCount", check.healthy_threshold_count),
            ("unhealthyThresholdCount", check.unhealthy_threshold_count),
        ];
        for (name, number) in numbers {
            fields.extend(number.map(|number| (name, number.to_string())));
        }
        let mut written: Vec<(&str, Tree)> = Vec::with_capacity(fields.len() + 1);
        for (name, value) in fields {
            let at = self.check_spot(name, Role::Fixed, draft);
            written.push((name, draft::text(at, value)));
        }
        let role = Role::Field(self.spec.name.clone(), "matcher".into());
        if let Some(matcher) = &check.matcher
            && speaks_http
            && !cuts.contains(&role)
        {
            let at = self.check_spot("matcher", role, draft);
            let (name, codes) = match matcher {
                Matcher::HttpCode(codes) => ("httpCode", codes),
                Matcher::GrpcCode(codes) => ("grpcCode", codes),
            };
            written.push((
                "matcher",
                draft::map(at, vec![(name, draft::text(at, codes))]),
            ));
        }
        draft::map(at, written)
    }

    /// Protocol and port of the health check. Where endpoints stand in for nodes, nobody listens on node ports:
    /// the check goes to the port that the endpoints have for it.
    fn check_port(&self, check: &HealthCheck, found: &mut Vec<Diagnostic>) -> (String, String) {
        let written = match &check.port {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => "traffic-port".to_owned(),
        };
        let protocol = check.protocol.clone();
        let Some(number) = written.parse().ok().filter(|_| self.targets.stands_in) else {
            return (protocol, written);
        };
        let kept = self.service.map(|service| service.health_check_node_port);
        if kept == Some(number) {
            let note = Diagnostic::new(Severity::Note, "endpoints-stand-in", LOCAL_CHECK);
            found.push(self.trail.object().place(note));
            return ("TCP".to_owned(), "traffic-port".to_owned());
        }
        match self.ports.get(&number) {
            Some(port) => (protocol, port.to_string()),
            None => (protocol, written),
        }
    }

    fn check_spot(&self, field: &str, role: Role, draft: &mut Draft) -> Position {
        let suffixes: &[&str] = match field {
            "protocol" => &[
                "healthcheck-protocol",
                "aws-load-balancer-healthcheck-protocol",
            ],
            "port" => &["healthcheck-port", "aws-load-balancer-healthcheck-port"],
            "path" => &["healthcheck-path", "aws-load-balancer-healthcheck-path"],
            "matcher" => &[
                "success-codes",
                "backend-protocol-version",
                "aws-load-balancer-healthcheck-success-codes",
            ],
            "intervalSeconds" => &[
                "healthcheck-interval-seconds",
                "aws-load-balancer-healthcheck-interval",
            ],
            "timeoutSeconds" => &[
                "healthcheck-timeout-seconds",
                "aws-load-balancer-healthcheck-timeout",
            ],
            "healthyThresholdCount" => &[
                "healthy-threshold-count",
                "aws-load-balancer-healthcheck-healthy-threshold",
            ],
            _ => &[
                "unhealthy-threshold-count",
                "aws-load-balancer-healthcheck-unhealthy-threshold",
            ],
        };
        draft.spot(self.trail.annotation(suffixes), role)
    }
}

/// Attributes by their keys, each at the annotation that `origin` finds for it.
pub(super) fn write_attributes(
    owner: &str,
    attributes: &[Attribute],
    origin: &dyn Fn(&str) -> Origin,
    draft: &mut Draft,
    cuts: &Cuts,
) -> Tree {
    let whole = Role::Field(owner.to_owned(), "attributes".into());
    let kept = match cuts.contains(&whole) {
        true => &[],
        false => attributes,
    };
    let at = draft.spot(origin(""), whole);
    let mut fields = Vec::with_capacity(kept.len());
    for Attribute { key, value } in kept {
        let role = Role::Field(owner.to_owned(), key.clone());
        if !cuts.contains(&role) {
            let at = draft.spot(origin(key), role);
            fields.push((key.clone(), draft::text(at, value)));
        }
    }
    draft::map(at, fields)
}

fn write_target(target: &Target, draft: &mut Draft) -> Tree {
    let at = draft.spot(target.origin.clone(), Role::Fixed);
    let mut fields = vec![
        ("id", draft::text(at, &target.id)),
        ("port", draft::text(at, target.port)),
    ];
    if let Some(zone) = &target.zone {
        fields.push(("availabilityZone", draft::text(at, zone)));
    }
    draft::map(at, fields)
}

/// What is worth saying about the targets of a Service.
pub(super) fn notes(lost: &[Lost], stand_in: bool, service: &Service) -> Vec<Diagnostic> {
    let name = service.meta.key();
    let at = of_meta(&service.meta);
    let mut notes: Vec<Diagnostic> = lost.iter().map(|lost| note(lost, &name, &at)).collect();
    if stand_in {
        let message = format!(
            "the endpoints of Service {name} stand in for nodes with node ports, which are not among the objects"
        );
        let note = Diagnostic::new(Severity::Note, "endpoints-stand-in", message);
        notes.push(service.meta.found(note));
    }
    notes
}

fn note(lost: &Lost, service: &str, at: &Origin) -> Diagnostic {
    let warning = |code, message: String| at.place(Diagnostic::warning(code, message));
    match lost {
        Lost::NoEndpoints => {
            let message =
                format!("nothing says where the pods of Service {service} are; it has no targets");
            warning("no-endpoints", message).hint(
                "add an EndpointSlice with the label kubernetes.io/service-name, or apply the dump of a cluster",
            )
        }
        Lost::NoneReady => warning(
            "no-endpoints",
            format!("no endpoint of Service {service} is ready"),
        ),
        Lost::NotCreated => {
            let message = format!(
                "Service {service} has no node ports from a cluster and no endpoints; it has no targets until it is created"
            );
            warning("no-node-ports", message).hint("apply the Service, or give its nodePort")
        }
        Lost::OtherPorts(names) => {
            let message = format!("the endpoints of Service {service} have none of its ports");
            let hint = format!("the endpoints' ports are called: {}", names.join(", "));
            warning("no-endpoints", message).hint(hint)
        }
        Lost::NoNode => {
            let message =
                format!("no node may take traffic for Service {service}: none is ready and chosen");
            warning("no-nodes", message)
        }
        Lost::ExcludedNodes(nodes) => {
            let message = format!(
                "Service {service} has no targets: the only nodes ({}) carry {EXCLUDE} or another label \
                 that keeps load balancers away",
                nodes.join(", ")
            );
            let hint = format!(
                "kubectl label node {} {EXCLUDE}-, or set ignoreExcludedNodes: true in the environment",
                nodes.first().map_or("NODE", |name| name)
            );
            warning("excluded-nodes", message).hint(hint)
        }
        Lost::Stranger(origin, kind) => {
            let message = format!("an endpoint of a {kind} is no target, only one of a Pod is");
            origin.place(Diagnostic::new(Severity::Note, "foreign-endpoint", message))
        }
    }
}

//! Target groups: one per Ingress, Service and port.

use elbow_model::suggest::did_you_mean;
use elbow_model::{At, Origin};
use serde_json::Value;

use super::Build;
use super::group::Member;
use crate::Refusal;
use crate::annotations::{Key, Row, ingress as keys};
use crate::auto_mode;
use crate::lookup::Lookup;
use crate::names;
use crate::objects::{Port, Service, ServicePort};
use crate::stack::{
    Attribute, BindingSpec, HealthCheck, Matcher, NodeSelector, Reference, ServiceRef, TargetGroup,
    TargetGroupBinding,
};

/// The error that a path names a port that the Service does not have.
fn unknown_port(member: &Member<'_>, service: &Service, port: &Port) -> Refusal {
    let message = format!("Service {} has no port {port}", service.meta.key());
    let mut refusal = member.ingress.meta.refuse("unknown-port", message);
    let at = member.ingress.place_of(&service.meta.name, Some(port));
    (refusal.line, refusal.column) = (at.line, at.column);
    let ports = service.ports.iter().map(|one| match &*one.name {
        "" => one.port.to_string(),
        name => format!("{name} ({})", one.port),
    });
    let ports: Vec<String> = ports.collect();
    let names = service.ports.iter().map(|one| &*one.name);
    let meant = match port {
        Port::Name(name) => did_you_mean(name, names.filter(|name| !name.is_empty())),
        Port::Number(_) => None,
    };
    let meant = meant.map(|meant| meant + " ").unwrap_or_default();
    refusal.hint = Some(format!("{meant}its ports are {}", ports.join(", ")));
    refusal
}

impl Build<'_> {
    /// Adds the target group of a Service's port unless it exists, and returns its id.
    pub(super) fn add_target_group(
        &mut self,
        member: &Member<'_>,
        service: &Service,
        port: &Port,
    ) -> Result<String, Refusal> {
        let ingress = &member.ingress.meta;
        let id = format!(
            "{}/{}-{}:{port}",
            ingress.namespace, ingress.name, service.meta.name
        );
        if self.stack.target_groups.contains_key(&id) {
            return Ok(id);
        }
        let Some(service_port) = service.port(port) else {
            return Err(unknown_port(member, service, port));
        };
        let annotations = Lookup::new(vec![&service.meta, ingress]);
        let spec = Spec {
            build: self,
            member,
            service,
            port,
            service_port,
            annotations,
            origin: service.meta.origin(),
        };
        let group = spec.target_group();
        let binding = spec.binding(&id, &group);
        self.charge(&(&group, &binding), ingress)?;
        self.stack.target_groups.insert(id.clone(), Box::new(group));
        self.stack.bindings.insert(id.clone(), binding);
        Ok(id)
    }
}

/// The inputs of a target group.
struct Spec<'a> {
    build: &'a Build<'a>,
    member: &'a Member<'a>,
    service: &'a Service,
    port: &'a Port,
    service_port: &'a ServicePort,
    annotations: Lookup<'a>,
    /// The Service.
    origin: Origin,
}

impl Spec<'_> {
    fn target_group(&self) -> TargetGroup {
        let refused = &self.build.refused;
        let target_type = refused.keep(self.target_type());
        let protocol = self.one_of(keys::BACKEND_PROTOCOL, "HTTP", &["HTTP", "HTTPS"]);
        let protocol = refused.or_default(protocol);
        let versions = ["HTTP1", "HTTP2", "GRPC"];
        let version = self.one_of(keys::BACKEND_PROTOCOL_VERSION, "HTTP1", &versions);
        let version = refused.or_default(version);
        let health_check_config = self.health_check(target_type.as_deref(), &protocol, &version);
        let attributes = self.annotations.attributes(keys::TARGET_GROUP_ATTRIBUTES);
        let attributes = refused.or_default(attributes).unwrap_or_default();
        let tags = self.build.target_group_tags(self.member, self.service);
        let tags = refused.or_default(tags);
        let ip_address_type = refused.or_default(self.ip_address_type());
        let of_type = target_type.as_deref().map(|kind| {
            let control = refused.or_default(self.control_port(kind));
            (control, refused.or_default(self.target_port(kind)))
        });
        let (control, port) = of_type.unwrap_or_default();
        let target_type = target_type.unwrap_or_default();
        TargetGroup {
            health_check_config,
            ip_address_type,
            name: self.name(port, &target_type, &protocol, &version, control),
            port: Some(port.into()),
            protocol: self.at(keys::BACKEND_PROTOCOL, protocol),
            protocol_version: Some(self.at(keys::BACKEND_PROTOCOL_VERSION, version)),
            tags,
            target_control_port: control.map(|port| self.at(self.control_key(), port)),
            target_group_attributes: Attribute::list(attributes),
            target_type,
            origin: self.origin.clone(),
        }
    }

    /// A value with the origin of its annotation, else of the Service.
    fn at<T>(&self, key: impl Into<Key>, value: T) -> At<T> {
        At::new(value, self.annotations.origin(key, &self.origin))
    }

    /// The value of an annotation, which must be one of `known`.
    fn one_of(
        &self,
        suffix: &'static Row,
        default: &str,
        known: &[&str],
    ) -> Result<String, Refusal> {
        let Some(found) = self.annotations.find(suffix) else {
            return Ok(default.to_owned());
        };
        if known.contains(&found.value) {
            return Ok(found.value.to_owned());
        }
        let message = format!(
            "{suffix}: expected one of {}, found \"{}\"",
            known.join(", "),
            found.value
        );
        Err(found.refuse("unknown-value", message))
    }

    fn target_type(&self) -> Result<String, Refusal> {
        let class = self
            .member
            .params
            .and_then(|params| params.target_type.clone());
        let kind = match class {
            Some(kind) => kind,
            None => {
                let default = if self.member.is_auto {
                    auto_mode::TARGET_TYPE
                } else {
                    &self.build.context.defaults.target_type
                };
                self.one_of(keys::TARGET_TYPE, default, &["instance", "ip"])?
            }
        };
        if kind == "ip" && !self.build.context.enable_ip_target_type {
            let message =
                "target type ip is disabled; set enableIpTargetType in the environment file";
            return Err(self.refuse("ip-targets-off", message));
        }
        Ok(kind)
    }

    fn refuse(&self, code: &'static str, message: impl Into<String>) -> Refusal {
        self.member.ingress.meta.refuse(code, message)
    }

    fn ip_address_type(&self) -> Result<String, Refusal> {
        if !self
            .service
            .ip_families
            .iter()
            .any(|family| family == "IPv6")
        {
            return Ok("ipv4".into());
        }
        if self.build.ip_address_type == "ipv4" {
            let message = format!(
                "Service {} has IPv6 addresses, but the load balancer is not dualstack",
                self.service.meta.key()
            );
            return Err(self.refuse("not-dualstack", message));
        }
        Ok("ipv6".into())
    }

    fn target_port(&self, target_type: &str) -> Result<u16, Refusal> {
        let port = match (&self.service_port.target_port, target_type) {
            (_, "instance") => self.service_port.node_port,
            (Port::Number(number), _) => *number,
            // Targets are registered with their own ports, but AWS needs a number.
            (Port::Name(_), _) => 1,
        };
        if port == 0 {
            let message = format!(
                "Service {} has no node port, which instance targets need",
                self.service.meta.key()
            );
            let mut refusal = self.refuse("no-node-port", message);
            refusal.hint = Some("use a Service of type NodePort, or set target-type: ip".into());
            return Err(refusal);
        }
        Ok(port)
    }

    fn control_key(&self) -> Key {
        let tail = format!("{}.{}", self.service.meta.name, self.port);
        keys::TARGET_CONTROL_PORT.of(&tail)
    }

    fn control_port(&self, target_type: &str) -> Result<Option<i32>, Refusal> {
        let key = self.control_key();
        let (Some(found), Some(port)) =
            (self.annotations.find(&key), self.annotations.int32(&key)?)
        else {
            return Ok(None);
        };
        if target_type == "instance" {
            return Err(found.refuse("conflict", format!("{key} needs target-type: ip")));
        }
        Ok(Some(port))
    }

    fn name(
        &self,
        port: u16,
        target_type: &str,
        protocol: &str,
        version: &str,
        control: Option<i32>,
    ) -> String {
        let ingress = &self.member.ingress.meta;
        let service = &self.service.meta;
        let group = self.build.group.id.to_string();
        let (written, port) = (self.port.to_string(), port.to_string());
        let control = control.map(|port| port.to_string()).unwrap_or_default();
        let hashed = [
            &*self.build.context.cluster_name,
            &group,
            &ingress.namespace,
            &ingress.name,
            &service.uid,
            &written,
            &port,
            target_type,
            protocol,
            version,
            &control,
        ];
        names::namespaced(&service.namespace, &service.name, &hashed)
    }

    /// The health check; the type is `None` if it is refused.
    fn health_check(
        &self,
        target_type: Option<&str>,
        protocol: &str,
        version: &str,
    ) -> HealthCheck {
        let grpc = version == "GRPC";
        let text = |suffix: &'static Row, default: &str| {
            let text = self.annotations.text(suffix).unwrap_or(default);
            self.at(suffix, text.to_owned())
        };
        let path = if grpc { "/AWS.ALB/healthcheck" } else { "/" };
        let codes = text(keys::SUCCESS_CODES, if grpc { "12" } else { "200" });
        let matcher = if grpc {
            // The protocol version decides that the codes are gRPC codes.
            let version = self
                .annotations
                .origin(keys::BACKEND_PROTOCOL_VERSION, &codes.origin);
            let origin = self.annotations.origin(keys::SUCCESS_CODES, &version);
            At::new(Matcher::GrpcCode(codes.value), origin)
        } else {
            codes.map(Matcher::HttpCode)
        };
        let refused = &self.build.refused;
        let port = target_type.map(|kind| self.health_check_port(kind));
        let port = port.and_then(|port| refused.keep(port));
        HealthCheck {
            healthy_threshold_count: Some(self.number(keys::HEALTHY_THRESHOLD_COUNT, 2)),
            interval_seconds: Some(self.number(keys::HEALTHCHECK_INTERVAL_SECONDS, 15)),
            matcher: Some(matcher),
            path: Some(text(keys::HEALTHCHECK_PATH, path)),
            port: self.at(keys::HEALTHCHECK_PORT, port.unwrap_or_default()),
            protocol: self.at(
                keys::HEALTHCHECK_PROTOCOL,
                refused.or_default(self.one_of(
                    keys::HEALTHCHECK_PROTOCOL,
                    protocol,
                    &["HTTP", "HTTPS"],
                )),
            ),
            timeout_seconds: Some(self.number(keys::HEALTHCHECK_TIMEOUT_SECONDS, 5)),
            unhealthy_threshold_count: Some(self.number(keys::UNHEALTHY_THRESHOLD_COUNT, 2)),
        }
    }

    fn number(&self, suffix: &'static Row, default: i32) -> At<i32> {
        let number = self.annotations.int32(suffix);
        match self.build.refused.or_default(number) {
            Some(number) => self.at(suffix, number),
            None => At::new(default, self.origin.clone()),
        }
    }

    fn health_check_port(&self, target_type: &str) -> Result<Value, Refusal> {
        let traffic = "traffic-port";
        let Some(found) = self.annotations.find(keys::HEALTHCHECK_PORT) else {
            return Ok(traffic.into());
        };
        if found.value == traffic {
            return Ok(traffic.into());
        }
        // Go's `intstr.Parse`: any number is taken.
        if let Ok(number) = found.value.parse::<i32>() {
            return Ok(number.into());
        }
        let wanted = Port::Name(found.value.to_owned());
        let Some(port) = self.service.port(&wanted) else {
            let message = format!("Service {} has no port {wanted}", self.service.meta.key());
            return Err(found.refuse("unknown-port", message));
        };
        match (&port.target_port, target_type) {
            (_, "instance") => Ok(port.node_port.into()),
            (Port::Number(number), _) => Ok((*number).into()),
            (Port::Name(_), _) => {
                let message = "healthcheck-port: the targetPort of this port is a name, whose number depends on the pod; use a number";
                Err(found.refuse("named-health-check-port", message))
            }
        }
    }

    fn binding(&self, id: &str, group: &TargetGroup) -> TargetGroupBinding {
        let refused = &self.build.refused;
        let labels = if group.target_type == "instance" {
            refused.or_default(self.annotations.map(keys::TARGET_NODE_LABELS))
        } else {
            None
        };
        let labels = labels.filter(|labels| !labels.is_empty());
        let multi = refused.or_default(self.is_multi_cluster());
        TargetGroupBinding {
            name: group.name.clone(),
            namespace: self.service.meta.namespace.clone(),
            spec: BindingSpec {
                ip_address_type: group.ip_address_type.clone(),
                multi_cluster_target_group: multi.then_some(true),
                node_selector: labels.map(|match_labels| NodeSelector { match_labels }),
                service_ref: ServiceRef {
                    name: self.service.meta.name.clone(),
                    port: self.port.to_json(),
                },
                target_group: Reference::target_group(id),
                target_group_protocol: group.protocol.value.clone(),
                target_type: group.target_type.clone(),
                vpc_id: self.build.context.vpc.id.clone(),
            },
        }
    }

    /// Whether several clusters register targets. Unlike elsewhere, the Ingress precedes the Service.
    fn is_multi_cluster(&self) -> Result<bool, Refusal> {
        let row = keys::MULTI_CLUSTER_TARGET_GROUP;
        if self.member.annotations().boolean(row)? == Some(true) {
            return Ok(true);
        }
        let service = Lookup::new(vec![&self.service.meta]).boolean(row)?;
        Ok(service.unwrap_or(false))
    }
}

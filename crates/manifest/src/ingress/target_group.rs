//! Target groups: one per Ingress, Service and port.

use serde_json::Value;

use super::group::Member;
use super::{Build, PREFIX};
use crate::Refusal;
use crate::annotations::Lookup;
use crate::names;
use crate::objects::{Port, Service, ServicePort};
use crate::stack::{
    Attribute, BindingSpec, HealthCheck, Matcher, NodeSelector, Reference, ServiceRef, TargetGroup,
    TargetGroupBinding,
};

/// The error about a path that leads to a port which the Service does not have.
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
    refusal.hint = Some(format!("its ports are {}", ports.join(", ")));
    refusal
}

impl Build<'_> {
    /// Adds the target group of a Service's port, unless it is there; its id.
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
        let annotations = Lookup::new(PREFIX, vec![&service.meta, ingress]);
        let spec = Spec {
            build: self,
            member,
            service,
            port,
            service_port,
            annotations,
        };
        let group = spec.target_group()?;
        let binding = spec.binding(&id, &group)?;
        self.charge(&(&group, &binding), ingress)?;
        self.stack.target_groups.insert(id.clone(), group);
        self.stack.bindings.insert(id.clone(), binding);
        Ok(id)
    }
}

/// What a target group is made from.
struct Spec<'a> {
    build: &'a Build<'a>,
    member: &'a Member<'a>,
    service: &'a Service,
    port: &'a Port,
    service_port: &'a ServicePort,
    annotations: Lookup<'a>,
}

impl Spec<'_> {
    fn target_group(&self) -> Result<TargetGroup, Refusal> {
        let target_type = self.target_type()?;
        let protocol = self.one_of("backend-protocol", "HTTP", &["HTTP", "HTTPS"])?;
        let versions = ["HTTP1", "HTTP2", "GRPC"];
        let version = self.one_of("backend-protocol-version", "HTTP1", &versions)?;
        let health_check_config = self.health_check(&target_type, &protocol, &version)?;
        let attributes = self
            .annotations
            .map("target-group-attributes")?
            .unwrap_or_default();
        let tags = self.build.target_group_tags(self.member, self.service)?;
        let ip_address_type = self.ip_address_type()?;
        let control = self.control_port(&target_type)?;
        let port = self.target_port(&target_type)?;
        Ok(TargetGroup {
            health_check_config,
            ip_address_type,
            name: self.name(port, &target_type, &protocol, &version, control),
            port: Some(port.into()),
            protocol,
            protocol_version: Some(version),
            tags,
            target_control_port: control,
            target_group_attributes: Attribute::list(&attributes),
            target_type,
            source: self.member.source(),
        })
    }

    /// The value of an annotation, which must be one of `known`.
    fn one_of(&self, suffix: &str, default: &str, known: &[&str]) -> Result<String, Refusal> {
        let Some(found) = self.annotations.find(suffix) else {
            return Ok(default.to_owned());
        };
        if known.contains(&found.value) {
            return Ok(found.value.to_owned());
        }
        let message = format!(
            "{suffix} is one of {}, not \"{}\"",
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
                let default = &self.build.context.defaults.target_type;
                self.one_of("target-type", default, &["instance", "ip"])?
            }
        };
        if kind == "ip" && !self.build.context.enable_ip_target_type {
            let message = "targets of type ip are off (enableIpTargetType)";
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
                "Service {} is IPv6, the load balancer is not dualstack",
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
            // Targets bring their own ports; AWS wants a number all the same.
            (Port::Name(_), _) => 1,
        };
        if port == 0 {
            let message = format!(
                "Service {} has no node port for instance targets",
                self.service.meta.key()
            );
            let mut refusal = self.refuse("no-node-port", message);
            refusal.hint = Some("make the Service of type NodePort, or set target-type: ip".into());
            return Err(refusal);
        }
        Ok(port)
    }

    fn control_port(&self, target_type: &str) -> Result<Option<i32>, Refusal> {
        let suffix = format!(
            "target-control-port.{}.{}",
            self.service.meta.name, self.port
        );
        let (Some(found), Some(port)) = (
            self.annotations.find(&suffix),
            self.annotations.integer(&suffix)?,
        ) else {
            return Ok(None);
        };
        if target_type == "instance" {
            return Err(found.refuse("conflict", format!("{suffix} is for targets of type ip")));
        }
        let port = i32::try_from(port)
            .ok()
            .filter(|port| (1..=65_535).contains(port));
        let message = format!("{suffix} is not within 1 to 65535");
        port.map(Some)
            .ok_or_else(|| found.refuse("out-of-range", message))
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

    fn health_check(
        &self,
        target_type: &str,
        protocol: &str,
        version: &str,
    ) -> Result<HealthCheck, Refusal> {
        let grpc = version == "GRPC";
        let text = |suffix: &str, default: &str| {
            self.annotations.text(suffix).unwrap_or(default).to_owned()
        };
        let path = if grpc { "/AWS.ALB/healthcheck" } else { "/" };
        let codes = text("success-codes", if grpc { "12" } else { "200" });
        let matcher = if grpc {
            Matcher::GrpcCode(codes)
        } else {
            Matcher::HttpCode(codes)
        };
        Ok(HealthCheck {
            healthy_threshold_count: Some(self.number("healthy-threshold-count", 2)?),
            interval_seconds: Some(self.number("healthcheck-interval-seconds", 15)?),
            matcher: Some(matcher),
            path: Some(text("healthcheck-path", path)),
            port: self.health_check_port(target_type)?,
            protocol: self.one_of("healthcheck-protocol", protocol, &["HTTP", "HTTPS"])?,
            timeout_seconds: Some(self.number("healthcheck-timeout-seconds", 5)?),
            unhealthy_threshold_count: Some(self.number("unhealthy-threshold-count", 2)?),
        })
    }

    fn number(&self, suffix: &str, default: i32) -> Result<i32, Refusal> {
        let Some(number) = self.annotations.integer(suffix)? else {
            return Ok(default);
        };
        i32::try_from(number)
            .map_err(|_| self.refuse("out-of-range", format!("{suffix} is {number}")))
    }

    fn health_check_port(&self, target_type: &str) -> Result<Value, Refusal> {
        let traffic = "traffic-port";
        let Some(found) = self.annotations.find("healthcheck-port") else {
            return Ok(traffic.into());
        };
        if found.value == traffic {
            return Ok(traffic.into());
        }
        let wanted = match Port::parse(found.value) {
            Port::Number(number) => return Ok(number.into()),
            wanted => wanted,
        };
        let Some(port) = self.service.port(&wanted) else {
            let message = format!("Service {} has no port {wanted}", self.service.meta.key());
            return Err(found.refuse("unknown-port", message));
        };
        match (&port.target_port, target_type) {
            (_, "instance") => Ok(port.node_port.into()),
            (Port::Number(number), _) => Ok((*number).into()),
            (Port::Name(_), _) => {
                let message = "healthcheck-port names a port whose targetPort is a name too, which only pods know";
                Err(found.refuse("named-health-check-port", message))
            }
        }
    }

    fn binding(&self, id: &str, group: &TargetGroup) -> Result<TargetGroupBinding, Refusal> {
        let labels = self.annotations.map("target-node-labels")?;
        let labels = labels.filter(|_| group.target_type == "instance");
        let multi = self.annotations.boolean("multi-cluster-target-group")?;
        Ok(TargetGroupBinding {
            name: group.name.clone(),
            namespace: self.service.meta.namespace.clone(),
            spec: BindingSpec {
                ip_address_type: group.ip_address_type.clone(),
                multi_cluster_target_group: multi.filter(|&multi| multi),
                node_selector: labels.map(|match_labels| NodeSelector { match_labels }),
                service_ref: ServiceRef {
                    name: self.service.meta.name.clone(),
                    port: self.port.to_json(),
                },
                target_group: Reference::target_group(id),
                target_group_protocol: group.protocol.clone(),
                target_type: group.target_type.clone(),
                vpc_id: self.build.context.vpc.id.clone(),
            },
        })
    }
}

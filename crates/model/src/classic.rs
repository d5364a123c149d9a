//! What a Classic load balancer has in place of rules and target groups (ELB API 2012-06-01).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    Action, Algorithm, Forward, HealthCheck, HealthCheckPort, LoadBalancer, MinimumHealthy,
    Protocol, ProxyProtocol, Target, TargetGroup, TargetGroupAttributes, TargetId, TargetType,
};

/// Instances, and what holds for all of them whatever the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classic {
    /// One for the whole load balancer: an instance is in service for all listeners or for none.
    pub health_check: HealthCheck,
    /// In the order of the input.
    pub instances: Vec<Instance>,
    /// By instance port.
    pub backend_server_policies: BTreeMap<u16, Vec<BackendServerPolicy>>,
}

/// A registered instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    /// Address or name.
    pub id: TargetId,
    /// Zone, e.g. `us-east-1a`.
    pub availability_zone: Option<Arc<str>>,
    /// Beyond AWS: instance ports that are other ones on this instance, so that several may stand
    /// for nodes on one host.
    pub ports: BTreeMap<u16, u16>,
}

impl Instance {
    /// Where this instance has `instance_port`.
    pub fn port(&self, instance_port: u16) -> u16 {
        self.ports
            .get(&instance_port)
            .copied()
            .unwrap_or(instance_port)
    }
}

/// The instances' end of a Classic listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceEnd {
    /// What is spoken to instances.
    pub protocol: Protocol,
    /// On every instance.
    pub port: u16,
}

impl InstanceEnd {
    /// What requests and connections are forwarded to: the group that the instances of
    /// `load_balancer` form here. No declared target group can have its name.
    pub fn action(self, load_balancer: &str) -> Action {
        Action::Forward(Forward::to(self.group_name(load_balancer)))
    }

    /// E.g. `web/HTTP:30080`.
    pub fn group_name(self, load_balancer: &str) -> Arc<str> {
        format!("{load_balancer}/{}:{}", self.protocol.as_str(), self.port).into()
    }
}

/// A policy towards instances (`SetLoadBalancerPoliciesForBackendServer`), by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendServerPolicy {
    /// `ProxyProtocolPolicyType`: connections start with a header that names the client.
    ProxyProtocol,
}

impl LoadBalancer {
    /// The groups that the instances of a Classic load balancer form, one for each way in which its
    /// listeners reach them; none of other load balancers.
    pub fn instance_groups(&self) -> Vec<TargetGroup> {
        let Some(classic) = &self.classic else {
            return Vec::new();
        };
        let ends = self.instance_ends().into_iter();
        ends.map(|end| self.instance_group(classic, end)).collect()
    }

    /// The ways in which its listeners reach instances, each once.
    pub fn instance_ends(&self) -> Vec<InstanceEnd> {
        let mut ends = Vec::new();
        for end in self.listeners.iter().filter_map(|l| l.instance) {
            if !ends.contains(&end) {
                ends.push(end);
            }
        }
        ends
    }

    fn instance_group(&self, classic: &Classic, end: InstanceEnd) -> TargetGroup {
        let target = |instance: &Instance| Target {
            id: instance.id.clone(),
            port: instance.port(end.port),
            availability_zone: instance.availability_zone.clone(),
        };
        TargetGroup {
            name: end.group_name(&self.name),
            protocol: end.protocol,
            protocol_version: crate::ProtocolVersion::Http1,
            port: end.port,
            target_type: TargetType::Instance,
            health_check: classic.health_check.clone(),
            attributes: self.instance_attributes(classic, end),
            targets: classic.instances.iter().map(target).collect(),
        }
    }

    /// Parity section 4, in the words of target groups.
    fn instance_attributes(&self, classic: &Classic, end: InstanceEnd) -> TargetGroupAttributes {
        let layer7 = matches!(end.protocol, Protocol::Http | Protocol::Https);
        let policies = classic.backend_server_policies.get(&end.port);
        let proxied =
            policies.is_some_and(|p| !layer7 && p.contains(&BackendServerPolicy::ProxyProtocol));
        TargetGroupAttributes {
            minimum_healthy: MinimumHealthy::default(),
            stickiness: None,
            deregistration_delay: self.attributes.connection_draining.unwrap_or_default(),
            algorithm: match layer7 {
                true => Algorithm::LeastOutstandingRequests,
                false => Algorithm::RoundRobin,
            },
            connect_failover: true,
            deregistration_connection_termination: true,
            unhealthy_connection_termination: false,
            of_classic: true,
            proxy_protocol: proxied.then_some(ProxyProtocol::V1),
            raw: BTreeMap::new(),
        }
    }
}

impl HealthCheck {
    /// `Target` of a Classic health check, e.g. `HTTPS:9000/minio/health/live`.
    pub fn classic_target(&self) -> String {
        use crate::HealthCheckProtocol as Speaks;
        let (protocol, path) = match self.protocol {
            Speaks::Tcp => ("TCP", ""),
            Speaks::Ssl => ("SSL", ""),
            Speaks::Http => ("HTTP", &*self.path),
            Speaks::Https => ("HTTPS", &*self.path),
        };
        let port = match self.port {
            HealthCheckPort::Port(port) => port.to_string(),
            HealthCheckPort::TrafficPort => "traffic-port".to_owned(),
        };
        format!("{protocol}:{port}{path}")
    }
}

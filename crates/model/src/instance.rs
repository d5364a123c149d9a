//! What a Classic load balancer has in place of rules and target groups (ELB API 2012-06-01).

use std::collections::BTreeMap;

use crate::backend_server_authentication::BackendServerAuthentication;
use crate::health_check::HealthCheck;
use crate::instance_end::{InstanceEnd, instance_port, port_key};
use crate::invalid::Place;
use crate::kinds::BackendServerPolicy;
use crate::read::{one_of, port};
use crate::seen::Seen;
use crate::spec::InstanceSpec;
use crate::target_group::{TargetId, availability_zone};
use crate::zone::ZoneName;

/// Instances, and what holds for all of them whatever the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Classic {
    /// One for the whole load balancer: an instance is in service for all listeners or for none.
    pub health_check: HealthCheck,
    /// In the order of the input.
    pub instances: Vec<Instance>,
    /// By instance port.
    pub backend_server_policies: BTreeMap<u16, Vec<BackendServerPolicy>>,
    /// By instance port; instances of other ports are not authenticated.
    pub backend_server_authentication: BTreeMap<u16, BackendServerAuthentication>,
}

/// A registered instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Instance {
    /// Address or name.
    pub id: TargetId,
    /// Zone, e.g. `us-east-1a`.
    pub availability_zone: Option<ZoneName>,
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

    /// The instances of a load balancer whose listeners have these instance ends.
    pub(crate) fn build_all(
        specs: &[InstanceSpec],
        ends: &[InstanceEnd],
        at: &Place<'_>,
    ) -> Vec<Self> {
        let mut seen = Seen::new("instance");
        let instances = specs.iter().enumerate().filter_map(|(i, spec)| {
            let at = at.index(i);
            let instance = Self::build(spec, &at)?;
            instance.is_new(ends, &mut seen, &at).then_some(instance)
        });
        instances.collect()
    }

    fn build(spec: &InstanceSpec, at: &Place<'_>) -> Option<Self> {
        let at_ports = at.field("ports");
        let mut ports = BTreeMap::new();
        for (key, number) in &spec.ports {
            let at = at_ports.key(key);
            let here = port(*number, &at);
            match (port_key(key, &at), here) {
                (Some(instance_port), Some(here)) => drop(ports.insert(instance_port, here)),
                _ => continue,
            }
        }
        let availability_zone = availability_zone(spec.availability_zone.as_deref(), at);
        let Some(id) = &spec.id else {
            at.missing("id");
            return None;
        };
        Some(Self {
            id: TargetId::build(id, &at.field("id"))?,
            availability_zone,
            ports,
        })
    }

    /// Two on one host differ in every port that is used, or they would be one target twice.
    fn is_new(&self, ends: &[InstanceEnd], seen: &mut Seen<String>, at: &Place<'_>) -> bool {
        let mut used: Vec<u16> = ends.iter().map(|end| self.port(end.port)).collect();
        used.sort_unstable();
        used.dedup();
        if used.is_empty() {
            return seen.check(self.id.to_string(), at, "duplicate-instance");
        }
        used.iter().all(|port| {
            let name = format!("{} (port {port})", self.id);
            seen.check(name, at, "duplicate-instance")
        })
    }
}

/// Policies towards instances by instance port.
pub(crate) fn backend_server_policies(
    given: &BTreeMap<String, Vec<String>>,
    ends: &[InstanceEnd],
    at: &Place<'_>,
) -> BTreeMap<u16, Vec<BackendServerPolicy>> {
    let mut policies = BTreeMap::new();
    for (key, names) in given {
        let at = at.key(key);
        let port = instance_port(key, ends, &at);
        let mut of_port = Vec::new();
        for (i, name) in names.iter().enumerate() {
            of_port.extend(one_of(name, BackendServerPolicy::NAMES, &at.index(i)));
        }
        of_port.dedup();
        let Some(port) = port else {
            continue;
        };
        let mut here = ends.iter().filter(|end| end.port == port);
        if here.all(|end| end.protocol.is_http()) && !of_port.is_empty() {
            at.warn(
                "no-effect",
                "only TCP and SSL listeners speak the proxy protocol to instances",
            );
        }
        policies.insert(port, of_port);
    }
    policies
}

//! A Classic load balancer in the words of the model.

use std::collections::BTreeMap;

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::{
    At, AttributesSpec, ClassicHealthCheckSpec, InstanceSpec, ListenerSpec, LoadBalancerSpec,
    Origin, Step,
};

use super::Surroundings;
use super::balancer::zones_of;
use super::groups::LOCAL_CHECK;
use super::hosts::{self, Wanted};
use super::place::{LeftOut, Part, Place, of_attribute};
use super::security_groups::SecurityGroups;
use super::targets::{Instance, Instances};
use crate::classic::{ClassicAttributes, ClassicListener, ClassicSpec};
use crate::objects::Service;
use crate::stack::Stack;

/// The prefix that the in-tree provider gives the names of TLS negotiation policies.
const NEGOTIATION: &str = "k8s-SSLNegotiationPolicy-";

/// A Classic load balancer with the places of its fields.
pub(super) struct Classic<'a> {
    from: &'a ClassicSpec,
    listeners: Vec<&'a ClassicListener>,
    attributes: Vec<(&'static str, At<String>)>,
    instances: Instances,
    security_groups: SecurityGroups,
}

impl<'a> Classic<'a> {
    /// The load balancer with its instances.
    pub(super) fn build(
        from: &'a ClassicSpec,
        (stack, service): (&Stack, &Service),
        instances: Instances,
        surroundings: &Surroundings<'_>,
        left_out: &LeftOut,
        wanted: &mut Wanted,
        notes: &mut Vec<Diagnostic>,
    ) -> (Self, LoadBalancerSpec) {
        notes.extend(instances.notes.iter().cloned());
        let is_left_out = |listener: &ClassicListener| {
            left_out.contains(&Part::Listener(listener.load_balancer_port))
        };
        let listeners = from.listeners.iter();
        let listeners: Vec<&ClassicListener> = listeners.filter(|one| !is_left_out(one)).collect();
        for arn in listeners
            .iter()
            .filter_map(|one| one.ssl_certificate_id.as_ref())
        {
            wanted.add(arn);
        }
        let classic = Self {
            from,
            listeners,
            attributes: attributes(&from.attributes),
            security_groups: SecurityGroups::of(stack, surroundings.context),
            instances,
        };
        let subnets = from.subnets.iter().map(|id| (id.as_str(), None));
        let spec = LoadBalancerSpec {
            name: Some(from.load_balancer_name.clone()),
            kind: Some("classic".to_owned()),
            scheme: Some(from.scheme.value.clone()),
            availability_zones: zones_of(subnets, surroundings.context),
            security_groups: classic.security_groups.specs(),
            attributes: classic.attribute_texts(),
            listeners: classic.listeners.iter().map(|one| listener(one)).collect(),
            health_check: Some(classic.health_check(service, notes)),
            instances: Some(classic.instances.list.iter().map(instance).collect()),
            backend_server_policies: classic.policies(),
            ..LoadBalancerSpec::default()
        };
        (classic, spec)
    }

    fn attribute_texts(&self) -> AttributesSpec {
        let attributes = self.attributes.iter();
        attributes
            .map(|(key, value)| ((*key).to_owned(), value.value.clone()))
            .collect()
    }

    fn health_check(
        &self,
        service: &Service,
        notes: &mut Vec<Diagnostic>,
    ) -> ClassicHealthCheckSpec {
        let check = &self.from.health_check;
        let mut target = check.target.value.clone();
        let kept = service.health_check_node_port;
        if self.instances.stand_in && kept != 0 && target.contains(&format!(":{kept}/")) {
            let first = self.from.listeners.first();
            target = format!("TCP:{}", first.map_or(0, |listener| listener.instance_port));
            let note = Diagnostic::new(Severity::Note, "endpoints-stand-in", LOCAL_CHECK);
            notes.push(service.meta.found(note));
        }
        ClassicHealthCheckSpec {
            target: Some(target),
            interval: Some(*check.interval),
            timeout: Some(*check.timeout),
            healthy_threshold: Some(*check.healthy_threshold),
            unhealthy_threshold: Some(*check.unhealthy_threshold),
        }
    }

    fn policies(&self) -> Option<BTreeMap<String, Vec<String>>> {
        let policies = self.from.backend_server_policies.iter();
        let policies = policies.map(|one| {
            let names = one.policy_names.iter().map(|name| name.value.clone());
            (one.instance_port.to_string(), names.collect())
        });
        let policies: BTreeMap<_, _> = policies.collect();
        (!policies.is_empty()).then_some(policies)
    }

    /// The place of a field.
    pub(super) fn place(&self, steps: &[Step]) -> Place {
        let from = self.from;
        let origin = match steps {
            [Step::Field("scheme"), ..] => &from.scheme.origin,
            [Step::Field("attributes"), Step::Key(key), ..] => {
                let attributes = self.attributes.iter();
                let attributes = attributes.map(|(key, value)| (*key, &value.origin));
                of_attribute(attributes, key).unwrap_or(&from.origin)
            }
            [Step::Field("securityGroups"), rest @ ..] => {
                self.security_groups.origin(rest).unwrap_or(&from.origin)
            }
            [Step::Field("healthCheck"), rest @ ..] => self.check_origin(rest),
            [Step::Field("instances"), Step::Index(at), ..] => {
                let instance = self.instances.list.get(*at);
                instance.map_or(&from.origin, |one| &one.origin)
            }
            [Step::Field("backendServerPolicies"), ..] => {
                let mut policies = from.backend_server_policies.iter();
                let policy = policies.find_map(|one| one.policy_names.first());
                policy.map_or(&from.origin, |one| &one.origin)
            }
            [Step::Field("listeners"), Step::Index(at), rest @ ..] => {
                return match self.listeners.get(*at) {
                    Some(listener) => self.listener_place(listener, rest),
                    None => Place::fixed(&from.origin),
                };
            }
            _ => &from.origin,
        };
        Place::fixed(origin)
    }

    fn check_origin(&self, steps: &[Step]) -> &Origin {
        let check = &self.from.health_check;
        match steps {
            [Step::Field("target"), ..] => &check.target.origin,
            [Step::Field("interval"), ..] => &check.interval.origin,
            [Step::Field("timeout"), ..] => &check.timeout.origin,
            [Step::Field("healthyThreshold"), ..] => &check.healthy_threshold.origin,
            [Step::Field("unhealthyThreshold"), ..] => &check.unhealthy_threshold.origin,
            _ => &self.from.origin,
        }
    }

    fn listener_place(&self, listener: &ClassicListener, steps: &[Step]) -> Place {
        let part = || Part::Listener(listener.load_balancer_port);
        let fixed = |origin: Option<&Origin>| Place::fixed(origin.unwrap_or(&self.from.origin));
        match steps {
            [Step::Field("protocol"), ..] => Place::of(&listener.protocol.origin, part()),
            [Step::Field("instanceProtocol"), ..] => {
                Place::of(&listener.instance_protocol.origin, part())
            }
            [Step::Field("sslPolicy"), ..] => {
                fixed(listener.policy_names.first().map(|one| &one.origin))
            }
            [Step::Field("certificates"), ..] => {
                let arn = listener.ssl_certificate_id.as_ref();
                fixed(arn.map(|one| &one.origin))
            }
            _ => Place::of(&self.from.origin, part()),
        }
    }
}

fn listener(from: &ClassicListener) -> ListenerSpec {
    let policy = from.policy_names.first().map(|one| one.value.as_str());
    let policy = policy.map(|name| name.strip_prefix(NEGOTIATION).unwrap_or(name));
    let arn = from.ssl_certificate_id.as_ref();
    ListenerSpec {
        port: Some(from.load_balancer_port.into()),
        protocol: Some((*from.protocol).to_owned()),
        ssl_policy: policy.map(str::to_owned),
        certificates: arn.map(|arn| vec![hosts::name(arn)]),
        instance_protocol: Some((*from.instance_protocol).to_owned()),
        instance_port: Some(from.instance_port.into()),
        ..ListenerSpec::default()
    }
}

fn instance(from: &Instance) -> InstanceSpec {
    let ports = from.ports.iter();
    InstanceSpec {
        id: Some(from.id.clone()),
        availability_zone: from.zone.clone().filter(|zone| !zone.is_empty()),
        ports: ports
            .map(|(instance, own)| (instance.to_string(), u32::from(*own)))
            .collect(),
    }
}

/// The attributes that annotations set, by the keys of the model.
fn attributes(all: &ClassicAttributes) -> Vec<(&'static str, At<String>)> {
    let (log, drain) = (&all.access_log, &all.connection_draining);
    let rows = [
        ("access_logs.s3.enabled", Some(in_words(&log.enabled))),
        ("access_logs.s3.bucket", log.s3_bucket_name.clone()),
        ("access_logs.s3.prefix", log.s3_bucket_prefix.clone()),
        (
            "access_logs.s3.emit_interval_minutes",
            log.emit_interval.as_ref().map(in_words),
        ),
        (
            "connection_draining.enabled",
            Some(in_words(&drain.enabled)),
        ),
        (
            "connection_draining.timeout_seconds",
            Some(in_words(&drain.timeout)),
        ),
        (
            "idle_timeout.timeout_seconds",
            Some(in_words(&all.connection_settings.idle_timeout)),
        ),
        (
            "load_balancing.cross_zone.enabled",
            Some(in_words(&all.cross_zone_load_balancing.enabled)),
        ),
    ];
    // The origin of a default is the whole Service and names no field.
    let is_written = |value: &At<String>| !value.origin.field.is_empty();
    let rows = rows.into_iter();
    rows.filter_map(|(key, value)| Some((key, value.filter(is_written)?)))
        .collect()
}

fn in_words<T: ToString>(value: &At<T>) -> At<String> {
    At::new(value.to_string(), value.origin.clone())
}

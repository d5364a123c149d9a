//! A Classic load balancer as the native file has it.

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::yaml::Node as Tree;

use super::certificates;
use super::draft::{self, Role};
use super::groups::write_attributes;
use super::native::Writer;
use super::targets::{Instance, Instances};
use crate::annotations::parse_list;
use crate::classic::{ClassicListener, ClassicSpec};
use crate::objects::{Node, Service};
use crate::service::read::Reader;
use crate::stack::Attribute;

/// What the in-tree provider puts before the name of a policy of the TLS negotiation.
const NEGOTIATION: &str = "k8s-SSLNegotiationPolicy-";

impl Writer<'_> {
    /// The load balancer with its instances.
    pub(super) fn classic(
        &mut self,
        spec: &ClassicSpec,
        service: &Service,
        found: &mut Vec<Diagnostic>,
    ) -> Tree {
        let at = self.draft.spot(self.trail.object(), Role::Fixed);
        let instances = self.known.instances(service);
        found.extend(instances.notes.iter().cloned());
        let scheme = self.spot(&["aws-load-balancer-internal"], Role::Fixed);
        let attributes = attributes(spec, service);
        let origin = |key: &str| {
            let row = attributes.iter().find(|(_, one)| one.key == key);
            let suffix = row.map_or(String::new(), |(suffix, _)| format!("{BALANCER}{suffix}"));
            self.trail.annotation(&[&suffix])
        };
        let written: Vec<Attribute> = attributes.iter().map(|(_, one)| one.clone()).collect();
        let attributes = write_attributes(
            "load balancer",
            &written,
            &origin,
            &mut self.draft,
            &self.cuts,
        );
        let listeners = spec.listeners.iter();
        let listeners = listeners
            .filter_map(|listener| self.classic_listener(listener))
            .collect();
        let check = self.classic_check(spec, service, &instances, found);
        let list = instances.list.iter();
        let list = list.map(|one| self.instance(one)).collect();
        let mut fields = vec![
            ("name", draft::text(at, &spec.load_balancer_name)),
            ("type", draft::text(at, "classic")),
            ("scheme", draft::text(scheme, &spec.scheme)),
            ("attributes", attributes),
            ("listeners", draft::list(at, listeners)),
            ("healthCheck", check),
            ("instances", draft::list(at, list)),
        ];
        fields.extend(self.security_groups());
        if !spec.backend_server_policies.is_empty() {
            let at = self.spot(&["aws-load-balancer-proxy-protocol"], Role::Fixed);
            let policies = spec.backend_server_policies.iter();
            let policies = policies.map(|one| {
                let names = one.policy_names.iter();
                let names = names.map(|name| draft::text(at, name)).collect();
                (one.instance_port.to_string(), draft::list(at, names))
            });
            fields.push(("backendServerPolicies", draft::map(at, policies.collect())));
        }
        draft::map(at, fields)
    }

    fn classic_listener(&mut self, listener: &ClassicListener) -> Option<Tree> {
        let id = listener.load_balancer_port.to_string();
        let whole = Role::Listener(id);
        if self.cuts.contains(&whole) {
            return None;
        }
        let at = self.draft.spot(self.trail.object(), whole.clone());
        let protocol = self.spot(&["aws-load-balancer-backend-protocol"], whole);
        let mut fields = vec![
            ("port", draft::text(at, listener.load_balancer_port)),
            ("protocol", draft::text(protocol, listener.protocol)),
            ("instancePort", draft::text(at, listener.instance_port)),
            (
                "instanceProtocol",
                draft::text(protocol, listener.instance_protocol),
            ),
        ];
        if let Some(policy) = listener.policy_names.first() {
            let at = self.spot(&["aws-load-balancer-ssl-negotiation-policy"], Role::Fixed);
            let name = policy.strip_prefix(NEGOTIATION).unwrap_or(policy);
            fields.push(("sslPolicy", draft::text(at, name)));
        }
        if let Some(arn) = &listener.ssl_certificate_id {
            let origin = self.trail.annotation(&["aws-load-balancer-ssl-cert"]);
            let at = self.draft.spot(origin.clone(), Role::Fixed);
            let name = draft::text(at, certificates::name(arn));
            fields.push(("certificates", draft::list(at, vec![name])));
            self.want(arn.clone(), origin);
        }
        Some(draft::map(at, fields))
    }

    fn classic_check(
        &mut self,
        spec: &ClassicSpec,
        service: &Service,
        instances: &Instances,
        found: &mut Vec<Diagnostic>,
    ) -> Tree {
        let check = &spec.health_check;
        let mut target = check.target.clone();
        let kept = format!(":{}/", service.health_check_node_port);
        if instances.stand_in && service.health_check_node_port != 0 && target.contains(&kept) {
            let first = spec.listeners.first();
            target = format!("TCP:{}", first.map_or(0, |listener| listener.instance_port));
            let note = Diagnostic::new(Severity::Note, "endpoints-stand-in", LOCAL_CHECK);
            found.push(service.meta.found(note));
        }
        let at = self.draft.spot(self.trail.object(), Role::Fixed);
        let rows: [(&str, String, &[&str]); 5] = [
            (
                "target",
                target,
                &[
                    "aws-load-balancer-healthcheck-port",
                    "aws-load-balancer-healthcheck-path",
                    "aws-load-balancer-healthcheck-protocol",
                ],
            ),
            (
                "interval",
                check.interval.to_string(),
                &["aws-load-balancer-healthcheck-interval"],
            ),
            (
                "timeout",
                check.timeout.to_string(),
                &["aws-load-balancer-healthcheck-timeout"],
            ),
            (
                "healthyThreshold",
                check.healthy_threshold.to_string(),
                &["aws-load-balancer-healthcheck-healthy-threshold"],
            ),
            (
                "unhealthyThreshold",
                check.unhealthy_threshold.to_string(),
                &["aws-load-balancer-healthcheck-unhealthy-threshold"],
            ),
        ];
        let field = |(name, value, suffixes): (_, String, &[&str])| {
            (name, draft::text(self.spot(suffixes, Role::Fixed), value))
        };
        draft::map(at, rows.into_iter().map(field).collect())
    }

    fn instance(&mut self, instance: &Instance) -> Tree {
        let at = self.draft.spot(instance.origin.clone(), Role::Fixed);
        let mut fields = vec![("id", draft::text(at, &instance.id))];
        if let Some(zone) = &instance.zone {
            fields.push(("availabilityZone", draft::text(at, zone)));
        }
        if !instance.ports.is_empty() {
            let ports = instance.ports.iter();
            let ports = ports.map(|(from, to)| (from.to_string(), draft::text(at, to)));
            fields.push(("ports", draft::map(at, ports.collect())));
        }
        draft::map(at, fields)
    }
}

/// What is said about a health check that only nodes can answer.
pub(super) const LOCAL_CHECK: &str = "a node tells at healthCheckNodePort whether it has a pod; endpoints that stand in \
     for nodes are checked by TCP at their own port";

/// What the annotations of a Service's load balancer start with.
const BALANCER: &str = "aws-load-balancer-";

/// The attributes that the annotations set, by the keys of the native file, each with its annotation.
fn attributes(spec: &ClassicSpec, service: &Service) -> Vec<(&'static str, Attribute)> {
    let read = Reader::new(&service.meta.annotations);
    let all = &spec.attributes;
    let (log, drain) = (&all.access_log, &all.connection_draining);
    let text = |option: &Option<String>| option.clone().unwrap_or_default();
    let rows = [
        (
            "access-log-enabled",
            "access_logs.s3.enabled",
            log.enabled.to_string(),
        ),
        (
            "access-log-s3-bucket-name",
            "access_logs.s3.bucket",
            text(&log.s3_bucket_name),
        ),
        (
            "access-log-s3-bucket-prefix",
            "access_logs.s3.prefix",
            text(&log.s3_bucket_prefix),
        ),
        (
            "access-log-emit-interval",
            "access_logs.s3.emit_interval_minutes",
            log.emit_interval.unwrap_or(60).to_string(),
        ),
        (
            "connection-draining-enabled",
            "connection_draining.enabled",
            drain.enabled.to_string(),
        ),
        (
            "connection-draining-timeout",
            "connection_draining.timeout_seconds",
            drain.timeout.to_string(),
        ),
        (
            "connection-idle-timeout",
            "idle_timeout.timeout_seconds",
            all.connection_settings.idle_timeout.to_string(),
        ),
        (
            "cross-zone-load-balancing-enabled",
            "load_balancing.cross_zone.enabled",
            all.cross_zone_load_balancing.enabled.to_string(),
        ),
    ];
    let written = |(suffix, key, value): (&'static str, &str, String)| {
        read.text(&format!("{BALANCER}{suffix}"))?;
        let key = key.to_owned();
        (!value.is_empty()).then_some((suffix, Attribute { key, value }))
    };
    rows.into_iter().filter_map(written).collect()
}

/// Whether a node is among those that `aws-load-balancer-target-node-labels` names; an empty value asks for the
/// label alone.
pub(super) fn chosen(service: &Service, node: &Node) -> bool {
    let read = Reader::new(&service.meta.annotations);
    let wanted = read.text("aws-load-balancer-target-node-labels");
    parse_list(wanted.unwrap_or_default()).iter().all(|label| {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        let found = node.meta.labels.get(key.trim());
        found.is_some_and(|found| value.trim().is_empty() || found == value.trim())
    })
}

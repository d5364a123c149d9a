//! Load balancers.

use std::net::IpAddr;
use std::sync::Arc;

use crate::action::{Action, Forward};
use crate::attributes::{
    LoadBalancerAttributes, LogDelivery, MinimumHealthy, ProxyHeaderPlacement, ProxyProtocol,
    TargetGroupAttributes,
};
use crate::backend_server_authentication::BackendServerAuthentication;
use crate::certificate::Certificate;
use crate::health_check::HealthCheck;
use crate::identity::{DnsZone, dns_name, stable_id};
use crate::instance::{Classic, Instance, backend_server_policies};
use crate::instance_end::InstanceEnd;
use crate::invalid::{Checked, Findings, Place};
use crate::kinds::{
    Algorithm, BackendServerPolicy, IpAddressType, LoadBalancerType, ProtocolVersion, Scheme,
    TargetType, Transport,
};
use crate::listener::{Front, Listener, refuse_field};
use crate::quic;
use crate::read::{one_of, resource_name};
use crate::scope::Scope;
use crate::security_group::{SecurityGroup, sources_of};
use crate::sources::Sources;
use crate::spec::{ListenerSpec, LoadBalancerSpec};
use crate::target_group::{Target, TargetGroup};
use crate::zone::{Zone, ZoneName, ip_address};

/// One load balancer and its listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadBalancer {
    /// At most 32 characters: alphanumerics and hyphens (`CreateLoadBalancer`, Name).
    pub name: Arc<str>,
    /// Which of AWS's load balancers this is.
    pub kind: LoadBalancerType,
    /// Who may reach it; a label here, since addresses come from one local pool.
    pub scheme: Scheme,
    /// IPv4 alone, or both families.
    pub ip_address_type: IpAddressType,
    /// Where it listens; empty: an address of the pool, chosen by name, in each of its zones.
    pub addresses: Vec<IpAddr>,
    /// Where its nodes are; empty: nothing is known of zones.
    pub zones: Vec<Zone>,
    /// Together they allow clients to connect; without any group, every client may.
    pub security_groups: Vec<SecurityGroup>,
    /// Attributes by their AWS keys, parsed.
    pub attributes: LoadBalancerAttributes,
    /// Ports are unique within a load balancer (TCP and UDP apart).
    pub listeners: Vec<Listener>,
    /// There for Classic ones, and for them alone.
    pub classic: Option<Classic>,
}

impl LoadBalancer {
    /// The load balancer that `spec` describes, with AWS's defaults (`CreateLoadBalancer`, `CreateListener`,
    /// `CreateRule`). Its listeners name target groups and certificates of `scope`.
    pub fn new(spec: &LoadBalancerSpec, scope: &Scope) -> Checked<Self> {
        Findings::of(|at| Self::build(spec, scope, at))
    }

    pub(crate) fn build(spec: &LoadBalancerSpec, scope: &Scope, at: &Place<'_>) -> Option<Self> {
        let kind = match &spec.kind {
            Some(text) => one_of(text, LoadBalancerType::NAMES, &at.field("type")),
            None => {
                at.missing("type");
                None
            }
        };
        let scheme = match &spec.scheme {
            Some(text) => one_of(text, Scheme::NAMES, &at.field("scheme")),
            None => Some(Scheme::default()),
        };
        let ip_address_type = match &spec.ip_address_type {
            Some(text) => one_of(text, IpAddressType::NAMES, &at.field("ipAddressType")),
            None => Some(IpAddressType::default()),
        };
        let mut addresses = addresses(&spec.addresses, ip_address_type, &at.field("addresses"));
        let zones = Zone::build_all(&spec.availability_zones, &at.field("availabilityZones"));
        if kind.is_some_and(|kind| kind.personality().has_zonal_nodes) {
            for address in zones.iter().flat_map(|zone| &zone.addresses) {
                if !addresses.contains(address) {
                    addresses.push(*address);
                }
            }
        }
        let security_groups =
            SecurityGroup::build_all(&spec.security_groups, &at.field("securityGroups"));
        let attributes = kind.map(|kind| {
            LoadBalancerAttributes::build(kind, &spec.attributes, &at.field("attributes"))
        });
        if let Some(attributes) = &attributes {
            check_buckets(attributes, scope, &at.field("attributes"));
        }
        let front = Front {
            kind,
            load_balancer: spec.name.as_deref().unwrap_or_default(),
            scope,
        };
        let listeners = Listener::build_all(&spec.listeners, front, &at.field("listeners"));
        let protocols: Vec<_> = listeners.iter().map(|one| one.protocol).collect();
        let has_security_groups = !spec.security_groups.is_empty();
        if ip_address_type == Some(IpAddressType::Ipv4) {
            warn_of_ipv6(&spec.listeners, &at.field("listeners"));
        }
        quic::check_listeners(&protocols, ip_address_type, has_security_groups, at);
        let classic = classic(spec, kind, &listeners, at);
        let name = match &spec.name {
            Some(name) => resource_name(name, &at.field("name")),
            None => {
                at.missing("name");
                None
            }
        };
        Some(Self {
            name: name?,
            kind: kind?,
            scheme: scheme?,
            ip_address_type: ip_address_type?,
            addresses,
            zones,
            security_groups,
            attributes: attributes?,
            listeners,
            classic,
        })
    }

    /// A stable 16-digit id made of the name, as the last part of an ARN and of a DNS name.
    pub fn id(&self) -> String {
        stable_id(&self.name)
    }

    /// The load balancer's id in access logs and metrics: `app/name/id` or `net/name/id`; the plain
    /// name for a Classic one (ALB guide: access logs).
    pub fn resource_id(&self) -> String {
        match self.kind {
            LoadBalancerType::Application => format!("app/{}/{}", self.name, self.id()),
            LoadBalancerType::Network => format!("net/{}/{}", self.name, self.id()),
            LoadBalancerType::Classic => self.name.to_string(),
        }
    }

    /// Takes the certificate that `replacement` gives for the name of one of its own, if any; without any it stays
    /// the same value that others share.
    pub fn replace_certificates<'a>(
        self: &mut Arc<Self>,
        replacement: impl Fn(&str) -> Option<&'a Arc<Certificate>>,
    ) {
        let other = |own: &Arc<Certificate>| {
            replacement(&own.name).filter(|replacement| !Arc::ptr_eq(replacement, own))
        };
        let mut certificates = self.listeners.iter().flat_map(|l| &l.certificates);
        if certificates.any(|own| other(own).is_some()) {
            let listeners = Arc::make_mut(self).listeners.iter_mut();
            for own in listeners.flat_map(|listener| &mut listener.certificates) {
                if let Some(other) = other(own) {
                    *own = Arc::clone(other);
                }
            }
        }
    }

    /// How many addresses of the pool it takes: one for each zone, or one without zones; none if it has addresses.
    pub fn pool_addresses(&self) -> usize {
        if !self.addresses.is_empty() {
            0
        } else if self.kind.personality().has_zonal_nodes {
            self.zones.len().max(1)
        } else {
            1
        }
    }

    /// The zone of the node at `address`, one of `all` its addresses. Zones without an address of their own take the
    /// IPv4 addresses that belong to no zone, in order. A node in no zone serves all zones.
    pub fn zone_at(&self, address: IpAddr, all: &[IpAddr]) -> Option<&Zone> {
        if !self.kind.personality().has_zonal_nodes {
            return None;
        }
        let own = |address: IpAddr| {
            let mut zones = self.zones.iter();
            zones.find(|zone| zone.addresses.contains(&address))
        };
        own(address).or_else(|| {
            let mut others = all.iter().filter(|ip| ip.is_ipv4() && own(**ip).is_none());
            let position = others.position(|ip| *ip == address)?;
            let mut zones = self.zones.iter().filter(|zone| zone.addresses.is_empty());
            zones.nth(position)
        })
    }

    /// Whether each node uses the targets of `group` in all zones, not only those in its own (ELB guide: how it works,
    /// cross-zone load balancing).
    pub fn crosses_zones(&self, group: &TargetGroup) -> bool {
        let configured = group.attributes.cross_zone;
        configured.unwrap_or(self.attributes.cross_zone)
    }

    /// Where clients of `port` may come from; `None`: from everywhere.
    pub fn sources(&self, transport: Transport, port: u16) -> Option<Sources> {
        sources_of(&self.security_groups, transport, port)
    }

    /// Names of the target groups that its listeners and rules forward to, each once.
    pub fn target_groups(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for listener in &self.listeners {
            let of_rules = listener.rules.iter().flat_map(|rule| &rule.actions);
            for action in listener.default_actions.iter().chain(of_rules) {
                if let Action::Forward(Forward {
                    target_groups: groups,
                    ..
                }) = action
                {
                    names.extend(groups.iter().map(|group| &*group.target_group));
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The DNS name in AWS's shape, see [`dns_name`].
    pub fn dns_name(&self, zone: &DnsZone) -> String {
        dns_name(self.kind, self.scheme, &self.name, zone)
    }

    /// The DNS name of its node in `zone`.
    pub fn zonal_dns_name(&self, zone: &ZoneName, dns: &DnsZone) -> String {
        format!("{}.{}", zone.to_lowercase(), self.dns_name(dns))
    }

    /// How the instances that `listener` connects to authenticate, if they have to.
    pub fn backend_server_authentication(
        &self,
        listener: &Listener,
    ) -> Option<&BackendServerAuthentication> {
        let port = listener.instance?.port;
        let classic = self.classic.as_ref()?;
        classic.backend_server_authentication.get(&port)
    }

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
            quic_server_id: None,
        };
        TargetGroup {
            name: end.group_name(&self.name),
            protocol: end.protocol,
            protocol_version: ProtocolVersion::Http1,
            port: end.port,
            target_type: TargetType::Instance,
            health_check: classic.health_check.clone(),
            attributes: self.instance_attributes(classic, end),
            targets: classic.instances.iter().map(target).collect(),
        }
    }

    /// How a Classic load balancer treats its instances, in the words of target groups (CLB guide: listeners,
    /// connection draining, proxy protocol).
    fn instance_attributes(&self, classic: &Classic, end: InstanceEnd) -> TargetGroupAttributes {
        let is_http = end.protocol.is_http();
        let policies = classic.backend_server_policies.get(&end.port);
        let has_proxy_protocol =
            policies.is_some_and(|p| !is_http && p.contains(&BackendServerPolicy::ProxyProtocol));
        TargetGroupAttributes {
            slow_start: None,
            anomaly_mitigation: false,
            cross_zone: Some(true),
            minimum_healthy: MinimumHealthy::default(),
            dns_failover: MinimumHealthy::default(),
            stickiness: None,
            deregistration_delay: self.attributes.connection_draining.unwrap_or_default(),
            algorithm: if is_http {
                Algorithm::LeastOutstandingRequests
            } else {
                Algorithm::RoundRobin
            },
            connect_failover: true,
            forwards_stream_resets: false,
            deregistration_connection_termination: true,
            unhealthy_connection_termination: false,
            preserve_client_ip: None,
            unhealthy_draining_interval: None,
            passive_failures: None,
            vpc_endpoint_id: None,
            health_check_tls13: true,
            proxy_protocol: has_proxy_protocol.then_some(ProxyProtocol::V1),
            proxy_header_placement: ProxyHeaderPlacement::OnFirstAck,
            raw: crate::AttributesSpec::new(),
        }
    }
}

/// Warns of logs whose bucket is nowhere.
fn check_buckets(attributes: &LoadBalancerAttributes, scope: &Scope, at: &Place<'_>) {
    let unknown = attributes
        .log_deliveries()
        .filter(|(_, delivery)| !scope.environment().log_buckets.contains(&*delivery.bucket));
    for (log, LogDelivery { bucket, .. }) in unknown {
        let key = format!("{log}.s3.enabled");
        let reason = format!(
            "{key} has no effect: nothing says where the bucket \"{bucket}\" is; add it to logBuckets in the environment file"
        );
        at.key(&key).warn("no-effect", reason);
    }
}

fn addresses(given: &[String], family: Option<IpAddressType>, at: &Place<'_>) -> Vec<IpAddr> {
    let address = |(i, text): (usize, &String)| {
        let at = at.index(i);
        let address = ip_address(text, &at)?;
        if address.is_ipv6() && family == Some(IpAddressType::Ipv4) {
            at.error_with(
                "invalid-combination",
                format!("{address} is an IPv6 address, and ipAddressType is ipv4"),
                "set ipAddressType: dualstack".to_owned(),
            );
        }
        Some(address)
    };
    given.iter().enumerate().filter_map(address).collect()
}

/// The parts of a Classic load balancer beside its listeners; `None` for other types, which must not have them.
/// Warns of rules for clients with IPv6 addresses, who never come.
fn warn_of_ipv6(listeners: &[ListenerSpec], at: &Place<'_>) {
    for (i, listener) in listeners.iter().enumerate() {
        let at_listener = at.index(i);
        let at = at_listener.field("rules");
        for (i, rule) in listener.rules.iter().flatten().enumerate() {
            let mut conditions = rule.conditions.iter().flatten();
            let is_ipv6 = conditions.any(|condition| {
                let source = condition.source_ip_config.as_ref();
                source.and_then(|source| source.ip_address_type.as_deref()) == Some("ipv6")
            });
            if is_ipv6 {
                at.index(i).warn(
                    "hidden-rule",
                    "the rule can never match: the load balancer has no IPv6 address without ipAddressType: dualstack",
                );
            }
        }
    }
}

fn classic(
    spec: &LoadBalancerSpec,
    kind: Option<LoadBalancerType>,
    listeners: &[Listener],
    at: &Place<'_>,
) -> Option<Classic> {
    match kind {
        Some(LoadBalancerType::Classic) => {}
        Some(_) => {
            refuse_classic(spec, at);
            return None;
        }
        None => return None,
    }
    let ends: Vec<InstanceEnd> = listeners.iter().filter_map(|l| l.instance).collect();
    let first_port = ends.first().map(|end| end.port);
    let check = spec.health_check.as_ref();
    let instances = spec.instances.as_deref().unwrap_or_default();
    let policies = spec.backend_server_policies.as_ref();
    let at_policies = at.field("backendServerPolicies");
    let authentication = spec.backend_server_authentication.as_ref();
    let at_authentication = at.field("backendServerAuthentication");
    Some(Classic {
        health_check: HealthCheck::build_classic(check, first_port, &at.field("healthCheck")),
        instances: Instance::build_all(instances, &ends, &at.field("instances")),
        backend_server_policies: policies
            .map(|given| backend_server_policies(given, &ends, &at_policies))
            .unwrap_or_default(),
        backend_server_authentication: authentication
            .map(|given| BackendServerAuthentication::build_all(given, &ends, &at_authentication))
            .unwrap_or_default(),
    })
}

/// Refuses what only a Classic load balancer has.
fn refuse_classic(spec: &LoadBalancerSpec, at: &Place<'_>) {
    let fields = [
        (
            "healthCheck",
            spec.health_check.is_some(),
            "healthCheckConfig of a target group says how its targets are checked",
        ),
        (
            "instances",
            spec.instances.is_some(),
            "target groups hold the targets",
        ),
        (
            "backendServerPolicies",
            spec.backend_server_policies.is_some(),
            "proxy_protocol_v2.enabled is an attribute of target groups",
        ),
        (
            "backendServerAuthentication",
            spec.backend_server_authentication.is_some(),
            "only a classic load balancer verifies certificates of targets",
        ),
    ];
    for (name, _, hint) in fields.iter().filter(|(_, is_given, _)| *is_given) {
        refuse_field(name, hint, at);
    }
}

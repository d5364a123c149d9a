//! Listeners (ALB, NLB and CLB guides: listeners).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::action::{Action, Owner};
use crate::attributes::ListenerAttributes;
use crate::certificate::Certificate;
use crate::condition::Condition;
use crate::cookie_stickiness::CookieStickiness;
use crate::instance_end::InstanceEnd;
use crate::invalid::{Checked, FieldPath, Findings, Place};
use crate::kinds::{AlpnPolicy, LoadBalancerType, Protocol, Transport};
use crate::mutual_authentication::MutualAuthentication;
use crate::read::{one_of, port};
use crate::rule::Rule;
use crate::scope::{Lookup, Scope};
use crate::seen::Seen;
use crate::spec::ListenerSpec;
use crate::ssl_negotiation_policy::SslNegotiationPolicy;
use crate::ssl_policy::{SslPolicy, classic_ssl_policies, ssl_policies};
use crate::suggest::did_you_mean;

/// One port of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listener {
    /// 1-65535.
    pub port: u16,
    /// What clients speak here.
    pub protocol: Protocol,
    /// Name of the security policy; only for HTTPS, TLS and SSL, without a policy of one's own.
    pub ssl_policy: Option<Arc<str>>,
    /// A security policy of one's own; Classic load balancers only.
    pub ssl_negotiation_policy: Option<SslNegotiationPolicy>,
    /// NLB TLS listeners only.
    pub alpn_policy: AlpnPolicy,
    /// The first is the default, the rest are chosen by SNI.
    pub certificates: Vec<Arc<Certificate>>,
    /// Whether clients are asked for certificates.
    pub mutual_authentication: MutualAuthentication,
    /// By ascending priority. Those of an NLB tell clients with IPv4 and IPv6 addresses apart; a Classic load balancer has
    /// none.
    pub rules: Vec<Rule>,
    /// What happens when no rule matches; exactly one today. A Classic load balancer's listeners
    /// forward to what their instances' end says ([`InstanceEnd::action`]).
    pub default_actions: Vec<Action>,
    /// Attributes by their AWS keys, parsed.
    pub attributes: ListenerAttributes,
    /// Classic load balancers only.
    pub instance: Option<InstanceEnd>,
    /// Classic load balancers only.
    pub cookie_stickiness: Option<CookieStickiness>,
}

/// The API's default (`CreateListener`, SslPolicy).
const DEFAULT_SSL_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// The default certificate and 25 more (ALB guide: quotas).
const MAX_CERTIFICATES: usize = 26;

/// What a listener is built for.
#[derive(Clone, Copy)]
pub(crate) struct Front<'a> {
    /// `None`: the type is invalid, and nothing is checked that depends on it.
    pub(crate) kind: Option<LoadBalancerType>,
    /// The name of the load balancer.
    pub(crate) load_balancer: &'a str,
    pub(crate) scope: &'a Scope,
}

impl Listener {
    /// The listener that `spec` describes, of a load balancer of this type and name.
    pub fn new(
        spec: &ListenerSpec,
        kind: LoadBalancerType,
        load_balancer: &str,
        scope: &Scope,
    ) -> Checked<Self> {
        let front = Front {
            kind: Some(kind),
            load_balancer,
            scope,
        };
        Findings::of(|at| Self::build(spec, front, &mut Ports::default(), at))
    }

    /// The listeners of one load balancer.
    pub(crate) fn build_all(specs: &[ListenerSpec], front: Front<'_>, at: &Place<'_>) -> Vec<Self> {
        let mut ports = Ports::default();
        let mut instance_ports = InstancePorts::default();
        let listeners = specs.iter().enumerate().filter_map(|(i, spec)| {
            let at = at.index(i);
            let listener = Self::build(spec, front, &mut ports, &at)?;
            if let Some(end) = listener.instance {
                instance_ports.check(end, &at);
            }
            Some(listener)
        });
        listeners.collect()
    }

    /// The action for flows of clients with addresses like `client`, of a Network Load Balancer (NLB guide: listener
    /// rules).
    pub fn action_for(&self, client: IpAddr) -> Option<&Action> {
        let matches = |condition: &Condition| matches!(condition, Condition::SourceIp(all) if all.iter().any(|net| net.contains(&client)));
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.conditions.iter().all(matches));
        let actions = rule.map_or(&self.default_actions, |rule| &rule.actions);
        actions.first()
    }

    fn build(
        spec: &ListenerSpec,
        front: Front<'_>,
        ports: &mut Ports,
        at: &Place<'_>,
    ) -> Option<Self> {
        let at_port = at.field("port");
        let port = match spec.port {
            Some(number) => port(number, &at_port),
            None => {
                at.missing("port");
                None
            }
        };
        let protocol = match &spec.protocol {
            Some(text) => protocol(text, front.kind, &at.field("protocol")),
            None => {
                at.missing("protocol");
                None
            }
        };
        let is_new = match (port, protocol) {
            (Some(port), Some(protocol)) => ports.check(port, protocol, &at_port),
            _ => true,
        };
        let owner = Owner {
            kind: front.kind,
            protocol,
            port,
            rule: None,
            scope: Some(front.scope),
        };
        let certificates = certificates(spec, owner, front.scope, at);
        let mutual_authentication = spec.mutual_authentication.as_ref().map(|mutual| {
            let at = at.field("mutualAuthentication");
            MutualAuthentication::build(mutual, front.kind, protocol, front.scope, &at)
        });
        let ssl_policy = ssl_policy(spec, owner, at);
        let is_classic = front.kind == Some(LoadBalancerType::Classic);
        let (mut cookie_stickiness, mut ssl_negotiation_policy) = (None, None);
        let (default_actions, instance) = if is_classic {
            refuse_non_classic(spec, at);
            cookie_stickiness = CookieStickiness::build(spec, protocol, at);
            ssl_negotiation_policy = SslNegotiationPolicy::build(spec, protocol, at);
            let instance = instance_end(spec, protocol, at)?;
            (vec![instance.action(front.load_balancer)], Some(instance))
        } else {
            if front.kind.is_some() {
                refuse_classic(spec, at);
            }
            (default_actions(spec, owner, at), None)
        };
        let alpn_policy = alpn_policy(spec, protocol, is_classic, at);
        let rules = match &spec.rules {
            Some(specs) if !is_classic => Rule::build_all(specs, owner, &at.field("rules")),
            _ => Vec::new(),
        };
        let attributes = match (&spec.attributes, protocol) {
            (Some(given), Some(protocol)) if !is_classic => {
                ListenerAttributes::build(protocol, given, &at.field("attributes"))
            }
            _ => ListenerAttributes::default(),
        };
        Some(Self {
            port: port.filter(|_| is_new)?,
            protocol: protocol?,
            ssl_policy: ssl_policy.filter(|_| ssl_negotiation_policy.is_none()),
            ssl_negotiation_policy,
            alpn_policy,
            certificates,
            mutual_authentication: mutual_authentication.unwrap_or_default(),
            rules,
            default_actions,
            attributes,
            instance,
            cookie_stickiness,
        })
    }
}

fn protocol(text: &str, kind: Option<LoadBalancerType>, at: &Place<'_>) -> Option<Protocol> {
    let kind = kind?;
    let allowed = Protocol::of_listeners(kind);
    let table: Vec<_> = allowed.iter().map(|p| (p.as_str(), *p)).collect();
    let known = Protocol::NAMES.iter().find(|(name, _)| *name == text);
    if known.is_some_and(|(_, protocol)| !allowed.contains(protocol)) {
        let of = match kind {
            LoadBalancerType::Application => "an application",
            LoadBalancerType::Network => "a network",
            LoadBalancerType::Classic => "a classic",
        };
        let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
        at.error_with(
            "invalid-combination",
            format!("a listener of {of} load balancer cannot speak {text}"),
            format!("it speaks {}", names.join(", ")),
        );
        return None;
    }
    one_of(text, &table, at)
}

fn certificates(
    spec: &ListenerSpec,
    owner: Owner<'_>,
    scope: &Scope,
    at: &Place<'_>,
) -> Vec<Arc<Certificate>> {
    let names = spec.certificates.as_deref().unwrap_or_default();
    let list = at.field("certificates");
    match owner.protocol {
        Some(protocol) if protocol.is_tls() && names.is_empty() => {
            let article = if protocol == Protocol::Tls { "a" } else { "an" };
            list.error_with(
                "missing-certificate",
                format!(
                    "{article} {} listener needs a certificate",
                    protocol.as_str()
                ),
                "name a certificate: certificates: [name]".to_owned(),
            );
        }
        Some(protocol) if !protocol.is_tls() && spec.certificates.is_some() => {
            refuse_tls_field(protocol, &list);
        }
        _ => {}
    }
    // A Classic load balancer does not know SNI (CLB guide: HTTPS listeners).
    let (most, of) = match owner.kind {
        Some(LoadBalancerType::Classic) => (1, "a listener of a classic load balancer"),
        _ => (MAX_CERTIFICATES, "a listener"),
    };
    if names.len() > most {
        let s = if most == 1 { "" } else { "s" };
        let reason = format!("{of} has at most {most} certificate{s}");
        list.index(most).error("too-many", reason);
    }
    let mut seen = Seen::new("certificate");
    let mut certificates = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let at = list.index(i);
        if !seen.check(name, &at, "duplicate-certificate") {
            continue;
        }
        match scope.certificate(name) {
            Lookup::Found(certificate) => certificates.push(Arc::clone(certificate)),
            Lookup::Refused => {}
            Lookup::Unknown => at.error_with(
                "unknown-certificate",
                format!("no certificate is called {name:?}"),
                did_you_mean(name, scope.certificate_names()),
            ),
        }
    }
    certificates
}

fn ssl_policy(spec: &ListenerSpec, owner: Owner<'_>, at: &Place<'_>) -> Option<Arc<str>> {
    let at = at.field("sslPolicy");
    if let Some(protocol) = owner.protocol.filter(|p| !p.is_tls()) {
        if spec.ssl_policy.is_some() {
            refuse_tls_field(protocol, &at);
        }
        return None;
    }
    let Some(name) = &spec.ssl_policy else {
        return Some(DEFAULT_SSL_POLICY.into());
    };
    let policies: Vec<&SslPolicy> = if owner.kind == Some(LoadBalancerType::Classic) {
        classic_ssl_policies().collect()
    } else {
        ssl_policies().iter().collect()
    };
    if policies.iter().all(|policy| policy.name != name) {
        let names = || policies.iter().map(|p| p.name);
        let all = || format!("known are: {}", names().collect::<Vec<_>>().join(", "));
        at.error_with(
            "unknown-ssl-policy",
            format!("no security policy is called {name:?}"),
            did_you_mean(name, names()).unwrap_or_else(all),
        );
    }
    Some(name[..].into())
}

fn alpn_policy(
    spec: &ListenerSpec,
    protocol: Option<Protocol>,
    is_classic: bool,
    at: &Place<'_>,
) -> AlpnPolicy {
    let Some(text) = spec.alpn_policy.as_deref().filter(|_| !is_classic) else {
        return AlpnPolicy::None;
    };
    let at = at.field("alpnPolicy");
    let policy = one_of(text, AlpnPolicy::NAMES, &at).unwrap_or_default();
    if protocol.is_some_and(|p| p != Protocol::Tls) && policy != AlpnPolicy::None {
        at.error(
            "invalid-combination",
            "alpnPolicy belongs to TLS listeners of network load balancers",
        );
    }
    policy
}

fn refuse_tls_field(protocol: Protocol, at: &Place<'_>) {
    at.error(
        "invalid-combination",
        format!(
            "this field belongs to listeners that speak TLS; this one speaks {}",
            protocol.as_str()
        ),
    );
}

fn default_actions(spec: &ListenerSpec, owner: Owner<'_>, at: &Place<'_>) -> Vec<Action> {
    match &spec.default_actions {
        Some(specs) => Action::build_all(specs, owner, &at.field("defaultActions")),
        None => {
            at.missing("defaultActions");
            Vec::new()
        }
    }
}

/// The instances' end of a Classic listener (`CreateLoadBalancerListeners`).
fn instance_end(
    spec: &ListenerSpec,
    front: Option<Protocol>,
    at: &Place<'_>,
) -> Option<InstanceEnd> {
    let port = match spec.instance_port {
        Some(number) => port(number, &at.field("instancePort")),
        None => {
            at.missing("instancePort");
            None
        }
    };
    let at = at.field("instanceProtocol");
    let protocol = match &spec.instance_protocol {
        Some(text) => {
            let allowed = Protocol::of_listeners(LoadBalancerType::Classic);
            let table: Vec<_> = allowed.iter().map(|p| (p.as_str(), *p)).collect();
            one_of(text, &table, &at)
        }
        None => front.map(|front| {
            if front.is_http() {
                Protocol::Http
            } else {
                Protocol::Tcp
            }
        }),
    };
    let (front, protocol) = (front?, protocol?);
    if front.is_http() != protocol.is_http() {
        let pair = if front.is_http() {
            "HTTP or HTTPS"
        } else {
            "TCP or SSL"
        };
        at.error_with(
            "invalid-combination",
            format!(
                "a listener that speaks {} to clients cannot speak {} to instances",
                front.as_str(),
                protocol.as_str()
            ),
            format!("it speaks {pair}"),
        );
    }
    Some(InstanceEnd {
        protocol,
        port: port?,
    })
}

/// Refuses the field `name`, which another type of load balancer has.
pub(crate) fn refuse_field(name: &'static str, hint: &str, at: &Place<'_>) {
    at.field(name).error_with(
        "invalid-combination",
        format!("{name} does not belong to load balancers of this type"),
        hint.to_owned(),
    );
}

/// Refuses what listeners of Classic load balancers do not have.
fn refuse_non_classic(spec: &ListenerSpec, at: &Place<'_>) {
    let fields = [
        (
            "rules",
            spec.rules.is_some(),
            "a classic load balancer has no rules",
        ),
        (
            "defaultActions",
            spec.default_actions.is_some(),
            "instancePort says where connections of a classic load balancer go",
        ),
        (
            "attributes",
            spec.attributes.is_some(),
            "a classic load balancer has attributes, its listeners have none",
        ),
        (
            "alpnPolicy",
            spec.alpn_policy.is_some(),
            "alpnPolicy belongs to network load balancers",
        ),
    ];
    for (name, _, hint) in fields.iter().filter(|(_, is_given, _)| *is_given) {
        refuse_field(name, hint, at);
    }
}

/// Refuses what only listeners of Classic load balancers have.
fn refuse_classic(spec: &ListenerSpec, at: &Place<'_>) {
    const GOES: &str = "defaultActions say where requests go";
    const STICKS: &str = "stickiness.type is an attribute of target groups";
    let fields = [
        ("instancePort", spec.instance_port.is_some(), GOES),
        ("instanceProtocol", spec.instance_protocol.is_some(), GOES),
        (
            "sslNegotiationPolicy",
            spec.ssl_negotiation_policy.is_some(),
            "sslPolicy names a predefined policy",
        ),
        (
            "lbCookieStickinessPolicy",
            spec.lb_cookie_stickiness_policy.is_some(),
            STICKS,
        ),
        (
            "appCookieStickinessPolicy",
            spec.app_cookie_stickiness_policy.is_some(),
            STICKS,
        ),
    ];
    for (name, _, hint) in fields.iter().filter(|(_, is_given, _)| *is_given) {
        refuse_field(name, hint, at);
    }
}

/// The ports that the listeners of one load balancer use. TCP and UDP have ports of their own.
#[derive(Default)]
struct Ports {
    first: HashMap<(u16, Transport), FieldPath>,
}

impl Ports {
    /// Reports `port` when another listener has it for one of the transports of `protocol`; returns
    /// whether it is free.
    fn check(&mut self, port: u16, protocol: Protocol, at: &Place<'_>) -> bool {
        let keys = || protocol.transports().iter().map(|t| (port, *t));
        if let Some(first) = keys().find_map(|key| self.first.get(&key)) {
            let reason = format!("port {port} is already given");
            at.repeated("duplicate-port", reason, first.clone());
            return false;
        }
        self.first.extend(keys().map(|key| (key, at.path())));
        true
    }
}

/// The API keeps the listeners of one instance port alike: all in clear, or all under TLS
/// (`Listener`, InstanceProtocol).
#[derive(Default)]
struct InstancePorts(BTreeMap<u16, bool>);

impl InstancePorts {
    fn check(&mut self, end: InstanceEnd, at: &Place<'_>) {
        let is_tls = end.protocol.is_tls();
        if *self.0.entry(end.port).or_insert(is_tls) != is_tls {
            at.error(
                "invalid-combination",
                format!(
                    "one listener speaks to instance port {} in clear, another one under TLS",
                    end.port
                ),
            );
        }
    }
}

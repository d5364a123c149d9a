use std::sync::Arc;

use super::item::{Fields, Item, Seen};
use super::{Scope, action, attribute, classic, find, rule};
use crate::suggest::did_you_mean;
use crate::{
    AlpnPolicy, Certificate, Listener, ListenerAttributes, LoadBalancerType, Protocol, SslPolicy,
    classic_ssl_policies, ssl_policies,
};

pub(super) const FIELDS: &[&str] = &[
    "port",
    "protocol",
    "sslPolicy",
    "alpnPolicy",
    "certificates",
    "rules",
    "defaultActions",
    "attributes",
    "instanceProtocol",
    "instancePort",
];

/// The API's default (`CreateListener`, SslPolicy).
const DEFAULT_SSL_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// The default certificate and 25 more (ALB guide: quotas).
const MAX_CERTIFICATES: usize = 26;

const APPLICATION: &[(&str, Protocol)] = &[("HTTP", Protocol::Http), ("HTTPS", Protocol::Https)];

const NETWORK: &[(&str, Protocol)] = &[
    ("TCP", Protocol::Tcp),
    ("TLS", Protocol::Tls),
    ("UDP", Protocol::Udp),
    ("TCP_UDP", Protocol::TcpUdp),
];

pub(super) const ALPN_POLICIES: &[(&str, AlpnPolicy)] = &[
    ("HTTP1Only", AlpnPolicy::Http1Only),
    ("HTTP2Only", AlpnPolicy::Http2Only),
    ("HTTP2Optional", AlpnPolicy::Http2Optional),
    ("HTTP2Preferred", AlpnPolicy::Http2Preferred),
    ("None", AlpnPolicy::None),
];

/// What is known of the listener, or of the rule in it, that an action belongs to.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) kind: Option<LoadBalancerType>,
    pub(super) protocol: Option<Protocol>,
    pub(super) port: Option<u16>,
    pub(super) rule: Option<u32>,
}

impl Place {
    /// For messages: `listener 443, rule 10`.
    pub(super) fn name(&self) -> String {
        let mut name = match self.port {
            Some(port) => format!("listener {port}"),
            None => "the listener".to_owned(),
        };
        if let Some(priority) = self.rule {
            name += &format!(", rule {priority}");
        }
        name
    }
}

pub(super) fn read_all(
    items: &[Item<'_>],
    load_balancer: &str,
    kind: Option<LoadBalancerType>,
    scope: &Scope<'_>,
) -> Vec<Listener> {
    let mut ports = Seen::new("port");
    let mut instance_ports = classic::InstancePorts::default();
    let mut listeners = Vec::new();
    for item in items {
        let Some(mut listener) = read(item, kind, scope, &mut ports) else {
            continue;
        };
        if let Some(end) = listener.instance {
            instance_ports.check(item, end);
            listener.default_actions = vec![end.action(load_balancer)];
        }
        listeners.push(listener);
    }
    listeners
}

fn read(
    item: &Item<'_>,
    kind: Option<LoadBalancerType>,
    scope: &Scope<'_>,
    ports: &mut Seen<u16>,
) -> Option<Listener> {
    let fields = item.fields_but(FIELDS, &["mutualAuthentication"])?;
    let port_item = fields.required("port");
    let port = port_item.as_ref().and_then(|p| p.number(1..=65535));
    let duplicate = port_item
        .zip(port)
        .is_some_and(|(item, port)| !ports.check(port, &item, "duplicate-port"));
    let protocol = fields
        .required("protocol")
        .and_then(|item| protocol(&item, kind));
    let place = Place {
        kind,
        protocol,
        port,
        rule: None,
    };
    let certificates = certificates(item, &fields, place, scope);
    let ssl_policy = ssl_policy_name(&fields, place);
    if kind == Some(LoadBalancerType::Classic) {
        let instance = classic::instance_end(&fields, protocol);
        return Some(Listener {
            port: port.filter(|_| !duplicate)?,
            protocol: protocol?,
            ssl_policy,
            alpn_policy: AlpnPolicy::None,
            certificates,
            rules: Vec::new(),
            default_actions: Vec::new(),
            attributes: ListenerAttributes::default(),
            instance,
        });
    }
    if kind.is_some() {
        classic::refuse_instance_end(&fields);
    }
    let alpn_policy = alpn_policy(&fields, protocol);
    let rules = match fields.get("rules") {
        Some(item) => rule::read_all(&item, place, scope),
        None => Vec::new(),
    };
    let default_actions = fields
        .required("defaultActions")
        .map(|item| action::read_all(&item, place, scope))
        .unwrap_or_default();
    let attributes = fields
        .get("attributes")
        .map(|item| attribute::listener(&item, protocol))
        .unwrap_or_default();
    let port = port.filter(|_| !duplicate)?;
    Some(Listener {
        port,
        protocol: protocol?,
        ssl_policy,
        alpn_policy,
        certificates,
        rules,
        default_actions,
        attributes,
        instance: None,
    })
}

fn protocol(item: &Item<'_>, kind: Option<LoadBalancerType>) -> Option<Protocol> {
    let text = item.text()?;
    let (of, table) = match kind {
        Some(LoadBalancerType::Application) => ("an application load balancer", APPLICATION),
        Some(LoadBalancerType::Network) => ("a network load balancer", NETWORK),
        Some(LoadBalancerType::Classic) => ("a classic load balancer", classic::PROTOCOLS),
        None => return None,
    };
    let known = [APPLICATION, NETWORK, classic::PROTOCOLS]
        .iter()
        .any(|table| table.iter().any(|(name, _)| *name == text));
    if known && !table.iter().any(|(name, _)| *name == text) {
        let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
        item.error_with(
            "invalid-combination",
            format!("a listener of {of} cannot speak {text}"),
            format!("it speaks {}", names.join(", ")),
        );
        return None;
    }
    let protocol = item.one_of(table)?;
    if matches!(protocol, Protocol::Udp | Protocol::TcpUdp) {
        item.not_supported(format_args!("listeners of protocol {text} are"));
    }
    Some(protocol)
}

fn certificates(
    listener: &Item<'_>,
    fields: &Fields<'_>,
    place: Place,
    scope: &Scope<'_>,
) -> Vec<Arc<Certificate>> {
    let protocol = place.protocol;
    let items = fields.items("certificates");
    let field = fields.get("certificates");
    match protocol {
        Some(protocol) if protocol.is_tls() && items.is_empty() => {
            field.as_ref().unwrap_or(listener).error_with(
                "missing-certificate",
                format!("an {} listener needs a certificate", protocol.as_str())
                    .replacen("an TLS", "a TLS", 1),
                "name one of the file's certificates: certificates: [name]".to_owned(),
            );
        }
        Some(protocol) if !protocol.is_tls() => refuse_tls_field(field.as_ref(), protocol),
        _ => {}
    }
    // A Classic load balancer knows no SNI (CLB guide: HTTPS listeners).
    let (most, of) = match place.kind {
        Some(LoadBalancerType::Classic) => (1, "a listener of a classic load balancer"),
        _ => (MAX_CERTIFICATES, "a listener"),
    };
    if let Some(item) = items.get(most) {
        let s = if most == 1 { "" } else { "s" };
        item.error(
            "too-many",
            format!("{of} has at most {most} certificate{s}"),
        );
    }
    let mut seen = Seen::new("certificate");
    items
        .iter()
        .filter_map(|item| {
            let name = item.text()?;
            if !seen.check(name.to_owned(), item, "duplicate-certificate") {
                return None;
            }
            let found = find(scope.certificates, name);
            if found.is_none() {
                let names = scope.certificates.iter().map(|c| &*c.name);
                item.error_with(
                    "unknown-certificate",
                    format!("no certificate is called {name:?}"),
                    did_you_mean(name, names),
                );
            }
            found.map(|c| Arc::clone(&c.value))
        })
        .collect()
}

fn ssl_policy_name(fields: &Fields<'_>, place: Place) -> Option<Arc<str>> {
    let protocol = place.protocol;
    let item = fields.get("sslPolicy");
    if let Some(protocol) = protocol.filter(|p| !p.is_tls()) {
        refuse_tls_field(item.as_ref(), protocol);
        return None;
    }
    let Some(item) = item else {
        return Some(DEFAULT_SSL_POLICY.into());
    };
    let name = item.text()?;
    let classic = place.kind == Some(LoadBalancerType::Classic);
    let policies: Vec<&SslPolicy> = match classic {
        true => classic_ssl_policies().collect(),
        false => ssl_policies().iter().collect(),
    };
    if policies.iter().all(|policy| policy.name != name) {
        let names = || policies.iter().map(|p| p.name);
        let hint = did_you_mean(name, names())
            .unwrap_or_else(|| format!("known are: {}", names().collect::<Vec<_>>().join(", ")));
        item.error_with(
            "unknown-ssl-policy",
            format!("no security policy is called {name:?}"),
            hint,
        );
    }
    Some(name.into())
}

fn alpn_policy(fields: &Fields<'_>, protocol: Option<Protocol>) -> AlpnPolicy {
    let Some(item) = fields.get("alpnPolicy") else {
        return AlpnPolicy::None;
    };
    let policy = item.one_of(ALPN_POLICIES).unwrap_or_default();
    if protocol.is_some_and(|p| p != Protocol::Tls) && policy != AlpnPolicy::None {
        item.error(
            "invalid-combination",
            "alpnPolicy belongs to TLS listeners of network load balancers",
        );
    }
    policy
}

fn refuse_tls_field(item: Option<&Item<'_>>, protocol: Protocol) {
    if let Some(item) = item {
        item.error(
            "invalid-combination",
            format!(
                "this field belongs to listeners that speak TLS; this one speaks {}",
                protocol.as_str()
            ),
        );
    }
}

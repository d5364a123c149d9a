//! Listeners, heads and connections for tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use elbow_balance::{Group, Target};
use elbow_model::{
    Account, Action, ActionSpec, Condition, ContentType, FixedResponse, ListenerSpec, LoadBalancer,
    LoadBalancerSpec, Patterns, Protocol, ProtocolVersion, Redirect, RedirectStatus, Rule, Scope,
    TargetGroup, TargetGroupSpec, TargetState, Transforms,
};
use elbow_net::ConnMeta;
use elbow_telemetry::Telemetry;

use crate::endpoint::Endpoint;
use crate::header::head::{Header, RequestHead, Version};
use crate::header::uri::RequestTarget;
use crate::listener::Listener;

pub(crate) fn group(name: &str, protocol_version: ProtocolVersion) -> TargetGroup {
    let spec = TargetGroupSpec {
        name: Some(name.to_owned()),
        protocol: Some("HTTP".to_owned()),
        port: Some(80),
        target_type: Some("ip".to_owned()),
        ..TargetGroupSpec::default()
    };
    let mut group = TargetGroup::new(&spec).value.unwrap();
    group.protocol_version = protocol_version;
    group
}

/// A healthy target.
pub(crate) fn target(address: &str) -> Arc<Target> {
    let address: SocketAddr = address.parse().unwrap();
    let registered = elbow_model::Target::at(address);
    let target = Target::new(registered, address);
    target.set_state(TargetState::Healthy);
    Arc::new(target)
}

pub(crate) fn fixed(status: u16, body: &str) -> Action {
    Action::FixedResponse(FixedResponse {
        status,
        content_type: ContentType::TextPlain,
        body: body.into(),
    })
}

pub(crate) fn rule(priority: u32, conditions: Vec<Condition>, action: Action) -> Rule {
    Rule {
        priority,
        conditions,
        actions: vec![action],
        transforms: Transforms::default(),
    }
}

pub(crate) fn hosts(patterns: &[&str]) -> Condition {
    Condition::HostHeader(wildcards(patterns))
}

pub(crate) fn paths(patterns: &[&str]) -> Condition {
    Condition::PathPattern(wildcards(patterns))
}

pub(crate) fn wildcards(patterns: &[&str]) -> Patterns {
    Patterns::Wildcards(patterns.iter().map(|&p| p.into()).collect())
}

/// The defaults of `RedirectConfig`, which alone would redirect to itself.
pub(crate) fn redirect_config() -> Redirect {
    Redirect {
        protocol: "#{protocol}".into(),
        port: "#{port}".into(),
        host: "#{host}".into(),
        path: "/#{path}".into(),
        query: "#{query}".into(),
        status: RedirectStatus::Moved,
    }
}

/// What clients of a listener connect to.
pub(crate) fn endpoint(protocol: Protocol, port: u16) -> Endpoint {
    Endpoint {
        dns_name: "demo-1.us-east-1.elb.localhost".into(),
        port,
        https: protocol.is_tls(),
    }
}

/// A listener whose default action is a 404.
pub(crate) fn listener(protocol: Protocol, port: u16, rules: Vec<Rule>) -> Listener {
    listener_with(protocol, port, rules, fixed(404, "default"), |_| None)
}

pub(crate) fn listener_with(
    protocol: Protocol,
    port: u16,
    rules: Vec<Rule>,
    default: Action,
    group: impl Fn(&str) -> Option<Arc<Group>>,
) -> Listener {
    let spec = ListenerSpec {
        port: Some(port.into()),
        protocol: Some("HTTP".to_owned()),
        default_actions: Some(vec![ActionSpec::fixed_response(404)]),
        ..ListenerSpec::default()
    };
    let lb = LoadBalancerSpec {
        name: Some("demo".to_owned()),
        kind: Some("application".to_owned()),
        listeners: vec![spec],
        ..LoadBalancerSpec::default()
    };
    let lb = LoadBalancer::new(&lb, &Scope::default()).value.unwrap();
    let mut model = lb.listeners[0].clone();
    (model.protocol, model.rules, model.default_actions) = (protocol, rules, vec![default]);
    let dns_name = "demo-1.us-east-1.elb.localhost".into();
    let providers = elbow_auth::Providers::default();
    let account = Account::default();
    let telemetry = Telemetry::new(1);
    Listener::new(
        &lb, &model, dns_name, &account, &providers, &telemetry, group,
    )
}

pub(crate) fn field<'a>(name: &'a str, value: &'a str) -> Header<'a> {
    Header {
        name,
        value: value.as_bytes(),
    }
}

/// `GET target` over HTTP/1.1.
pub(crate) fn get<'a>(target: &'a str, fields: &'a [Header<'a>]) -> RequestHead<'a> {
    RequestHead {
        method: "GET",
        target: RequestTarget::parse(target),
        version: Version::Http11,
        fields,
    }
}

pub(crate) fn meta(client: &str) -> ConnMeta {
    ConnMeta {
        client: client.parse().unwrap(),
        server: "127.0.10.1:80".parse().unwrap(),
        accepted: Instant::now(),
        tls: None,
    }
}

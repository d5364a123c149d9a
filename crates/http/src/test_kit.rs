//! Listeners, heads and connections for tests.

use std::sync::Arc;
use std::time::Instant;

use elbow_balance::Group;
use elbow_model::{
    Action, AlpnPolicy, Condition, ContentType, FixedResponse, HealthCheck, HealthCheckPort,
    HealthCheckProtocol, IpAddressType, LoadBalancer, LoadBalancerAttributes, LoadBalancerType,
    Matcher, Patterns, Protocol, ProtocolVersion, Redirect, RedirectStatus, Rule, Scheme,
    TargetGroup, TargetGroupAttributes, TargetType, Transforms,
};
use elbow_net::ConnMeta;

use crate::head::{Header, RequestHead, Version};
use crate::listener::Listener;

pub(crate) fn group(name: &str, protocol_version: ProtocolVersion) -> TargetGroup {
    TargetGroup {
        name: name.into(),
        protocol: Protocol::Http,
        protocol_version,
        port: 80,
        target_type: TargetType::Ip,
        health_check: HealthCheck {
            protocol: HealthCheckProtocol::Http,
            port: HealthCheckPort::TrafficPort,
            path: "/".into(),
            matcher: Matcher(vec![200..=200]),
            interval: std::time::Duration::from_secs(30),
            timeout: std::time::Duration::from_secs(5),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
        },
        attributes: TargetGroupAttributes::default(),
        targets: Vec::new(),
    }
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
    let model = elbow_model::Listener {
        port,
        protocol,
        ssl_policy: None,
        alpn_policy: AlpnPolicy::None,
        attributes: elbow_model::ListenerAttributes::default(),
        certificates: Vec::new(),
        rules,
        default_actions: vec![default],
        instance: None,
    };
    let lb = LoadBalancer {
        name: "demo".into(),
        kind: LoadBalancerType::Application,
        scheme: Scheme::InternetFacing,
        ip_address_type: IpAddressType::Ipv4,
        addresses: Vec::new(),
        security_groups: Vec::new(),
        attributes: LoadBalancerAttributes::default(),
        listeners: Vec::new(),
        classic: None,
    };
    Listener::new(&lb, &model, "demo-1.us-east-1.elb.localhost".into(), group)
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
        target,
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

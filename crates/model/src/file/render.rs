//! A model in the words of the native file.

use serde_json::Value;

use super::{
    action, classic, health_check, listener, load_balancer, security_group, shape, target_group,
};
use crate::{
    Action, BackendServerPolicy, Certificate, CertificateSource, Condition, HealthCheck,
    HealthCheckPort, HealthCheckProtocol, Instance, IpProtocol, Listener, LoadBalancer, Matcher,
    Model, Patterns, Permission, Protocol, QueryPair, Redirect, Rewrite, Rule, SecurityGroup,
    TargetGroup, Transforms,
};
use shape::spelling;

/// Stands for a private key.
const HIDDEN_KEY: &str = "(not shown)";

/// `model` as the native file has it, with every default written out. What [`parse`](super::parse)
/// makes of it is `model` again, but for private keys that the model itself has: they are not shown.
///
/// ```
/// use elbow_model::{Model, file};
///
/// let empty = file::render(&Model::default());
/// assert_eq!(empty.to_string(), r#"{"loadBalancers":[],"targetGroups":[],"certificates":[]}"#);
/// ```
pub fn render(model: &Model) -> Value {
    let file = shape::File {
        load_balancers: model
            .load_balancers
            .iter()
            .map(|lb| load_balancer(lb))
            .collect(),
        target_groups: model
            .target_groups
            .iter()
            .map(|g| target_group(g))
            .collect(),
        certificates: model.certificates.iter().map(|c| certificate(c)).collect(),
    };
    // Only a map with keys that are not text, or a type that refuses, can fail; there are none.
    serde_json::to_value(file).unwrap_or_default()
}

fn load_balancer(from: &LoadBalancer) -> shape::LoadBalancer {
    shape::LoadBalancer {
        name: from.name.to_string(),
        kind: spelling(load_balancer::TYPES, &from.kind),
        scheme: Some(spelling(load_balancer::SCHEMES, &from.scheme)),
        ip_address_type: Some(spelling(
            load_balancer::IP_ADDRESS_TYPES,
            &from.ip_address_type,
        )),
        addresses: from.addresses.iter().map(ToString::to_string).collect(),
        security_groups: from.security_groups.iter().map(group).collect(),
        attributes: from.attributes.raw.clone(),
        listeners: from.listeners.iter().map(listener).collect(),
        health_check: from
            .classic
            .as_ref()
            .map(|c| classic_check(&c.health_check)),
        instances: from
            .classic
            .iter()
            .flat_map(|c| &c.instances)
            .map(instance)
            .collect(),
        backend_server_policies: from
            .classic
            .iter()
            .flat_map(|c| &c.backend_server_policies)
            .map(|(port, policies)| (port.to_string(), names(policies)))
            .collect(),
    }
}

fn group(from: &SecurityGroup) -> shape::SecurityGroup {
    shape::SecurityGroup {
        group_name: from.name.to_string(),
        ingress: from.ingress.iter().map(permission).collect(),
    }
}

fn permission(from: &Permission) -> shape::Permission {
    let has_ports = matches!(from.protocol, IpProtocol::Tcp | IpProtocol::Udp);
    let texts = |v6: bool| {
        let sources = from
            .sources
            .iter()
            .filter(move |net| net.addr().is_ipv6() == v6);
        sources.map(ToString::to_string)
    };
    shape::Permission {
        ip_protocol: spelling(security_group::PROTOCOLS, &from.protocol),
        from_port: has_ports.then_some(*from.ports.start()),
        to_port: has_ports.then_some(*from.ports.end()),
        ip_ranges: texts(false).map(|cidr| shape::IpRange { cidr }).collect(),
        ipv6_ranges: texts(true).map(|cidr| shape::Ipv6Range { cidr }).collect(),
    }
}

fn listener(from: &Listener) -> shape::Listener {
    let alpn = spelling(listener::ALPN_POLICIES, &from.alpn_policy);
    shape::Listener {
        port: from.port,
        protocol: from.protocol.as_str().to_owned(),
        ssl_policy: from.ssl_policy.as_deref().map(str::to_owned),
        alpn_policy: (from.protocol == Protocol::Tls).then_some(alpn),
        certificates: from
            .certificates
            .iter()
            .map(|c| c.name.to_string())
            .collect(),
        rules: from.rules.iter().map(rule).collect(),
        default_actions: match from.instance {
            // It follows from the instances' end.
            Some(_) => Vec::new(),
            None => from.default_actions.iter().map(action).collect(),
        },
        attributes: from.attributes.raw.clone(),
        instance_protocol: from.instance.map(|i| i.protocol.as_str().to_owned()),
        instance_port: from.instance.map(|i| i.port),
    }
}

fn classic_check(from: &HealthCheck) -> shape::ClassicHealthCheck {
    // A file holds no longer time than fits.
    let seconds = |time: std::time::Duration| u32::try_from(time.as_secs()).ok();
    shape::ClassicHealthCheck {
        target: from.classic_target(),
        interval: seconds(from.interval),
        timeout: seconds(from.timeout),
        healthy_threshold: Some(from.healthy_threshold),
        unhealthy_threshold: Some(from.unhealthy_threshold),
    }
}

fn instance(from: &Instance) -> shape::Instance {
    let ports = from.ports.iter();
    shape::Instance {
        id: from.id.to_string(),
        availability_zone: from.availability_zone.as_deref().map(str::to_owned),
        ports: ports.map(|(port, is)| (port.to_string(), *is)).collect(),
    }
}

fn names(policies: &[BackendServerPolicy]) -> Vec<String> {
    let name = |policy| spelling(classic::POLICIES, policy);
    policies.iter().map(name).collect()
}

fn rule(from: &Rule) -> shape::Rule {
    shape::Rule {
        priority: from.priority,
        conditions: from.conditions.iter().map(condition).collect(),
        actions: from.actions.iter().map(action).collect(),
        transforms: transforms(&from.transforms),
    }
}

fn condition(from: &Condition) -> shape::Condition {
    let mut to = shape::Condition::default();
    to.field = match from {
        Condition::HostHeader(values) => {
            to.host_header_config = Some(patterns(values));
            "host-header"
        }
        Condition::PathPattern(values) => {
            to.path_pattern_config = Some(patterns(values));
            "path-pattern"
        }
        Condition::HttpHeader { name, values } => {
            to.http_header_config = Some(shape::HttpHeader {
                http_header_name: name.to_string(),
                patterns: patterns(values),
            });
            "http-header"
        }
        Condition::HttpRequestMethod(methods) => {
            to.http_request_method_config = Some(values(methods));
            "http-request-method"
        }
        Condition::QueryString(pairs) => {
            let pair = |pair: &QueryPair| shape::QueryPair {
                key: pair.key.as_deref().map(str::to_owned),
                value: pair.value.to_string(),
            };
            to.query_string_config = Some(shape::QueryString {
                values: pairs.iter().map(pair).collect(),
            });
            "query-string"
        }
        Condition::SourceIp(networks) => {
            to.source_ip_config = Some(values(networks));
            "source-ip"
        }
    }
    .to_owned();
    to
}

fn transforms(from: &Transforms) -> Vec<shape::Transform> {
    let rewrites = |rewrite: &Rewrite| shape::Rewrites {
        rewrites: vec![shape::Rewrite {
            regex: rewrite.regex.to_string(),
            replace: rewrite.replace.to_string(),
        }],
    };
    let host_header = from.host_header.as_ref().map(|rewrite| shape::Transform {
        kind: "host-header-rewrite".to_owned(),
        host_header_rewrite_config: Some(rewrites(rewrite)),
        ..shape::Transform::default()
    });
    let url = from.url.as_ref().map(|rewrite| shape::Transform {
        kind: "url-rewrite".to_owned(),
        url_rewrite_config: Some(rewrites(rewrite)),
        ..shape::Transform::default()
    });
    host_header.into_iter().chain(url).collect()
}

fn patterns(from: &Patterns) -> shape::Patterns {
    let mut to = shape::Patterns::default();
    match from {
        Patterns::Wildcards(values) => to.values = Some(texts(values)),
        Patterns::Regexes(values) => to.regex_values = Some(texts(values)),
    }
    to
}

fn values(from: &[impl ToString]) -> shape::Values {
    shape::Values {
        values: texts(from),
    }
}

fn texts(from: &[impl ToString]) -> Vec<String> {
    from.iter().map(ToString::to_string).collect()
}

fn action(from: &Action) -> shape::Action {
    match from {
        Action::Forward(forward) => shape::Action {
            kind: "forward".to_owned(),
            forward_config: Some(shape::Forward {
                target_groups: forward
                    .target_groups
                    .iter()
                    .map(|group| shape::WeightedTargetGroup {
                        target_group: group.target_group.to_string(),
                        weight: group.weight,
                    })
                    .collect(),
                target_group_stickiness_config: forward.stickiness.map(|duration| {
                    shape::Stickiness {
                        enabled: true,
                        duration_seconds: Some(duration.as_secs()),
                    }
                }),
            }),
            ..shape::Action::default()
        },
        Action::Redirect(config) => shape::Action {
            kind: "redirect".to_owned(),
            redirect_config: Some(redirect(config)),
            ..shape::Action::default()
        },
        Action::FixedResponse(config) => shape::Action {
            kind: "fixed-response".to_owned(),
            fixed_response_config: Some(shape::FixedResponse {
                status_code: config.status.to_string(),
                content_type: Some(config.content_type.as_str().to_owned()),
                message_body: Some(config.body.to_string()),
            }),
            ..shape::Action::default()
        },
    }
}

fn redirect(from: &Redirect) -> shape::Redirect {
    shape::Redirect {
        protocol: Some(from.protocol.to_string()),
        port: Some(from.port.to_string()),
        host: Some(from.host.to_string()),
        path: Some(from.path.to_string()),
        query: Some(from.query.to_string()),
        status_code: spelling(action::REDIRECT_CODES, &from.status),
    }
}

fn target_group(from: &TargetGroup) -> shape::TargetGroup {
    let layer7 = matches!(from.protocol, Protocol::Http | Protocol::Https);
    let version = spelling(target_group::VERSIONS, &from.protocol_version);
    shape::TargetGroup {
        name: from.name.to_string(),
        protocol: from.protocol.as_str().to_owned(),
        protocol_version: layer7.then_some(version),
        port: from.port,
        target_type: Some(spelling(target_group::TYPES, &from.target_type)),
        health_check_config: Some(health_check(&from.health_check)),
        attributes: from.attributes.raw.clone(),
        targets: from
            .targets
            .iter()
            .map(|target| shape::Target {
                id: target.id.to_string(),
                port: Some(target.port),
                availability_zone: target.availability_zone.as_deref().map(str::to_owned),
            })
            .collect(),
    }
}

fn health_check(from: &HealthCheck) -> shape::HealthCheck {
    let speaks_http = matches!(
        from.protocol,
        HealthCheckProtocol::Http | HealthCheckProtocol::Https
    );
    shape::HealthCheck {
        protocol: Some(spelling(health_check::PROTOCOLS, &from.protocol)),
        port: Some(match from.port {
            HealthCheckPort::TrafficPort => "traffic-port".to_owned(),
            HealthCheckPort::Port(port) => port.to_string(),
        }),
        path: speaks_http.then(|| from.path.to_string()),
        matcher: speaks_http.then(|| shape::Matcher {
            http_code: codes(&from.matcher),
        }),
        interval_seconds: Some(from.interval.as_secs()),
        timeout_seconds: Some(from.timeout.as_secs()),
        healthy_threshold_count: Some(from.healthy_threshold),
        unhealthy_threshold_count: Some(from.unhealthy_threshold),
    }
}

fn codes(matcher: &Matcher) -> String {
    let range = |range: &std::ops::RangeInclusive<u16>| match (range.start(), range.end()) {
        (from, to) if from == to => from.to_string(),
        (from, to) => format!("{from}-{to}"),
    };
    matcher.0.iter().map(range).collect::<Vec<_>>().join(",")
}

fn certificate(from: &Certificate) -> shape::Certificate {
    let mut certificate = shape::Certificate {
        name: from.name.to_string(),
        ..shape::Certificate::default()
    };
    match &from.source {
        CertificateSource::Files {
            certificate: chain,
            private_key,
        } => {
            certificate.certificate_file = Some(chain.display().to_string());
            certificate.private_key_file = Some(private_key.display().to_string());
        }
        CertificateSource::Pem {
            certificate: chain, ..
        } => {
            certificate.certificate = Some(chain.to_string());
            certificate.private_key = Some(HIDDEN_KEY.to_owned());
        }
        CertificateSource::SelfSigned { hosts } => {
            certificate.self_signed = Some(hosts.iter().map(ToString::to_string).collect());
        }
    }
    certificate
}

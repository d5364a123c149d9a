//! Conditions, actions, health checks and permissions as text.

use elbow_manifest::classic::{ClassicHealthCheck, ClassicPermission};
use elbow_manifest::stack::{self, Action, Matcher, Reference, Stack};
use elbow_model::At;
use serde_json::Value;

/// `host-header is a.example or *.b.example`.
pub(crate) fn condition(condition: &Value) -> String {
    let field = text(condition, "field");
    let config = condition.as_object().into_iter().flatten();
    let config = config
        .map(|(_, value)| value)
        .find(|value| value.is_object());
    let Some(config) = config else {
        return field.to_owned();
    };
    let of = match &config["httpHeaderName"] {
        Value::String(name) => format!("{field} {name}"),
        _ => field.to_owned(),
    };
    let (verb, list) = match (&config["regexValues"], field) {
        (Value::Array(list), _) => ("matches", list.as_slice()),
        (_, "query-string") => ("has", values(config)),
        (_, "source-ip") => ("is in", values(config)),
        _ => ("is", values(config)),
    };
    let values: Vec<String> = list.iter().map(value).collect();
    format!("{of} {verb} {}", values.join(" or "))
}

fn values(config: &Value) -> &[Value] {
    config["values"].as_array().map_or(&[], Vec::as_slice)
}

fn value(value: &Value) -> String {
    match (&value["key"], &value["value"], value) {
        (Value::String(key), Value::String(value), _) => format!("{key}={value}"),
        (_, Value::String(value), _) => format!("*={value}"),
        (_, _, Value::String(text)) => text.clone(),
        _ => value.to_string(),
    }
}

/// `url-rewrite ^/old/(.*)$ to /new/$1`.
pub(crate) fn transform(transform: &Value) -> String {
    let kind = text(transform, "type");
    let config = transform.as_object().into_iter().flatten();
    let rewrites = config.filter_map(|(_, config)| config["rewrites"].as_array());
    let rewrites = rewrites.flatten();
    let rewrites =
        rewrites.map(|one| format!("{} to {}", text(one, "regex"), text(one, "replace")));
    format!("{kind} {}", rewrites.collect::<Vec<_>>().join(", "))
}

/// `forward to k8s-default-web-e31c5d3f47`.
pub(crate) fn action(action: &Action, stack: &Stack) -> String {
    match action {
        Action::Forward(forward) => to_groups(forward, stack),
        Action::Other { kind, value, .. } => other(kind, value),
    }
}

fn to_groups(forward: &stack::Forward, stack: &Stack) -> String {
    let group = |one: &stack::WeightedGroup| {
        let name = group_name(&one.target_group, stack);
        match one.weight {
            Some(weight) if forward.target_groups.len() > 1 => format!("{name} (weight {weight})"),
            _ => name,
        }
    };
    let groups: Vec<String> = forward.target_groups.iter().map(group).collect();
    let sticky = forward.stickiness.as_ref();
    let sticky = match sticky.filter(|sticky| sticky.enabled == Some(true)) {
        Some(stack::Stickiness {
            duration_seconds: Some(seconds),
            ..
        }) => format!(", sticky for {seconds} s"),
        Some(_) => ", sticky".to_owned(),
        None => String::new(),
    };
    format!("forward to {}{sticky}", groups.join(", "))
}

fn other(kind: &str, config: &Value) -> String {
    let or = |field: &str, default: &str| match text(config, field) {
        "" => default.to_owned(),
        text => text.to_owned(),
    };
    match kind {
        "redirect" => format!(
            "redirect {} to {}://{}:{}{}?{}",
            text(config, "statusCode").trim_start_matches("HTTP_"),
            or("protocol", "#{protocol}"),
            or("host", "#{host}"),
            or("port", "#{port}"),
            or("path", "/#{path}"),
            or("query", "#{query}"),
        ),
        "fixed-response" => {
            let parts = ["statusCode", "contentType"].map(|field| text(config, field));
            let parts = parts.into_iter().filter(|part| !part.is_empty());
            let answer = parts.collect::<Vec<_>>().join(" ");
            match text(config, "messageBody") {
                "" => format!("fixed response {answer}"),
                body => format!("fixed response {answer} \"{body}\""),
            }
        }
        "authenticate-oidc" => format!("authenticate with {}", text(config, "issuer")),
        "authenticate-cognito" => {
            format!("authenticate with {}", text(config, "userPoolARN"))
        }
        "jwt-validation" => format!("validate the JWT of {}", text(config, "issuer")),
        kind => kind.to_owned(),
    }
}

/// The name of a target group of the stack, or the ARN of another.
fn group_name(reference: &Reference, stack: &Stack) -> String {
    match reference {
        Reference::Literal(arn) => arn.clone(),
        Reference::Resource { id, .. } => match stack.target_groups.get(id) {
            Some(group) => group.name.clone(),
            None => id.clone(),
        },
    }
}

/// `HTTP traffic-port /, expects 200, every 15s, timeout 5s, healthy after 2, unhealthy after 2`.
pub(crate) fn health_check(check: &stack::HealthCheck) -> String {
    let mut target = format!("{} {}", check.protocol, value(&check.port));
    if let Some(path) = &check.path {
        target = format!("{target} {path}");
    }
    let expects = check.matcher.as_ref().map(|matcher| match &matcher.value {
        Matcher::HttpCode(codes) => format!("expects {codes}"),
        Matcher::GrpcCode(codes) => format!("expects gRPC {codes}"),
    });
    let number = |before: &str, number: &Option<At<i32>>, unit: &str| {
        let number = number.as_ref();
        number.map(|number| format!("{before} {number}{unit}"))
    };
    let rest = [
        expects,
        number("every", &check.interval_seconds, "s"),
        number("timeout", &check.timeout_seconds, "s"),
        number("healthy after", &check.healthy_threshold_count, ""),
        number("unhealthy after", &check.unhealthy_threshold_count, ""),
    ];
    let parts = std::iter::once(target).chain(rest.into_iter().flatten());
    parts.collect::<Vec<_>>().join(", ")
}

/// As [`health_check`], for a Classic Load Balancer.
pub(crate) fn classic_health_check(check: &ClassicHealthCheck) -> String {
    format!(
        "{}, every {}s, timeout {}s, healthy after {}, unhealthy after {}",
        check.target,
        check.interval,
        check.timeout,
        check.healthy_threshold,
        check.unhealthy_threshold,
    )
}

/// `verify with arn:…, expired certificates pass`; `None` when mutual authentication is off.
pub(crate) fn mutual_authentication(mutual: &stack::MutualAuthentication) -> Option<String> {
    if mutual.mode == "off" {
        return None;
    }
    let mut words = mutual.mode.clone();
    if let Some(store) = mutual
        .trust_store_arn
        .as_deref()
        .filter(|arn| !arn.is_empty())
    {
        words = format!("{words} with {store}");
    }
    if mutual.ignore_client_certificate_expiry == Some(true) {
        words += ", expired certificates pass";
    }
    if mutual.advertise_ca_names.as_deref() == Some("on") {
        words += ", names of CAs are advertised";
    }
    Some(words)
}

/// `tcp 443 from 0.0.0.0/0`.
pub(crate) fn permission(permission: &stack::Permission) -> String {
    let ranges = permission.ip_ranges.iter().map(|range| &*range.cidr);
    let ranges6 = permission.ipv6_ranges.iter().map(|range| &*range.cidr);
    let lists = permission.prefix_lists.iter().map(|list| &*list.id);
    let from: Vec<&str> = ranges.chain(ranges6).chain(lists).collect();
    let ports = permission.from_port.zip(permission.to_port);
    ingress(&permission.ip_protocol, ports, &from)
}

/// As [`permission`], for the security group of a Classic Load Balancer.
pub(crate) fn classic_permission(permission: &ClassicPermission) -> String {
    let from = permission.ip_ranges.iter().map(|range| &*range.cidr_ip);
    let ports = (permission.from_port, permission.to_port);
    let from: Vec<&str> = from.collect();
    ingress(permission.ip_protocol, Some(ports), &from)
}

fn ingress(protocol: &str, ports: Option<(i32, i32)>, from: &[&str]) -> String {
    let ports = match ports {
        Some((first, last)) if first == last => format!(" {first}"),
        Some((first, last)) => format!(" {first}-{last}"),
        None => String::new(),
    };
    format!("{protocol}{ports} from {}", from.join(", "))
}

/// The string in a field; empty if it is not a string.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The same text that `elbow get rules` prints.
    #[test]
    fn conditions_of_every_kind() {
        for (written, words) in [
            (
                json!({"field": "host-header", "hostHeaderConfig": {"values": ["a.example", "*.b.example"]}}),
                "host-header is a.example or *.b.example",
            ),
            (
                json!({"field": "path-pattern", "pathPatternConfig": {"regexValues": ["^/v[12]/"]}}),
                "path-pattern matches ^/v[12]/",
            ),
            (
                json!({"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "User-Agent", "values": ["*curl*"]}}),
                "http-header User-Agent is *curl*",
            ),
            (
                json!({"field": "http-request-method", "httpRequestMethodConfig": {"values": ["GET", "HEAD"]}}),
                "http-request-method is GET or HEAD",
            ),
            (
                json!({"field": "query-string", "queryStringConfig": {"values": [{"key": "v", "value": "1"}, {"value": "x"}]}}),
                "query-string has v=1 or *=x",
            ),
            (
                json!({"field": "source-ip", "sourceIPConfig": {"values": ["10.0.0.0/8"]}}),
                "source-ip is in 10.0.0.0/8",
            ),
        ] {
            assert_eq!(condition(&written), words);
        }
    }

    #[test]
    fn actions_of_every_kind() {
        let other = |kind, config, value| Action::Other {
            kind,
            config,
            value,
            secret: None,
        };
        let group = |arn: &str, weight| stack::WeightedGroup {
            target_group: Reference::Literal(arn.to_owned()),
            weight,
        };
        let forward = |groups, stickiness| {
            Action::Forward(stack::Forward {
                target_groups: groups,
                stickiness,
            })
        };
        let sticky = stack::Stickiness {
            duration_seconds: Some(60),
            enabled: Some(true),
        };
        for (written, words) in [
            (
                forward(vec![group("arn:a", Some(1))], None),
                "forward to arn:a",
            ),
            (
                forward(
                    vec![group("arn:a", Some(1)), group("arn:b", Some(3))],
                    Some(sticky),
                ),
                "forward to arn:a (weight 1), arn:b (weight 3), sticky for 60 s",
            ),
            (
                other(
                    "redirect",
                    "redirectConfig",
                    json!({"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_302"}),
                ),
                "redirect 302 to HTTPS://#{host}:443/#{path}?#{query}",
            ),
            (
                other(
                    "fixed-response",
                    "fixedResponseConfig",
                    json!({"statusCode": "503", "contentType": "text/plain", "messageBody": "later"}),
                ),
                "fixed response 503 text/plain \"later\"",
            ),
            (
                other(
                    "authenticate-oidc",
                    "authenticateOIDCConfig",
                    json!({"issuer": "https://id.example"}),
                ),
                "authenticate with https://id.example",
            ),
            (
                other(
                    "jwt-validation",
                    "jwtValidationConfig",
                    json!({"issuer": "https://id.example"}),
                ),
                "validate the JWT of https://id.example",
            ),
        ] {
            assert_eq!(action(&written, &Stack::new("a")), words);
        }
    }

    #[test]
    fn transforms_and_permissions() {
        let rewrite = json!({"type": "url-rewrite", "urlRewriteConfig": {"rewrites": [{"regex": "^/old/(.*)$", "replace": "/new/$1"}]}});
        assert_eq!(transform(&rewrite), "url-rewrite ^/old/(.*)$ to /new/$1");
        let mut allowed = stack::Permission {
            from_port: Some(80),
            ip_protocol: "tcp".to_owned(),
            to_port: Some(81),
            ..stack::Permission::default()
        };
        allowed.ipv6_ranges.push(stack::Ipv6Range {
            cidr: "::/0".to_owned(),
        });
        allowed.prefix_lists.push(stack::PrefixList {
            id: "pl-1".to_owned(),
        });
        assert_eq!(permission(&allowed), "tcp 80-81 from ::/0, pl-1");
    }
}

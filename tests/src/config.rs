//! Parts of the native file as JSON, which is valid YAML.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

/// An ALB at `address` with these listeners.
pub fn alb(name: &str, address: impl Into<IpAddr>, listeners: &[Value]) -> Value {
    json!({"name": name, "type": "application", "addresses": [address.into()], "listeners": listeners})
}

/// An NLB at `address` with these listeners.
pub fn nlb(name: &str, address: impl Into<IpAddr>, listeners: &[Value]) -> Value {
    json!({"name": name, "type": "network", "addresses": [address.into()], "listeners": listeners})
}

/// A classic load balancer at `address` with these listeners. The hosts of `targets` are its
/// instances; their health checks use the health port of [`crate::Target`].
pub fn classic(
    name: &str,
    address: impl Into<IpAddr>,
    listeners: &[Value],
    targets: &[SocketAddr],
) -> Value {
    let instances: Vec<Value> = targets.iter().map(|t| json!({"id": t.ip()})).collect();
    json!({"name": name, "type": "classic", "addresses": [address.into()], "listeners": listeners,
        "instances": instances,
        "healthCheck": {"target": format!("HTTP:{}/", crate::target::HEALTH_PORT), "interval": 5, "timeout": 2,
            "healthyThreshold": 2, "unhealthyThreshold": 2}})
}

/// A listener of a classic load balancer, to the traffic port of [`crate::Target`].
pub fn to_instances(port: u16, protocol: &str, instance_protocol: &str) -> Value {
    json!({"port": port, "protocol": protocol, "instanceProtocol": instance_protocol,
        "instancePort": crate::target::PORT})
}

/// A listener with only a default action.
pub fn listener(port: u16, protocol: &str, action: &Value) -> Value {
    json!({"port": port, "protocol": protocol, "defaultActions": [action]})
}

/// Forward to one group.
pub fn forward(group: &str) -> Value {
    json!({"type": "forward", "forwardConfig": {"targetGroups": [{"targetGroup": group, "weight": 1}]}})
}

/// Answer with plain text.
pub fn fixed(status: u16, text: &str) -> Value {
    json!({"type": "fixed-response", "fixedResponseConfig":
        {"statusCode": status.to_string(), "contentType": "text/plain", "messageBody": text}})
}

/// A rule with one condition: `host-header` or `path-pattern`.
pub fn rule(priority: u32, field: &str, value: &str, action: &Value) -> Value {
    let config = match field {
        "host-header" => "hostHeaderConfig",
        _ => "pathPatternConfig",
    };
    json!({"priority": priority, "conditions": [{"field": field, config: {"values": [value]}}],
        "actions": [action]})
}

/// A target group with health checks on the health port of [`crate::Target`], so
/// that the script on the traffic port does not affect them.
pub fn group(name: &str, protocol: &str, targets: &[SocketAddr]) -> Value {
    let port = targets.first().map_or(9000, SocketAddr::port);
    let targets: Vec<Value> = targets
        .iter()
        .map(|t| json!({"id": t.ip(), "port": t.port()}))
        .collect();
    json!({"name": name, "protocol": protocol, "port": port, "targetType": "ip",
        "healthCheckConfig": {"protocol": "HTTP", "port": crate::target::HEALTH_PORT.to_string(), "path": "/",
            "matcher": {"httpCode": "200"}, "intervalSeconds": 5, "timeoutSeconds": 2,
            "healthyThresholdCount": 2, "unhealthyThresholdCount": 2},
        "targets": targets})
}

/// A whole file.
pub fn file(load_balancers: &[Value], groups: &[Value]) -> Value {
    json!({"loadBalancers": load_balancers, "targetGroups": groups})
}

/// `value` with `key` of its `attributes` set.
pub fn with_attribute(mut value: Value, key: &str, setting: &str) -> Value {
    value["attributes"][key] = json!(setting);
    value
}

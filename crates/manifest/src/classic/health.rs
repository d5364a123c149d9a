//! The health check of a Classic load balancer: one for all its listeners.

use elbow_model::At;

use crate::annotations::{Row, service as keys};
use crate::lookup::service::{Reader, Refused};
use crate::stack::ClassicHealthCheck;

/// The facts that the health check depends on beside the annotations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Basis {
    /// The node port of the first listener.
    pub(super) first_node_port: u16,
    /// `spec.healthCheckNodePort`, with the external traffic policy `Local`.
    pub(super) local_check_port: Option<u16>,
}

/// The health check (control-plane.md 4). `read` keeps the errors.
pub(super) fn health_check(read: &Reader<'_>, basis: Basis) -> ClassicHealthCheck {
    let target = read.refused.or_default(target(read, basis));
    ClassicHealthCheck {
        healthy_threshold: at_least(read, keys::HEALTHCHECK_HEALTHY_THRESHOLD, 2, 2),
        unhealthy_threshold: at_least(read, keys::HEALTHCHECK_UNHEALTHY_THRESHOLD, 6, 2),
        timeout: at_least(read, keys::HEALTHCHECK_TIMEOUT, 5, 2),
        interval: at_least(read, keys::HEALTHCHECK_INTERVAL, 10, 5),
        target: At::new(target, read.origin(TARGET)),
    }
}

/// The annotations that make up the target of the check.
const TARGET: &[&Row] = &[
    keys::HEALTHCHECK_PORT,
    keys::HEALTHCHECK_PATH,
    keys::HEALTHCHECK_PROTOCOL,
];

fn target(read: &Reader<'_>, basis: Basis) -> Result<String, Refused> {
    let port_key = keys::HEALTHCHECK_PORT;
    let port_text = read.text(port_key);
    let traffic_port = port_text == Some("traffic-port");
    let first = i32::from(basis.first_node_port);
    let (mut protocol, mut port, mut path) = match basis.local_check_port {
        Some(_) if traffic_port => ("HTTP", first, "/healthz"),
        Some(port) => ("HTTP", i32::from(port), "/healthz"),
        None => (cluster_protocol(read), first, ""),
    };
    if let Some(written) = read.text(keys::HEALTHCHECK_PROTOCOL) {
        protocol = written;
    }
    if let (Some(text), false) = (port_text, traffic_port) {
        port = text.parse().map_err(|_| {
            Refused::annotation(
                port_key,
                format!("expected a port number or traffic-port, found {text:?}"),
            )
            .hint("a port number, or traffic-port")
        })?;
    }
    match protocol.to_uppercase().as_str() {
        "HTTP" | "HTTPS" => {
            if path.is_empty() {
                path = "/";
            }
            if let Some(written) = read
                .text(keys::HEALTHCHECK_PATH)
                .filter(|text| !text.is_empty())
            {
                path = written;
            }
        }
        "TCP" | "SSL" => path = "",
        _ => {
            let key = keys::HEALTHCHECK_PROTOCOL;
            return Err(Refused::annotation(
                key,
                format!("unsupported health check protocol {protocol:?}"),
            )
            .hint("one of TCP, HTTP, HTTPS and SSL"));
        }
    }
    Ok(format!("{protocol}:{port}{path}"))
}

fn cluster_protocol(read: &Reader<'_>) -> &'static str {
    let backend = read.text(keys::BACKEND_PROTOCOL).unwrap_or_default();
    if backend.eq_ignore_ascii_case("https") || backend.eq_ignore_ascii_case("ssl") {
        "SSL"
    } else {
        "TCP"
    }
}

fn at_least(read: &Reader<'_>, key: &'static Row, default: u32, least: u32) -> At<u32> {
    let number = match read.text(key) {
        Some(text) => read.refused.or(default, limited(key, text, least)),
        None => default,
    };
    At::new(number, read.origin(&[key]))
}

fn limited(key: &'static Row, text: &str, least: u32) -> Result<u32, Refused> {
    match text.parse::<u32>() {
        Ok(number) if number >= least => Ok(number),
        Ok(number) => Err(Refused::annotation(
            key,
            format!("expected at least {least}, found {number}"),
        )),
        Err(_) => Err(Refused::annotation(
            key,
            format!("expected a whole number, found {text:?}"),
        )),
    }
}

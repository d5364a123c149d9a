//! The health check of a Classic load balancer: one for all its listeners.

use super::spec::ClassicHealthCheck;
use crate::service::read::{Reader, Refused};

/// What the health check follows from, besides the annotations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Basis {
    /// The node port of the first listener.
    pub(super) first_node_port: u16,
    /// `spec.healthCheckNodePort`, where traffic stays on the node that it reaches.
    pub(super) local_check_port: Option<u16>,
}

/// Section 4, "Health check".
pub(super) fn health_check(read: &Reader<'_>, basis: Basis) -> Result<ClassicHealthCheck, Refused> {
    let check = ClassicHealthCheck {
        healthy_threshold: at_least(
            read,
            "aws-load-balancer-healthcheck-healthy-threshold",
            2,
            2,
        )?,
        unhealthy_threshold: at_least(
            read,
            "aws-load-balancer-healthcheck-unhealthy-threshold",
            6,
            2,
        )?,
        timeout: at_least(read, "aws-load-balancer-healthcheck-timeout", 5, 2)?,
        interval: at_least(read, "aws-load-balancer-healthcheck-interval", 10, 5)?,
        target: target(read, basis)?,
    };
    Ok(check)
}

fn target(read: &Reader<'_>, basis: Basis) -> Result<String, Refused> {
    let port_key = "aws-load-balancer-healthcheck-port";
    let port_text = read.text(port_key);
    let traffic_port = port_text == Some("traffic-port");
    let (mut protocol, mut port, mut path) = match basis.local_check_port {
        Some(_) if traffic_port => ("HTTP", basis.first_node_port, "/healthz"),
        Some(port) => ("HTTP", port, "/healthz"),
        None => (cluster_protocol(read), basis.first_node_port, ""),
    };
    if let Some(written) = read.text("aws-load-balancer-healthcheck-protocol") {
        protocol = written;
    }
    if let (Some(text), false) = (port_text, traffic_port) {
        port = text.parse().map_err(|_| {
            Refused::annotation(port_key, format!("{text:?} is not a port"))
                .hint("a port number, or traffic-port")
        })?;
    }
    match protocol.to_uppercase().as_str() {
        "HTTP" | "HTTPS" => {
            if path.is_empty() {
                path = "/";
            }
            if let Some(written) = read
                .text("aws-load-balancer-healthcheck-path")
                .filter(|text| !text.is_empty())
            {
                path = written;
            }
        }
        "TCP" | "SSL" => path = "",
        _ => {
            let key = "aws-load-balancer-healthcheck-protocol";
            return Err(Refused::annotation(
                key,
                format!("{protocol:?} is not a protocol of health checks"),
            )
            .hint("one of TCP, HTTP, HTTPS and SSL"));
        }
    }
    Ok(format!("{protocol}:{port}{path}"))
}

fn cluster_protocol(read: &Reader<'_>) -> &'static str {
    let backend = read
        .text("aws-load-balancer-backend-protocol")
        .unwrap_or_default();
    if backend.eq_ignore_ascii_case("https") || backend.eq_ignore_ascii_case("ssl") {
        "SSL"
    } else {
        "TCP"
    }
}

fn at_least(
    read: &Reader<'_>,
    key: &'static str,
    default: u32,
    least: u32,
) -> Result<u32, Refused> {
    let Some(text) = read.text(key) else {
        return Ok(default);
    };
    match text.parse::<u32>() {
        Ok(number) if number >= least => Ok(number),
        Ok(number) => Err(Refused::annotation(
            key,
            format!("{number} is less than {least}"),
        )),
        Err(_) => Err(Refused::annotation(
            key,
            format!("{text:?} is not a number"),
        )),
    }
}

//! A Classic load balancer as ELB's Describe calls spell it.

use std::collections::BTreeMap;

use elbow_model::{At, Origin};
use serde::Serialize;

/// The whole of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassicSpec {
    /// `a` and the Service's uid without dashes, cut to 32 characters.
    pub load_balancer_name: String,
    /// `internal` or `internet-facing`.
    pub scheme: At<String>,
    /// One per zone, sorted.
    pub subnets: Vec<String>,
    /// The generated or the named ones, then the extra ones; only the generated one carries permissions.
    pub security_groups: Vec<ClassicSecurityGroup>,
    /// Sorted by port.
    pub listeners: Vec<ClassicListener>,
    /// There is one for all listeners.
    pub health_check: ClassicHealthCheck,
    /// In the order of the Service's ports.
    pub backend_server_policies: Vec<BackendServerPolicy>,
    /// What ELB calls the attributes.
    pub attributes: ClassicAttributes,
    /// By key.
    pub tags: BTreeMap<String, String>,
    /// The Service; not printed.
    #[serde(skip)]
    pub origin: Origin,
}

/// A security group of a Classic load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassicSecurityGroup {
    /// Its name.
    pub group_name: String,
    /// What it lets in.
    pub ingress: Vec<ClassicPermission>,
    /// Where it or its ranges are written; not printed.
    #[serde(skip)]
    pub origin: Origin,
}

/// One permission of a security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassicPermission {
    /// First port, or the ICMP type.
    pub from_port: i32,
    /// `tcp` or `icmp`.
    pub ip_protocol: &'static str,
    /// Who may come.
    pub ip_ranges: Vec<ClassicRange>,
    /// Last port, or the ICMP code.
    pub to_port: i32,
}

/// A range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassicRange {
    /// In CIDR notation.
    pub cidr_ip: String,
}

/// A listener of a Classic load balancer, with the connection to its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassicListener {
    /// The node port.
    pub instance_port: u16,
    /// `TCP`, `SSL`, `HTTP` or `HTTPS`.
    pub instance_protocol: At<&'static str>,
    /// The port of the Service.
    pub load_balancer_port: u16,
    /// The policy of the TLS negotiation, if one is named.
    pub policy_names: Vec<At<String>>,
    /// `TCP`, `SSL`, `HTTP` or `HTTPS`.
    pub protocol: At<&'static str>,
    /// The ARN, on secure listeners. The API's own name is `SSLCertificateId`, of which this is the
    /// camel case that recordings of the API use.
    #[serde(rename = "sSLCertificateId", skip_serializing_if = "Option::is_none")]
    pub ssl_certificate_id: Option<At<String>>,
}

/// The health check of a Classic load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassicHealthCheck {
    /// Passes in a row that make an instance healthy.
    pub healthy_threshold: At<u32>,
    /// Seconds between checks.
    pub interval: At<u32>,
    /// `PROTOCOL:port` and, for HTTP and HTTPS, a path.
    pub target: At<String>,
    /// Seconds until a check has failed.
    pub timeout: At<u32>,
    /// Failures in a row that make an instance unhealthy.
    pub unhealthy_threshold: At<u32>,
}

/// The policies towards one instance port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendServerPolicy {
    /// The node port.
    pub instance_port: u16,
    /// `k8s-proxyprotocol-enabled`.
    pub policy_names: Vec<At<String>>,
}

/// The attributes of a Classic load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassicAttributes {
    /// Access logs.
    pub access_log: AccessLog,
    /// Connection draining.
    pub connection_draining: ConnectionDraining,
    /// Idle timeout.
    pub connection_settings: ConnectionSettings,
    /// Spreading over zones.
    pub cross_zone_load_balancing: CrossZone,
}

/// Whether and where accesses are logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessLog {
    /// Minutes: 5 or 60; the provider takes any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emit_interval: Option<At<i32>>,
    /// Whether.
    pub enabled: At<bool>,
    /// The bucket.
    #[serde(rename = "s3BucketName", skip_serializing_if = "Option::is_none")]
    pub s3_bucket_name: Option<At<String>>,
    /// The prefix in the bucket.
    #[serde(rename = "s3BucketPrefix", skip_serializing_if = "Option::is_none")]
    pub s3_bucket_prefix: Option<At<String>>,
}

/// What happens to the connections of an instance that leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConnectionDraining {
    /// Whether they may finish.
    pub enabled: At<bool>,
    /// For how many seconds; the provider takes any number.
    pub timeout: At<i32>,
}

/// Settings of the connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionSettings {
    /// Seconds; the provider takes any number.
    pub idle_timeout: At<i32>,
}

/// Spreading over zones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CrossZone {
    /// Whether.
    pub enabled: At<bool>,
}

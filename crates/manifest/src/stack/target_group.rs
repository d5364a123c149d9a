//! The specs of target groups and their bindings, with the field names of the controller.

use std::collections::BTreeMap;

use elbow_model::{At, Origin};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::Reference;
use super::spec::{Attribute, Tags};

/// A target group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetGroup {
    /// The health check of targets.
    pub health_check_config: HealthCheck,
    /// `ipv4`, `ipv6`.
    pub ip_address_type: String,
    /// Its name.
    pub name: String,
    /// Its default port; targets have their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// `HTTP`, `HTTPS`, `TCP`, ...
    pub protocol: At<String>,
    /// `HTTP1`, `HTTP2`, `GRPC`: ALB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<At<String>>,
    /// Its tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// The port of a target's agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_control_port: Option<At<i32>>,
    /// The attributes that are set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_group_attributes: Vec<Attribute>,
    /// `instance`, `ip`, `alb`.
    pub target_type: String,
    /// Where its Service was written; not printed.
    #[serde(skip)]
    pub origin: Origin,
}

/// The target of a target group of type `alb`: a listener of an Application Load Balancer of the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlbTarget {
    /// The id of the load balancer.
    pub load_balancer: String,
    /// Its name.
    pub name: String,
    /// The port of the listener.
    pub port: u16,
}

/// The health check of targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Passed checks before a target is healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_threshold_count: Option<At<i32>>,
    /// Seconds between checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<At<i32>>,
    /// The status codes of a passed check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matcher: Option<At<Matcher>>,
    /// The path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<At<String>>,
    /// A number, or `traffic-port`.
    #[serde(skip_serializing_if = "is_null")]
    pub port: At<Value>,
    /// `HTTP`, `HTTPS`, `TCP`.
    pub protocol: At<String>,
    /// Seconds until a check has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<At<i32>>,
    /// Failed checks before a target is unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhealthy_threshold_count: Option<At<i32>>,
}

fn is_null(value: &At<Value>) -> bool {
    value.is_null()
}

/// The status codes of a passed check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Matcher {
    /// Of HTTP.
    HttpCode(String),
    /// Of gRPC.
    GrpcCode(String),
}

/// The Service that has the targets of a target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroupBinding {
    /// Its name: that of the target group.
    pub name: String,
    /// The namespace of the Service.
    pub namespace: String,
    /// Its spec without network rules.
    pub spec: BindingSpec,
}

impl Serialize for TargetGroupBinding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": self.spec,
        })
        .serialize(serializer)
    }
}

/// The Service that has the targets of a target group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BindingSpec {
    /// `ipv4`, `ipv6`.
    pub ip_address_type: String,
    /// Whether other clusters register targets too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_cluster_target_group: Option<bool>,
    /// Nodes that may be targets, by `matchLabels`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<NodeSelector>,
    /// The Service.
    pub service_ref: ServiceRef,
    /// The group.
    #[serde(rename = "targetGroupARN")]
    pub target_group: Reference,
    /// The protocol of the group.
    pub target_group_protocol: String,
    /// `instance`, `ip`.
    pub target_type: String,
    /// The VPC.
    #[serde(rename = "vpcID")]
    pub vpc_id: String,
}

/// Nodes by their labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSelector {
    /// Labels that must be there.
    pub match_labels: BTreeMap<String, String>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceRef {
    /// The Service.
    pub name: String,
    /// Name or number of its port, as it was written.
    pub port: Value,
}

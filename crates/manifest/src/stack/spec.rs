//! The specs of the resources, with the controller's names of fields.

use std::collections::BTreeMap;

use elbow_model::yaml::Position;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::Reference;

/// Tags, by key.
pub type Tags = BTreeMap<String, String>;

/// What a resource was made of; not printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Namespace and name of the Ingress.
    pub ingress: Option<(String, String)>,
    /// Where in it.
    pub at: Option<Position>,
    /// The name of the backend, which its annotations have in their keys.
    pub backend: String,
}

/// `key` and `value`, as attributes are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attribute {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

impl Attribute {
    /// Attributes from a map, by key.
    pub fn list(map: &BTreeMap<String, String>) -> Vec<Self> {
        let attribute = |(key, value): (&String, &String)| Self {
            key: key.clone(),
            value: value.clone(),
        };
        map.iter().map(attribute).collect()
    }
}

/// An attribute of a listener, whose fields the controller spells with capitals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListenerAttribute {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// A security group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityGroup {
    /// Its description.
    pub description: String,
    /// Its name.
    pub group_name: String,
    /// Who may come in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<Permission>,
    /// Its tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// Who may come in, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// The first port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_port: Option<i32>,
    /// `tcp`, `udp`, `icmp`.
    pub ip_protocol: String,
    /// IPv4 ranges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip_ranges: Vec<IpRange>,
    /// IPv6 ranges.
    #[serde(rename = "ipv6Ranges", skip_serializing_if = "Vec::is_empty")]
    pub ipv6_ranges: Vec<Ipv6Range>,
    /// Prefix lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefix_lists: Vec<PrefixList>,
    /// The last port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_port: Option<i32>,
}

/// An IPv4 range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IpRange {
    /// In CIDR form.
    #[serde(rename = "cidrIP")]
    pub cidr: String,
}

/// An IPv6 range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ipv6Range {
    /// In CIDR form.
    #[serde(rename = "cidrIPv6")]
    pub cidr: String,
}

/// A prefix list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrefixList {
    /// Its id.
    #[serde(rename = "listID")]
    pub id: String,
}

/// An ALB or an NLB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// `customerOwnedIPv4Pool`.
    #[serde(
        rename = "customerOwnedIPv4Pool",
        skip_serializing_if = "Option::is_none"
    )]
    pub customer_owned_ipv4_pool: Option<String>,
    /// `on`, `off`: NLB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_prefix_for_ipv6_source_nat: Option<String>,
    /// `ipv4`, `dualstack`, `dualstack-without-public-ipv4`.
    pub ip_address_type: String,
    /// `ipv4IPAMPool`.
    #[serde(rename = "ipv4IPAMPool", skip_serializing_if = "Option::is_none")]
    pub ipam_pool: Option<String>,
    /// Attributes that are said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_attributes: Vec<Attribute>,
    /// Capacity that is reserved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_load_balancer_capacity: Option<MinimumCapacity>,
    /// Its name.
    pub name: String,
    /// `internal`, `internet-facing`.
    pub scheme: String,
    /// Its security groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<Reference>,
    /// `on`, `off`: NLB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_groups_inbound_rules_on_private_link: Option<String>,
    /// Its subnets.
    pub subnet_mapping: Vec<SubnetMapping>,
    /// Its tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// `application`, `network`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// Capacity that is reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MinimumCapacity {
    /// In LCUs.
    pub capacity_units: i32,
}

/// A subnet of a load balancer, and its addresses there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SubnetMapping {
    /// An elastic address.
    #[serde(rename = "allocationID", skip_serializing_if = "Option::is_none")]
    pub allocation_id: Option<String>,
    /// An IPv6 address.
    #[serde(rename = "ipv6Address", skip_serializing_if = "Option::is_none")]
    pub ipv6_address: Option<String>,
    /// An IPv4 address inside the subnet.
    #[serde(rename = "privateIPv4Address", skip_serializing_if = "Option::is_none")]
    pub private_ipv4_address: Option<String>,
    /// An IPv6 prefix for source NAT.
    #[serde(
        rename = "sourceNatIpv6Prefix",
        skip_serializing_if = "Option::is_none"
    )]
    pub source_nat_ipv6_prefix: Option<String>,
    /// The subnet.
    #[serde(rename = "subnetID")]
    pub subnet_id: String,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// NLB: at most one ALPN policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn_policy: Vec<String>,
    /// The first is the default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Certificate>,
    /// Without a rule that matches.
    pub default_actions: Vec<Action>,
    /// Attributes that are said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listener_attributes: Vec<ListenerAttribute>,
    /// Its load balancer.
    #[serde(rename = "loadBalancerARN")]
    pub load_balancer: Reference,
    /// Client certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutual_authentication: Option<MutualAuthentication>,
    /// Its port.
    pub port: u16,
    /// `HTTP`, `HTTPS`, `TCP`, `TLS`, `UDP`, ...
    pub protocol: String,
    /// HTTPS and TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_policy: Option<String>,
    /// Its tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// A certificate of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Its ARN.
    #[serde(rename = "certificateARN")]
    pub arn: String,
}

/// Client certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MutualAuthentication {
    /// `on`, `off`.
    #[serde(
        rename = "advertiseTrustStoreCaNames",
        skip_serializing_if = "Option::is_none"
    )]
    pub advertise_ca_names: Option<String>,
    /// Whether an expired certificate passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_client_certificate_expiry: Option<bool>,
    /// `off`, `passthrough`, `verify`.
    pub mode: String,
    /// The trust store; empty without one, and left out when nothing is said at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_store_arn: Option<String>,
}

/// A rule of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerRule {
    /// What happens.
    pub actions: Vec<Action>,
    /// When.
    pub conditions: Vec<Value>,
    /// Its listener.
    #[serde(rename = "listenerARN")]
    pub listener: Reference,
    /// Its place among the rules.
    pub priority: usize,
    /// Its tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// What is rewritten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<Value>,
    /// The path of an Ingress.
    #[serde(skip)]
    pub source: Source,
}

/// What a listener or a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// To target groups.
    Forward(Forward),
    /// Any other: its type, the name of its configuration and the configuration.
    Other {
        /// `redirect`, `fixed-response`, ...
        kind: &'static str,
        /// `redirectConfig`, ...
        config: &'static str,
        /// The configuration.
        value: Value,
    },
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Forward(forward) => json!({"forwardConfig": forward, "type": "forward"}),
            Self::Other {
                kind,
                config,
                value,
            } => json!({(*config): value, "type": kind}),
        }
        .serialize(serializer)
    }
}

/// To target groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// Among which the weight decides.
    pub target_groups: Vec<WeightedGroup>,
    /// Whether a client stays with its group.
    #[serde(
        rename = "targetGroupStickinessConfig",
        skip_serializing_if = "Option::is_none"
    )]
    pub stickiness: Option<Stickiness>,
}

/// A target group of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeightedGroup {
    /// The group.
    #[serde(rename = "targetGroupARN")]
    pub target_group: Reference,
    /// Its weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
}

/// Whether a client stays with its group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stickiness {
    /// For so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i32>,
    /// Whether it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A target group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetGroup {
    /// How targets are asked.
    pub health_check_config: HealthCheck,
    /// `ipv4`, `ipv6`.
    pub ip_address_type: String,
    /// Its name.
    pub name: String,
    /// The port it was made with; targets bring their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// `HTTP`, `HTTPS`, `TCP`, ...
    pub protocol: String,
    /// `HTTP1`, `HTTP2`, `GRPC`: ALB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// Its tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// The port of a target's agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_control_port: Option<i32>,
    /// Attributes that are said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_group_attributes: Vec<Attribute>,
    /// `instance`, `ip`, `alb`.
    pub target_type: String,
    /// The Ingress, when it is of one.
    #[serde(skip)]
    pub source: Source,
}

/// How targets are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Passes before a target counts as healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_threshold_count: Option<i32>,
    /// From one to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<i32>,
    /// Codes that pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matcher: Option<Matcher>,
    /// What is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A number, or `traffic-port`.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub port: Value,
    /// `HTTP`, `HTTPS`, `TCP`.
    pub protocol: String,
    /// How long an answer may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i32>,
    /// Failures before a target counts as unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhealthy_threshold_count: Option<i32>,
}

/// Codes that pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Matcher {
    /// Of HTTP.
    HttpCode(String),
    /// Of gRPC.
    GrpcCode(String),
}

/// Which Service fills a target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroupBinding {
    /// Its name: that of the target group.
    pub name: String,
    /// The namespace of the Service.
    pub namespace: String,
    /// Its spec without the rules of the network.
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

/// Which Service fills a target group.
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

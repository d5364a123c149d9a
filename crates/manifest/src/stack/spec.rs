//! The specs of the resources, with the field names of the controller.

use std::collections::BTreeMap;

use elbow_model::{At, Origin};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::Reference;

/// Tags, by key.
pub type Tags = BTreeMap<String, String>;

/// `key` and `value`, as attributes are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attribute {
    /// The key.
    pub key: String,
    /// The value.
    pub value: At<String>,
}

/// Attributes by key, each with the place that it was read from.
pub type Attributes = BTreeMap<String, At<String>>;

impl Attribute {
    /// Attributes from a map, by key.
    pub fn list(map: Attributes) -> Vec<Self> {
        map.into_iter()
            .map(|(key, value)| Self { key, value })
            .collect()
    }
}

/// An attribute of a listener, whose fields the controller spells with capitals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListenerAttribute {
    /// The key.
    pub key: String,
    /// The value.
    pub value: At<String>,
}

impl ListenerAttribute {
    /// Attributes from a map, by key.
    pub fn list(map: Attributes) -> Vec<Self> {
        map.into_iter()
            .map(|(key, value)| Self { key, value })
            .collect()
    }
}

/// A security group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityGroup {
    /// Its description.
    pub description: String,
    /// Its name.
    pub group_name: String,
    /// Who may open connections.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<Permission>,
    /// Its tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// Who may open connections, and to which ports.
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
    /// Where its addresses were written; not printed.
    #[serde(skip)]
    pub origin: Origin,
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
    pub ip_address_type: At<String>,
    /// `ipv4IPAMPool`.
    #[serde(rename = "ipv4IPAMPool", skip_serializing_if = "Option::is_none")]
    pub ipam_pool: Option<String>,
    /// The attributes that are set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_attributes: Vec<Attribute>,
    /// Reserved capacity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_load_balancer_capacity: Option<MinimumCapacity>,
    /// Its name.
    pub name: At<String>,
    /// `internal`, `internet-facing`.
    pub scheme: At<String>,
    /// Its security groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<At<Reference>>,
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

/// Reserved capacity.
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
    pub private_ipv4_address: Option<At<String>>,
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

impl SubnetMapping {
    /// A subnet, whose addresses AWS chooses.
    pub fn of(subnet_id: String) -> Self {
        Self {
            subnet_id,
            ..Self::default()
        }
    }
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// NLB: at most one ALPN policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn_policy: Vec<At<String>>,
    /// The first is the default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Certificate>,
    /// For requests that no rule matches.
    pub default_actions: Vec<At<Action>>,
    /// The attributes that are set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listener_attributes: Vec<ListenerAttribute>,
    /// Its load balancer.
    #[serde(rename = "loadBalancerARN")]
    pub load_balancer: Reference,
    /// Client certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutual_authentication: Option<At<MutualAuthentication>>,
    /// Its port.
    pub port: At<u16>,
    /// `HTTP`, `HTTPS`, `TCP`, `TLS`, `UDP`, ...
    pub protocol: At<String>,
    /// HTTPS and TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_policy: Option<At<String>>,
    /// Its tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// A certificate of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Its ARN, or what stands for that of a certificate that the controller creates.
    #[serde(rename = "certificateARN", serialize_with = "created")]
    pub arn: At<String>,
}

/// Writes the ARN of a certificate that the stack makes as a reference.
fn created<S: Serializer>(arn: &At<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match arn.strip_prefix(super::CREATED) {
        Some(id) => Reference::certificate(id).serialize(serializer),
        None => arn.serialize(serializer),
    }
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
    /// Whether expired certificates are accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_client_certificate_expiry: Option<bool>,
    /// `off`, `passthrough`, `verify`.
    pub mode: String,
    /// The ARN of the trust store, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_store_arn: Option<String>,
}

/// A rule of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerRule {
    /// Its actions.
    pub actions: Vec<At<Action>>,
    /// Its conditions. Their origin as a whole is the annotation that adds some, else the path.
    pub conditions: At<Vec<At<Value>>>,
    /// Its listener.
    #[serde(rename = "listenerARN")]
    pub listener: Reference,
    /// Its place among the rules.
    pub priority: usize,
    /// Its tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Its transforms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<At<Value>>,
    /// Where its path was written; not printed.
    #[serde(skip)]
    pub origin: Origin,
}

/// An action of a listener or a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// To target groups.
    Forward(Forward),
    /// Any other action.
    Other {
        /// `redirect`, `fixed-response`, ...
        kind: &'static str,
        /// `redirectConfig`, ...
        config: &'static str,
        /// The configuration.
        value: Value,
        /// The Secret with the credentials of an OIDC client, by namespace and name.
        secret: Option<(String, String)>,
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
                ..
            } => json!({(*config): value, "type": kind}),
        }
        .serialize(serializer)
    }
}

/// To target groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// Each with its weight.
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
    /// For how long, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i32>,
    /// Whether it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

//! TargetGroupBinding: registers a Service's endpoints with a target group.
#![allow(
    clippy::duplicated_attributes,
    reason = "columns share their types, and each is an attribute of its own"
)]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NumberOrName;

/// A macro, because all versions have the same columns of `kubectl get targetgroupbindings` and share them in no other way.
macro_rules! binding {
    ($version:literal, $status:literal, $(#[$rule:meta])* { $($fields:tt)* }) => {
        /// The Service and the target group that its endpoints are registered with.
        #[derive(Clone, Debug, Deserialize, Serialize, CustomResource, KubeSchema)]
        #[kube(
            group = "elbv2.k8s.aws",
            version = $version,
            kind = "TargetGroupBinding",
            namespaced,
            status = $status,
            doc = "Registers the endpoints of a Service with a target group.",
            printcolumn(name = "SERVICE-NAME", type_ = "string", json_path = ".spec.serviceRef.name", description = "The Service"),
            printcolumn(name = "SERVICE-PORT", type_ = "string", json_path = ".spec.serviceRef.port", description = "The Service's port"),
            printcolumn(name = "TARGET-TYPE", type_ = "string", json_path = ".spec.targetType", description = "The target group's target type"),
            printcolumn(name = "ARN", type_ = "string", json_path = ".spec.targetGroupARN", description = "The target group's ARN", priority = 1),
            printcolumn(name = "NAME", type_ = "string", json_path = ".spec.targetGroupName", description = "The target group's name", priority = 2),
            printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
        )]
        #[serde(rename_all = "camelCase")]
        $(#[$rule])*
        pub(crate) struct TargetGroupBindingSpec {
            /// The target group's ARN.
            #[serde(rename = "targetGroupARN")]
            target_group_arn: Option<String>,
            /// The target group's name.
            target_group_name: Option<String>,
            /// instance or ip; defaults to that of the target group.
            target_type: Option<super::TargetType>,
            /// The Service and its port.
            service_ref: super::ServiceReference,
            /// Who may reach the targets.
            networking: Option<super::Networking>,
            /// Whether targets of other clusters in the target group are left alone.
            multi_cluster_target_group: Option<bool>,
            /// The role to assume if the target group belongs to another account.
            iam_role_arn_to_assume: Option<String>,
            /// The external id to assume that role with.
            assume_role_external_id: Option<String>,
            $($fields)*
        }
    };
}

/// v1beta1, the stored version.
pub(crate) mod beta {
    use kube::{CustomResource, KubeSchema};
    use serde::{Deserialize, Serialize};

    binding!("v1beta1", "super::TargetGroupBindingStatus",
        #[x_kube(validation = Rule::new("has(self.targetGroupARN) || has(self.targetGroupName)")
            .message("targetGroupARN or targetGroupName is required"))]
        #[x_kube(validation = Rule::new("!has(oldSelf.targetGroupARN) || has(self.targetGroupARN) && self.targetGroupARN == oldSelf.targetGroupARN")
            .message("targetGroupARN is immutable: create another TargetGroupBinding"))]
        #[x_kube(validation = Rule::new("!has(oldSelf.targetType) || has(self.targetType) && self.targetType == oldSelf.targetType")
            .message("targetType is immutable: create another TargetGroupBinding"))]
        #[x_kube(validation = Rule::new("!has(oldSelf.ipAddressType) || has(self.ipAddressType) && self.ipAddressType == oldSelf.ipAddressType")
            .message("ipAddressType is immutable: create another TargetGroupBinding"))]
        #[x_kube(validation = Rule::new("!has(oldSelf.vpcID) || has(self.vpcID) && self.vpcID == oldSelf.vpcID")
            .message("vpcID is immutable: create another TargetGroupBinding"))]
        {
            /// Selects the nodes that may be targets of type instance.
            node_selector: Option<super::super::LabelSelector>,
            /// ipv4 or ipv6; defaults to that of the target group.
            ip_address_type: Option<super::TargetIpAddressType>,
            /// The VPC of the target group.
            #[serde(rename = "vpcID")]
            vpc_id: Option<String>,
            /// The protocol of the target group.
            target_group_protocol: Option<super::TargetGroupProtocol>,
        }
    );
}

/// v1alpha1, for old objects.
pub(crate) mod alpha {
    use kube::{CustomResource, KubeSchema};
    use serde::{Deserialize, Serialize};

    binding!("v1alpha1", "super::AlphaStatus", {});
}

/// The target type of a target group.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TargetType {
    Instance,
    Ip,
}

/// The address family of targets.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TargetIpAddressType {
    Ipv4,
    Ipv6,
}

/// The protocol of a target group.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TargetGroupProtocol {
    Http,
    Https,
    Tcp,
    Tls,
    Udp,
    TcpUdp,
    Quic,
    TcpQuic,
}

/// A port of a Service.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct ServiceReference {
    /// The Service.
    name: String,
    /// Its port, by number or name.
    port: NumberOrName,
}

/// Access to the targets.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Networking {
    /// Inbound rules.
    ingress: Option<Vec<IngressRule>>,
}

/// Peers, and the ports that they may use.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct IngressRule {
    /// The peers.
    from: Vec<Peer>,
    /// The ports; all TCP ports if empty.
    ports: Vec<PeerPort>,
}

/// A peer: an address range or a security group.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Peer {
    /// The address range.
    ip_block: Option<IpBlock>,
    /// A security group.
    security_group: Option<SecurityGroup>,
}

/// An address range.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct IpBlock {
    /// The range in CIDR notation, IPv4 or IPv6.
    cidr: String,
}

/// A security group.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct SecurityGroup {
    /// Its id.
    #[serde(rename = "groupID")]
    group_id: String,
}

/// A port that peers may use.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct PeerPort {
    /// Defaults to TCP.
    protocol: Option<PeerProtocol>,
    /// Defaults to all ports.
    port: Option<NumberOrName>,
}

/// The transport protocol of a peer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum PeerProtocol {
    Tcp,
    Udp,
}

/// The status that the controller writes.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TargetGroupBindingStatus {
    /// The generation of the spec that the controller has applied.
    observed_generation: Option<i64>,
    /// Why the last step failed, as the controller reports it.
    conditions: Option<Vec<super::Condition>>,
}

/// The status in v1alpha1.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlphaStatus {
    /// The generation of the spec that the controller has applied.
    observed_generation: Option<i64>,
}

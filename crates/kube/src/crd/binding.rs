//! TargetGroupBinding: a Service whose endpoints are targets of a target group.
#![allow(
    clippy::duplicated_attributes,
    reason = "columns share their types, and each is an attribute of its own"
)]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NumberOrName;

/// The columns of `kubectl get targetgroupbindings` are the same for all versions, and an attribute cannot be shared otherwise.
macro_rules! binding {
    ($version:literal, $(#[$rule:meta])* { $($fields:tt)* }) => {
        /// Which Service's endpoints are targets of which target group.
        #[derive(Clone, Debug, Deserialize, Serialize, CustomResource, KubeSchema)]
        #[kube(
            group = "elbv2.k8s.aws",
            version = $version,
            kind = "TargetGroupBinding",
            namespaced,
            status = "super::TargetGroupBindingStatus",
            doc = "A Service whose endpoints are targets of a target group.",
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
            /// instance or ip; that of the target group when it is not there.
            target_type: Option<super::TargetType>,
            /// The Service and its port.
            service_ref: super::ServiceReference,
            /// Who may reach the targets.
            networking: Option<super::Networking>,
            /// Whether target groups of other clusters' targets are left as they are.
            multi_cluster_target_group: Option<bool>,
            /// The role to take when the target group is of another account.
            iam_role_arn_to_assume: Option<String>,
            /// The external id with which that role is taken.
            assume_role_external_id: Option<String>,
            $($fields)*
        }
    };
}

/// v1beta1, which is stored.
pub(crate) mod beta {
    use kube::{CustomResource, KubeSchema};
    use serde::{Deserialize, Serialize};

    binding!("v1beta1",
        #[x_kube(validation = Rule::new("has(self.targetGroupARN) || has(self.targetGroupName)")
            .message("a TargetGroupBinding has targetGroupARN or targetGroupName"))]
        #[x_kube(validation = Rule::new("!has(oldSelf.targetGroupARN) || has(self.targetGroupARN) && self.targetGroupARN == oldSelf.targetGroupARN")
            .message("targetGroupARN cannot be changed: make another TargetGroupBinding"))]
        #[x_kube(validation = Rule::new("!has(oldSelf.targetType) || has(self.targetType) && self.targetType == oldSelf.targetType")
            .message("targetType cannot be changed: make another TargetGroupBinding"))]
        #[x_kube(validation = Rule::new("!has(oldSelf.ipAddressType) || has(self.ipAddressType) && self.ipAddressType == oldSelf.ipAddressType")
            .message("ipAddressType cannot be changed: make another TargetGroupBinding"))]
        #[x_kube(validation = Rule::new("!has(oldSelf.vpcID) || has(self.vpcID) && self.vpcID == oldSelf.vpcID")
            .message("vpcID cannot be changed: make another TargetGroupBinding"))]
        {
            /// The nodes that may be targets, where they are nodes.
            node_selector: Option<super::super::LabelSelector>,
            /// ipv4 or ipv6; that of the target group when it is not there.
            ip_address_type: Option<super::TargetIpAddressType>,
            /// The VPC of the target group.
            #[serde(rename = "vpcID")]
            vpc_id: Option<String>,
            /// The protocol of the target group.
            target_group_protocol: Option<super::TargetGroupProtocol>,
        }
    );
}

/// v1alpha1, which old objects are of.
pub(crate) mod alpha {
    use kube::{CustomResource, KubeSchema};
    use serde::{Deserialize, Serialize};

    binding!("v1alpha1", {});
}

/// What the targets of a target group are.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TargetType {
    Instance,
    Ip,
}

/// The addresses of targets.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TargetIpAddressType {
    Ipv4,
    Ipv6,
}

/// What a target group speaks.
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

/// Who may reach targets.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Networking {
    /// What is let in.
    ingress: Option<Vec<IngressRule>>,
}

/// Peers, and the ports that they may reach.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct IngressRule {
    /// The peers.
    from: Vec<Peer>,
    /// The ports; all TCP ports when there are none.
    ports: Vec<PeerPort>,
}

/// A peer: addresses or a security group.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Peer {
    /// Addresses.
    ip_block: Option<IpBlock>,
    /// A security group.
    security_group: Option<SecurityGroup>,
}

/// Addresses.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct IpBlock {
    /// Their range, IPv4 or IPv6.
    cidr: String,
}

/// A security group.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct SecurityGroup {
    /// Its id.
    #[serde(rename = "groupID")]
    group_id: String,
}

/// A port that peers may reach.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct PeerPort {
    /// TCP when it is not there.
    protocol: Option<PeerProtocol>,
    /// All ports when it is not there.
    port: Option<NumberOrName>,
}

/// What a peer may speak.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum PeerProtocol {
    Tcp,
    Udp,
}

/// How far the controller has come.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TargetGroupBindingStatus {
    /// The generation of the spec that is in force.
    observed_generation: Option<i64>,
}

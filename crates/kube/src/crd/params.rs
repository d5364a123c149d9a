//! IngressClassParams: settings that override the annotations of all Ingresses of a class.
#![allow(
    clippy::duplicated_attributes,
    reason = "columns share their types, and each is an attribute of its own"
)]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KeyValue, LabelSelector};

/// Settings for all Ingresses of the classes that reference this object; each overrides the annotation of the same name.
#[derive(Clone, Debug, Deserialize, Serialize, CustomResource, KubeSchema)]
#[kube(
    group = "elbv2.k8s.aws",
    version = "v1beta1",
    kind = "IngressClassParams",
    plural = "ingressclassparams",
    singular = "ingressclassparam",
    doc = "Settings for all Ingresses of the classes that reference this object.",
    printcolumn(
        name = "GROUP-NAME",
        type_ = "string",
        json_path = ".spec.group.name",
        description = "The IngressGroup's name"
    ),
    printcolumn(
        name = "SCHEME",
        type_ = "string",
        json_path = ".spec.scheme",
        description = "The load balancer's scheme"
    ),
    printcolumn(
        name = "IP-ADDRESS-TYPE",
        type_ = "string",
        json_path = ".spec.ipAddressType",
        description = "The load balancer's IP address type"
    ),
    printcolumn(
        name = "AGE",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[x_kube(validation = Rule::new("!(has(self.prefixListsIDs) && has(self.PrefixListsIDs))")
    .message("prefixListsIDs and PrefixListsIDs are the same field: set only prefixListsIDs"))]
#[serde(rename_all = "camelCase")]
pub(crate) struct IngressClassParamsSpec {
    /// The load balancer's name.
    load_balancer_name: Option<String>,
    /// The ARNs of the certificates; the first is the default.
    certificate_arn: Option<Vec<String>>,
    /// The namespaces that may use the class; all if absent or empty.
    namespace_selector: Option<LabelSelector>,
    /// The IngressGroup of all Ingresses of the class.
    group: Option<IngressGroup>,
    /// internal or internet-facing.
    scheme: Option<Scheme>,
    /// The address ranges that may connect to the load balancer.
    #[serde(rename = "inboundCIDRs")]
    inbound_cidrs: Option<Vec<String>>,
    /// The security policy of HTTPS listeners.
    ssl_policy: Option<String>,
    /// The HTTPS port that HTTP listeners redirect to.
    ssl_redirect_port: Option<String>,
    /// The subnets of the load balancer.
    subnets: Option<SubnetSelector>,
    /// ipv4, dualstack or dualstack-without-public-ipv4.
    ip_address_type: Option<IpAddressType>,
    /// Tags for all created resources.
    tags: Option<Vec<KeyValue>>,
    /// instance or ip.
    target_type: Option<super::binding::TargetType>,
    /// Attributes of the load balancer.
    load_balancer_attributes: Option<Vec<KeyValue>>,
    /// Attributes of listeners.
    listeners: Option<Vec<Listener>>,
    /// The reserved capacity.
    minimum_load_balancer_capacity: Option<MinimumLoadBalancerCapacity>,
    /// The IPAM pool of the load balancer's addresses.
    ipam_configuration: Option<IpamConfiguration>,
    /// Prefix lists of the managed security group.
    #[serde(rename = "prefixListsIDs")]
    prefix_lists: Option<Vec<String>>,
    /// The older name of prefixListsIDs.
    #[serde(rename = "PrefixListsIDs")]
    prefix_lists_legacy: Option<Vec<String>>,
    /// The ARN of the web ACL.
    #[serde(rename = "wafv2AclArn")]
    waf_acl_arn: Option<String>,
    /// The name of the web ACL.
    #[serde(rename = "wafv2AclName")]
    waf_acl_name: Option<String>,
}

/// An IngressGroup.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct IngressGroup {
    /// The group's name.
    name: String,
}

/// The scheme of a load balancer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scheme {
    Internal,
    InternetFacing,
}

/// The IP address type of a load balancer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum IpAddressType {
    Ipv4,
    Dualstack,
    DualstackWithoutPublicIpv4,
}

/// Subnets, by id or by tags.
#[derive(Clone, Debug, Deserialize, Serialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.ids) != has(self.tags)").message("set either ids or tags of subnets"))]
pub(crate) struct SubnetSelector {
    /// Subnet ids.
    #[schemars(length(min = 1), inner(regex(pattern = r"subnet-[0-9a-f]+")))]
    ids: Option<Vec<String>>,
    /// Tags with their accepted values.
    tags: Option<BTreeMap<String, Vec<String>>>,
}

/// A listener.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listener {
    /// Its protocol.
    protocol: Option<String>,
    /// Its port.
    port: Option<i32>,
    /// Its attributes.
    listener_attributes: Option<Vec<KeyValue>>,
}

/// Reserved capacity.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MinimumLoadBalancerCapacity {
    /// In load balancer capacity units.
    capacity_units: i32,
}

/// The source of addresses.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct IpamConfiguration {
    /// The id of the IPv4 pool.
    #[serde(rename = "ipv4IPAMPoolId")]
    ipv4_pool: Option<String>,
}

//! IngressClassParams: what wins over the annotations of all Ingresses of a class.
#![allow(
    clippy::duplicated_attributes,
    reason = "columns share their types, and each is an attribute of its own"
)]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KeyValue, LabelSelector};

/// What holds for all Ingresses of the classes that name this object; each field wins over the annotation of its name.
#[derive(Clone, Debug, Deserialize, Serialize, CustomResource, KubeSchema)]
#[kube(
    group = "elbv2.k8s.aws",
    version = "v1beta1",
    kind = "IngressClassParams",
    plural = "ingressclassparams",
    singular = "ingressclassparam",
    doc = "What holds for all Ingresses of the classes that name this object.",
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
    .message("prefixListsIDs and PrefixListsIDs are one field: have the first of them only"))]
#[serde(rename_all = "camelCase")]
pub(crate) struct IngressClassParamsSpec {
    /// The load balancer's name.
    load_balancer_name: Option<String>,
    /// The ARNs of the certificates; the first is the default.
    certificate_arn: Option<Vec<String>>,
    /// The namespaces whose Ingresses may be of the class; all when there is none or when it is empty.
    namespace_selector: Option<LabelSelector>,
    /// The IngressGroup that all Ingresses of the class are in.
    group: Option<IngressGroup>,
    /// internal or internet-facing.
    scheme: Option<Scheme>,
    /// The address ranges that may connect.
    #[serde(rename = "inboundCIDRs")]
    inbound_cidrs: Option<Vec<String>>,
    /// The security policy of HTTPS listeners.
    ssl_policy: Option<String>,
    /// The HTTPS port that HTTP listeners redirect to.
    ssl_redirect_port: Option<String>,
    /// The subnets that the load balancer is in.
    subnets: Option<SubnetSelector>,
    /// ipv4, dualstack or dualstack-without-public-ipv4.
    ip_address_type: Option<IpAddressType>,
    /// Tags for all that is made.
    tags: Option<Vec<KeyValue>>,
    /// instance or ip.
    target_type: Option<super::binding::TargetType>,
    /// Attributes of the load balancer.
    load_balancer_attributes: Option<Vec<KeyValue>>,
    /// Attributes of listeners.
    listeners: Option<Vec<Listener>>,
    /// The capacity that is reserved.
    minimum_load_balancer_capacity: Option<MinimumLoadBalancerCapacity>,
    /// Where the load balancer's addresses come from.
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

/// Where a load balancer is reached from.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scheme {
    Internal,
    InternetFacing,
}

/// The addresses of a load balancer.
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
#[x_kube(validation = Rule::new("has(self.ids) != has(self.tags)").message("subnets has ids or tags, and not both"))]
pub(crate) struct SubnetSelector {
    /// Their ids.
    #[schemars(length(min = 1), inner(regex(pattern = r"subnet-[0-9a-f]+")))]
    ids: Option<Vec<String>>,
    /// Tags and the values that each may have.
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

/// Capacity that is reserved.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MinimumLoadBalancerCapacity {
    /// In load balancer capacity units.
    capacity_units: i32,
}

/// Where addresses come from.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct IpamConfiguration {
    /// The pool of IPv4 addresses.
    #[serde(rename = "ipv4IPAMPoolId")]
    ipv4_pool: Option<String>,
}

//! IngressClass and IngressClassParams.

use std::collections::BTreeMap;

use super::{Meta, service::text_map};
use crate::annotations::other::DEFAULT_CLASS;
use crate::object::Object;
use crate::view::View;

/// The API group of IngressClassParams and TargetGroupBindings of EKS Auto Mode.
pub(crate) const AUTO_MODE: &str = "eks.amazonaws.com";

/// An IngressClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressClass {
    /// Name, annotations, place.
    pub meta: Meta,
    /// `spec.controller`.
    pub controller: String,
    /// `spec.parameters`: API group, kind and name.
    pub parameters: Option<(String, String, String)>,
}

impl IngressClass {
    /// Reads an IngressClass.
    pub fn read(object: &Object, view: &View<'_>) -> Self {
        let spec = view.get("spec");
        let text = |view: View<'_>| view.text().unwrap_or_default().to_owned();
        let parameters = spec.get("parameters");
        Self {
            meta: Meta::read(object, view),
            controller: text(spec.get("controller")),
            parameters: (!parameters.is_absent()).then(|| {
                (
                    text(parameters.get("apiGroup")),
                    text(parameters.get("kind")),
                    text(parameters.get("name")),
                )
            }),
        }
    }

    /// Whether Ingresses without a class get this one.
    pub fn is_default(&self) -> bool {
        self.meta
            .annotations
            .get(DEFAULT_CLASS.key)
            .is_some_and(|annotation| annotation.value == "true")
    }
}

/// IngressClassParams, which override the annotations of all Ingresses of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressClassParams {
    /// Name, place.
    pub meta: Meta,
    /// Whether they are those of EKS Auto Mode.
    pub is_auto: bool,
    /// `spec.loadBalancerName`.
    pub load_balancer_name: Option<String>,
    /// `spec.certificateArn`.
    pub certificate_arns: Vec<String>,
    /// `spec.namespaceSelector`, labels that must match; `None` matches every namespace.
    pub namespace_selector: Option<Selector>,
    /// `spec.group.name`.
    pub group: Option<String>,
    /// `spec.scheme`.
    pub scheme: Option<String>,
    /// `spec.inboundCIDRs`.
    pub inbound_cidrs: Vec<String>,
    /// `spec.sslPolicy`.
    pub ssl_policy: Option<String>,
    /// `spec.sslRedirectPort`.
    pub ssl_redirect_port: Option<String>,
    /// `spec.subnets`.
    pub subnets: Option<SubnetSelector>,
    /// `spec.ipAddressType`.
    pub ip_address_type: Option<String>,
    /// `spec.tags`.
    pub tags: BTreeMap<String, String>,
    /// `spec.targetType`.
    pub target_type: Option<String>,
    /// `spec.loadBalancerAttributes`.
    pub load_balancer_attributes: BTreeMap<String, String>,
    /// `spec.listeners`.
    pub listeners: Vec<ParamsListener>,
    /// `spec.minimumLoadBalancerCapacity.capacityUnits`.
    pub minimum_capacity: Option<u32>,
    /// `spec.ipamConfiguration.ipv4IPAMPoolId`.
    pub ipam_pool: Option<String>,
    /// `spec.prefixListsIDs`.
    pub prefix_lists: Vec<String>,
    /// `spec.wafv2AclArn`.
    pub waf_acl_arn: Option<String>,
    /// `spec.wafv2AclName`.
    pub waf_acl_name: Option<String>,
}

/// A label selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// `matchLabels`.
    pub labels: BTreeMap<String, String>,
    /// `matchExpressions`: key, operator, values.
    pub expressions: Vec<(String, String, Vec<String>)>,
}

impl Selector {
    pub(super) fn read(view: &View<'_>) -> Self {
        let text = |view: View<'_>| view.text().unwrap_or_default().to_owned();
        let expression = |view: &View<'_>| {
            (
                text(view.get("key")),
                text(view.get("operator")),
                view.get("values").texts(),
            )
        };
        let expressions = view.get("matchExpressions").items();
        Self {
            labels: text_map(&view.get("matchLabels")),
            expressions: expressions.iter().map(expression).collect(),
        }
    }

    /// Whether an object with these labels is chosen.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let equal = |(key, value): (&String, &String)| labels.get(key) == Some(value);
        let holds = |(key, operator, values): &(String, String, Vec<String>)| {
            let value = labels.get(key);
            let listed = value.is_some_and(|value| values.contains(value));
            match &operator[..] {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        };
        self.labels.iter().all(equal) && self.expressions.iter().all(holds)
    }
}

/// `spec.subnets` of IngressClassParams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubnetSelector {
    /// By id.
    Ids(Vec<String>),
    /// By tags: each key with its possible values.
    Tags(BTreeMap<String, Vec<String>>),
}

/// A listener of IngressClassParams: attributes for a protocol and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamsListener {
    /// `HTTP` or `HTTPS`.
    pub protocol: String,
    /// Its port.
    pub port: u16,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
}

impl IngressClassParams {
    /// The key in an inventory: the parameters of EKS Auto Mode have names of their own.
    pub fn key_of(is_auto: bool, name: &str) -> String {
        if is_auto {
            format!("{}/{name}", AUTO_MODE)
        } else {
            name.to_owned()
        }
    }

    /// Reads IngressClassParams of either API group.
    pub fn read(object: &Object, view: &View<'_>) -> Self {
        let is_auto = object.group() == AUTO_MODE;
        let certificates = if is_auto {
            "certificateARNs"
        } else {
            "certificateArn"
        };
        let spec = view.get("spec");
        let text = |name: &str| spec.get(name).text().map(str::to_owned);
        let selector = spec.get("namespaceSelector");
        let listeners = spec.get("listeners").items();
        let capacity = spec.get("minimumLoadBalancerCapacity");
        let ipam = spec.get("ipamConfiguration").get("ipv4IPAMPoolId");
        let mut prefix_lists = spec.get("prefixListsIDs").texts();
        prefix_lists.extend(spec.get("PrefixListsIDs").texts());
        Self {
            meta: Meta::read(object, view),
            load_balancer_name: text("loadBalancerName"),
            is_auto,
            certificate_arns: spec.get(certificates).texts(),
            namespace_selector: (!selector.is_absent()).then(|| Selector::read(&selector)),
            group: spec.get("group").get("name").text().map(str::to_owned),
            scheme: text("scheme"),
            inbound_cidrs: spec.get("inboundCIDRs").texts(),
            ssl_policy: text("sslPolicy").filter(|policy| !policy.is_empty()),
            ssl_redirect_port: text("sslRedirectPort").filter(|port| !port.is_empty()),
            subnets: subnets(&spec.get("subnets")),
            ip_address_type: text("ipAddressType"),
            tags: key_values(&spec.get("tags")),
            target_type: text("targetType").filter(|kind| !kind.is_empty()),
            load_balancer_attributes: key_values(&spec.get("loadBalancerAttributes")),
            listeners: listeners.iter().filter_map(listener).collect(),
            minimum_capacity: capacity.get("capacityUnits").number(),
            ipam_pool: ipam.text().map(str::to_owned),
            prefix_lists,
            waf_acl_arn: text("wafv2AclArn"),
            waf_acl_name: text("wafv2AclName"),
        }
    }
}

fn subnets(view: &View<'_>) -> Option<SubnetSelector> {
    if view.is_absent() {
        return None;
    }
    let ids = view.get("ids");
    if !ids.is_absent() {
        return Some(SubnetSelector::Ids(ids.texts()));
    }
    let matched = view.get("matchTags");
    if !matched.is_absent() {
        let tag = |view: &View<'_>| {
            let key = view.get("key").text()?.to_owned();
            Some((key, view.get("values").texts()))
        };
        let tags = matched.items();
        return Some(SubnetSelector::Tags(tags.iter().filter_map(tag).collect()));
    }
    let tags = view.get("tags").fields().into_iter();
    let tag = |(key, values): (&elbow_yaml::Key, View<'_>)| (key.name.clone(), values.texts());
    Some(SubnetSelector::Tags(tags.map(tag).collect()))
}

fn listener(view: &View<'_>) -> Option<ParamsListener> {
    Some(ParamsListener {
        protocol: view.get("protocol").text()?.to_owned(),
        port: view.get("port").number()?,
        attributes: key_values(&view.get("listenerAttributes")),
    })
}

/// A list of `{key, value}`.
fn key_values(view: &View<'_>) -> BTreeMap<String, String> {
    let pair = |view: &View<'_>| {
        let value = view.get("value").text().unwrap_or_default().to_owned();
        Some((view.get("key").text()?.to_owned(), value))
    };
    view.items().iter().filter_map(pair).collect()
}

//! The report of a plan. `-o json` and `-o yaml` print it; tree and table are built from it. `docs/plan.md` documents
//! it: fields may be added but not changed.

use std::collections::BTreeMap;

use elbow_manifest::quota::Usage;
use elbow_model::diagnostic::{Diagnostic, Severity};
use serde::Serialize;

use super::changes::Changes;
use crate::explained::Explained;

/// The whole report.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// The number of resources and diagnostics.
    pub(crate) summary: Summary,
    /// In the order of their ids.
    pub(crate) stacks: Vec<Stack>,
    /// The usage of AWS's quotas for a region, over all stacks.
    pub(crate) quotas: Vec<Usage>,
    /// All errors, warnings and notes.
    pub(crate) diagnostics: Vec<Found>,
    /// The changes to a running elbow; `null` when there was no comparison.
    pub(crate) changes: Option<Changes>,
}

/// The number of resources and diagnostics.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) stacks: usize,
    pub(crate) load_balancers: usize,
    pub(crate) listeners: usize,
    pub(crate) rules: usize,
    pub(crate) target_groups: usize,
    pub(crate) services: usize,
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
    pub(crate) notes: usize,
}

/// The resources of one IngressGroup, Service or Tenant.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stack {
    /// `namespace/name`, or the name of the group.
    pub(crate) id: String,
    /// `kind/namespace/name` of the objects that it is built from.
    pub(crate) objects: Vec<String>,
    pub(crate) load_balancers: Vec<LoadBalancer>,
    pub(crate) target_groups: Vec<TargetGroup>,
    /// The generated security groups.
    pub(crate) security_groups: Vec<SecurityGroup>,
    /// The Services that MinIO's operator creates for a Tenant.
    pub(crate) services: Vec<Service>,
    pub(crate) quotas: Vec<Usage>,
}

/// A load balancer.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoadBalancer {
    pub(crate) name: String,
    /// `application`, `network`, `classic`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) scheme: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_address_type: Option<String>,
    /// The shape of the DNS name that AWS assigns.
    pub(crate) dns_name: String,
    pub(crate) subnets: Vec<Subnet>,
    /// Ids of existing security groups and names of generated ones.
    pub(crate) security_groups: Vec<String>,
    /// The attributes that differ from AWS's defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    /// The health check as text; Classic Load Balancers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health_check: Option<String>,
    /// The number of known instances; Classic Load Balancers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instances: Option<usize>,
    pub(crate) listeners: Vec<Listener>,
}

/// A subnet of a load balancer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subnet {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) availability_zone: Option<String>,
    /// An Elastic IP address, or an address from the subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
}

/// A listener.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listener {
    pub(crate) port: u16,
    pub(crate) protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ssl_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alpn_policy: Option<String>,
    /// The first one is the default certificate.
    pub(crate) certificates: Vec<String>,
    /// The verification of client certificates as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mutual_authentication: Option<String>,
    /// The attributes that differ from AWS's defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    /// In the order of their priorities, the last of which is `default`; empty for Classic listeners.
    pub(crate) rules: Vec<Rule>,
    /// The protocol and port of instances; Classic listeners only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
}

/// A rule as text.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rule {
    pub(crate) priority: String,
    pub(crate) conditions: Vec<String>,
    pub(crate) transforms: Vec<String>,
    pub(crate) actions: Vec<String>,
}

/// A target group.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TargetGroup {
    pub(crate) name: String,
    pub(crate) protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<i32>,
    pub(crate) target_type: String,
    pub(crate) ip_address_type: String,
    /// `namespace/name:port` of the Service whose endpoints or node ports are its targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    /// `name:port` of the Application Load Balancer that is its target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) load_balancer: Option<String>,
    /// The number of known targets.
    pub(crate) targets: usize,
    /// The health check as text.
    pub(crate) health_check: String,
    /// The attributes that differ from AWS's defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Labels that a node needs to be a target.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) node_labels: BTreeMap<String, String>,
}

/// A generated security group.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecurityGroup {
    pub(crate) name: String,
    /// The ingress rules as text.
    pub(crate) ingress: Vec<String>,
}

/// A Service of a Tenant.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Service {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// `443 -> 9000 (https-minio)`.
    pub(crate) ports: Vec<String>,
}

/// A diagnostic and its stack.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    /// `None` when the diagnostic belongs to no stack of the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stack: Option<String>,
    /// The index of that stack in the report: ids are not unique.
    #[serde(skip)]
    pub(crate) index: Option<usize>,
    #[serde(flatten)]
    pub(crate) explained: Explained,
}

impl Summary {
    /// Counts the resources of `stacks` and the diagnostics in `found`.
    pub(crate) fn of(stacks: &[Stack], found: &[Diagnostic]) -> Self {
        let balancers = || stacks.iter().flat_map(|stack| &stack.load_balancers);
        let listeners = || balancers().flat_map(|balancer| &balancer.listeners);
        let count = |severity| found.iter().filter(|one| one.severity == severity).count();
        Self {
            stacks: stacks.len(),
            load_balancers: balancers().count(),
            listeners: listeners().count(),
            rules: listeners().map(|listener| listener.rules.len()).sum(),
            target_groups: stacks.iter().map(|stack| stack.target_groups.len()).sum(),
            services: stacks.iter().map(|stack| stack.services.len()).sum(),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
        }
    }
}

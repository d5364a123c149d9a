//! What a plan is, for machines: `-o json` and `-o yaml` print it, tree and table are made of it.
//! `docs/plan.md` describes it for users: adding is free, changing is not.

use std::collections::BTreeMap;

use elbow_manifest::quota::Usage;
use elbow_model::diagnostic::{Diagnostic, Severity};
use serde::Serialize;

use super::changes::Changes;

/// All of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// How much of what.
    pub(crate) summary: Summary,
    /// By id.
    pub(crate) stacks: Vec<Stack>,
    /// What all stacks use together of what AWS limits for a region.
    pub(crate) quotas: Vec<Usage>,
    /// Everything that is wrong or worth knowing.
    pub(crate) diagnostics: Vec<Found>,
    /// What would change at a running elbow; `null`: none was asked.
    pub(crate) changes: Option<Changes>,
}

/// How much of what.
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

/// What one IngressGroup, Service or Tenant becomes.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stack {
    /// `namespace/name`, or the name of the group.
    pub(crate) id: String,
    /// `kind/namespace/name` of what it is made of.
    pub(crate) objects: Vec<String>,
    pub(crate) load_balancers: Vec<LoadBalancer>,
    pub(crate) target_groups: Vec<TargetGroup>,
    /// Those that are made.
    pub(crate) security_groups: Vec<SecurityGroup>,
    /// The Services that MinIO's operator makes of a Tenant.
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
    /// The shape of the name that AWS gives it.
    pub(crate) dns_name: String,
    pub(crate) subnets: Vec<Subnet>,
    /// Ids, and names of those that are made.
    pub(crate) security_groups: Vec<String>,
    /// Those that differ from AWS's defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Classic: in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health_check: Option<String>,
    /// Classic: how many are known.
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
    /// An elastic address, or one inside the subnet.
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
    /// The first is the default.
    pub(crate) certificates: Vec<String>,
    /// How client certificates are taken, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mutual_authentication: Option<String>,
    /// Those that differ from AWS's defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    /// By priority; that of the default is `default`. None of a Classic listener.
    pub(crate) rules: Vec<Rule>,
    /// Classic: to the instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
}

/// A rule, in words.
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
    /// How many are known.
    pub(crate) targets: usize,
    /// In words.
    pub(crate) health_check: String,
    /// Those that differ from AWS's defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Labels of the nodes that may be targets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) node_labels: BTreeMap<String, String>,
}

/// A security group that is made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecurityGroup {
    pub(crate) name: String,
    /// Who may come in, and where: in words.
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

/// A finding, and the stack that it is about.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    /// `None`: of no stack that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stack: Option<String>,
    #[serde(flatten)]
    pub(crate) diagnostic: Diagnostic,
}

impl Summary {
    /// Counts.
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

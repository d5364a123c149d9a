//! A stack: the AWS resources of one IngressGroup, Service or Tenant, in the form that the controller prints.

use std::collections::BTreeMap;

use elbow_model::Origin;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

mod classic;
mod conditions;
mod spec;
mod target_group;

pub use classic::*;
pub(crate) use conditions::{condition, text, transform};
pub use spec::*;
pub use target_group::*;

/// All resources of one IngressGroup or Service, by id. Large ones are boxed: a map has room for several in each node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// `namespace/name`, or the name of the group.
    pub id: String,
    /// Namespaces and names of the Ingresses that it is made from, in order; empty for a Service.
    pub members: Vec<(String, String)>,
    /// `AWS::ElasticLoadBalancing::LoadBalancer`.
    pub classic: Option<ClassicSpec>,
    /// The Ingresses of the group, the Service or the Tenant that it is made from.
    pub origins: Vec<Origin>,
    /// `AWS::EC2::SecurityGroup`.
    pub security_groups: BTreeMap<String, SecurityGroup>,
    /// `AWS::ElasticLoadBalancingV2::LoadBalancer`.
    pub load_balancers: BTreeMap<String, Box<LoadBalancer>>,
    /// `AWS::ElasticLoadBalancingV2::Listener`.
    pub listeners: BTreeMap<String, Box<Listener>>,
    /// `AWS::ElasticLoadBalancingV2::ListenerRule`.
    pub rules: BTreeMap<String, Box<ListenerRule>>,
    /// `AWS::ElasticLoadBalancingV2::TargetGroup`.
    pub target_groups: BTreeMap<String, Box<TargetGroup>>,
    /// `K8S::ElasticLoadBalancingV2::TargetGroupBinding`.
    pub bindings: BTreeMap<String, TargetGroupBinding>,
    /// The listeners that the target groups of type `alb` lead to, by the id of the target group.
    pub alb_targets: BTreeMap<String, AlbTarget>,
    /// Other resources, by type and id.
    pub others: BTreeMap<(String, String), Value>,
}

/// The prefix of a Secret's name in place of a certificate's ARN.
pub(crate) const SECRET: &str = "secret/";
/// The prefix of a host in place of a certificate's ARN: a self-signed certificate.
pub(crate) const OWN: &str = "self-signed/";

/// The prefix of the id of a certificate of the stack in place of a certificate's ARN.
pub(crate) const CREATED: &str = "created/";

const SECURITY_GROUP: &str = "AWS::EC2::SecurityGroup";
const LOAD_BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";
const LISTENER: &str = "AWS::ElasticLoadBalancingV2::Listener";
const LISTENER_RULE: &str = "AWS::ElasticLoadBalancingV2::ListenerRule";
const TARGET_GROUP: &str = "AWS::ElasticLoadBalancingV2::TargetGroup";
pub(crate) const CERTIFICATE: &str = "AWS::ACM::Certificate";
/// The id of the Network Load Balancer in front of an Application Load Balancer.
pub const FRONTEND_NLB: &str = "FrontendNlb";
const FRONTEND: &str = "FrontendNLBTargetGroup";
const CLASSIC: &str = "AWS::ElasticLoadBalancing::LoadBalancer";
const BINDING: &str = "K8S::ElasticLoadBalancingV2::TargetGroupBinding";

impl Stack {
    /// A stack without resources.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    /// A unique key: the stacks of a Service and an Ingress of the same name share an id.
    pub fn key(&self) -> String {
        if self.members.is_empty() {
            Self::key_of_service(&self.id)
        } else {
            Self::key_of_group(&self.id)
        }
    }

    /// The key of the stack of a Service.
    pub(crate) fn key_of_service(id: &str) -> String {
        format!("{id} (Service)")
    }

    /// The key of the stack of an IngressGroup.
    pub(crate) fn key_of_group(id: &str) -> String {
        format!("{id} (Ingress)")
    }

    /// The stack without the Network Load Balancer in front of its Application Load Balancer, and that one alone; `None` if
    /// there is none in front.
    pub(crate) fn in_two(&self) -> Option<(Self, Self)> {
        let balancer = self.load_balancers.get(FRONTEND_NLB)?;
        let mut main = self.clone();
        main.load_balancers.remove(FRONTEND_NLB);
        main.listeners
            .retain(|_, listener| !listener.load_balancer.leads_to(FRONTEND_NLB));
        main.target_groups
            .retain(|id, _| !self.alb_targets.contains_key(id));
        main.alb_targets.clear();
        let of_front = |listener: &Listener| listener.load_balancer.leads_to(FRONTEND_NLB);
        let front = Self {
            id: self.id.clone(),
            members: self.members.clone(),
            origins: self.origins.clone(),
            security_groups: self.security_groups.clone(),
            load_balancers: BTreeMap::from([(FRONTEND_NLB.to_owned(), balancer.clone())]),
            listeners: self
                .listeners
                .iter()
                .filter(|(_, listener)| of_front(listener))
                .map(|(id, listener)| (id.clone(), listener.clone()))
                .collect(),
            target_groups: self
                .target_groups
                .iter()
                .filter(|(id, _)| self.alb_targets.contains_key(*id))
                .map(|(id, group)| (id.clone(), group.clone()))
                .collect(),
            alb_targets: self.alb_targets.clone(),
            ..Self::default()
        };
        Some((main, front))
    }

    /// Adds an object that the stack is made from.
    #[must_use]
    pub fn made_of(mut self, object: Origin) -> Self {
        self.origins.push(object);
        self
    }

    /// The stack as `plan -o stack` prints it: `{"id": ..., "resources": {type: {id: resource}}}`.
    pub fn to_json(&self) -> Value {
        let mut resources = Map::new();
        put(&mut resources, SECURITY_GROUP, &self.security_groups);
        put(&mut resources, LISTENER, &self.listeners);
        put(&mut resources, LISTENER_RULE, &self.rules);
        put(&mut resources, LOAD_BALANCER, &self.load_balancers);
        put(&mut resources, TARGET_GROUP, &self.target_groups);
        if !self.bindings.is_empty() {
            let bindings = self.bindings.iter();
            let binding = |(id, spec): (&String, &TargetGroupBinding)| {
                (id.clone(), json!({"spec": {"template": spec}}))
            };
            let bindings: Map<String, Value> = bindings.map(binding).collect();
            resources.insert(BINDING.to_owned(), bindings.into());
        }
        if let Some(classic) = &self.classic {
            resources.insert(
                CLASSIC.to_owned(),
                json!({"LoadBalancer": {"spec": classic}}),
            );
        }
        if !self.alb_targets.is_empty() {
            let targets = self.alb_targets.iter();
            let targets = targets.filter_map(|(id, to)| self.alb_target(id, to));
            let targets: Map<String, Value> = targets.collect();
            resources.insert(
                FRONTEND.to_owned(),
                json!({(FRONTEND): {"TargetGroups": targets}}),
            );
        }
        for ((kind, id), resource) in &self.others {
            let entry = resources.entry(kind.clone()).or_insert_with(|| json!({}));
            if let Value::Object(entry) = entry {
                entry.insert(id.clone(), resource.clone());
            }
        }
        json!({"id": self.id, "resources": resources})
    }

    /// The target of a group of type `alb`, by the name of the group.
    fn alb_target(&self, id: &str, to: &AlbTarget) -> Option<(String, Value)> {
        let name = &self.target_groups.get(id)?.name;
        let target = json!({
            "ARN": Reference::target_group(id),
            "Name": name,
            "Port": self.target_groups.get(id)?.port,
            "TargetARN": Reference::load_balancer(&to.load_balancer),
            "TargetPort": to.port,
        });
        Some((name.clone(), target))
    }
}

fn put<T: Serialize>(resources: &mut Map<String, Value>, kind: &str, specs: &BTreeMap<String, T>) {
    if specs.is_empty() {
        return;
    }
    let specs: Map<String, Value> = specs
        .iter()
        .map(|(id, spec)| (id.clone(), json!({"spec": spec})))
        .collect();
    resources.insert(kind.to_owned(), specs.into());
}

/// A known id, or the id of a resource of the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A known id.
    Literal(String),
    /// A field of a resource: its type, id and attribute.
    Resource {
        /// The type of the resource.
        kind: &'static str,
        /// Its id.
        id: String,
        /// The field of its status.
        attribute: &'static str,
    },
}

impl Reference {
    /// The ARN of the load balancer `id`.
    pub fn load_balancer(id: impl Into<String>) -> Self {
        Self::to(LOAD_BALANCER, id, "loadBalancerARN")
    }

    /// The ARN of the listener `id`.
    pub fn listener(id: impl Into<String>) -> Self {
        Self::to(LISTENER, id, "listenerARN")
    }

    /// The ARN of the target group `id`.
    pub fn target_group(id: impl Into<String>) -> Self {
        Self::to(TARGET_GROUP, id, "targetGroupARN")
    }

    /// The id of the security group `id`.
    pub fn security_group(id: impl Into<String>) -> Self {
        Self::to(SECURITY_GROUP, id, "groupID")
    }

    /// Whether it refers to the resource `id` of the stack.
    pub fn leads_to(&self, other: &str) -> bool {
        matches!(self, Self::Resource { id, .. } if id == other)
    }

    /// The ARN of the certificate `id`.
    pub fn certificate(id: impl Into<String>) -> Self {
        Self::to(CERTIFICATE, id, "certificateARN")
    }

    fn to(kind: &'static str, id: impl Into<String>, attribute: &'static str) -> Self {
        Self::Resource {
            kind,
            id: id.into(),
            attribute,
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Literal(text) => serializer.serialize_str(text),
            Self::Resource {
                kind,
                id,
                attribute,
            } => json!({"$ref": format!("#/resources/{kind}/{id}/status/{attribute}")})
                .serialize(serializer),
        }
    }
}

//! A stack: what one IngressGroup, one Service or one Tenant becomes at AWS, in the shape in which the controller prints it.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::classic::ClassicSpec;
use crate::object::Place;
use crate::objects::Meta;

mod spec;

pub use spec::*;

/// All resources of one IngressGroup or Service, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// `namespace/name`, or the name of the group.
    pub id: String,
    /// Namespaces and names of the Ingresses that it is made of, in order; none of a Service's.
    pub members: Vec<(String, String)>,
    /// `AWS::ElasticLoadBalancing::LoadBalancer`.
    pub classic: Option<ClassicSpec>,
    /// The Ingresses of the group, the Service or the Tenant that it is made of.
    pub origins: Vec<Origin>,
    /// `AWS::EC2::SecurityGroup`.
    pub security_groups: BTreeMap<String, SecurityGroup>,
    /// `AWS::ElasticLoadBalancingV2::LoadBalancer`.
    pub load_balancers: BTreeMap<String, LoadBalancer>,
    /// `AWS::ElasticLoadBalancingV2::Listener`.
    pub listeners: BTreeMap<String, Listener>,
    /// `AWS::ElasticLoadBalancingV2::ListenerRule`.
    pub rules: BTreeMap<String, ListenerRule>,
    /// `AWS::ElasticLoadBalancingV2::TargetGroup`.
    pub target_groups: BTreeMap<String, TargetGroup>,
    /// `K8S::ElasticLoadBalancingV2::TargetGroupBinding`.
    pub bindings: BTreeMap<String, TargetGroupBinding>,
    /// Resources of other types, whole: type, id, resource.
    pub others: BTreeMap<(String, String), Value>,
}

/// An object that a stack is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `kind/namespace/name`, as diagnostics name it.
    pub object: String,
    /// Where it stands.
    pub place: Place,
}

impl From<&Meta> for Origin {
    fn from(meta: &Meta) -> Self {
        Self {
            object: meta.path(),
            place: meta.place.clone(),
        }
    }
}

const SECURITY_GROUP: &str = "AWS::EC2::SecurityGroup";
const LOAD_BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";
const LISTENER: &str = "AWS::ElasticLoadBalancingV2::Listener";
const LISTENER_RULE: &str = "AWS::ElasticLoadBalancingV2::ListenerRule";
const TARGET_GROUP: &str = "AWS::ElasticLoadBalancingV2::TargetGroup";
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

    /// What no other stack has: a Service and an Ingress may share a name, and then their stacks share an id.
    pub fn key(&self) -> String {
        match self.members.is_empty() {
            true => Self::key_of_service(&self.id),
            false => Self::key_of_group(&self.id),
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

    /// The same, made of `object`.
    #[must_use]
    pub fn made_of(mut self, object: impl Into<Origin>) -> Self {
        self.origins.push(object.into());
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
        for ((kind, id), resource) in &self.others {
            let entry = resources.entry(kind.clone()).or_insert_with(|| json!({}));
            if let Value::Object(entry) = entry {
                entry.insert(id.clone(), resource.clone());
            }
        }
        json!({"id": self.id, "resources": resources})
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

/// An id that is known, or that of a resource of the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Known.
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

    /// Whether it is that of the resource `id` of the stack.
    pub fn leads_to(&self, other: &str) -> bool {
        matches!(self, Self::Resource { id, .. } if id == other)
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

//! Deletion protection: what keeps a load balancer when its objects go.

use elbow_model::diagnostic::Diagnostic;

use super::members::carries;
use super::uses::Unit;
use super::{Change, Cluster, Identity};
use crate::annotations::ingress::LOAD_BALANCER_ATTRIBUTES;
use crate::annotations::service::ATTRIBUTES;
use crate::annotations::{Row, parse_bool, parse_map};
use crate::inventory::{Key, Typed};
use crate::objects::Meta;
use crate::scope::Scope;
use crate::service::Owner;

impl Cluster {
    /// Takes note that nobody writes an object any more. As from a cluster, it goes unless its load balancer is protected:
    /// then it stays as an object in deletion, until it is written without the protection.
    pub(super) fn withdraw_object(&mut self, identity: Identity) {
        let key = (identity.namespace.clone(), identity.name.clone());
        let Some(typed) = self.kept(&identity.kind, &key) else {
            return self.take(Change::Gone(identity));
        };
        let facts = self.inventory.put(typed);
        self.follow(&identity.kind, key, facts);
    }

    /// An object with a protected load balancer, as it is in deletion.
    fn kept(&self, kind: &str, key: &Key) -> Option<Typed> {
        match kind {
            "Ingress" => {
                let mut ingress = self.inventory.ingresses.get(key)?.clone();
                protection(&ingress.meta, LOAD_BALANCER_ATTRIBUTES)?;
                let group = self.group_of(key)?;
                ingress.meta.deleting = true;
                ingress.meta.finalizers = vec![self.marks_of_group(group).of_group(group)];
                Some(Typed::Ingress(ingress))
            }
            "Service" => {
                let mut service = self.inventory.services.get(key)?.clone();
                protection(&service.meta, ATTRIBUTES)?;
                if self.owner(&service) != Some(Owner::Lbc) {
                    return None;
                }
                service.meta.deleting = true;
                service.meta.finalizers = vec![self.marks_of_service(&service).service.to_owned()];
                Some(Typed::Service(service))
            }
            _ => None,
        }
    }

    /// The error that the load balancer of a stack is protected from what happens to its objects: an Ingress that turns
    /// the protection on is being deleted, also beside other members (`pkg/ingress/model_builder.go`), or a Service
    /// gives its load balancer up. An Ingress may leave its group otherwise.
    pub(super) fn protection(&self, unit: &Unit, scope: Scope<'_>) -> Option<Diagnostic> {
        match unit {
            Unit::Group(id) => self.leaving(id).iter().find_map(|key| {
                let ingress = scope.ingress(key)?;
                let meta = Some(&ingress.meta).filter(|meta| meta.deleting)?;
                protection(meta, LOAD_BALANCER_ATTRIBUTES)
            }),
            Unit::Service(key) => {
                let service = scope.service(&key.0, &key.1)?;
                let meta = &service.meta;
                let leaving = carries(meta, self.marks_of_service(service).service);
                leaving.then(|| protection(meta, ATTRIBUTES))?
            }
            _ => None,
        }
    }
}

/// The controller refuses to delete what it cannot read, too (`getDeletionProtectionViaAnnotation`).
fn protection(meta: &Meta, row: &Row) -> Option<Diagnostic> {
    let value = &meta.annotations.get(row.key)?.value;
    let attributes = parse_map(value);
    let text = match &attributes {
        Some(attributes) => attributes.get("deletion_protection.enabled")?,
        None => value,
    };
    let why = match parse_bool(text).filter(|_| attributes.is_some()) {
        Some(false) => return None,
        Some(true) => "turns its deletion protection on".to_owned(),
        None => format!("does not say whether it is protected: {text:?}"),
    };
    let message = format!("the load balancer stays: {} {why}", meta.path());
    let refusal = Diagnostic::error("deletion-protection", message)
        .field(format!("metadata.annotations.{}", row.key))
        .hint("remove deletion_protection.enabled from the annotation, or set it to false");
    Some(meta.found(refusal))
}

//! The results of reconciling stacks.

use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;

use crate::stack::Stack;

/// An object that a load balancer is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `Service` or `Ingress`; `TargetGroupBinding` for one that has an error.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// The result of reconciling a stack, or an object that is in no stack.
#[derive(Clone, Debug)]
pub struct Reconciled {
    /// [`Stack::key`]; `kind/namespace/name` of an object that is in no stack.
    pub key: String,
    /// [`Stack::id`]: the name of the group, or `namespace/name`.
    pub id: String,
    /// The finalizer that members carry while the load balancer may exist; empty when there is no stack.
    pub finalizer: String,
    /// The objects that it is made of, in the group's order.
    pub members: Vec<Member>,
    /// Objects that carry the finalizer and are members no longer: deleted, of another class or another group.
    pub leaving: Vec<Member>,
    /// Its state.
    pub outcome: Outcome,
    /// Warnings and notes.
    pub diagnostics: Vec<Diagnostic>,
}

/// The state of a stack after reconciliation.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It serves.
    Made(Arc<Made>),
    /// The objects have an error. It serves what it served before, if anything.
    Refused(Diagnostic),
    /// No object asks for it any more.
    Gone,
}

/// A stack that serves.
#[derive(Clone, Debug)]
pub struct Made {
    /// What AWS would make.
    pub stack: Arc<Stack>,
    /// The name of the load balancer, as in the model.
    pub load_balancer: Arc<str>,
    /// The name of the Network Load Balancer in front of it, if there is one.
    pub front: Option<Arc<str>>,
    /// Port and protocol of each listener, by port.
    pub ports: Vec<(u16, String)>,
}

//! The facts that a result depends on. To keep a result up to date, one must know what it was made from, including what
//! was looked for and not found.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::Key;

/// A fact that can be read and can change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fact {
    /// A Service.
    Service(Key),
    /// An Ingress.
    Ingress(Key),
    /// An IngressClass.
    Class(String),
    /// Which IngressClasses are the default.
    DefaultClass,
    /// IngressClassParams.
    Params(String),
    /// The labels of a namespace.
    Namespace(String),
    /// A Secret.
    Secret(Key),
    /// The Secret that an ARN stands for.
    Arn(String),
    /// Which Services a namespace has.
    ServiceNames(String),
    /// The host names of all certificates.
    CertificateNames,
    /// The endpoints of a Service.
    Endpoints(Key),
    /// A node.
    Node(String),
    /// All nodes.
    Nodes,
    /// A Pod.
    Pod(Key),
    /// A MinIO Tenant.
    Tenant(Key),
    /// The Pods of a Tenant.
    TenantPods(Key),
    /// The TargetGroupBindings for a target group.
    Bindings(String),
    /// Whether an Ingress has a Service as its backend.
    Backend(Key),
    /// Whether a namespace has an Ingress that cannot be read.
    UnreadIngress(String),
    /// Whether a Service of a namespace turns authentication on.
    Authentication(String),
    /// The target group of a name, and its owner.
    TargetGroup(String),
    /// The hosts that need a certificate, by its ARN.
    Hosts(String),
}

/// The facts that were read.
pub(crate) type Reads = RefCell<BTreeSet<Fact>>;

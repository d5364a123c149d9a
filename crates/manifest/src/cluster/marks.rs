//! The names by which a controller marks the objects that it serves.

use crate::ingress::GroupId;

/// The finalizers and the readiness gates of a controller.
#[derive(Debug, PartialEq, Eq)]
pub struct Marks {
    /// The finalizer of an Ingress that is in no named group.
    pub ingress: &'static str,
    /// What the finalizer of the members of a named IngressGroup starts with; the name of the group follows.
    pub group: &'static str,
    /// The finalizer of a Service with a Network Load Balancer.
    pub service: &'static str,
    /// What the readiness gate of a pod starts with; the name of the TargetGroupBinding follows.
    pub gate: &'static str,
}

/// Those of AWS Load Balancer Controller (control-plane.md 3.6 and 3.8).
pub const LBC: Marks = Marks {
    ingress: "ingress.k8s.aws/resources",
    group: "group.ingress.k8s.aws/",
    service: "service.k8s.aws/resources",
    gate: "target-health.elbv2.k8s.aws/",
};
/// Those of EKS Auto Mode. AWS does not document them: `group`, `service` and `gate` are seen in the objects of live
/// clusters, and `ingress` follows their pattern.
pub const AUTO_MODE: Marks = Marks {
    ingress: "ingress.eks.amazonaws.com/resources",
    group: "group.ingress.eks.amazonaws.com/",
    service: "service.eks.amazonaws.com/resources",
    gate: "target-health.eks.amazonaws.com/",
};
/// Those of elbow beside AWS Load Balancer Controller, which removes its own finalizers from objects that it does not
/// serve.
pub const OWN: Marks = Marks {
    ingress: "elbow/resources",
    group: "group.elbow/",
    service: "elbow/resources",
    gate: LBC.gate,
};
/// The finalizer of a Service with a load balancer of the cluster's provider.
pub const CLEANUP_FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

impl Marks {
    /// The marks that a finalizer is one of; `None` for [`CLEANUP_FINALIZER`] and for those of others.
    ///
    /// ```
    /// use elbow_manifest::cluster::{AUTO_MODE, LBC, Marks};
    ///
    /// assert_eq!(Marks::of("group.ingress.k8s.aws/shop"), Some(&LBC));
    /// assert_eq!(Marks::of("service.eks.amazonaws.com/resources"), Some(&AUTO_MODE));
    /// assert_eq!(Marks::of("kubernetes"), None);
    /// ```
    pub fn of(finalizer: &str) -> Option<&'static Self> {
        [&LBC, &AUTO_MODE, &OWN].into_iter().find(|marks| {
            [marks.ingress, marks.service].contains(&finalizer)
                || finalizer.starts_with(marks.group)
        })
    }

    /// The finalizer of the members of a group.
    pub(super) fn of_group(&self, id: &GroupId) -> String {
        match id {
            GroupId::Explicit(name) => format!("{}{name}", self.group),
            GroupId::Implicit { .. } => self.ingress.to_owned(),
        }
    }
}

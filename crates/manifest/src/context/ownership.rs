//! By which names objects ask for elbow, in a cluster where other controllers may run.

/// The controller of IngressClasses that AWS Load Balancer Controller serves. elbow serves them too, unless that
/// controller runs in the cluster.
pub const SHARED_CONTROLLER: &str = "ingress.k8s.aws/alb";
/// The controller of IngressClasses that only elbow serves.
pub const OWN_CONTROLLER: &str = "elbow/alb";
/// The loadBalancerClass that AWS Load Balancer Controller serves.
const SHARED_LOAD_BALANCER_CLASS: &str = "service.k8s.aws/nlb";
/// The loadBalancerClass that only elbow serves.
pub const OWN_LOAD_BALANCER_CLASS: &str = "elbow/nlb";
/// The class that the chart of AWS Load Balancer Controller creates.
const SHARED_INGRESS_CLASS: &str = "alb";
/// The class of elbow's own installation.
const OWN_INGRESS_CLASS: &str = "elbow";

/// The controllers of AWS that run in the same cluster. Objects that they serve are left to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// AWS Load Balancer Controller. It serves its classes, Services by annotation or without a class, and all
    /// TargetGroupBindings.
    pub lbc: bool,
    /// The cluster is one of EKS. Its provider serves Services without a class, and Auto Mode the classes
    /// `eks.amazonaws.com/…`.
    pub eks: bool,
}

/// The names by which objects ask for elbow. An empty name stands for the default, which depends on the neighbours.
///
/// ```
/// use elbow_manifest::context::{Neighbours, Ownership};
///
/// let mut names = Ownership::default();
/// assert!(names.owns_controller("ingress.k8s.aws/alb") && names.owns_controller("elbow/alb"));
/// names.neighbours = Neighbours { lbc: true, eks: false };
/// assert!(!names.owns_controller("ingress.k8s.aws/alb") && names.owns_controller("elbow/alb"));
/// names.controller_name = "example.com/alb".to_owned();
/// assert!(names.owns_controller("example.com/alb") && !names.owns_controller("elbow/alb"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// `--controller-name`: the `spec.controller` of IngressClasses to serve.
    pub controller_name: String,
    /// `--ingress-class`: the class of Ingresses without an IngressClass object.
    pub ingress_class: String,
    /// `--load-balancer-class`: the class of Services to serve.
    pub load_balancer_class: String,
    /// Who else runs in the cluster.
    pub neighbours: Neighbours,
}

impl Ownership {
    /// Whether an IngressClass of this controller is served.
    pub fn owns_controller(&self, controller: &str) -> bool {
        match &*self.controller_name {
            "" => {
                controller == OWN_CONTROLLER
                    || controller == SHARED_CONTROLLER && !self.neighbours.lbc
            }
            name => controller == name,
        }
    }

    /// Whether an Ingress of this class is served without an IngressClass object.
    pub fn owns_ingress_class(&self, class: &str) -> bool {
        class == self.ingress_class() || self.ingress_class.is_empty() && class == OWN_INGRESS_CLASS
    }

    /// The class to name in an Ingress.
    pub fn ingress_class(&self) -> &str {
        match &*self.ingress_class {
            "" if self.neighbours.lbc => OWN_INGRESS_CLASS,
            "" => SHARED_INGRESS_CLASS,
            class => class,
        }
    }

    /// Whether a Service of this `loadBalancerClass` is served.
    pub fn owns_load_balancer_class(&self, class: &str) -> bool {
        class == self.load_balancer_class()
            || self.load_balancer_class.is_empty() && class == OWN_LOAD_BALANCER_CLASS
    }

    /// The `loadBalancerClass` to name in a Service.
    pub fn load_balancer_class(&self) -> &str {
        match &*self.load_balancer_class {
            "" if self.neighbours.lbc => OWN_LOAD_BALANCER_CLASS,
            "" => SHARED_LOAD_BALANCER_CLASS,
            class => class,
        }
    }

    /// Whether only Services with a class are served: another controller makes load balancers for the others.
    pub fn only_by_class(&self) -> bool {
        self.neighbours.lbc || self.neighbours.eks
    }

    /// Whether finalizers have elbow's own names. AWS Load Balancer Controller removes those of its own names from objects
    /// of other classes.
    pub fn has_own_finalizers(&self) -> bool {
        self.neighbours.lbc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_aws_are_left_to_a_neighbour() {
        let mut names = Ownership::default();
        assert!(names.owns_ingress_class("alb") && names.owns_ingress_class("elbow"));
        assert!(names.owns_load_balancer_class("service.k8s.aws/nlb"));
        assert!(names.owns_load_balancer_class("elbow/nlb"));
        assert!(!names.only_by_class());
        names.neighbours.eks = true;
        assert!(names.only_by_class());
        assert!(names.owns_controller(SHARED_CONTROLLER));
        names.neighbours.lbc = true;
        assert!(!names.owns_ingress_class("alb") && names.owns_ingress_class("elbow"));
        assert!(!names.owns_load_balancer_class("service.k8s.aws/nlb"));
        assert!(names.owns_load_balancer_class("elbow/nlb"));
        assert_eq!(names.load_balancer_class(), "elbow/nlb");
        assert_eq!(names.ingress_class(), "elbow");
    }

    #[test]
    fn given_names_are_the_only_ones() {
        let names = Ownership {
            controller_name: SHARED_CONTROLLER.to_owned(),
            ingress_class: "public".to_owned(),
            load_balancer_class: "example.com/nlb".to_owned(),
            neighbours: Neighbours {
                lbc: true,
                eks: true,
            },
        };
        assert!(names.owns_controller(SHARED_CONTROLLER) && !names.owns_controller(OWN_CONTROLLER));
        assert!(names.owns_ingress_class("public") && !names.owns_ingress_class("elbow"));
        assert!(names.owns_load_balancer_class("example.com/nlb"));
        assert!(!names.owns_load_balancer_class(OWN_LOAD_BALANCER_CLASS));
    }
}

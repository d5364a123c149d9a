//! Which controller serves a Service (control-plane.md 0.2).

use crate::auto_mode;
use crate::context::Personality;
use crate::objects::ServiceType;

/// The controller that serves a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The AWS Load Balancer Controller, or EKS Auto Mode, makes a Network Load Balancer.
    Lbc,
    /// The cloud provider makes a Classic Load Balancer.
    Classic,
    /// The cloud provider makes a Network Load Balancer.
    ProviderNlb,
    /// No controller serves it.
    Nobody,
}

/// The facts that ownership depends on.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// `spec.type`.
    pub service_type: ServiceType,
    /// `spec.loadBalancerClass`.
    pub class: Option<&'a str>,
    /// The annotation `aws-load-balancer-type`.
    pub load_balancer_type: Option<&'a str>,
    /// The annotation `aws-load-balancer-nlb-target-type`.
    pub target_type: Option<&'a str>,
    /// Whether `class` is one that the AWS Load Balancer Controller, or elbow in its place, serves.
    pub is_own_class: bool,
    /// Whether another controller in the cluster makes load balancers for Services without a class.
    pub only_by_class: bool,
    /// Whether the cluster is one of EKS, where AWS serves the class of Auto Mode.
    pub is_on_eks: bool,
    /// The feature gate `ServiceTypeLoadBalancerOnly`.
    pub load_balancers_only: bool,
}

/// The controller that serves the Service.
pub fn owner(controllers: Personality, claim: &Claim<'_>) -> Owner {
    if claim.only_by_class && claim.class.is_none() {
        return Owner::Nobody;
    }
    let balanced = claim.service_type == ServiceType::LoadBalancer;
    if balanced && claim.class == Some(auto_mode::LOAD_BALANCER_CLASS) {
        return if claim.is_on_eks {
            Owner::Nobody
        } else {
            Owner::Lbc
        };
    }
    if balanced && claim.class.is_none() && controllers == Personality::EksAuto {
        return Owner::Lbc;
    }
    let lbc = controllers != Personality::InTree;
    if lbc && claimed_by_lbc(controllers, claim, balanced) {
        return Owner::Lbc;
    }
    if !balanced || claim.class.is_some() {
        return Owner::Nobody;
    }
    match claim.load_balancer_type {
        Some("external" | "nlb-ip") => Owner::Nobody,
        Some("nlb") => Owner::ProviderNlb,
        _ => Owner::Classic,
    }
}

fn claimed_by_lbc(controllers: Personality, claim: &Claim<'_>, balanced: bool) -> bool {
    if claim.load_balancers_only && !balanced {
        return false;
    }
    if claim.class.is_some() {
        return claim.is_own_class;
    }
    if balanced && controllers == Personality::LbcDefault {
        return true;
    }
    match claim.load_balancer_type {
        Some("nlb-ip") => true,
        Some("external") => matches!(claim.target_type, Some("ip" | "instance")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NLB_CLASS: &str = "service.k8s.aws/nlb";
    const AUTO_CLASS: &str = "eks.amazonaws.com/nlb";

    fn claim<'a>(
        service_type: ServiceType,
        class: &'a str,
        kind: &'a str,
        target: &'a str,
    ) -> Claim<'a> {
        let given = |text: &'a str| Some(text).filter(|t| !t.is_empty());
        Claim {
            service_type,
            class: given(class),
            load_balancer_type: given(kind),
            target_type: given(target),
            is_own_class: class == NLB_CLASS,
            only_by_class: false,
            is_on_eks: false,
            load_balancers_only: false,
        }
    }

    /// Section 0.2, row by row.
    #[test]
    fn the_table_of_owners() {
        use Owner::{Classic, Lbc, Nobody, ProviderNlb};
        use ServiceType::{ClusterIp, LoadBalancer, NodePort};
        for (service_type, class, kind, target, expected) in [
            (LoadBalancer, "", "", "", [Classic, Classic, Lbc]),
            (LoadBalancer, AUTO_CLASS, "", "", [Lbc, Lbc, Lbc]),
            (ClusterIp, AUTO_CLASS, "", "", [Nobody, Nobody, Nobody]),
            (LoadBalancer, "", "nlb", "", [ProviderNlb, ProviderNlb, Lbc]),
            (LoadBalancer, "", "nlb-ip", "", [Nobody, Lbc, Lbc]),
            (LoadBalancer, "", "external", "instance", [Nobody, Lbc, Lbc]),
            (LoadBalancer, "", "external", "ip", [Nobody, Lbc, Lbc]),
            (LoadBalancer, "", "external", "", [Nobody, Nobody, Lbc]),
            (LoadBalancer, NLB_CLASS, "", "", [Nobody, Lbc, Lbc]),
            (
                LoadBalancer,
                "other",
                "external",
                "ip",
                [Nobody, Nobody, Nobody],
            ),
            (NodePort, "", "external", "instance", [Nobody, Lbc, Lbc]),
            (ClusterIp, "", "external", "ip", [Nobody, Lbc, Lbc]),
            (ClusterIp, "", "", "", [Nobody, Nobody, Nobody]),
        ] {
            let claim = claim(service_type, class, kind, target);
            let found = [
                Personality::InTree,
                Personality::Lbc,
                Personality::LbcDefault,
            ]
            .map(|controllers| owner(controllers, &claim));
            assert_eq!(found, expected, "{claim:?}");
        }
    }

    /// EKS Auto Mode gives its class to Services of type LoadBalancer that have none; the AWS Load Balancer Controller may
    /// run beside it.
    #[test]
    fn auto_mode_takes_services_without_a_class() {
        for (service_type, class, kind, expected) in [
            (ServiceType::LoadBalancer, "", "", Owner::Lbc),
            (ServiceType::LoadBalancer, "", "nlb", Owner::Lbc),
            (ServiceType::LoadBalancer, NLB_CLASS, "", Owner::Lbc),
            (ServiceType::LoadBalancer, "other", "", Owner::Nobody),
            (ServiceType::ClusterIp, "", "", Owner::Nobody),
        ] {
            let claim = claim(service_type, class, kind, "");
            assert_eq!(owner(Personality::EksAuto, &claim), expected, "{claim:?}");
        }
    }

    #[test]
    fn services_without_a_class_are_left_to_another_controller() {
        for (kind, target) in [("", ""), ("nlb", ""), ("nlb-ip", ""), ("external", "ip")] {
            let mut claim = claim(ServiceType::LoadBalancer, "", kind, target);
            claim.only_by_class = true;
            assert_eq!(owner(Personality::LbcDefault, &claim), Owner::Nobody);
            claim.class = Some(NLB_CLASS);
            claim.is_own_class = true;
            assert_eq!(owner(Personality::LbcDefault, &claim), Owner::Lbc);
        }
    }

    /// Section 0.2: the feature gate leaves Services of other types alone.
    #[test]
    fn load_balancers_only() {
        let mut claim = claim(ServiceType::NodePort, "", "external", "ip");
        claim.load_balancers_only = true;
        assert_eq!(owner(Personality::LbcDefault, &claim), Owner::Nobody);
    }
}

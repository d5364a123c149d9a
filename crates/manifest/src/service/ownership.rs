//! Which controller a Service belongs to (the table of section 0.2).

use crate::context::Personality;
use crate::objects::ServiceType;

/// Who answers for a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The AWS Load Balancer Controller makes a Network Load Balancer.
    Lbc,
    /// The provider of the cluster makes a Classic Load Balancer.
    Classic,
    /// The provider of the cluster makes a Network Load Balancer.
    ProviderNlb,
    /// Nobody does.
    Nobody,
}

/// What ownership depends on.
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
    /// The class that the AWS Load Balancer Controller answers to.
    pub own_class: &'a str,
    /// The feature gate `ServiceTypeLoadBalancerOnly`.
    pub load_balancers_only: bool,
}

/// Who answers for the Service.
pub fn owner(controllers: Personality, claim: &Claim<'_>) -> Owner {
    let balanced = claim.service_type == ServiceType::LoadBalancer;
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
    if let Some(class) = claim.class {
        return class == claim.own_class;
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
            own_class: NLB_CLASS,
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

    /// Section 0.2: the feature gate leaves Services of other types alone.
    #[test]
    fn load_balancers_only() {
        let mut claim = claim(ServiceType::NodePort, "", "external", "ip");
        claim.load_balancers_only = true;
        assert_eq!(owner(Personality::LbcDefault, &claim), Owner::Nobody);
    }
}

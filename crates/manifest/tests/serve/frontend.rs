//! The Network Load Balancer in front of an Application Load Balancer.

use elbow_model::{HealthCheckProtocol, LoadBalancerType, TargetId, TargetType};

use super::{WEB, codes, ingress, served};

const ON: &str = "alb.ingress.kubernetes.io/enable-frontend-nlb: \"true\"";

#[test]
fn the_load_balancer_in_front_leads_to_the_listeners_behind_it() {
    let mapped = format!(
        "{ON}\n    alb.ingress.kubernetes.io/frontend-nlb-listener-port-mapping: 8080=80\n    \
         alb.ingress.kubernetes.io/frontend-nlb-healthcheck-success-codes: \"404\""
    );
    let (model, found) = served(&format!("{}{WEB}", ingress(&mapped)));
    assert_eq!(codes(&found), ["closed-listener"]);
    let [alb, nlb] = &model.load_balancers[..] else {
        panic!("{:?}", model.load_balancers);
    };
    assert_eq!(alb.kind, LoadBalancerType::Application);
    assert_eq!(nlb.kind, LoadBalancerType::Network);
    assert_eq!(*nlb.name, format!("{}-nlb", alb.name));
    let ports = |balancer: &elbow_model::LoadBalancer| {
        let listeners = balancer.listeners.iter();
        listeners.map(|one| one.port).collect::<Vec<_>>()
    };
    assert_eq!((ports(alb), ports(nlb)), (vec![80], vec![8080]));
    let groups = model.target_groups.iter();
    let fronts: Vec<_> = groups
        .filter(|group| group.target_type == TargetType::Alb)
        .collect();
    let [group] = &fronts[..] else {
        panic!("{fronts:?}");
    };
    assert_eq!(group.targets.len(), 1);
    assert_eq!(group.targets[0].id, TargetId::Alb(alb.name.clone()));
    assert_eq!(group.targets[0].port, 80);
    assert_eq!(group.health_check.protocol, HealthCheckProtocol::Http);
}

#[test]
fn without_it_there_is_one_load_balancer() {
    let off = ON.replace("true", "false");
    let (model, _) = served(&format!("{}{WEB}", ingress(&off)));
    assert_eq!(model.load_balancers.len(), 1);
}

/// What is wrong with the load balancer in front is found at its annotation.
#[test]
fn faults_of_the_load_balancer_in_front_have_their_place() {
    let check = format!(
        "{ON}\n    alb.ingress.kubernetes.io/frontend-nlb-healthcheck-interval-seconds: \"1\""
    );
    let (model, found) = served(&format!("{}{WEB}", ingress(&check)));
    assert!(model.load_balancers.is_empty());
    assert_eq!(codes(&found), ["out-of-range"]);
    assert_eq!(
        found[0].field,
        "metadata.annotations.alb.ingress.kubernetes.io/frontend-nlb-healthcheck-interval-seconds"
    );
}

//! EKS Auto Mode: the controllers that AWS runs for a cluster, and in what they differ from the AWS Load Balancer
//! Controller ([ALB](https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html),
//! [NLB](https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-nlb.html),
//! [considerations](https://docs.aws.amazon.com/eks/latest/userguide/auto-networking.html)).

use elbow_model::diagnostic::Diagnostic;

use crate::annotations::other::INGRESS_CLASS;
use crate::annotations::{Row, ingress, service};
use crate::context::{Context, Personality};
pub(crate) use crate::objects::AUTO_MODE as GROUP;
use crate::objects::{Meta, Service, ServiceType};

/// The controller of its IngressClasses.
pub(crate) const CONTROLLER: &str = "eks.amazonaws.com/alb";
/// The class of its Services, which it also gives to Services without a class.
pub(crate) const LOAD_BALANCER_CLASS: &str = "eks.amazonaws.com/nlb";
/// The target type of load balancers that name none. That of the AWS Load Balancer Controller is `instance`.
pub(crate) const TARGET_TYPE: &str = "ip";

/// An annotation that it does not read, and what to write instead.
type Ignored = (&'static Row, &'static str);

const OF_INGRESSES: &[Ignored] = &[
    (INGRESS_CLASS, "set spec.ingressClassName"),
    (
        ingress::GROUP_NAME,
        "set spec.group.name of the IngressClassParams",
    ),
    (ingress::WAF_ACL_ID, "use wafv2-acl-arn"),
    (ingress::WEB_ACL_ID, "use wafv2-acl-arn"),
    (ingress::SHIELD_ADVANCED_PROTECTION, "remove it"),
];

const ATTRIBUTES: &str = "use aws-load-balancer-attributes";
const OF_SERVICES: &[Ignored] = &[
    (service::SOURCE_RANGES, "set spec.loadBalancerSourceRanges"),
    (
        service::TYPE,
        "set spec.loadBalancerClass: eks.amazonaws.com/nlb",
    ),
    (service::INTERNAL, "use aws-load-balancer-scheme"),
    (
        service::PROXY_PROTOCOL,
        "set proxy_protocol_v2.enabled in aws-load-balancer-target-group-attributes",
    ),
    (service::ACCESS_LOG_ENABLED, ATTRIBUTES),
    (service::ACCESS_LOG_S3_BUCKET_NAME, ATTRIBUTES),
    (service::ACCESS_LOG_S3_BUCKET_PREFIX, ATTRIBUTES),
    (service::CROSS_ZONE_LOAD_BALANCING_ENABLED, ATTRIBUTES),
    (
        service::DISABLE_NLB_SG,
        "remove it: a Network Load Balancer of Auto Mode always has security groups",
    ),
];

/// Whether elbow serves its objects. In a cluster, AWS's controllers may serve them: there it takes a personality of its
/// own.
pub(crate) fn is_served(context: &Context) -> bool {
    !context.has_all_objects || context.personality == Personality::EksAuto
}

/// Whether it makes a Network Load Balancer of the Service: by its class, which Auto Mode gives to every new Service of
/// type LoadBalancer without one.
pub(crate) fn owns(service: &Service, personality: Personality) -> bool {
    let class = service.load_balancer_class.as_deref();
    let is_balanced = service.kind == ServiceType::LoadBalancer;
    match class.filter(|class| !class.is_empty()) {
        Some(class) => class == LOAD_BALANCER_CLASS,
        None => is_balanced && personality == Personality::EksAuto,
    }
}

/// Whether it ignores the annotation `key` of an Ingress.
pub(crate) fn ignores_of_ingress(key: &str) -> bool {
    OF_INGRESSES.iter().any(|(row, _)| row.key == key)
}

/// Whether it ignores the annotation `key` of a Service with a load balancer.
pub(crate) fn ignores_of_service(key: &str) -> bool {
    OF_SERVICES.iter().any(|(row, _)| row.key == key)
}

/// Warns of annotations of an Ingress that it ignores.
pub(crate) fn report_ingress(meta: &Meta, found: &mut Vec<Diagnostic>) {
    report(meta, OF_INGRESSES, found);
}

/// Warns of annotations of a Service that it ignores.
pub(crate) fn report_service(meta: &Meta, found: &mut Vec<Diagnostic>) {
    report(meta, OF_SERVICES, found);
}

fn report(meta: &Meta, ignored: &[Ignored], found: &mut Vec<Diagnostic>) {
    for (row, instead) in ignored {
        let Some(annotation) = meta.annotations.get(row.key) else {
            continue;
        };
        let message = format!("EKS Auto Mode does not support {}", row.key);
        let warning = Diagnostic::warning("not-in-auto-mode", message).hint(*instead);
        found.push(meta.origin_of(row.key, annotation).place(warning));
    }
}

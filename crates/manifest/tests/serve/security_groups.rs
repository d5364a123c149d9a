//! Who may open connections: parity S8, and `inbound-cidrs`, `loadBalancerSourceRanges` of sections 2 to 4.

use elbow_manifest::Context;
use elbow_manifest::context::Personality;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Model, Sources, Transport};

use super::{WEB, codes, ingress, served, served_in};

fn sources(model: &Model, port: u16) -> Option<Sources> {
    model.load_balancers[0].sources(Transport::Tcp, port)
}

fn lets_in(model: &Model, port: u16, client: &str) -> bool {
    sources(model, port).is_none_or(|sources| sources.contains(client.parse().unwrap()))
}

fn service(annotations: &str, ranges: &str) -> String {
    let slice = &WEB[WEB.find("---").unwrap()..];
    format!(
        "
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: {{{annotations}}}
spec:
  type: LoadBalancer
  loadBalancerSourceRanges: {ranges}
  ports: [{{name: http, port: 80, targetPort: 8080, nodePort: 30080}}]
{slice}"
    )
}

/// An environment with the group `sg-1`, without its rules.
fn known_group() -> Context {
    let environment = "securityGroups: [{id: sg-1, name: web}]\n";
    Context::parse(environment, "environment.yaml").0
}

const IP: &str = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip";

#[test]
fn inbound_cidrs_limit_who_reaches_an_alb() {
    let annotation = "alb.ingress.kubernetes.io/inbound-cidrs: 10.0.0.0/8";
    let (model, found) = served(&(ingress(annotation) + WEB));
    assert_eq!(codes(&found), [""; 0]);
    assert!(lets_in(&model, 80, "10.1.2.3"));
    assert!(!lets_in(&model, 80, "192.0.2.1"));
    // Without them, everybody may connect.
    let (model, _) = served(&(ingress("a: b") + WEB));
    assert!(lets_in(&model, 80, "192.0.2.1"));
}

#[test]
fn source_ranges_limit_who_reaches_an_nlb() {
    let (model, found) = served(&service(IP, "[10.0.0.0/8]"));
    assert_eq!(codes(&found), [""; 0]);
    assert!(lets_in(&model, 80, "10.1.2.3"));
    assert!(!lets_in(&model, 80, "192.0.2.1"));
}

/// control-plane.md S8: only the generated group enforces them; an additional group with unknown rules lets nobody in.
#[test]
fn source_ranges_limit_who_reaches_a_classic_load_balancer() {
    let context = Context {
        personality: Personality::InTree,
        ..known_group()
    };
    let extra = "service.beta.kubernetes.io/aws-load-balancer-extra-security-groups: sg-1";
    let (model, found) = served_in(&service(extra, "[10.0.0.0/8]"), &context);
    assert!(
        codes(&found).contains(&"unknown-security-group"),
        "{found:?}"
    );
    assert!(lets_in(&model, 80, "10.1.2.3"));
    assert!(!lets_in(&model, 80, "192.0.2.1"));
}

#[test]
fn a_security_group_given_by_id_has_the_rules_of_the_environment() {
    let annotation = "alb.ingress.kubernetes.io/security-groups: sg-1";
    let text = ingress(annotation) + WEB;
    let (model, found) = served_in(&text, &known_group());
    assert_eq!(codes(&found), ["unknown-security-group"]);
    assert_eq!(
        found[0].message,
        "unknown ingress rules of the security groups sg-1: every client is allowed"
    );
    assert!(lets_in(&model, 80, "192.0.2.1"));

    let environment = "securityGroups:
- id: sg-1
  name: web
  ingress: [{ipProtocol: tcp, fromPort: 80, toPort: 80, ipRanges: [{cidrIP: 10.0.0.0/8}]}]
";
    let (context, problems) = Context::parse(environment, "environment.yaml");
    assert_eq!(problems, []);
    let (model, found) = served_in(&text, &context);
    assert_eq!(codes(&found), [""; 0]);
    assert!(lets_in(&model, 80, "10.1.2.3"));
    assert!(!lets_in(&model, 80, "192.0.2.1"));
}

/// A warning names ranges that cannot be enforced; an error points at an invalid block.
#[test]
fn ranges_without_a_group_and_invalid_blocks_are_reported() {
    let environment = "featureGates: {NLBSecurityGroup: false}\n";
    let (context, _) = Context::parse(environment, "environment.yaml");
    let (_, found) = served_in(&service(IP, "[10.0.0.0/8]"), &context);
    assert_eq!(codes(&found), ["not-supported"]);
    assert!(found[0].message.starts_with("loadBalancerSourceRanges"));

    let environment =
        "securityGroups:\n- {id: a, ingress: [{ipRanges: [{cidrIP: 10.0.0.0/33}]}]}\n";
    let (_, found) = Context::parse(environment, "environment.yaml");
    assert_eq!(
        found[0].to_string(),
        "error[invalid-cidr] environment.yaml:2:42: expected an address range such as 10.0.0.0/8, found \"10.0.0.0/33\""
    );
}

/// A group that the environment does not list does not exist: each controller refuses it, as AWS does.
#[test]
fn an_unknown_group_is_refused() {
    let alb = "alb.ingress.kubernetes.io/security-groups: sg-2";
    let nlb = format!("{IP}, service.beta.kubernetes.io/aws-load-balancer-security-groups: sg-2");
    let extra = "service.beta.kubernetes.io/aws-load-balancer-extra-security-groups: sg-2";
    let in_tree = Context {
        personality: Personality::InTree,
        ..known_group()
    };
    for (text, context, code) in [
        (ingress(alb) + WEB, known_group(), "unknown-security-group"),
        (service(&nlb, "[]"), known_group(), "unknown-security-group"),
        (service(extra, "[]"), in_tree, "unknown-security-group"),
    ] {
        let (model, found) = served_in(&text, &context);
        assert!(model.load_balancers.is_empty());
        let errors: Vec<&Diagnostic> = found.iter().filter(|one| one.is_error()).collect();
        assert_eq!(errors.len(), 1, "{found:?}");
        assert_eq!(errors[0].code, code);
        assert!(errors[0].message.contains("there is no security group"));
        assert!(errors[0].hint.as_ref().unwrap().contains("securityGroups"));
        assert!(
            errors[0].field.ends_with("security-groups"),
            "{}",
            errors[0].field
        );
    }
}

use std::fmt::Write;

use super::*;
use crate::{Context, plan, read};

fn stacks(text: &str) -> Vec<Stack> {
    let (objects, found) = read(text, "input.yaml");
    assert_eq!(found, []);
    plan(&objects, &Context::default()).stacks
}

/// The stack of an Ingress `web` with these annotations and this `spec`, and of its Service `web`.
fn ingress(annotations: &str, spec: &str) -> Stack {
    let text = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {{type: NodePort, ports: [{{port: 80, nodePort: 30080}}]}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    kubernetes.io/ingress.class: alb
{annotations}
spec:
{spec}
"
    );
    stacks(&text).remove(0)
}

fn rules(count: usize) -> String {
    let mut text = String::from("  rules:\n");
    for number in 0..count {
        let _ = writeln!(
            text,
            "  - {{host: h{number}.example, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}"
        );
    }
    text
}

fn used<'a>(usages: &'a [Usage], quota: &str) -> &'a Usage {
    usages.iter().find(|one| one.quota == quota).unwrap()
}

/// ALB guide, quotas: 100 rules for a load balancer, without the default rules.
#[test]
fn an_alb_has_at_most_100_rules() {
    let usages = of_stack(&ingress("", &rules(100)), &Targets::new());
    let full = used(&usages, "rules-per-application-load-balancer");
    assert_eq!((full.used, full.limit, full.adjustable), (100, 100, true));
    assert!(full.is_high() && full.warning().is_none());

    let usages = of_stack(&ingress("", &rules(101)), &Targets::new());
    let warning = used(&usages, "rules-per-application-load-balancer").warning();
    let text = warning.unwrap().to_string();
    assert!(
        text.contains(
            "has 101 rules; AWS allows at most 100 (rules-per-application-load-balancer)"
        ),
        "{text}"
    );
}

/// ALB guide, quotas: 25 certificates besides the default one of each listener.
#[test]
fn an_alb_has_at_most_25_extra_certificates() {
    let arns: Vec<String> = (0..27)
        .map(|number| format!("arn:aws:acm:r:1:certificate/{number}"))
        .collect();
    let annotation = |count: usize| {
        format!(
            "    alb.ingress.kubernetes.io/certificate-arn: \"{}\"",
            arns[..count].join(",")
        )
    };
    for (count, exceeded) in [(26, false), (27, true)] {
        let usages = of_stack(&ingress(&annotation(count), &rules(1)), &Targets::new());
        let usage = used(&usages, "certificates-per-application-load-balancer");
        assert_eq!((usage.used, usage.is_exceeded()), (count - 1, exceeded));
    }
}

/// ALB guide, quotas: 50 listeners; the VPC guide: 60 inbound rules for a security group.
#[test]
fn an_alb_has_at_most_50_listeners_and_60_inbound_rules() {
    let ports: Vec<String> = (1..=51)
        .map(|port| format!("{{\"HTTP\":{port}}}"))
        .collect();
    let annotation = format!(
        "    alb.ingress.kubernetes.io/listen-ports: '[{}]'",
        ports.join(",")
    );
    let usages = of_stack(&ingress(&annotation, &rules(1)), &Targets::new());
    let listeners = used(&usages, "listeners-per-application-load-balancer");
    assert_eq!((listeners.used, listeners.is_exceeded()), (51, true));
    let inbound = used(&usages, "inbound-rules-per-security-group");
    assert_eq!((inbound.used, inbound.limit), (51, 60));
    // One rule for each listener that the Ingress is on.
    assert_eq!(
        used(&usages, "rules-per-application-load-balancer").used,
        51
    );
}

/// control-plane.md 2.8: five values for a rule, three for a condition.
#[test]
fn a_rule_has_at_most_five_values_and_a_condition_three() {
    let conditions = r#"    alb.ingress.kubernetes.io/conditions.web: '[{"field":"host-header","hostHeaderConfig":{"values":["a.example","*.b.example","c.example"]}},{"field":"query-string","queryStringConfig":{"values":[{"key":"v","value":"?x"}]}}]'"#;
    let usages = of_stack(&ingress(conditions, &rules(2)), &Targets::new());
    let values: Vec<(&str, usize)> = usages
        .iter()
        .filter(|one| one.quota == "condition-values-per-alb-rule")
        .map(|one| (one.resource.rsplit(':').next().unwrap(), one.used))
        .collect();
    // One host of the rule and three of the annotation, one query, one path: each rule by itself.
    assert_eq!(values, [("80/1", 6), ("80/2", 6)]);
    let condition = used(&usages, "condition-values-per-alb-condition");
    assert_eq!((condition.used, condition.is_exceeded()), (4, true));
    assert_eq!(used(&usages, "condition-wildcards-per-alb-rule").used, 3);
}

/// ALB guide, quotas: five target groups in an action.
#[test]
fn an_action_has_at_most_five_target_groups() {
    let group = r#"{"targetGroupARN":"arn","weight":1}"#;
    let annotation = format!(
        "    alb.ingress.kubernetes.io/actions.six: '{{\"type\":\"forward\",\"forwardConfig\":{{\"targetGroups\":[{}]}}}}'",
        [group; 6].join(",")
    );
    let spec = "  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: six, port: {name: use-annotation}}}}]}}]";
    let usages = of_stack(&ingress(&annotation, spec), &Targets::new());
    let usage = used(
        &usages,
        "target-groups-per-action-on-application-load-balancer",
    );
    assert_eq!(
        (usage.used, usage.is_exceeded(), usage.adjustable),
        (6, true, false)
    );
    assert!(usage.resource.ends_with(":80/1"), "{}", usage.resource);
}

/// ALB and NLB guides, quotas: 1,000 targets of a group and of an ALB; 500 of an NLB that crosses zones, else 3,000.
#[test]
fn targets_are_limited_per_group_and_load_balancer() {
    let service = |attributes: &str| {
        let text = format!(
            "apiVersion: v1
kind: Service
metadata:
  name: minio
  annotations: {{service.beta.kubernetes.io/aws-load-balancer-attributes: \"{attributes}\"}}
spec: {{type: LoadBalancer, ports: [{{port: 443, nodePort: 30443}}]}}
"
        );
        stacks(&text).remove(0)
    };
    let stack = service("load_balancing.cross_zone.enabled=true");
    let name = stack.target_groups.values().next().unwrap().name.clone();
    let targets = Targets::from([(name, 501)]);
    let usages = of_stack(&stack, &targets);
    let crossing = used(
        &usages,
        "targets-per-availability-zone-per-network-load-balancer",
    );
    assert_eq!((crossing.used, crossing.is_exceeded()), (501, true));
    assert_eq!(used(&usages, "targets-per-target-group").limit, 1_000);

    let usages = of_stack(
        &service("load_balancing.cross_zone.enabled=false"),
        &targets,
    );
    let plain = used(&usages, "targets-per-network-load-balancer");
    assert_eq!(
        (plain.used, plain.limit, plain.is_high()),
        (501, 3_000, false)
    );

    let stack = ingress("", &rules(1));
    let name = stack.target_groups.values().next().unwrap().name.clone();
    let usages = of_stack(&stack, &Targets::from([(name, 1_001)]));
    assert!(used(&usages, "targets-per-application-load-balancer").is_exceeded());
    assert!(used(&usages, "targets-per-target-group").is_exceeded());
}

/// CLB guide, quotas: 20 Classic load balancers in a region, 1,000 instances and 100 listeners of each.
#[test]
fn classic_load_balancers_are_limited_per_region() {
    let mut text = String::new();
    for number in 0..21 {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{number}}}\nspec: {{type: LoadBalancer, ports: [{{port: 443, nodePort: 30443}}]}}\n"
        );
    }
    let (objects, _) = read(&text, "input.yaml");
    let (context, _) = Context::parse("personality: intree", "env.yaml");
    let stacks_of_provider = plan(&objects, &context).stacks;
    let usages = of_region(&stacks_of_provider, "us-east-1");
    let classics = used(&usages, "classic-load-balancers");
    assert_eq!((classics.used, classics.is_exceeded()), (21, true));
    assert_eq!(classics.resource, "us-east-1");
    let classic = stacks_of_provider[0].classic.as_ref().unwrap();
    let instances = Targets::from([(classic.load_balancer_name.clone(), 1_001)]);
    let usages = of_stack(&stacks_of_provider[0], &instances);
    assert!(used(&usages, "classic-registered-instances").is_exceeded());
    assert_eq!(used(&usages, "classic-listeners").limit, 100);
    let usages = of_region(&stacks(&text), "us-east-1");
    assert_eq!(used(&usages, "network-load-balancers").used, 21);
    assert_eq!(used(&usages, "target-groups").used, 21);
}

//! Things that manifests name and that live in the account or in another folder.

#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use elbow_manifest::{Context, Stack, Translation, plan, read, translate};
use elbow_model::diagnostic::{Diagnostic, Severity};

const WEB: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {type: NodePort, ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]}
";

/// An Ingress of `class` with these annotations, in flow style.
fn ingress(class: &str, annotations: &str) -> String {
    format!(
        "{WEB}---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web, namespace: shop, annotations: {{{annotations}}}}}
spec:
  {class}
  rules: [{{http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{name: http}}}}}}}}]}}}}]
"
    )
}

/// A Service with a Network Load Balancer and these annotations.
fn nlb(annotations: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop, annotations: {{{annotations}}}}}
spec: {{type: LoadBalancer, loadBalancerClass: service.k8s.aws/nlb, ports: [{{port: 80}}]}}
"
    )
}

fn context(environment: &str) -> Context {
    let (context, found) = Context::parse(environment, "environment.yaml");
    assert_eq!(found, []);
    context
}

fn planned(text: &str, context: &Context) -> Translation {
    let (objects, found) = read(text, "a.yaml");
    assert_eq!(found, []);
    plan(&objects, context)
}

fn subnets(stack: &Stack) -> Vec<&str> {
    let balancer = stack.load_balancers.values().next().unwrap();
    let subnets = balancer.subnet_mapping.iter();
    subnets.map(|one| &*one.subnet_id).collect()
}

/// Severity and code of each finding.
fn told(found: &[Diagnostic]) -> Vec<(Severity, &str)> {
    found.iter().map(|one| (one.severity, one.code)).collect()
}

const ALB: &str = "ingressClassName: alb";
const NAMED: &str = "alb.ingress.kubernetes.io/subnets: 'shop-public-2a, subnet-0123456789abcdef0'";

#[test]
fn unknown_subnets_are_planned_and_serve() {
    let text = ingress(ALB, NAMED);
    let made = planned(&text, &Context::default());
    assert_eq!(
        subnets(&made.stacks[0]),
        ["shop-public-2a", "subnet-0123456789abcdef0"]
    );
    let warning = (Severity::Warning, "unknown-subnet");
    assert_eq!(told(&made.diagnostics), [warning, warning]);
    for found in &made.diagnostics {
        assert_eq!(
            found.field,
            "metadata.annotations.alb.ingress.kubernetes.io/subnets"
        );
        assert!(found.hint.as_ref().unwrap().contains("environment file"));
    }
    let (objects, _) = read(&text, "a.yaml");
    let (model, _) = translate(&objects, &Context::default());
    // Nobody said in which zones the subnets are.
    assert_eq!(model.load_balancers[0].zones, []);
}

#[test]
fn strict_refuses_what_is_listed_nowhere() {
    let mut strict = Context::default();
    strict.be_strict();
    let eip = "service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing, \
               service.beta.kubernetes.io/aws-load-balancer-eip-allocations: 'eipalloc-1, eipalloc-2, eipalloc-3'";
    let group = "alb.ingress.kubernetes.io/security-groups: web-sg";
    let waf = "alb.ingress.kubernetes.io/wafv2-acl-arn: 'arn:aws:wafv2:a'";
    let foreign = "ingressClassName: team";
    let scheme = "alb.ingress.kubernetes.io/scheme: internal";
    for (text, code) in [
        (ingress(ALB, NAMED), "unknown-subnet"),
        (ingress(ALB, group), "unknown-security-group"),
        (ingress(foreign, scheme), "unknown-ingress-class"),
        (ingress(ALB, waf), "unknown-resource"),
        (nlb(eip), "unknown-resource"),
    ] {
        let made = planned(&text, &strict);
        assert!(made.stacks.is_empty(), "{text}");
        assert_eq!(
            told(&made.diagnostics)[0],
            (Severity::Error, code),
            "{text}"
        );
        let made = planned(&text, &Context::default());
        assert_eq!(made.stacks.len(), 1, "{text}");
        assert!(!made.diagnostics.iter().any(Diagnostic::is_error), "{text}");
    }
    let mut listed = context("resources: [eipalloc-1, eipalloc-2, eipalloc-3]");
    listed.be_strict();
    assert_eq!(planned(&nlb(eip), &listed).stacks.len(), 1);
}

/// The account has as many subnets as the user has addresses for.
#[test]
fn addresses_say_how_many_subnets_there_are() {
    let text = nlb(
        "service.beta.kubernetes.io/aws-load-balancer-private-ipv4-addresses: '10.0.1.5, 10.0.2.5'",
    );
    let made = planned(&text, &Context::default());
    let balancer = made.stacks[0].load_balancers.values().next().unwrap();
    let addresses: Vec<_> = balancer
        .subnet_mapping
        .iter()
        .map(|one| one.private_ipv4_address.as_ref().unwrap().value.as_str())
        .collect();
    assert_eq!(addresses, ["10.0.1.5", "10.0.2.5"]);
    assert_eq!(
        told(&made.diagnostics),
        [(Severity::Warning, "unknown-subnet")]
    );
    let described = context("unknownResources: controller");
    assert!(planned(&text, &described).stacks.is_empty());
}

#[test]
fn a_class_that_is_elsewhere_stands_in_for_an_ingress_of_the_alb_controller() {
    let class = "ingressClassName: my-aws-ingress-class";
    let text = ingress(class, "alb.ingress.kubernetes.io/scheme: internal");
    let made = planned(&text, &Context::default());
    assert_eq!(made.stacks[0].id, "shop/web");
    let found = &made.diagnostics[0];
    assert_eq!(
        (found.severity, found.code),
        (Severity::Warning, "unknown-ingress-class")
    );
    let hint = found.hint.as_ref().unwrap();
    assert!(hint.contains("controller: ingress.k8s.aws/alb"), "{hint}");
    // It may be for any controller.
    let other = planned(&ingress("ingressClassName: nginx", ""), &Context::default());
    assert!(other.stacks.is_empty());
    assert_eq!(
        told(&other.diagnostics)[0],
        (Severity::Warning, "unknown-ingress-class")
    );
    let described = planned(&text, &context("securityGroups: []"));
    assert_eq!(
        told(&described.diagnostics),
        [(Severity::Error, "unknown-ingress-class")]
    );
}

#[test]
fn the_rest_of_a_class_stands_in() {
    let class = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: team}
spec: {controller: ingress.k8s.aws/alb, parameters: {apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: team}}
";
    let params = "
apiVersion: elbv2.k8s.aws/v1beta1
kind: IngressClassParams
metadata: {name: team}
spec: {scheme: internet-facing, namespaceSelector: {matchLabels: {team: x}}}
";
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: z}}";
    let text = ingress("ingressClassName: team", "");
    let described = context("subnets: []");
    for (documents, stand_in, refusal) in [
        (vec![class], "unknown-parameters", "unknown-parameters"),
        (
            vec![class, params],
            "unknown-namespace",
            "namespace-not-selected",
        ),
    ] {
        let text = format!("{text}---\n{}", documents.join("\n---\n"));
        let made = planned(&text, &Context::default());
        assert_eq!(made.stacks.len(), 1, "{stand_in}");
        assert_eq!(told(&made.diagnostics), [(Severity::Warning, stand_in)]);
        let made = planned(&text, &described);
        assert_eq!(told(&made.diagnostics), [(Severity::Error, refusal)]);
    }
    // The labels of a Namespace that is there count.
    let text = format!("{text}---\n{class}---\n{params}---\n{namespace}");
    let made = planned(&text, &Context::default());
    assert_eq!(
        told(&made.diagnostics),
        [(Severity::Error, "namespace-not-selected")]
    );
}

#[test]
fn the_secret_of_an_oidc_client_stands_in() {
    let oidc = "alb.ingress.kubernetes.io/auth-type: oidc, \
                alb.ingress.kubernetes.io/listen-ports: '[{\"HTTPS\": 443}]', \
                alb.ingress.kubernetes.io/certificate-arn: 'arn:aws:acm:us-east-1:1:certificate/1', \
                alb.ingress.kubernetes.io/auth-idp-oidc: '{\"issuer\": \"https://a\", \"authorizationEndpoint\": \"https://a/b\", \
                \"tokenEndpoint\": \"https://a/c\", \"userInfoEndpoint\": \"https://a/d\", \"secretName\": \"oidc\"}'";
    let text = ingress(ALB, oidc);
    let made = planned(&text, &Context::default());
    assert_eq!(made.stacks.len(), 1);
    assert_eq!(
        told(&made.diagnostics),
        [(Severity::Warning, "unknown-secret")]
    );
    let described = context("unknownResources: controller");
    let made = planned(&text, &described);
    assert_eq!(
        told(&made.diagnostics),
        [(Severity::Error, "unknown-secret")]
    );
}

#[test]
fn dualstack_needs_no_environment_file() {
    let alb = ingress(ALB, "alb.ingress.kubernetes.io/ip-address-type: dualstack");
    let made = planned(&alb, &Context::default());
    assert_eq!(
        subnets(&made.stacks[0]),
        ["subnet-private-a", "subnet-private-b", "subnet-private-c"]
    );
    let nlb = nlb("service.beta.kubernetes.io/aws-load-balancer-ip-address-type: dualstack");
    let nlb = nlb.replace("ports:", "ipFamilies: [IPv6], ports:");
    for text in [alb, nlb] {
        let (objects, _) = read(&text, "a.yaml");
        let (model, found) = translate(&objects, &Context::default());
        assert!(!found.iter().any(Diagnostic::is_error), "{found:?}");
        assert_eq!(model.load_balancers.len(), 1);
    }
}

/// aws-load-balancer-controller issue 4852.
#[test]
fn dualstack_discovers_subnets_with_an_ipv6_range() {
    let context = context(
        "subnets:
- {id: subnet-v4-a, availabilityZone: us-east-1a, cidrBlock: 192.168.0.0/19, scheme: internal}
- {id: subnet-v4-b, availabilityZone: us-east-1b, cidrBlock: 192.168.32.0/19, scheme: internal}
- {id: subnet-v6-a, availabilityZone: us-east-1a, ipv6CidrBlock: '2600:1f13::/64', scheme: internal}
- {id: subnet-v6-b, availabilityZone: us-east-1b, ipv6CidrBlock: '2600:1f13:0:1::/64', scheme: internal}
",
    );
    let dualstack = "alb.ingress.kubernetes.io/ip-address-type: dualstack";
    let found = planned(&ingress(ALB, dualstack), &context);
    assert_eq!(subnets(&found.stacks[0]), ["subnet-v6-a", "subnet-v6-b"]);
    let network = "service.beta.kubernetes.io/aws-load-balancer-ip-address-type: dualstack";
    let found = planned(&nlb(network), &context);
    assert_eq!(subnets(&found.stacks[0]), ["subnet-v6-a", "subnet-v6-b"]);
    let named =
        format!("{dualstack}, alb.ingress.kubernetes.io/subnets: 'subnet-v4-a,subnet-v4-b'");
    let refused = planned(&ingress(ALB, &named), &context);
    assert_eq!(
        told(&refused.diagnostics),
        [(Severity::Error, "subnet-without-ipv6")]
    );
    assert!(
        refused.diagnostics[0]
            .message
            .contains("do not have an associated IPv6 CIDR block")
    );
}

const AUTO: &str = "
apiVersion: v1
kind: Service
metadata:
  name: auto
  namespace: shop
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing
    service.beta.kubernetes.io/aws-load-balancer-internal: 'true'
    service.beta.kubernetes.io/aws-load-balancer-disable-nlb-sg: 'true'
spec: {type: LoadBalancer, loadBalancerClass: eks.amazonaws.com/nlb, ports: [{name: a, port: 80, targetPort: 8080}]}
---
apiVersion: eks.amazonaws.com/v1
kind: IngressClassParams
metadata: {name: alb}
spec:
  scheme: internet-facing
  group: {name: team}
  certificateARNs: ['arn:aws:acm:us-east-1:1:certificate/1']
---
apiVersion: elbv2.k8s.aws/v1beta1
kind: IngressClassParams
metadata: {name: alb}
spec: {scheme: internal}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: auto, annotations: {ingressclass.kubernetes.io/is-default-class: 'true'}}
spec:
  controller: eks.amazonaws.com/alb
  parameters: {apiGroup: eks.amazonaws.com, kind: IngressClassParams, name: alb}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: auto, namespace: shop, annotations: {alb.ingress.kubernetes.io/group.name: mine}}
spec:
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: auto, port: {number: 80}}}}]}}]
";

#[test]
fn auto_mode_is_planned_and_serves() {
    let made = planned(AUTO, &context("personality: intree"));
    let ids: Vec<&str> = made.stacks.iter().map(|stack| &*stack.id).collect();
    // The group of the parameters counts, the annotation does not.
    assert_eq!(ids, ["shop/auto", "team"]);
    for stack in &made.stacks {
        let balancer = stack.load_balancers.values().next().unwrap();
        assert_eq!(balancer.scheme.value, "internet-facing");
        assert!(!balancer.security_groups.is_empty());
        for group in stack.target_groups.values() {
            assert_eq!(group.target_type, "ip");
        }
    }
    let alb = &made.stacks[1];
    let ports: Vec<u16> = alb.listeners.values().map(|one| *one.port).collect();
    assert_eq!(ports, [443]);
    let ignored: Vec<&str> = made
        .diagnostics
        .iter()
        .filter(|one| one.code == "not-in-auto-mode")
        .map(|one| one.field.rsplit_once('/').unwrap().1)
        .collect();
    assert_eq!(
        ignored,
        [
            "aws-load-balancer-internal",
            "aws-load-balancer-disable-nlb-sg",
            "group.name"
        ]
    );
    let (objects, _) = read(AUTO, "a.yaml");
    let (model, _) = translate(&objects, &Context::default());
    assert_eq!(model.load_balancers.len(), 2);
}

/// In a cluster with EKS Auto Mode, AWS's controllers serve its objects.
#[test]
fn auto_mode_of_a_cluster_needs_its_personality() {
    for (personality, stacks) in [("lbc-default", 0), ("eks-auto", 2)] {
        let mut context = context(&format!("personality: {personality}"));
        context.has_all_objects = true;
        let made = planned(AUTO, &context);
        assert_eq!(made.stacks.len(), stacks, "{personality}");
        assert!(!made.diagnostics.iter().any(Diagnostic::is_error));
    }
}

#[test]
fn auto_mode_takes_services_without_a_class() {
    let text = AUTO.replace(", loadBalancerClass: eks.amazonaws.com/nlb", "");
    let made = planned(&text, &context("personality: eks-auto"));
    let groups = &made.stacks[0].target_groups;
    let types: Vec<&str> = groups.values().map(|one| &*one.target_type).collect();
    assert_eq!(types, ["ip"]);
    let made = planned(&text, &context("personality: lbc-default"));
    let groups = &made.stacks[0].target_groups;
    let types: Vec<&str> = groups.values().map(|one| &*one.target_type).collect();
    assert_eq!(types, ["instance"]);
}

#[test]
fn bindings_of_auto_mode_need_a_target_type() {
    let binding = "
apiVersion: eks.amazonaws.com/v1
kind: TargetGroupBinding
metadata: {name: b}
spec: {targetGroupName: shared, serviceRef: {name: web, port: 80}}
";
    let (objects, _) = read(binding, "a.yaml");
    let found = plan(&objects, &Context::default()).diagnostics;
    assert_eq!(told(&found), [(Severity::Error, "missing-field")]);
    let typed = binding.replace("serviceRef", "targetType: ip, serviceRef");
    let (objects, _) = read(&typed, "a.yaml");
    let found = plan(&objects, &Context::default()).diagnostics;
    assert!(!found.iter().any(Diagnostic::is_error), "{found:?}");
}

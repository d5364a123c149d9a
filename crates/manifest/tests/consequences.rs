//! Warnings about what follows from objects that are valid: hidden rules, open access, health checks that cannot pass, subnets.

use elbow_manifest::{Context, plan, read, translate};

/// What `code` was reported for: line, message, hint.
fn of(code: &str, text: &str) -> Vec<(u32, String, String)> {
    let (objects, errors) = read(text, "in.yaml");
    assert_eq!(errors, []);
    let made = plan(&objects, &Context::default());
    let errors: Vec<_> = made
        .diagnostics
        .iter()
        .filter(|one| one.is_error())
        .collect();
    assert_eq!(errors, Vec::<&_>::new());
    let found = made.diagnostics.into_iter().filter(|one| one.code == code);
    found
        .map(|one| (one.line, one.message, one.hint.unwrap_or_default()))
        .collect()
}

fn lines(code: &str, text: &str) -> Vec<u32> {
    of(code, text).into_iter().map(|(line, ..)| line).collect()
}

/// An Ingress with these lines of annotations, whose paths start in line 10 and after the annotations; and its Service `web`.
fn ingress(name: &str, annotations: &[&str], rules: &str) -> String {
    let lines: String = annotations
        .iter()
        .map(|line| format!("    {line}\n"))
        .collect();
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
{lines}spec:
  ingressClassName: alb
  rules:
{rules}---
"
    )
}

const WEB: &str = "apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
";

/// One entry of `rules`, a line for the host and one for each path.
fn entry(host: &str, paths: &[(&str, &str)]) -> String {
    entry_to("web, port: {number: 80}", host, paths)
}

fn entry_to(backend: &str, host: &str, paths: &[(&str, &str)]) -> String {
    let path = |(path, kind): &(&str, &str)| {
        format!(
            "      - {{path: {path:?}, pathType: {kind}, backend: {{service: {{name: {backend}}}}}}}\n"
        )
    };
    let paths: String = paths.iter().map(path).collect();
    format!("  - host: {host:?}\n    http:\n      paths:\n{paths}")
}

const PATTERN: &str = "ImplementationSpecific";

/// AWS Load Balancer Controller, issue 3450: the controller sorts the patterns of an entry behind its prefixes.
#[test]
fn a_pattern_is_hidden_by_a_prefix_of_its_entry() {
    let deny = r#"alb.ingress.kubernetes.io/actions.deny: '{"type":"fixed-response","fixedResponseConfig":{"contentType":"text/plain","statusCode":"403"}}'"#;
    let mut rules = entry_to(
        "deny, port: {name: use-annotation}",
        "a.example",
        &[("/admin/*", PATTERN)],
    );
    rules += "      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}\n";
    let found = of("hidden-rule", &(ingress("web", &[deny], &rules) + WEB));
    let [(line, message, hint)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(*line, 14);
    assert_eq!(
        message,
        "rule 2 (host-header is a.example and path-pattern is /admin/*) can never match: rule 1 of in.yaml:15 (host-header is \
         a.example and path-pattern is /*) comes first and takes all of its requests, so it denies nothing"
    );
    assert!(hint.contains("entry of its own, above"), "{hint}");
}

#[test]
fn an_entry_above_is_not_hidden() {
    let rules =
        entry("a.example", &[("/admin/*", PATTERN)]) + &entry("a.example", &[("/", "Prefix")]);
    assert_eq!(of("hidden-rule", &(ingress("web", &[], &rules) + WEB)), []);
    let rules =
        entry("a.example", &[("/", "Prefix")]) + &entry("a.example", &[("/admin/*", PATTERN)]);
    let found = of("hidden-rule", &(ingress("web", &[], &rules) + WEB));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, 17);
    assert_eq!(
        found[0].2,
        "write this path in an entry of spec.rules above that of the other"
    );
}

#[test]
fn hosts_and_paths_must_both_be_covered() {
    let rules = [
        entry("*.example", &[("/a", "Prefix")]),
        entry("b.example", &[("/a/b", "Exact"), ("/ab", "Exact")]),
        entry("b.other", &[("/a", "Exact")]),
    ];
    let text = ingress("web", &[], &rules.concat()) + WEB;
    assert_eq!(lines("hidden-rule", &text), [17]);
}

#[test]
fn the_order_of_a_group_decides_which_ingress_is_hidden() {
    let group = "alb.ingress.kubernetes.io/group.name: shop";
    let a = ingress("a", &[group], &entry("a.example", &[("/", "Prefix")]));
    let b = ingress("b", &[group], &entry("a.example", &[("/b", "Prefix")]));
    let found = of("hidden-rule", &(a + &b + WEB));
    let [(line, message, hint)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(*line, 29);
    assert!(message.contains("rule 1 of in.yaml:14"), "{message}");
    assert_eq!(
        hint,
        "give Ingress/default/b a smaller group.order than Ingress/default/a"
    );
    let order = "alb.ingress.kubernetes.io/group.order: \"1\"";
    let a = ingress(
        "a",
        &[group, order],
        &entry("a.example", &[("/", "Prefix")]),
    );
    let b = ingress("b", &[group], &entry("a.example", &[("/b", "Prefix")]));
    assert_eq!(of("hidden-rule", &(a + &b + WEB)), []);
}

#[test]
fn a_path_that_stands_twice_is_hidden() {
    let rules = entry("a.example", &[("/a", "Exact"), ("/a", PATTERN)]);
    let found = of("hidden-rule", &(ingress("web", &[], &rules) + WEB));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].2, "two paths with the same conditions: remove one");
}

/// The redirect that AWS's guide had before `ssl-redirect`: it hides the other rules of the HTTP listener on purpose.
#[test]
fn a_redirect_to_https_hides_nothing_that_https_serves() {
    let annotations = [
        r#"alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'"#,
        "alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:us-east-1:1:certificate/a",
        r#"alb.ingress.kubernetes.io/actions.redirect: '{"type":"redirect","redirectConfig":{"protocol":"HTTPS","port":"443","statusCode":"HTTP_301"}}'"#,
    ];
    let redirect = entry_to(
        "redirect, port: {name: use-annotation}",
        "a.example",
        &[("/*", PATTERN)],
    );
    let rules = redirect + &entry("a.example", &[("/", "Prefix")]);
    assert_eq!(
        of("hidden-rule", &(ingress("web", &annotations, &rules) + WEB)),
        []
    );
}

#[test]
fn conditions_of_annotations_narrow_a_rule() {
    let conditions = r#"alb.ingress.kubernetes.io/conditions.web: '[{"field":"http-request-method","httpRequestMethodConfig":{"values":["GET"]}}]'"#;
    let rules = entry("a.example", &[("/", "Prefix"), ("/a*", PATTERN)]);
    let text = ingress("web", &[conditions], &rules) + WEB;
    assert_eq!(lines("hidden-rule", &text), [15]);
    // The first rule takes GET alone, the second leads to another backend and takes every method.
    let mut rules = entry("a.example", &[("/", "Prefix")]);
    rules += &entry_to(
        "other, port: {number: 80}",
        "a.example",
        &[("/a*", PATTERN)],
    );
    assert_eq!(
        of(
            "hidden-rule",
            &(ingress("web", &[conditions], &rules) + WEB)
        ),
        []
    );
}

fn plain(annotations: &[&str]) -> String {
    ingress("web", annotations, &entry("a.example", &[("/", "Prefix")])) + WEB
}

#[test]
fn annotations_that_restrict_access_elsewhere_are_told() {
    let nginx = "nginx.ingress.kubernetes.io";
    let source = format!("{nginx}/whitelist-source-range: 10.0.0.0/8");
    let found = of("open-access", &plain(&[&source]));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, 7);
    assert!(
        found[0].1.ends_with("clients of every address get in"),
        "{found:?}"
    );
    assert!(
        found[0]
            .2
            .contains("alb.ingress.kubernetes.io/inbound-cidrs"),
        "{found:?}"
    );
    for key in [
        "auth-type: basic",
        "auth-url: https://a.example",
        "auth-tls-secret: a/b",
    ] {
        assert_eq!(
            lines("open-access", &plain(&[&format!("{nginx}/{key}")])),
            [7],
            "{key}"
        );
    }
    let cidrs = "alb.ingress.kubernetes.io/inbound-cidrs: 10.0.0.0/8";
    assert_eq!(of("open-access", &plain(&[&source, cidrs])), []);
    let quiet = [
        format!("{nginx}/ssl-redirect: \"true\""),
        format!("{nginx}/enable-modsecurity: \"false\""),
        "traefik.ingress.kubernetes.io/router.middlewares: a-strip@kubernetescrd".to_owned(),
        "cert-manager.io/cluster-issuer: a".to_owned(),
    ];
    for line in &quiet {
        assert_eq!(of("open-access", &plain(&[line])), [], "{line}");
    }
}

#[test]
fn http_that_another_controller_would_not_serve_is_told() {
    let denied = "kubernetes.io/ingress.allow-http: \"false\"";
    assert_eq!(lines("open-access", &plain(&[denied])), [7]);
    let secure = [
        denied,
        r#"alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'"#,
        "alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:us-east-1:1:certificate/a",
        "alb.ingress.kubernetes.io/ssl-redirect: \"443\"",
    ];
    assert_eq!(of("open-access", &plain(&secure)), []);
}

/// A Service with these lines of annotations, from line 6 on.
fn service(annotations: &[&str], ports: &str) -> String {
    let lines: String = annotations
        .iter()
        .map(|line| format!("    {line}\n"))
        .collect();
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
{lines}spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  ports: [{ports}]
"
    )
}

const S: &str = "service.beta.kubernetes.io/aws-load-balancer";

#[test]
fn a_load_balancer_that_other_clouds_would_keep_internal_is_told() {
    let gke = "networking.gke.io/load-balancer-type: Internal";
    let public = format!("{S}-scheme: internet-facing");
    let port = "{port: 80, nodePort: 30080}";
    assert_eq!(lines("open-access", &service(&[gke, &public], port)), [6]);
    // The controller's default is internal.
    assert_eq!(of("open-access", &service(&[gke], port)), []);
}

#[test]
fn health_checks_that_cannot_pass_are_told() {
    let code = "failing-health-check";
    let instance = format!("{S}-nlb-target-type: instance");
    let port = format!("{S}-healthcheck-port: \"8080\"");
    let ports = "{port: 80, targetPort: 8080, nodePort: 30080}";
    let found = of(code, &service(&[&instance, &port], ports));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, 7);
    assert!(
        found[0]
            .1
            .contains("no node port of Service default/web, but a port of the pods"),
        "{found:?}"
    );
    let node_port = format!("{S}-healthcheck-port: \"30080\"");
    assert_eq!(of(code, &service(&[&instance, &node_port], ports)), []);
    let pods = format!("{S}-nlb-target-type: ip");
    assert_eq!(of(code, &service(&[&pods, &port], ports)), []);

    let https = "alb.ingress.kubernetes.io/backend-protocol: HTTPS";
    let http = "alb.ingress.kubernetes.io/healthcheck-protocol: HTTP";
    assert_eq!(lines(code, &plain(&[https, http])), [8]);
    let port = "alb.ingress.kubernetes.io/healthcheck-port: \"9000\"";
    assert_eq!(of(code, &plain(&[https, http, port])), []);
    let codes = "alb.ingress.kubernetes.io/success-codes: 200-400";
    assert_eq!(of(code, &plain(&[https, http, codes])), []);
    assert_eq!(of(code, &plain(&[https])), []);

    let udp = "{port: 53, protocol: UDP, nodePort: 30053}";
    assert_eq!(lines(code, &service(&[&instance], udp)), [1]);
    let both = "{name: u, port: 53, protocol: UDP}, {name: t, port: 53, protocol: TCP}";
    assert_eq!(of(code, &service(&[&instance], both)), []);
}

#[test]
fn grpc_behind_http_is_told_once() {
    let grpc = "alb.ingress.kubernetes.io/backend-protocol-version: GRPC";
    let found = of("grpc-over-http", &plain(&[grpc]));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, 7);
    let http2 = "alb.ingress.kubernetes.io/backend-protocol-version: HTTP2";
    assert_eq!(of("grpc-over-http", &plain(&[http2])).len(), 1);
    let secure = [
        grpc,
        r#"alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'"#,
        "alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:us-east-1:1:certificate/a",
        "alb.ingress.kubernetes.io/ssl-redirect: \"443\"",
    ];
    assert_eq!(of("grpc-over-http", &plain(&secure)), []);
}

#[test]
fn public_load_balancers_in_private_subnets_are_told() {
    let public = format!("{S}-scheme: internet-facing");
    let subnets = format!("{S}-subnets: subnet-private-a, subnet-public-b");
    let port = "{port: 80, nodePort: 30080}";
    let found = of("private-subnets", &service(&[&public, &subnets], port));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, 6);
    assert!(
        found[0].1.contains("private subnets: subnet-private-a;"),
        "{found:?}"
    );
    assert_eq!(of("private-subnets", &service(&[&subnets], port)), []);
    assert_eq!(of("private-subnets", &service(&[&public], port)), []);
}

#[test]
fn a_client_that_is_its_own_target_is_told() {
    let keep = format!("{S}-target-group-attributes: preserve_client_ip.enabled=true");
    let port = "{port: 80, nodePort: 30080}";
    assert_eq!(lines("hairpin", &service(&[&keep], port)), [6]);
    let public = format!("{S}-scheme: internet-facing");
    assert_eq!(of("hairpin", &service(&[&keep, &public], port)), []);
    assert_eq!(of("hairpin", &service(&["a: b"], port)), []);
}

#[test]
fn targets_outside_the_zones_of_their_load_balancer_are_told() {
    let pods = format!("{S}-nlb-target-type: ip");
    let subnets = format!("{S}-subnets: subnet-private-a, subnet-private-b");
    let slice = |zone: &str| {
        format!(
            "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{port: 80}}]
endpoints: [{{addresses: [10.0.0.7], zone: us-east-1a}}, {{addresses: [10.0.0.8], zone: {zone}}}]
"
        )
    };
    let told = |zone: &str| {
        let text = service(&[&pods, &subnets], "{port: 80}") + &slice(zone);
        let (objects, _) = read(&text, "in.yaml");
        let (_, found) = translate(&objects, &Context::default());
        let found = found
            .into_iter()
            .filter(|one| one.code == "target-outside-zones");
        found.map(|one| one.message).collect::<Vec<_>>()
    };
    assert_eq!(
        told("us-east-1c"),
        [
            "1 of 2 targets of Service default/web are in us-east-1c, where the load balancer has no subnet: on AWS they get no traffic"
        ]
    );
    assert_eq!(told("us-east-1b"), [] as [String; 0]);
    // The environment does not know the zones of other regions.
    assert_eq!(told("eu-west-1a"), [] as [String; 0]);
}

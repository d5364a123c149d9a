//! Warnings about annotations without effect: misspelt, in the wrong place, for another controller, or overridden by
//! others. control-plane.md 2.2, 3.1 and 4 list which controller reads what.

use elbow_manifest::{Context, advice, plan, read};

/// The findings about the annotations of `text`: code, key without its prefix, hint.
fn found(text: &str, personality: &str) -> Vec<(String, String, String)> {
    let (objects, errors) = read(text, "input.yaml");
    assert_eq!(errors, []);
    let context =
        format!("personality: {personality}\nsecurityGroups: [{{id: sg-1, name: one}}]\n");
    let (context, _) = Context::parse(&context, "env.yaml");
    let made = plan(&objects, &context);
    let about = made.diagnostics.iter().map(|one| {
        let key = one.field.trim_start_matches("metadata.annotations.");
        assert!(one.line > 1, "{one} has no place");
        (
            one.code.to_owned(),
            key.to_owned(),
            one.hint.clone().unwrap_or_default(),
        )
    });
    about.collect()
}

/// The findings about a Service with `annotations`, in the order of their lines.
fn service(annotations: &[(&str, &str)], personality: &str) -> Vec<(String, String, String)> {
    let lines: Vec<String> = annotations
        .iter()
        .map(|(key, value)| format!("    {key}: {value:?}\n"))
        .collect();
    let text = format!(
        "apiVersion: v1
kind: Service
metadata:
  name: minio
  annotations:
{}spec: {{type: LoadBalancer, ports: [{{name: s3, port: 443, nodePort: 30443}}]}}
",
        lines.concat()
    );
    found(&text, personality)
}

/// The findings about an Ingress in front of the Service `web`, which has the annotations `behind`.
fn ingress(annotations: &[(&str, &str)], behind: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let lines = |annotations: &[(&str, &str)]| {
        let line = |(key, value): &(&str, &str)| format!("    {key}: {value:?}\n");
        annotations.iter().map(line).collect::<String>()
    };
    let text = format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    kubernetes.io/ingress.class: alb
{}spec:
  rules:
  - http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}
---
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    a: b
{}spec: {{type: NodePort, ports: [{{port: 80, nodePort: 30080}}]}}
",
        lines(annotations),
        lines(behind)
    );
    found(&text, "lbc-default")
}

const S: &str = "service.beta.kubernetes.io/aws-load-balancer";

#[test]
fn misspelt_annotations_of_services_get_a_hint() {
    for (key, meant) in [
        (
            "service.beta.kubernetes.io/aws-load-balancer-shceme",
            "aws-load-balancer-scheme",
        ),
        (
            "service.beta.kubernetes.io/aws-loadbalancer-type",
            "aws-load-balancer-type",
        ),
        (
            "service.kubernetes.io/aws-load-balancer-scheme",
            "aws-load-balancer-scheme",
        ),
        ("aws-load-balancer-internal", "aws-load-balancer-internal"),
        (
            "service.beta.kubernetes.io/load-balancer-source-range",
            "load-balancer-source-ranges",
        ),
    ] {
        let found = service(&[(key, "x")], "lbc-default");
        let [(code, at, hint)] = &found[..] else {
            panic!("{key}: {found:?}");
        };
        assert_eq!((&**code, &**at), ("unknown-annotation", key));
        assert!(
            hint.starts_with("did you mean \"") && hint.ends_with(&format!("{meant}\"?")),
            "{hint}"
        );
    }
}

#[test]
fn annotations_of_other_projects_are_ignored() {
    let strangers = [
        (
            "service.beta.kubernetes.io/azure-load-balancer-internal",
            "true",
        ),
        ("external-dns.alpha.kubernetes.io/hostname", "a.example"),
        ("prometheus.io/scrape", "true"),
    ];
    assert_eq!(service(&strangers, "lbc-default"), []);
    let strangers = [
        ("nginx.ingress.kubernetes.io/ssl-redirect", "true"),
        ("nginx.ingress.kubernetes.io/backend-protocol", "HTTPS"),
        ("haproxy.org/backend-config", "x"),
    ];
    assert_eq!(ingress(&strangers, &[]), []);
}

/// control-plane.md 3.1, last line, and 4: each controller reads annotations that the other does not.
#[test]
fn annotations_for_another_controller_are_reported() {
    for (name, value, owners) in [
        ("connection-idle-timeout", "60", ["", "", "LBC"]),
        ("extra-security-groups", "sg-1", ["", "", "LBC"]),
        ("scheme", "internal", ["CLB", "CLB", ""]),
        (
            "attributes",
            "deletion_protection.enabled=false",
            ["CLB", "CLB", ""],
        ),
        ("subnets", "subnet-public-a,subnet-public-b", ["", "", ""]),
    ] {
        let key = format!("{S}-{name}");
        for (personality, owner) in ["intree", "lbc", "lbc-default"].iter().zip(owners) {
            let found = service(&[(&key, value)], personality);
            let codes: Vec<&str> = found.iter().map(|(code, ..)| &**code).collect();
            let expected: &[&str] = if owner.is_empty() {
                &[]
            } else {
                &["ignored-annotation"]
            };
            assert_eq!(codes, expected, "{key} by {personality}");
            assert!(
                found.iter().all(|(_, _, hint)| hint.starts_with("write ")),
                "{found:?}"
            );
        }
    }
    // The provider's NLB has no proxy-protocol annotation.
    let nlb = [
        (&*format!("{S}-type"), "nlb"),
        (&*format!("{S}-proxy-protocol"), "*"),
    ];
    let found = service(&nlb, "intree");
    assert_eq!(found[0].0, "ignored-annotation");
}

#[test]
fn annotations_of_services_without_effect_beside_others() {
    let key = |name: &str| format!("{S}-{name}");
    for (annotations, idle) in [
        (vec![("ssl-ports", "443")], "ssl-ports"),
        (
            vec![("access-log-s3-bucket-name", "logs")],
            "access-log-s3-bucket-name",
        ),
        (
            vec![("scheme", "internal"), ("internal", "true")],
            "internal",
        ),
        (
            vec![
                ("proxy-protocol", "*"),
                ("proxy-protocol-per-target-group", "443"),
            ],
            "proxy-protocol-per-target-group",
        ),
        (
            vec![("nlb-target-type", "ip"), ("target-node-labels", "a=b")],
            "target-node-labels",
        ),
        (vec![("backend-protocol", "https")], "backend-protocol"),
        (
            vec![("listener-attributes.TLS-443", "tcp.idle_timeout.seconds=60")],
            "listener-attributes.TLS-443",
        ),
        (
            vec![(
                "target-group-attributes.80",
                "preserve_client_ip.enabled=false",
            )],
            "target-group-attributes.80",
        ),
    ] {
        let annotations: Vec<(String, &str)> = annotations
            .into_iter()
            .map(|(name, value)| (key(name), value))
            .collect();
        let annotations: Vec<(&str, &str)> = annotations
            .iter()
            .map(|(name, value)| (&**name, *value))
            .collect();
        let found = service(&annotations, "lbc-default");
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(code, key, _)| (&**code, &**key))
            .collect();
        assert_eq!(found, [("no-effect", &*key(idle))]);
    }
    // S14 writes tcp, which is the default.
    assert_eq!(
        service(&[(&key("backend-protocol"), "tcp")], "lbc-default"),
        []
    );
}

/// A Tenant whose annotations describe load balancers that exposeServices does not ask for.
#[test]
fn annotations_of_a_tenant_that_is_not_exposed_have_no_effect() {
    let tenant = "apiVersion: minio.min.io/v2
kind: Tenant
metadata: {name: store, namespace: shop}
spec:
  serviceMetadata:
    minioServiceAnnotations:
      service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing
  pools: [{servers: 1, volumesPerServer: 1, volumeClaimTemplate: {}}]
";
    let found = found(tenant, "lbc-default");
    let [(code, key, hint)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((&**code, &**key), ("no-effect", &*format!("{S}-scheme")));
    assert!(hint.contains("spec.exposeServices"), "{hint}");
}

const A: &str = "alb.ingress.kubernetes.io";

#[test]
fn unknown_annotations_of_ingresses_get_a_hint() {
    for (key, meant) in [
        ("alb.ingress.kubernetes.io/schema", "scheme"),
        (
            "alb.ingress.kubernetes.io/certificate-arns",
            "certificate-arn",
        ),
        (
            "ingress.kubernetes.io/certificate-arn",
            "alb.ingress.kubernetes.io/certificate-arn",
        ),
        (
            "alb.ingress.k8s.aws/target-type",
            "alb.ingress.kubernetes.io/target-type",
        ),
        ("listen-ports", "alb.ingress.kubernetes.io/listen-ports"),
    ] {
        let found = ingress(&[(key, "x")], &[]);
        let expected = (
            "unknown-annotation".into(),
            key.into(),
            format!("did you mean \"{meant}\"?"),
        );
        assert_eq!(found, [expected]);
    }
}

#[test]
fn annotations_in_the_wrong_place_are_reported() {
    for (key, meant) in [
        ("scheme", "scheme"),
        ("ssl-cert", "certificate-arn"),
        ("name", "load-balancer-name"),
    ] {
        let key = format!("{S}-{key}");
        let found = ingress(&[(&key, "x")], &[]);
        let expected = (
            "no-effect".into(),
            key,
            format!("did you mean \"{A}/{meant}\"?"),
        );
        assert_eq!(found, [expected]);
    }
    let scheme = format!("{A}/scheme");
    let found = ingress(
        &[],
        &[
            (&scheme, "internal"),
            (&format!("{A}/healthcheck-path"), "/x"),
        ],
    );
    assert_eq!(found, [("no-effect".into(), scheme, String::new())]);
    // No path has this backend.
    let path = format!("{A}/healthcheck-path");
    let found = service(&[(&path, "/x")], "lbc-default");
    assert_eq!(found, [("no-effect".into(), path, String::new())]);
}

#[test]
fn annotations_of_ingresses_without_effect_beside_others() {
    for (annotations, idle) in [
        (
            vec![("security-groups", "sg-1"), ("inbound-cidrs", "10.0.0.0/8")],
            "inbound-cidrs",
        ),
        (vec![("group.order", "5")], "group.order"),
        (
            vec![("target-type", "ip"), ("target-node-labels", "a=b")],
            "target-node-labels",
        ),
        (vec![("auth-scope", "email")], "auth-scope"),
        (
            vec![("ssl-policy", "ELBSecurityPolicy-2016-08")],
            "ssl-policy",
        ),
        (
            vec![
                ("listen-ports", "[{\"HTTP\":80}]"),
                ("certificate-arn", "arn:aws:acm:r:1:certificate/a"),
            ],
            "certificate-arn",
        ),
        (
            vec![("use-regex-path-match", "true")],
            "use-regex-path-match",
        ),
        (
            vec![(
                "listener-attributes.HTTPS-443",
                "routing.http.response.server.enabled=false",
            )],
            "listener-attributes.HTTPS-443",
        ),
    ] {
        let key = |name: &str| format!("{A}/{name}");
        let annotations: Vec<(String, &str)> = annotations
            .into_iter()
            .map(|(name, value)| (key(name), value))
            .collect();
        let annotations: Vec<(&str, &str)> = annotations
            .iter()
            .map(|(name, value)| (&**name, *value))
            .collect();
        let (context, _) = Context::parse("", "env.yaml");
        assert_eq!(context.defaults.target_type, "instance");
        let found = ingress(&annotations, &[]);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(code, key, _)| (&**code, &**key))
            .collect();
        assert_eq!(found, [("no-effect", &*key(idle))]);
    }
}

#[test]
fn actions_that_no_path_uses_are_reported() {
    let action = r#"{"type":"fixed-response","fixedResponseConfig":{"statusCode":"200"}}"#;
    let key = format!("{A}/actions.wed");
    let found = ingress(&[(&key, action)], &[]);
    assert_eq!(
        found,
        [("no-effect".into(), key, "did you mean \"web\"?".into())]
    );
}

/// control-plane.md 1, S10 and S11: target certificates are not verified; one note for a stack.
#[test]
fn unverified_targets_get_one_note() {
    let text = "apiVersion: v1
kind: Service
metadata:
  name: minio
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:aws:acm:us-east-1:1:certificate/a
    service.beta.kubernetes.io/aws-load-balancer-backend-protocol: PROTOCOL
spec: {type: LoadBalancer, ports: [{name: a, port: 443, nodePort: 30443}, {name: b, port: 444, nodePort: 30444}]}
";
    for (protocol, personality, note) in [
        ("ssl", "lbc-default", true),
        ("tcp", "lbc-default", false),
        ("https", "intree", true),
        ("http", "intree", false),
    ] {
        let (objects, _) = read(&text.replace("PROTOCOL", protocol), "input.yaml");
        let (context, _) = Context::parse(&format!("personality: {personality}"), "env.yaml");
        let stacks = plan(&objects, &context).stacks;
        let found = advice::unverified(&stacks[0]);
        assert_eq!(found.is_some(), note, "{protocol} by {personality}");
        let more =
            found.is_some_and(|found| found.message.contains(" and 1 more are reached over TLS"));
        assert_eq!(more, note && personality == "lbc-default");
    }
}

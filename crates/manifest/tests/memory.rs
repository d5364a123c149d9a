//! The memory that a file or an object can take is bounded, however its parts multiply.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use elbow_manifest::cluster::{Change, Outcome};
use elbow_manifest::context::Personality;
use elbow_manifest::{Cluster, Context, plan, read, translate};
use elbow_model::diagnostic::Diagnostic;

#[allow(unreachable_pub, reason = "the fuzz targets have it in a library")]
#[path = "../../../fuzz/src/peak.rs"]
mod peak;

/// 98 KB: a string of 50 KB and 16,000 aliases of it.
#[test]
fn aliases_are_charged_in_manifests_and_in_the_environment() {
    let (long, aliases) = ("x".repeat(50_000), "*a,".repeat(16_000));
    let text = format!("a: &a {long}\nb: [{aliases}]\n");
    let (_, found) = peak::within(32 << 20, || read(&text, "a.yaml"));
    assert_eq!((found[0].code, found[0].line), ("too-large", 2));
    let (_, found) = peak::within(32 << 20, || Context::parse(&text, "env.yaml"));
    assert_eq!((found[0].code, found[0].line), ("too-large", 2));
}

/// Thirty Lists, each the only item of the one around it, and 20,000 names in the innermost.
#[test]
fn lists_in_lists_are_not_copied() {
    let open = r#"{"apiVersion":"v1","kind":"List","items":["#.repeat(30);
    let names = "\"x\",".repeat(20_000);
    let text = format!(
        "{open}{{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"a\":[{names}]}}{}",
        "]}".repeat(30)
    );
    let (_, found) = peak::within(24 << 20, || read(&text, "a.json"));
    assert_eq!(found[0].code, "missing-field");
}

const CLASS: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
---
";

/// An Ingress with this many ports and paths, and these further annotations.
fn ingress(ports: usize, paths: usize, annotations: &str) -> String {
    let ports: Vec<String> = (1..=ports)
        .map(|port| format!("{{\"HTTP\":{port}}}"))
        .collect();
    let service = "backend: {service: {name: web, port: {number: 80}}}";
    let paths =
        (0..paths).map(|path| format!("      - {{path: /{path}, pathType: Exact, {service}}}\n"));
    let paths: String = paths.collect();
    format!(
        "{CLASS}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/listen-ports: '[{}]'
{annotations}
spec:
  ingressClassName: alb
  rules:
  - http:
      paths:
{paths}",
        ports.join(",")
    )
}

/// A Service of class `nlb` with this many ports and these further annotations.
fn service(ports: usize, annotations: &str) -> String {
    let port = |port| {
        format!(
            "  - {{name: p{port}, port: {port}, nodePort: {}}}\n",
            29_999 + port
        )
    };
    let ports = (1..=ports).map(port);
    let ports: String = ports.collect();
    format!(
        "
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    a: b
{annotations}
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  ports:
{ports}"
    )
}

fn many(count: usize, item: impl Fn(usize) -> String) -> String {
    let items: Vec<String> = (0..count).map(item).collect();
    items.join(",")
}

/// The errors of `text`, each as `code object`. They are the same from files, from `plan` and in a cluster, and each of
/// the three takes at most `bound` bytes.
fn refused(text: &str, context: &Context, bound: usize) -> Vec<String> {
    let (objects, found) = read(text, "a.yaml");
    assert_eq!(found, []);
    let errors = |found: &[Diagnostic]| -> Vec<String> {
        let errors = found.iter().filter(|one| one.is_error());
        errors
            .map(|one| format!("{} {}", one.code, one.object))
            .collect()
    };
    let (_, found) = peak::within(bound, || translate(&objects, context));
    let planned = peak::within(bound, || plan(&objects, context));
    assert_eq!(errors(&found), errors(&planned.diagnostics));
    let told = peak::within(bound, || {
        let mut cluster = Cluster::new(context.clone());
        for object in objects.clone() {
            cluster.take(Change::Set(object));
        }
        cluster.reconcile()
    });
    let told: Vec<Diagnostic> = told
        .into_iter()
        .filter_map(|one| match one.outcome {
            Outcome::Refused(why) => Some(why),
            _ => None,
        })
        .collect();
    assert_eq!(errors(&found), errors(&told));
    errors(&found)
}

/// Heap in bytes that one object may take in any of the three.
const OBJECT: usize = 64 << 20;

/// Unbounded, these 25 KB are 100,000 rules in 818 MB.
#[test]
fn ports_times_paths_are_bounded() {
    let context = Context::default();
    let refused = |ports, paths| refused(&ingress(ports, paths, ""), &context, OBJECT);
    assert_eq!(
        refused(1_000, 100),
        ["too-many-listeners Ingress/default/web"]
    );
    assert_eq!(
        refused(4_000, 250),
        ["too-many-listeners Ingress/default/web"]
    );
    assert_eq!(refused(500, 11), ["too-many-rules Ingress/default/web"]);
    assert_eq!(refused(1, 5_001), ["too-many-rules Ingress/default/web"]);
}

/// 50 listeners and 5,000 rules are far above AWS's quotas, but below the bounds.
#[test]
fn a_hundred_paths_on_fifty_ports_serve() {
    assert_eq!(
        refused(&ingress(50, 100, ""), &Context::default(), 96 << 20),
        [""; 0]
    );
}

/// Unbounded, these 44 KB take 4.6 GB and report 5,000 errors.
#[test]
fn conditions_times_rules_are_bounded() {
    let values = many(4_000, |value| format!("\"v{value}\""));
    let conditions = format!(
        "    alb.ingress.kubernetes.io/conditions.web: '[{{\"field\":\"http-header\",\"httpHeaderConfig\":\
         {{\"httpHeaderName\":\"X\",\"values\":[{values}]}}}}]'"
    );
    let text = ingress(50, 100, &conditions);
    assert_eq!(
        refused(&text, &Context::default(), OBJECT),
        ["too-large Ingress/default/web"]
    );
}

/// An annotation that is invalid for every port and path is reported once.
#[test]
fn an_invalid_condition_is_reported_once() {
    let values = many(10, |value| format!("\"v{value}\""));
    let conditions = format!(
        "    alb.ingress.kubernetes.io/conditions.web: '[{{\"field\":\"http-header\",\"httpHeaderConfig\":\
         {{\"httpHeaderName\":\"X\",\"values\":[{values}]}}}}]'"
    );
    let (objects, _) = read(&ingress(5, 10, &conditions), "a.yaml");
    let (_, found) = translate(&objects, &Context::default());
    let errors: Vec<&Diagnostic> = found.iter().filter(|one| one.is_error()).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].code, "too-many");
}

/// Ports multiply with every list of the annotations.
#[test]
fn ports_times_lists_of_an_ingress_are_bounded() {
    let key = "    alb.ingress.kubernetes.io/";
    let of = |text: &str| refused(text, &Context::default(), OBJECT);
    let refused =
        |ports, annotation: String| of(&ingress(ports, 1, &(key.to_owned() + &annotation)));
    let cidrs = many(10_000, |n| format!("10.{}.{}.0/24", n / 250, n % 250));
    assert_eq!(
        refused(400, format!("inbound-cidrs: '{cidrs}'")),
        ["too-many-permissions Ingress/default/web"]
    );
    let lists = many(10_000, |n| format!("pl-{n}"));
    assert_eq!(
        refused(400, format!("security-group-prefix-lists: '{lists}'")),
        ["too-many-permissions Ingress/default/web"]
    );
    let tags = many(10_000, |n| format!("k{n}=v"));
    assert_eq!(
        refused(400, format!("tags: '{tags}'")),
        ["too-large Ingress/default/web"]
    );
    let ports: Vec<String> = (1..=400)
        .map(|port| format!("{{\"HTTPS\":{port}}}"))
        .collect();
    let arns = many(3_000, |n| {
        format!("arn:aws:acm:us-east-1:1:certificate/{n}")
    });
    let text = ingress(1, 1, &format!("{key}certificate-arn: '{arns}'"));
    let text = text.replace("[{\"HTTP\":1}]", &format!("[{}]", ports.join(",")));
    assert_eq!(of(&text), ["too-many-certificates Ingress/default/web"]);
}

/// The same for a Service, in each of the controllers.
#[test]
fn ports_times_lists_of_a_service_are_bounded() {
    let key = "    service.beta.kubernetes.io/";
    let lbc = Context::default();
    let refused_by = |context: &Context, ports, annotation: &str| {
        refused(
            &service(ports, &format!("{key}{annotation}")),
            context,
            OBJECT,
        )
    };
    let name = |code: &str| vec![format!("{code} Service/default/web")];
    assert_eq!(refused_by(&lbc, 501, "x: z"), name("invalid-service"));
    let tags = many(10_000, |n| format!("k{n}=v"));
    let tags = format!("aws-load-balancer-additional-resource-tags: '{tags}'");
    assert_eq!(refused_by(&lbc, 400, &tags), name("invalid-service"));
    let attributes = many(10_000, |n| format!("k{n}=v"));
    let attributes = format!("aws-load-balancer-target-group-attributes: '{attributes}'");
    assert_eq!(refused_by(&lbc, 400, &attributes), name("invalid-service"));
    let ranges = many(10_000, |n| format!("10.{}.{}.0/24", n / 250, n % 250));
    let ranges = format!("load-balancer-source-ranges: '{ranges}'");
    assert_eq!(refused_by(&lbc, 400, &ranges), name("invalid-service"));
    let arns = many(3_000, |n| {
        format!("arn:aws:acm:us-east-1:1:certificate/{n}")
    });
    let arns = format!("aws-load-balancer-ssl-cert: '{arns}'");
    assert_eq!(refused_by(&lbc, 400, &arns), name("invalid-service"));
    let classic = Context {
        personality: Personality::InTree,
        ..Context::default()
    };
    let in_tree = |annotation: &str| {
        let text = service(400, &format!("{key}{annotation}"));
        refused(
            &text.replace("  loadBalancerClass: service.k8s.aws/nlb\n", ""),
            &classic,
            OBJECT,
        )
    };
    assert_eq!(in_tree(&ranges), name("invalid-service"));
    assert_eq!(in_tree(&arns), name("invalid-service"));
}

/// Target groups multiply with endpoints: 60 groups of 1,000 endpoints are 60,000 targets.
#[test]
fn target_groups_times_endpoints_are_bounded() {
    let endpoints = many(1_000, |n| {
        format!("{{addresses: [10.0.{}.{}]}}", n / 250, n % 250 + 1)
    });
    let ports = many(60, |n| format!("{{name: p{}, port: {}}}", n + 1, n + 1));
    let slice = format!(
        "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{ports}]
endpoints: [{endpoints}]
"
    );
    let ip = "    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip";
    let text = service(60, ip) + &slice;
    let (objects, found) = read(&text, "a.yaml");
    assert_eq!(found, []);
    let (model, found) = peak::within(OBJECT, || translate(&objects, &Context::default()));
    assert!(model.load_balancers.is_empty());
    let errors: Vec<&str> = found
        .iter()
        .filter(|one| one.is_error())
        .map(|one| one.code)
        .collect();
    assert_eq!(errors, ["too-many-targets"]);
}

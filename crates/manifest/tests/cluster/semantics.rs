//! Members that come and go, unreadable objects, Tenants (control-plane.md 0.4, 2.1, 3.7, 6).

use std::fmt::Write as _;

use elbow_manifest::Context;
use elbow_manifest::cluster::{Change, Cluster, Outcome, Reconciled};
use elbow_manifest::context::Personality;

use crate::kit::{Live, documents, keys, objects, outcome};

const INGRESS: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: a
  annotations: {alb.ingress.kubernetes.io/group.name: red}
  finalizers: [group.ingress.k8s.aws/red]
spec: {ingressClassName: alb, defaultBackend: {service: {name: web, port: {number: 80}}}}
";

pub(crate) const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: a
  uid: d824df76-48d7-4e20-9bb9-60970b55be53
  annotations: {service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip}
  finalizers: [service.k8s.aws/resources]
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]
";

pub(crate) fn live(text: &str) -> (Live, Vec<Reconciled>) {
    Live::new(Context::default(), text)
}

fn names(members: &[elbow_manifest::cluster::Member]) -> Vec<String> {
    let name = |one: &elbow_manifest::cluster::Member| format!("{}/{}", one.namespace, one.name);
    members.iter().map(name).collect()
}

/// Key, outcome, members and leaving.
pub(crate) fn row(one: &Reconciled) -> (&str, &str, Vec<String>, Vec<String>) {
    (
        &one.key,
        outcome(one),
        names(&one.members),
        names(&one.leaving),
    )
}

pub(crate) fn web() -> Vec<String> {
    vec!["a/web".to_owned()]
}

/// control-plane.md 2.1: an Ingress that changes its group leaves the old one, which is deleted with its last member.
#[test]
fn an_ingress_changes_its_group() {
    let (mut live, _) = live(INGRESS);
    let told = live.set(&INGRESS.replace("group.name: red", "group.name: blue"));
    assert_eq!(row(&told[0]), ("blue (Ingress)", "made", web(), vec![]));
    assert_eq!(row(&told[1]), ("red (Ingress)", "gone", vec![], web()));
    assert_eq!(told[0].finalizer, "group.ingress.k8s.aws/blue");
    assert_eq!(told[1].finalizer, "group.ingress.k8s.aws/red");
    let done = INGRESS.replace("group.name: red", "group.name: blue");
    let told = live.set(&done.replace("k8s.aws/red", "k8s.aws/blue"));
    assert_eq!(told.len(), 1);
    assert_eq!(row(&told[0]), ("red (Ingress)", "gone", vec![], vec![]));
    assert_eq!(live.cluster.model().load_balancers.len(), 1);
}

/// With another class, the Ingress is not elbow's any more, and its finalizer is removed.
#[test]
fn an_ingress_changes_its_class() {
    let (mut live, _) = live(INGRESS);
    let class = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
";
    assert!(live.set(class).is_empty());
    let told = live.set(&INGRESS.replace("ingressClassName: alb", "ingressClassName: nginx"));
    assert_eq!(row(&told[0]), ("red (Ingress)", "gone", vec![], web()));
    assert!(live.cluster.model().load_balancers.is_empty());
}

/// As in AWS's controller: an Ingress of an unknown class may be a member, so its group stays as it is.
#[test]
fn a_group_with_an_unclear_member_stays() {
    let (mut live, _) = live(INGRESS);
    let told = live.set(&INGRESS.replace("ingressClassName: alb", "ingressClassName: lost"));
    assert_eq!(
        row(&told[0]),
        ("Ingress/a/web", "unknown-ingress-class", web(), vec![])
    );
    assert_eq!(
        row(&told[1]),
        ("red (Ingress)", "unknown-ingress-class", vec![], web())
    );
    assert_eq!(live.cluster.model().load_balancers.len(), 1);
}

/// A Service that is no longer of type LoadBalancer, or of another class.
#[test]
fn a_service_changes_hands() {
    let (mut live, told) = live(SERVICE);
    assert_eq!(row(&told[0]), ("a/web (Service)", "made", web(), vec![]));
    assert_eq!(told[0].finalizer, "service.k8s.aws/resources");
    let plain = SERVICE
        .replace("  loadBalancerClass: service.k8s.aws/nlb\n", "")
        .replace("type: LoadBalancer", "type: ClusterIP");
    let told = live.set(&plain);
    assert_eq!(row(&told[0]), ("a/web (Service)", "gone", vec![], web()));
    assert_eq!(told[0].finalizer, "service.k8s.aws/resources");
    let free = plain.replace("  finalizers: [service.k8s.aws/resources]\n", "");
    let told = live.set(&free);
    assert_eq!(row(&told[0]), ("a/web (Service)", "gone", vec![], vec![]));
    assert!(live.set(&free.replace("port: 80", "port: 81")).is_empty());
    // The other class belongs to another controller, which handles its own finalizers.
    let other = SERVICE.replace("service.k8s.aws/nlb", "example.com/other");
    assert!(live.set(&other).is_empty());
}

/// A Service that moves from one controller to the other leaves the first and becomes a member of the second.
#[test]
fn a_service_moves_from_one_controller_to_the_other() {
    let context = Context {
        personality: Personality::Lbc,
        ..Context::default()
    };
    let external = SERVICE
        .replace("  loadBalancerClass: service.k8s.aws/nlb\n", "")
        .replace(
            "{service.beta",
            "{service.beta.kubernetes.io/aws-load-balancer-type: external, service.beta",
        );
    let (mut live, told) = Live::new(context, &external);
    assert_eq!(told[0].finalizer, "service.k8s.aws/resources");
    let told = live.set(&external.replace("aws-load-balancer-type: external", "x: y"));
    assert_eq!(row(&told[0]), ("a/web (Service)", "made", web(), vec![]));
    assert_eq!(
        told[0].finalizer,
        "service.kubernetes.io/load-balancer-cleanup"
    );
    let stale = "a/web (Service) (service.k8s.aws/resources)";
    assert_eq!(row(&told[1]), (stale, "gone", vec![], web()));
    assert_eq!(told[1].finalizer, "service.k8s.aws/resources");
}

/// control-plane.md 3.7: a Network Load Balancer with deletion protection stays until the attribute is removed, also
/// after a restart.
#[test]
fn a_protected_service_stays() {
    let protected = SERVICE.replace(
        "{service.beta",
        "{service.beta.kubernetes.io/aws-load-balancer-attributes: deletion_protection.enabled=true, service.beta",
    );
    let going = protected.replace("  uid:", "  deletionTimestamp: x\n  uid:");
    let (mut live, _) = live(&protected);
    let told = live.set(&going);
    assert_eq!(
        row(&told[0]),
        ("a/web (Service)", "deletion-protection", vec![], web())
    );
    assert_eq!(live.cluster.model().load_balancers.len(), 1);
    let (fresh, told) = Live::new(Context::default(), &going);
    assert_eq!(outcome(&told[0]), "deletion-protection");
    assert_eq!(fresh.cluster.model(), live.cluster.model());
    for unreadable in ["enabled=maybe", "enabled"] {
        let (_, told) = Live::new(
            Context::default(),
            &going.replace("enabled=true", unreadable),
        );
        assert_eq!(outcome(&told[0]), "deletion-protection", "{unreadable}");
    }
    let told = live.set(&going.replace("enabled=true", "enabled=false"));
    assert_eq!(row(&told[0]), ("a/web (Service)", "gone", vec![], web()));
    assert!(live.cluster.model().load_balancers.is_empty());
}

/// An unreadable object is reported; its last known state and all others serve on.
#[test]
fn an_object_that_cannot_be_read() {
    let (mut live, _) = live(&format!("{INGRESS}---{SERVICE}"));
    let mut huge = documents(INGRESS).remove(0);
    huge["metadata"]["annotations"]["big"] = "x".repeat(1 << 20).into();
    let huge = elbow_manifest::Object::from_json(huge).unwrap();
    live.cluster.take(Change::Set(huge.clone()));
    let told = live.cluster.reconcile();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(row(&told[0]), ("Ingress/a/web", "too-large", web(), vec![]));
    let Outcome::Refused(why) = &told[0].outcome else {
        panic!("{told:?}");
    };
    let text = why.to_string();
    assert!(
        text.starts_with("error[too-large] Ingress/a/web metadata.annotations.big: "),
        "{text}"
    );
    assert_eq!(live.cluster.model().load_balancers.len(), 2);
    live.cluster.take(Change::Set(huge));
    assert!(live.cluster.reconcile().is_empty(), "it is said once");
    assert_eq!(keys(&live.set(INGRESS)), ["Ingress/a/web"]);
    // An unreadable object can be deleted.
    let mut going = documents(INGRESS).remove(0);
    going["metadata"]["annotations"]["big"] = "x".repeat(1 << 20).into();
    going["metadata"]["deletionTimestamp"] = "x".into();
    let going = elbow_manifest::Object::from_json(going).unwrap();
    live.cluster.take(Change::Set(going));
    let told = live.cluster.reconcile();
    assert_eq!(row(&told[1]), ("red (Ingress)", "gone", vec![], web()));
    let told = live.gone(INGRESS);
    assert_eq!(keys(&told), ["Ingress/a/web", "red (Ingress)"]);
    assert!(
        told.iter()
            .all(|one| outcome(one) == "gone" && one.leaving.is_empty())
    );
}

/// A namespace is deleted with its objects, in any order.
#[test]
fn a_namespace_is_deleted_with_its_objects() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n";
    let all = format!("{namespace}---{INGRESS}---{SERVICE}");
    let (mut live, _) = live(&all);
    for text in [SERVICE, INGRESS] {
        let going = text.replace("  namespace: a", "  namespace: a\n  deletionTimestamp: x");
        assert!(
            live.set(&going)
                .iter()
                .any(|one| outcome(one) == "gone" && names(&one.leaving) == web())
        );
        live.gone(text);
    }
    live.gone(namespace);
    assert!(live.cluster.model().load_balancers.is_empty());
    assert!(live.cluster.is_reconciled());
    let (fresh, _) = Live::new(
        Context::default(),
        "apiVersion: v1\nkind: Node\nmetadata: {name: 'n'}\n",
    );
    assert_eq!(live.cluster.model(), fresh.cluster.model());
}

/// Of two stacks that ask for the same name, the second gets it when the first is deleted.
#[test]
fn a_name_passes_to_the_second_stack_when_the_first_is_deleted() {
    let named = |name: &str| {
        SERVICE
            .replace("name: web", &format!("name: {name}"))
            .replace(
                "{service.beta",
                "{service.beta.kubernetes.io/aws-load-balancer-name: only, service.beta",
            )
            .replace("5be53", &format!("5be5{}", name.len()))
    };
    let (mut live, _) = live(&named("second"));
    let told = live.set(&named("first"));
    let mut rows: Vec<_> = told.iter().map(|one| (&*one.key, outcome(one))).collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        [
            ("a/first (Service)", "made"),
            ("a/second (Service)", "duplicate-name")
        ]
    );
    assert_eq!(live.cluster.model().load_balancers.len(), 1);
    let told = live.gone(&named("first"));
    let mut rows: Vec<_> = told.iter().map(|one| (&*one.key, outcome(one))).collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        [
            ("a/first (Service)", "gone"),
            ("a/second (Service)", "made")
        ]
    );
}

const TENANT: &str = "
apiVersion: minio.min.io/v2
kind: Tenant
metadata: {name: t, namespace: a}
spec: {requestAutoCert: false, exposeServices: {minio: true}, pools: [{servers: 1, volumesPerServer: 1, volumeClaimTemplate: {}}]}
";

fn pod(name: &str, address: &str, ready: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: a, labels: {{v1.min.io/tenant: t}}}}
spec: {{nodeName: 'n'}}
status: {{podIP: {address}, conditions: [{{type: Ready, status: '{ready}'}}]}}
"
    )
}

/// control-plane.md 6: without MinIO's operator, a Tenant gets the Services that the operator would create, with its
/// ready pods as endpoints. A Service that exists has precedence.
#[test]
fn a_tenant_without_its_operator() {
    let (mut live, told) = live(TENANT);
    assert_eq!(row(&told[0]), ("a/minio (Service)", "made", vec![], vec![]));
    assert_eq!(told[0].finalizer, "");
    assert!(
        told[0]
            .diagnostics
            .iter()
            .any(|one| one.code == "tenant-service")
    );
    let mut text = pod("one", "10.0.0.1", "True");
    write!(text, "---{}", pod("two", "10.0.0.2", "False")).unwrap();
    assert_eq!(keys(&live.set(&text)), ["a/minio (Service)"]);
    assert_eq!(live.targets("k8s-a-minio"), ["10.0.0.1:9000"]);
    live.set(&pod("two", "10.0.0.2", "True"));
    assert_eq!(
        live.targets("k8s-a-minio"),
        ["10.0.0.1:9000", "10.0.0.2:9000"]
    );
    let real = SERVICE.replace("name: web", "name: minio").replace(
        "  type: LoadBalancer\n  loadBalancerClass: service.k8s.aws/nlb",
        "  type: ClusterIP",
    );
    let told = live.set(&real);
    assert_eq!(keys(&told), ["a/minio (Service)"]);
    assert!(live.cluster.model().load_balancers.is_empty());
    live.gone(&real);
    assert_eq!(
        live.targets("k8s-a-minio"),
        ["10.0.0.1:9000", "10.0.0.2:9000"]
    );
    let told = live.gone(TENANT);
    assert_eq!(row(&told[0]), ("a/minio (Service)", "gone", vec![], vec![]));
    assert!(live.cluster.inventory().services.is_empty());
    assert!(live.cluster.inventory().endpoints.is_empty());
}

/// A JSON string stays a string, even if it looks like a number; a number is accepted where one is expected.
#[test]
fn json_keeps_its_types() {
    let annotated = INGRESS.replace("group.name: red", "group.name: red, a: 'true', b: '7'");
    let all = objects(&annotated);
    let (live, told) = live(&annotated);
    assert_eq!(outcome(&told[0]), "made");
    let ingress = &live.cluster.inventory().ingresses[&("a".to_owned(), "web".to_owned())];
    assert_eq!(ingress.meta.annotations["a"].value, "true");
    assert_eq!(all[0].node.at.line, 0);
    let mut wrong = documents(INGRESS).remove(0);
    wrong["metadata"]["annotations"]["a"] = true.into();
    let mut cluster = Cluster::new(Context::default());
    let wrong = elbow_manifest::Object::from_json(wrong).unwrap();
    cluster.take(Change::Set(wrong));
    assert_eq!(outcome(&cluster.reconcile()[0]), "wrong-type");
    let mut deep = serde_json::json!({});
    for _ in 0..110 {
        deep = serde_json::json!({ "a": deep });
    }
    let deep = serde_json::json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": deep});
    let found = elbow_manifest::Object::from_json(deep).unwrap_err();
    assert_eq!(
        found.to_string(),
        "error[too-deep] Service/x: nested deeper than 100 levels"
    );
}

/// A Service with a port that AWS's load balancers do not carry gets a diagnostic and no address; if it was served before, its old
/// state serves on.
#[test]
fn a_service_without_a_listener_that_is_served() {
    let (mut live, _) = live("");
    let sctp = SERVICE.replace(
        "name: http, port: 80",
        "name: call, protocol: SCTP, port: 80",
    );
    let told = live.set(&sctp);
    assert_eq!(
        row(&told[0]),
        ("a/web (Service)", "invalid-service", web(), vec![])
    );
    assert!(live.cluster.model().load_balancers.is_empty());
    live.set(SERVICE);
    assert_eq!(live.cluster.model().load_balancers.len(), 1);
}

/// Section 6: a Tenant without Services yet is served from its own Pods only, and by node port once a cluster has
/// assigned them.
#[test]
fn a_tenant_before_its_services() {
    let (mut live, _) = live(
        "
apiVersion: v1
kind: Node
metadata: {name: node-1}
status:
  addresses: [{type: InternalIP, address: 192.0.2.1}]
  conditions: [{type: Ready, status: 'True'}]
",
    );
    let targets = |live: &Live| -> Vec<String> {
        let model = live.cluster.model();
        let groups = model.target_groups.iter().flat_map(|group| &group.targets);
        groups
            .map(|one| format!("{}:{}", one.id, one.port))
            .collect()
    };
    let class = "{service.beta.kubernetes.io/aws-load-balancer-type: external, \
                 service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: instance}";
    let told = live.set(&format!(
        "
apiVersion: minio.min.io/v2
kind: Tenant
metadata: {{name: store, namespace: a}}
spec:
  exposeServices: {{minio: true}}
  requestAutoCert: false
  serviceMetadata: {{minioServiceAnnotations: {class}}}
  pools: [{{servers: 1, volumesPerServer: 1, volumeClaimTemplate: {{}}}}]
"
    ));
    assert_eq!(live.cluster.model().load_balancers.len(), 1, "{told:?}");
    assert_eq!(targets(&live), [""; 0]);
    let codes = told.iter().flat_map(|one| &one.diagnostics);
    assert!(
        codes
            .map(|one| one.code)
            .any(|code| code == "no-node-ports")
    );
    live.set(&format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: minio, namespace: a, uid: u, annotations: {class}}}
spec:
  type: LoadBalancer
  ports: [{{name: http-minio, port: 80, targetPort: 9000, nodePort: 31234}}]
"
    ));
    assert_eq!(targets(&live), ["192.0.2.1:31234"]);
}

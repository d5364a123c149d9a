//! Deletion protection of the load balancers of Ingresses (`pkg/ingress/model_builder.go`).

use elbow_manifest::Context;

use super::kit::{Live, outcome};

const INGRESS: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: a
  annotations:
    alb.ingress.kubernetes.io/group.name: red
    alb.ingress.kubernetes.io/load-balancer-attributes: deletion_protection.enabled=true
  finalizers: [group.ingress.k8s.aws/red]
spec: {ingressClassName: alb, defaultBackend: {service: {name: web, port: {number: 80}}}}
";

const OTHER: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: other
  namespace: a
  annotations: {alb.ingress.kubernetes.io/group.name: red}
  finalizers: [group.ingress.k8s.aws/red]
spec:
  ingressClassName: alb
  rules: [{http: {paths: [{path: /other, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}]}}]
";

fn deleting(text: &str) -> String {
    text.replace("  name: web", "  deletionTimestamp: x\n  name: web")
}

#[test]
fn a_protected_ingress_stays_alone_and_beside_others() {
    for (more, rest) in [("", 0), (OTHER, 1)] {
        let both = format!("{INGRESS}---{more}");
        let both = both.trim_end_matches("---");
        let (mut live, told) = Live::new(Context::default(), both);
        assert_eq!(outcome(&told[0]), "made");
        let told = live.set(&deleting(INGRESS));
        assert_eq!(outcome(&told[0]), "deletion-protection");
        assert_eq!(told[0].leaving.len(), 1);
        assert_eq!(live.cluster.model().load_balancers.len(), 1);
        // A new process finds the Ingress in deletion.
        let (fresh, told) = Live::new(Context::default(), &deleting(both));
        assert_eq!(outcome(&told[0]), "deletion-protection");
        assert_eq!(fresh.cluster.model().load_balancers.len(), 1);
        let told = live.set(&deleting(INGRESS).replace("enabled=true", "enabled=false"));
        let expected = if rest == 0 { "gone" } else { "made" };
        assert_eq!(outcome(&told[0]), expected, "{told:#?}");
        assert_eq!(live.cluster.model().load_balancers.len(), rest);
    }
}

/// Leaving a group is no deletion: the controller removes the empty load balancer, protected or not.
#[test]
fn a_protected_ingress_may_leave_its_group() {
    let (mut live, _) = Live::new(Context::default(), INGRESS);
    let told = live.set(&INGRESS.replace("group.name: red", "group.name: blue"));
    let outcomes: Vec<_> = told.iter().map(outcome).collect();
    assert_eq!(outcomes, ["made", "gone"]);
}

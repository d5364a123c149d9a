//! What documents look like without what is not served, whether or not the data plane serves it today.

use serde_json::{Value, json};

use super::draft::{Cuts, Role, to_json};
use super::native::Writer;
use super::{Catalog, Groups, Surroundings};
use crate::inventory::Inventory;
use crate::scope::{Reads, Scope};
use crate::{Context, Translation};

const TEXT: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/conditions.web: '[{\"field\": \"http-request-method\", \"httpRequestMethodConfig\": {\"values\": [\"GET\"]}}]'
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: web, port: {number: 80}}}
  rules:
  - host: web.example.com
    http:
      paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]
";

/// The one listener of the text without these parts; `null` when it is left out itself.
fn listener(cuts: impl IntoIterator<Item = Role>) -> Value {
    let (objects, found) = crate::read(TEXT, "web.yaml");
    assert!(found.is_empty(), "{found:?}");
    let mut translation = Translation::default();
    let context = Context::default();
    let mut inventory = Inventory::new(&objects, &mut translation.diagnostics);
    crate::fill(&objects, &mut inventory, &context, &mut translation);
    let reads = Reads::default();
    let scope = Scope::new(&inventory, &reads);
    let catalog = Catalog::new(translation.stacks, scope, &context);
    let surroundings = Surroundings {
        context: &context,
        scope,
        catalog: &catalog,
    };
    let stack = catalog.stacks().values().next().unwrap();
    let cuts: Cuts = cuts.into_iter().collect();
    let groups = Groups::new(stack, &surroundings).unwrap();
    let writer = Writer::new(stack, &groups, &surroundings, cuts);
    let (document, _) = writer.document(&mut Vec::new()).ok().flatten().unwrap();
    to_json(&document.root)["loadBalancers"][0]["listeners"][0].clone()
}

fn answers_503(actions: &Value) -> bool {
    actions[0]["fixedResponseConfig"]["statusCode"] == "503"
        && actions.as_array().map(Vec::len) == Some(1)
}

#[test]
fn everything_is_written() {
    let listener = listener([]);
    let rule = &listener["rules"][0];
    let fields: Vec<&Value> = rule["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["field"])
        .collect();
    assert_eq!(
        fields,
        ["http-request-method", "host-header", "path-pattern"]
    );
    assert_eq!(rule["actions"][0]["type"], "forward");
    assert_eq!(listener["defaultActions"][0]["type"], "forward");
}

/// Without one of its conditions a rule would hold for more than it was written for.
#[test]
fn a_rule_without_a_condition_forwards_nothing() {
    let rule = &listener([Role::Condition("80:1".into(), 0)])["rules"][0];
    assert_eq!(rule["conditions"].as_array().unwrap().len(), 2);
    assert!(answers_503(&rule["actions"]), "{rule}");
    let all = (0..3).map(|index| Role::Condition("80:1".into(), index));
    let rule = &listener(all)["rules"][0];
    let everything = json!([{"field": "path-pattern", "pathPatternConfig": {"values": ["/*"]}}]);
    assert_eq!(rule["conditions"], everything);
    assert!(answers_503(&rule["actions"]), "{rule}");
}

#[test]
fn what_cannot_be_done_is_answered_503() {
    let listener = listener([Role::Rule("80:1".into()), Role::Default("80".into())]);
    assert!(answers_503(&listener["rules"][0]["actions"]));
    assert!(answers_503(&listener["defaultActions"]));
}

#[test]
fn a_listener_is_left_out_whole() {
    assert_eq!(listener([Role::Listener("80".into())]), Value::Null);
}

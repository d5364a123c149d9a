//! What is built without what is not served, whether or not the data plane serves it today.

use elbow_model::{ActionSpec, ConditionSpec, FieldPath, ListenerSpec, Origin, RuleSpec, Step};

use super::Groups;
use super::draft::Draft;
use super::place::{LeftOut, Part};
use crate::Context;
use crate::cluster::Files;
use crate::scope::Reads;

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

/// What `look` sees of the draft of the text without these parts.
fn draft<T>(left_out: impl IntoIterator<Item = Part>, look: impl FnOnce(&Draft<'_>) -> T) -> T {
    let (objects, found) = crate::read(TEXT, "web.yaml");
    assert!(found.is_empty(), "{found:?}");
    let files = Files::of(&objects, &Context::default(), true);
    let reads = Reads::default();
    let surroundings = files.cluster().surroundings(&reads);
    let stack = files.cluster().stacks_by_key().next().unwrap();
    let left_out: LeftOut = left_out.into_iter().collect();
    let groups = Groups::new(stack, &surroundings).unwrap();
    let draft = Draft::new(stack, &stack.origins[0], &groups, &surroundings, &left_out);
    look(&draft.unwrap().unwrap())
}

/// The one listener; `None` when it is left out itself.
fn listener(left_out: impl IntoIterator<Item = Part>) -> Option<ListenerSpec> {
    draft(left_out, |draft| {
        draft.spec.load_balancers[0].listeners.first().cloned()
    })
}

/// Its one rule.
fn rule(left_out: impl IntoIterator<Item = Part>) -> RuleSpec {
    listener(left_out).unwrap().rules.unwrap().remove(0)
}

fn answers_503(actions: &Option<Vec<ActionSpec>>) -> bool {
    let [action] = &actions.as_ref().unwrap()[..] else {
        return false;
    };
    let response = action.fixed_response_config.as_ref();
    response.is_some_and(|response| response.status_code.as_deref() == Some("503"))
}

#[test]
fn everything_is_built() {
    let rule = rule([]);
    let conditions = rule.conditions.unwrap();
    let fields: Vec<&str> = conditions
        .iter()
        .filter_map(|one| one.field.as_deref())
        .collect();
    assert_eq!(
        fields,
        ["http-request-method", "host-header", "path-pattern"]
    );
    assert_eq!(rule.actions.unwrap()[0].kind.as_deref(), Some("forward"));
    let default = listener([]).unwrap().default_actions.unwrap();
    assert_eq!(default[0].kind.as_deref(), Some("forward"));
}

/// Without one of its conditions a rule would hold for more than it was written for.
#[test]
fn a_rule_without_a_condition_forwards_nothing() {
    let one = rule([Part::Condition("80:1".into(), 0)]);
    assert_eq!(one.conditions.unwrap().len(), 2);
    assert!(answers_503(&one.actions));
    let all = (0..3).map(|index| Part::Condition("80:1".into(), index));
    let none = rule(all);
    assert_eq!(
        none.conditions.unwrap(),
        [ConditionSpec::path_pattern(["/*"])]
    );
    assert!(answers_503(&none.actions));
}

#[test]
fn what_cannot_be_done_is_answered_503() {
    let listener = listener([Part::Rule("80:1".into()), Part::Default(80)]).unwrap();
    assert!(answers_503(&listener.rules.unwrap()[0].actions));
    assert!(answers_503(&listener.default_actions));
}

#[test]
fn what_leads_to_a_group_that_is_left_out_is_answered_503() {
    let name = draft([], |draft| draft.spec.target_groups[0].name.clone());
    let group = Part::Group(name.unwrap());
    assert!(answers_503(&rule([group.clone()]).actions));
    assert!(draft([group], |draft| draft.spec.target_groups.is_empty()));
}

#[test]
fn a_listener_is_left_out_whole() {
    assert_eq!(listener([Part::Listener(80)]), None);
}

/// The line and the column of a field of the first rule of the first listener.
fn place(draft: &Draft<'_>, rest: &[Step]) -> (u32, u32) {
    let mut steps = vec![
        Step::Field("loadBalancers"),
        Step::Index(0),
        Step::Field("listeners"),
        Step::Index(0),
        Step::Field("rules"),
        Step::Index(0),
    ];
    steps.extend_from_slice(rest);
    let Origin { line, column, .. } = draft.place(&FieldPath::from(steps)).origin;
    (line, column)
}

/// The condition of the annotation is the annotation's, those of the rule are the path's, whatever is left out.
#[test]
fn each_condition_has_the_place_that_it_was_read_from() {
    let conditions = |index| [Step::Field("conditions"), Step::Index(index)];
    let (annotation, path) = ((18, 47), (25, 15));
    draft([], |draft| {
        assert_eq!(place(draft, &conditions(0)), annotation);
        assert_eq!(place(draft, &conditions(1)), path);
        assert_eq!(place(draft, &conditions(2)), path);
        assert_eq!(place(draft, &[Step::Field("conditions")]), annotation);
        assert_eq!(place(draft, &[Step::Field("priority")]), path);
    });
    draft([Part::Condition("80:1".into(), 0)], |draft| {
        assert_eq!(place(draft, &conditions(0)), path);
    });
}
